"""Tests mirror the packages: who looks for what tests `X/y.py` opens `tests/X/test_y.py`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Tests of no single module, and what they are about.
ELSEWHERE = {
    "tests/agents/courses/test_fit_then_ppo.py": "a run of two phases, killed in each of them",
    "tests/agents/regret/test_cfr_runs.py": "CFR through scripts/train.py",
    "tests/agents/regret/test_matrix_game_trees.py": "three ways to the value of a game: regret/, tabular/",
    "tests/agents/search/test_search_evaluators.py": "evaluators as search asks them",
    "tests/agents/search/test_search_gumbel.py": "Gumbel's selection as search uses it",
    "tests/agents/search/test_search_reuse.py": "trees that are kept for the next move",
    "tests/agents/search/test_search_textbook.py": "search against searches that are written down plainly",
    "tests/agents/test_compiled.py": "every learner's update, compiled",
    "tests/agents/test_config_fields.py": "every field of every config reaches what it configures",
    "tests/agents/test_config_round_trip.py": "every config is written and read",
    "tests/agents/test_every_id.py": "every world that Gymnasium registers, trained in",
    "tests/agents/test_probes.py": "every learner, on worlds whose answer is known",
    "tests/agents/test_recurrent.py": "memory through the whole house",
    "tests/agents/test_resume.py": "every algorithm, stopped and resumed",
    "tests/agents/test_resume_fields.py": "every field of every config, changed on resume",
    "tests/agents/world_models/test_transfer.py": "World Models on the pixel world, from the dream to the world",
    "tests/envs/games/test_properties.py": "every native game, at random sizes",
    "tests/scripts/test_extending.py": "the recipes of docs/extending.md, followed",
    "tests/test_golden.py": "the numbers of the whole house",
    "tests/test_layering.py": "the rules of the whole house",
    "tests/test_mirror.py": "the tests",
    "tests/test_wheel.py": "the whole house, built and installed",
}


def strays(root: Path, elsewhere: Iterable[str]) -> list[str]:
    """Tests without a module of their name that aren't listed `elsewhere`, and what is listed for nothing."""
    tests = {str(test.relative_to(root)) for test in (root / "tests").rglob("test_*.py")}
    unlike = {test for test in tests if not (root / test.removeprefix("tests/").replace("test_", "", 1)).exists()}
    return sorted(unlike ^ set(elsewhere))


def test_tests_mirror_the_packages() -> None:
    assert strays(ROOT, ELSEWHERE) == []


def test_a_stray_is_found(tmp_path: Path) -> None:
    for name in ("envs/api.py", "tests/envs/test_api.py", "tests/test_api.py", "tests/test_all.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert strays(tmp_path, ["tests/test_all.py", "tests/test_gone.py"]) == ["tests/test_api.py", "tests/test_gone.py"]
