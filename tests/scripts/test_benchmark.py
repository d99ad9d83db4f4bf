from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.config import Environment
from scripts.benchmark import main
from scripts.suites.fleet import SLOW, started
from scripts.suites.learners import QUIET, WORKS, peer, products, seconds, stable_baselines, trained
from scripts.suites.pairs import Absent, Side, Trial, compare, geometric_mean, order, rate, ratio_interval

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "benchmark.py"


@pytest.fixture(autouse=True)
def _threads_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import torch

    monkeypatch.setattr(os, "environ", os.environ.copy())
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_geometric_mean_multiplies() -> None:
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4.0, rel=1e-15)
    assert np.mean([2.0, 8.0]) == 5.0  # the broken variant: it would call twice and half as fast "faster"
    assert geometric_mean([2.0, 0.5]) == pytest.approx(1.0, rel=1e-15)


@pytest.mark.parametrize("values", [[], [1.0, 0.0], [1.0, -1.0]])
def test_a_geometric_mean_is_of_positive_numbers(values: list[float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        geometric_mean(values)


def test_the_interval_of_equal_ratios_is_a_point() -> None:
    interval = ratio_interval([1.5] * 5)
    assert interval is not None
    assert interval == pytest.approx((1.5, 1.5), rel=1e-12)


def test_the_interval_of_two_ratios_spans_both() -> None:
    # Resampling two values gives the lower one twice with probability 1/4, far above the tail of 2.5 %.
    assert ratio_interval([2.0, 8.0]) == pytest.approx((2.0, 8.0), rel=1e-12)


def test_the_interval_inverts_with_the_ratio() -> None:
    ratios = [1.1, 1.3, 0.9, 1.7, 1.2]
    forth, back = ratio_interval(ratios), ratio_interval([1 / r for r in ratios])
    assert forth is not None
    assert back is not None
    assert (1 / back.high, 1 / back.low) == pytest.approx(forth, rel=0.02)  # up to the resampling's chance


def test_one_pair_has_no_interval() -> None:
    assert ratio_interval([1.5]) is None


def test_the_sides_take_turns_in_beginning() -> None:
    assert [order(pair) for pair in range(4)] == [(0, 1), (1, 0), (0, 1), (1, 0)]


class World:
    """A clock that only the sides move, and a diary of who worked when."""

    def __init__(self) -> None:
        self.now = 0.0
        self.diary: list[str] = []

    def side(self, name: str, startup: float, rates: list[float]) -> Side:
        found = iter(rates)

        @contextmanager
        def start() -> Iterator[Trial]:
            self.diary.append(f"+{name}")
            self.now += startup

            def trial() -> float:
                self.diary.append(name)
                return next(found)

            try:
                yield trial
            finally:
                self.diary.append(f"-{name}")

        return Side(name, start)


def test_a_comparison_alternates_and_pairs_what_belongs_together() -> None:
    world = World()
    ours, theirs = world.side("A", 3.0, [20.0, 40.0, 20.0]), world.side("B", 5.0, [10.0, 10.0, 5.0])
    row = compare("row", "steps/s", ours, theirs, 3, clock=lambda: world.now)
    assert world.diary == ["+A", "A", "+B", "B", "B", "A", "A", "B", "-B", "-A"]
    assert row.pairs == [(20.0, 10.0), (40.0, 10.0), (20.0, 5.0)]
    assert row.ratio == pytest.approx(math.cbrt(2 * 4 * 4))
    assert row.rates == pytest.approx((math.cbrt(20 * 40 * 20), math.cbrt(10 * 10 * 5)))
    assert row.startup == (3.0, 5.0)
    assert json.loads(json.dumps(row.record()))["ratio"] == row.ratio


def test_fresh_sides_start_and_end_with_every_trial() -> None:
    world = World()
    ours, theirs = world.side("A", 3.0, [2.0, 2.0]), world.side("B", 5.0, [1.0, 1.0])
    row = compare("row", "steps/s", ours, theirs, 2, fresh=True, clock=lambda: world.now)
    assert world.diary == ["+A", "A", "-A", "+B", "B", "-B", "+B", "B", "-B", "+A", "A", "-A"]
    assert row.startup == (3.0, 5.0)


def test_a_side_ends_when_the_other_one_fails() -> None:
    world = World()

    @contextmanager
    def fails() -> Iterator[Trial]:
        raise Absent("no peer here")
        yield

    with pytest.raises(Absent, match="no peer here"):
        compare("row", "steps/s", world.side("A", 1.0, [1.0]), Side("B", fails), 1)
    assert world.diary == ["+A", "A", "-A"]


def test_a_rate_is_amount_per_second() -> None:
    world = World()

    def work() -> None:
        world.now += 4.0

    assert rate(100, work, clock=lambda: world.now) == 25.0


def test_the_products_of_a_pass() -> None:
    # A forward pass, then the gradients: the first layer's input is the observation, which needs none.
    assert products(8, [4, 6, 2], forward=1) == [(8, 4, 6), (8, 6, 2)]
    assert products(8, [4, 6, 2], weights=1) == [(4, 8, 6), (6, 8, 2)]
    assert products(8, [4, 6, 2], inputs=1) == [(8, 2, 6)]
    assert 0 < seconds([(8, 4, 6)], calls=2) < seconds([(8, 4, 6), (256, 400, 300)], calls=2)


@pytest.mark.parametrize("name", ["a2c", "dqn", "ddpg"])
def test_both_sides_make_as_many_updates(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import stable_baselines3

    import agents.actor_critic.a2c
    import agents.actor_critic.ddpg
    import agents.value.dqn

    work = WORKS[name]
    module: Any = {"a2c": agents.actor_critic.a2c, "dqn": agents.value.dqn, "ddpg": agents.actor_critic.ddpg}[name]
    learner = module.Learner
    made = {"ours": 0, "theirs": 0}
    update, train = learner.update, getattr(stable_baselines3, work.peer).train

    def count_ours(self: object, sample: object) -> object:
        made["ours"] += 1
        return update(self, sample)

    def count_theirs(self: object, **told: int) -> None:
        made["theirs"] += told.get("gradient_steps", 1)
        train(self, **told)

    monkeypatch.setattr(learner, "update", count_ours)
    monkeypatch.setattr(getattr(stable_baselines3, work.peer), "train", count_theirs)
    raw = work.config | {"compile": "off"}
    env = Environment(**work.config["env"])
    for side, start in (
        ("ours", lambda: trained(raw, 304, 40)),
        ("theirs", lambda: stable_baselines(work.peer, work.settings, env, 304, 40)),
    ):
        with start() as trial:
            made[side] = 0  # what burn-in did
            assert trial() > 0
    assert made["ours"] == made["theirs"] == 40 * work.updates


def test_the_works_leave_nothing_but_training_to_be_done() -> None:
    from agents.registry import parse

    for raw in (SLOW, *(work.config for work in WORKS.values())):
        config = parse(QUIET | raw)
        assert config.evaluation.every == config.checkpoint.every == 0
        assert config.logging.every == config.steps > 10**8


def test_a_row_from_beginning_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "found.json"
    assert main(["learners", "--only", "dqn-eager", "--pairs", "1", "--json", str(file)]) == 0
    assert re.search(r"^dqn-eager: [\d.]+x$", capsys.readouterr().out, re.MULTILINE)
    found = json.loads(file.read_text())
    (row,) = found["rows"]
    assert (found["pairs"], found["threads"], found["absent"]) == (1, 1, {})
    assert row["ratio"] == pytest.approx(row["pairs"][0][0] / row["pairs"][0][1])
    assert 0 < row["floor"]["fraction"] < 1


@pytest.mark.slow
def test_ppo_compiled(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["learners", "--only", "ppo", "--pairs", "1"]) == 0
    assert "ours, compiled" in capsys.readouterr().out


def test_what_is_not_here_is_named(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    file = tmp_path / "found.json"
    script = [sys.executable, str(SCRIPT), "gpu", "--only", "ppo-graph", "--json", str(file)]
    done = subprocess.run(script, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ppo-graph: not measured: torch finds no CUDA GPU here" in done.stdout
    assert json.loads(file.read_text())["absent"] == {"ppo-graph": "torch finds no CUDA GPU here"}


def test_a_peer_is_found_without_being_imported() -> None:
    assert re.fullmatch(r"ray [\d.]+", peer("ray", "ray"))
    with pytest.raises(Absent, match=r"ray\[none\] is not installed \(no module no_such_module\)"):
        peer("ray[none]", "ray", "no_such_module")
    code = "import sys; from scripts.suites.learners import peer; peer('ray', 'ray'); sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_starting_is_measured() -> None:
    with started("-c", "pass") as trial:
        assert 0 < trial() < 1000


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (["nothing"], "invalid choice"),
        (["learners", "--only", "sac"], "learners has no row sac"),
        (["learners", "--pairs", "0"], "at least 1"),
        (["learners", "--json", "/nowhere/found.json"], "/nowhere is no directory"),
    ],
)
def test_a_wrong_request_ends_with_2_and_says_why(
    request_: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code: object = main(request_)
    except SystemExit as left:
        code = left.code
    assert code == 2
    assert reason in capsys.readouterr().err
