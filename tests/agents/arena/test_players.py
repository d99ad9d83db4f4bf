from __future__ import annotations

import builtins
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.api import fresh
from agents.arena.players import Human, OnePly, PolicyPlayer, Random
from agents.contenders import UniformPolicy
from agents.entrants import entrant, game_of, settled
from agents.maths.explore import draw
from agents.solvers.exhaustive import play_every_line
from envs.api import Array, Discrete, Positions
from envs.games.make import make_game
from tests.runs import raw, train

GAME = make_game("connect_four")
RNG = np.random.default_rng(0)


def after(*actions: int, game: Any = GAME, copies: int = 1) -> Positions:
    positions = game.initial(copies)
    for action in actions:
        positions = game.step(positions, np.full(copies, action))
    return positions


def test_draw_is_in_proportion() -> None:
    weight = np.tile([0.0, 2.0, 1.0, 0.0, 1.0, 0.0], (40_000, 1))
    found = np.bincount(draw(weight, RNG.random(40_000)), minlength=6) / 40_000
    assert found == pytest.approx([0, 0.5, 0.25, 0, 0.25, 0], abs=0.01)
    assert draw(weight[:2], np.array([0.0, np.nextafter(1, 0)])).tolist() == [1, 4]


@pytest.mark.parametrize("native", [True, False])
def test_random_chooses_all_legal_actions_alike(native: bool) -> None:
    if not native:
        pytest.importorskip("pyspiel")
    game = make_game("connect_four", native)
    rows = 20_000 if native else 3000
    full = after(2, 2, 2, 2, 2, 2, game=game, copies=rows)
    found = np.bincount(fresh(Random(game), full, np.random.default_rng(1)), minlength=7) / rows
    assert found == pytest.approx([1 / 6, 1 / 6, 0, 1 / 6, 1 / 6, 1 / 6, 1 / 6], abs=0.03)
    assert found[2] == 0


@pytest.mark.parametrize("native", [True, False])
def test_one_ply_wins_prevents_and_otherwise_does_not_help(native: bool) -> None:
    if not native:
        pytest.importorskip("pyspiel")
    game = make_game("connect_four", native)
    player = OnePly(game)

    def chosen(*actions: int) -> set[int]:
        return set(fresh(player, after(*actions, game=game, copies=50), np.random.default_rng(0)).tolist())

    assert chosen(0, 1, 0, 1, 0, 1) == {0}  # wins, rather than prevents column 1
    assert chosen(0, 1, 0, 1, 0) == {0}  # prevents
    assert chosen(2, 2, 3, 3) == {0, 1, 2, 3, 4, 5, 6}
    # three in the second row over an empty cell of the first: whoever fills that cell lets the other win
    assert 3 not in chosen(0, 0, 1, 1, 6, 2, 6, 2)


def test_one_ply_does_not_look_at_hidden_cards() -> None:
    pytest.importorskip("pyspiel")
    with pytest.raises(ValueError, match="not everything is to be seen"):
        entrant("one_ply", make_game("kuhn_poker"))


def test_a_policy_sees_what_its_environment_shows() -> None:
    seen = []

    class Looking(UniformPolicy):
        def act(self, carry: Any, step: Any, rng: Any, explore: bool) -> Any:
            seen.append((step, explore))
            return super().act(carry, step, rng, explore)

    positions = after(3, 3, copies=5)
    actions = fresh(PolicyPlayer(Looking(Discrete(7)), GAME, "policy"), positions, RNG)
    ((step, explore),) = seen
    assert not explore and GAME.legal(positions)[np.arange(5), actions].all()
    assert (step.obs == GAME.observe(positions)).all() and (step.mask == GAME.legal(positions)).all()
    assert step.seat.tolist() == [0] * 5


def test_a_person_is_asked_until_the_answer_is_an_action(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyspiel")
    player = entrant("human", GAME)
    assert isinstance(player, Human)
    said: Iterator[str] = iter(["help", "9", "3"])
    monkeypatch.setattr(builtins, "input", lambda prompt: next(said))
    chosen = fresh(player, after(0, game=player.game, copies=1), RNG)
    assert chosen.tolist() == [3]
    told = capsys.readouterr().out
    assert "x......" in told and "seat 1 to move" in told
    assert "'help' is not a legal action" in told and "'9' is not a legal action" in told


def test_a_person_sees_only_its_own_cards(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyspiel")
    game = make_game("kuhn_poker", native=False)
    monkeypatch.setattr(builtins, "input", lambda prompt: "Pass")
    dealt = after(2, 1, game=game)
    assert fresh(Human(game), dealt, RNG).tolist() == [0]
    told = capsys.readouterr().out
    assert "2" in told.partition("seat 0")[0] and "1" not in told.partition("seat 0")[0]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("randon", "did you mean random"),
        ("nowhere/at/all", "no such directory"),
        ("mcts", "'' is no number of simulations"),
        ("mcts:0", "'0' is no number"),
        ("mcts:many", "'many' is no number"),
        ("minimax:-1", "'-1' is no number of plies"),
        ("openspiel:mcts", "expected openspiel:mcts:SIMULATIONS"),
        ("openspiel:mcts:0", "expected openspiel:mcts:SIMULATIONS"),
        ("openspiel:elephant", "expected openspiel:mcts:SIMULATIONS"),
        ("openspiel:uci:stockfish", "play chess, not connect_four"),
        ("sb3:nowhere.zip", "no such file"),
    ],
)
def test_who_can_not_play_is_told_why(name: str, reason: str) -> None:
    pytest.importorskip("pyspiel")
    with pytest.raises(ValueError, match=reason):
        entrant(name, GAME)


