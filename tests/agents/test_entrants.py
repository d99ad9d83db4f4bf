"""Whatever was trained enters `evaluate.py` and the arena, or is refused by name and told why."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.api import fresh
from agents.entrants import entrant
from agents.registry import ALGORITHMS, parse
from envs.api import CHANCE
from envs.games.make import make_game
from scripts.evaluate import main
from tests.runs import APART, CLONES, DREAMS, FITS, RUNS, SOLVERS, TABLES, raw, train

ENTERS = {  # an environment, a match, a match with search
    **dict.fromkeys(["reinforce", "reinforce_mean", "npg", "npg_continuous", "trpo", "trpo_continuous"], ("env",)),
    **dict.fromkeys(["q_actor_critic", "q_actor_critic_masked", "a2c", "a2c_continuous", "impala"], ("env",)),
    **dict.fromkeys(
        ["ppo", "ppo_continuous", "ppo_masked", "ppo_gru", "ppo_transformer", "dqn", "dqn_quantiles", "r2d2"], ("env",)
    ),
    **dict.fromkeys(["ddpg", "td3", "sac", "sac_discrete", "atari", "nfq", "nfq_restarted"], ("env",)),
    **dict.fromkeys([*CLONES, "dagger", "dagger_continuous", "smile"], ("env",)),
    **dict.fromkeys(["ppo_game", "dqn_game", *SOLVERS], ("game",)),
    "alphazero": ("game", "search"),
    **{name: ("nowhere" if parse(config).environment is None else "env",) for name, config in TABLES.items()},
    **dict.fromkeys(FITS, ("nowhere",)),
    **dict.fromkeys(DREAMS, ("env",)),
}
REASONS = {  # of a refusal, by what it could enter, and where it wanted to
    ("env", "game"): "was trained in an environment and plays no games",
    ("env", "search"): "was trained in an environment and plays no games",
    ("game", "env"): "plays a game, not in an environment",
    ("game", "search"): "plays without search, so nothing can follow the @",
    ("nowhere", "env"): "acts nowhere",
    ("nowhere", "game"): "is no agent and plays no games",
    ("nowhere", "search"): "is no agent and plays no games",
}
MISFIT = (
    "was trained on tic_tac_toe and does not fit CartPole-v1"  # of who learned in a TurnEnv, which is an environment
)


def tiny(name: str) -> dict[str, Any]:
    """A run that is over as soon as there is something to enter with."""
    if name in FITS | TABLES | DREAMS | CLONES:
        return APART[name]
    if name in SOLVERS:
        return SOLVERS[name] | {"evaluation": SOLVERS[name].get("evaluation", {}) | {"every": 0}}
    actors = RUNS[name]["env"]["count"] if RUNS[name]["algorithm"] == "reinforce" else 1  # each plays one episode
    return raw(name, steps=200, checkpoint={}, runtime={"actors": actors}, evaluation={"every": 0})


def game_of(config: dict[str, Any]) -> str | None:
    found: str | None = config.get("game") or config.get("env", {}).get("id", "").partition("game:")[2] or None
    return found


def test_every_algorithm_is_among_them() -> None:
    assert ENTERS.keys() == RUNS.keys() | APART.keys()
    assert {config["algorithm"] for config in (RUNS | APART).values()} == ALGORITHMS.keys()


@pytest.mark.parametrize("name", ENTERS)
def test_it_enters_or_is_refused_by_name(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if name == "atari" and importlib.util.find_spec("ale_py") is None:
        pytest.skip("ale_py is not installed")
    config, run, results = tiny(name), tmp_path / "run", tmp_path / "results.json"
    assert train(config, run) == 0
    game = game_of(config)
    match = ["random", "--games", "4", "--game", game or "tic_tac_toe"]
    requests = {
        "env": [str(run), "random", "--episodes", "2", *(["--env", "CartPole-v1"] if game else [])],
        "game": [str(run), *match],
        "search": [f"{run}@3", *match],
    }
    for place, request in requests.items():
        results.unlink(missing_ok=True)
        code, told = main([*request, "--json", str(results)]), capsys.readouterr().err
        if place in ENTERS[name]:
            assert code == 0, told
            assert str(run) in results.read_text() and ('@3"' in results.read_text()) == (place == "search")
        else:
            reason = MISFIT if place == "env" and "env" in config else REASONS[ENTERS[name][0], place]
            assert code == 2 and told.startswith("error: ") and str(run) in told and reason in told
    if game:
        assert_plays([str(run), *([f"{run}@3"] if "search" in ENTERS[name] else [])], game)


def assert_plays(names: list[str], game: str) -> None:
    """Each chooses legal actions in the arena."""
    board, rng = make_game(game), np.random.default_rng(0)
    positions = board.initial(3)
    while (board.seat(positions) == CHANCE).all():
        positions = board.step(positions, board.chance(positions).argmax(1))
    for name in names:
        player = entrant(name, board)
        assert player.name == name
        assert board.legal(positions)[np.arange(3), fresh(player, positions, rng)].all()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mcts:99999999999", "'99999999999' is too many, expected at most 1073741824 simulations"),
        ("mcts:1073741824", "bytes, but .* are available: set simulations to"),
        ("mcts:" + "9" * 5000, "is too many"),
        ("mcts:²", "is no number of simulations"),
        ("mcts:0", "is no number of simulations"),
        ("openspiel:mcts:99999999999", "simulations are too many, expected at most 999999999"),
        ("minimax:10", "'10' is too many, expected at most 9 plies"),
        ("a" * 300, "no such player, and no such directory"),
        ("a" * 300 + "@50", "no such player, and no such directory"),
        ("sb3:" + "a" * 300, "no such file"),
    ],
)
def test_what_no_player_can_be_called_is_refused_at_once(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        entrant(name, make_game("tic_tac_toe"))