def test_a_chess_engine_must_be_there() -> None:
    pytest.importorskip("pyspiel")
    chess = make_game("chess")
    with pytest.raises(ValueError, match="no program 'no-such-engine'"):
        entrant("openspiel:uci:no-such-engine", chess)
    with pytest.raises(ValueError, match="no number of milliseconds"):
        entrant("openspiel:uci:sh:soon", chess)


def test_openspiels_search_plays_and_depends_on_nothing_but_its_stream() -> None:
    pytest.importorskip("pyspiel")
    player = entrant("openspiel:mcts:200", GAME)
    positions = after(0, 1, 0, 1, 0, 1, game=getattr(player, "game"), copies=3)  # noqa: B009
    assert fresh(player, positions, np.random.default_rng(0)).tolist() == [0, 0, 0]
    empty = after(game=getattr(player, "game"), copies=6)  # noqa: B009
    one, again = (fresh(player, empty, np.random.default_rng(5)) for _ in range(2))
    assert (one == again).all()


def run(path: Path, game: str | None) -> Path:
    path.mkdir(parents=True)
    config = f"algorithm: alphazero\ngame: {game}" if game else "algorithm: ppo\nenv: {id: CartPole-v1}"
    (path / "config.yaml").write_text(config)
    return path


def test_a_run_says_which_game_it_is_about(tmp_path: Path) -> None:
    directory = run(tmp_path / "a@home", "hex(board_size=5)")
    (directory / "checkpoints" / "one").mkdir(parents=True)
    for name in (directory, directory / "checkpoints", directory / "checkpoints" / "one"):
        assert game_of(str(name)) == "hex(board_size=5)"
        assert game_of(f"{name}@200") == "hex(board_size=5)"
    assert game_of(str(run(tmp_path / "b", None))) is None
    assert game_of("random") is None
    assert settled("mcts:20") == "mcts:20"
    with pytest.raises(ValueError, match="holds no valid checkpoint"):
        settled(str(tmp_path / "b"))


def choices(player: Any, positions: Positions) -> Array:
    return fresh(player, positions, np.random.default_rng(0))


@pytest.mark.parametrize("name", ["mcts:40", "minimax:2"])
def test_search_by_name(name: str) -> None:
    player = entrant(name, GAME)
    assert player.name == name
    assert choices(player, after(0, 1, 0, 1, 0, 1, copies=3)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", ["dqn_game", "ppo_game", "alphazero"])
def test_what_a_run_has_learned_plays(name: str, tmp_path: Path) -> None:
    assert train(raw(name), tmp_path / "run") == 0
    game = make_game("tic_tac_toe")
    assert game_of(str(tmp_path / "run")) == "tic_tac_toe"
    player = entrant(str(tmp_path / "run"), game)
    positions = game.step(game.initial(3), np.array([0, 4, 8]))
    actions = fresh(player, positions, np.random.default_rng(0))
    assert game.legal(positions)[np.arange(3), actions].all()
    assert (actions == fresh(player, positions, np.random.default_rng(1))).all(), "nothing is explored"
    with pytest.raises(ValueError, match="was trained for tic_tac_toe"):
        entrant(str(tmp_path / "run"), make_game("connect_four"))
    if name == "alphazero":
        searching = fresh(entrant(f"{tmp_path / 'run'}@8", game), positions, np.random.default_rng(0))
        assert game.legal(positions)[np.arange(3), searching].all()
    else:
        with pytest.raises(ValueError, match="plays without search"):
            entrant(f"{tmp_path / 'run'}@8", game)


def test_the_solver_never_gives_a_result_away() -> None:
    game = make_game("connect_four(rows=4,columns=4)")
    for seat in (0, 1):
        assert play_every_line(game, entrant("solver", game), seat, np.random.default_rng(0)).losses == 0
    with pytest.raises(ValueError, match="connect four"):
        entrant("solver", make_game("tic_tac_toe"))
