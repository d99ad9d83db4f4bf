from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agents.api import Player
from agents.arena.estimates import Interval
from agents.arena.match import Played, openings, play, seatings, streams, usual_plies
from agents.arena.players import Random
from agents.arena.ratings import Pairing
from agents.arena.standings import pairings, reasons, standings
from agents.records import Carry, forgets, mapped
from envs.api import TERMINAL, Array, Positions
from envs.games.make import make_game
from experiment.seeding import Seeds

GAME = make_game("connect_four")
TIC_TAC_TOE = make_game("tic_tac_toe")


class Scripted:
    """Chooses as a function of the positions tells it to."""

    def __init__(self, choose: Callable[[Positions], Any], name: str = "scripted") -> None:
        self.name, self.calls = name, 0
        self._choose = choose

    begin = staticmethod(forgets)

    def choose(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> tuple[Carry, Any]:
        self.calls += 1
        return carry, self._choose(positions)


class Recalling:
    """Remembers the crosses it saw in each chair, and fails where one is gone. Its moves differ from game to game."""

    def __init__(self, name: str) -> None:
        self.name = name

    def begin(self, n: int) -> Carry:
        return {"crosses": np.zeros(n, np.uint64), "moves": np.zeros((n, 2), np.int64)}

    def choose(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> tuple[Carry, Array]:
        if len(positions) > 4:
            raise ValueError("too many at once")  # so that halves are asked
        stones = 42 - GAME.observe(positions)[:, 2].sum((1, 2)).astype(int)
        assert not (carry["crosses"] & ~positions[:, 1]).any() and (carry["moves"] == (stones // 2)[:, None]).all()
        legal = GAME.legal(positions)
        action = (legal * rng.random(legal.shape)).argmax(1)
        return {"crosses": positions[:, 1].copy(), "moves": carry["moves"] + 1}, action


def first_legal(positions: Positions, game: Any = GAME) -> Array:
    return game.legal(positions).argmax(1)


def corner(positions: Positions) -> Array:
    """[n] bool: the first column's lowest stone is a cross, which first_legal brings about sooner or later."""
    return (positions[:, 1] & np.uint64(1)) == 1


def match(one: Any, other: Any, groups: int = 30, game: Any = GAME, seed: int = 0, **how: Any) -> Played:
    luck = streams(Seeds(seed), [one.name, other.name])
    return play(game, [one, other], groups, luck, **{"plies": usual_plies(game.spec)} | how)


def scores(played: Played) -> Pairing:
    (found,) = pairings(2, [played])
    return found


def test_a_player_against_itself_scores_half() -> None:
    played = match(Random(GAME), Random(GAME, "again"), groups=1000)
    best, _ = standings(["random", "again"], [played], np.random.default_rng(0))
    assert best.score_interval.low < 0.5 < best.score_interval.high
    assert best.score_interval.high - best.score_interval.low < 0.06
    # with one seating only, the advantage of the first move is taken for strength
    rows = np.flatnonzero(played.seating[:, 0] == 0)
    seating, group, returns, forfeit = (f[rows] for f in (played.seating, played.group, played.returns, played.forfeit))
    unfair = played._replace(seating=seating, group=group, returns=returns, forfeit=forfeit)
    best, _ = standings(["random", "again"], [unfair], np.random.default_rng(0))
    assert best.score_interval.low > 0.5


def test_a_player_remembers_in_each_chair_what_it_did_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where one holds both seats, where games end at different times, and where halves of a batch are asked."""
    recalling = Recalling("recalling")
    for other in (Random(GAME), Recalling("other"), recalling):
        played = match(recalling, other, groups=6, plies=0)
        assert (played.forfeit == -1).all(), played.reasons
    monkeypatch.setattr(
        "agents.arena.match.mapped", lambda change, carry: mapped(lambda a: np.roll(change(a), 1, 0), carry)
    )
    shifted = match(recalling, Random(GAME), groups=6, plies=0)  # everybody is given the memory of another game
    assert (shifted.forfeit >= 0).any() and all("AssertionError" in reason for reason in shifted.reasons.values())


def test_every_seating_plays_every_opening() -> None:
    played = match(Random(GAME), Random(GAME), groups=50, plies=3)
    assert played.openings.shape == (50, 3)
    assert len(played.group) == 100
    for group in range(50):
        assert sorted(played.seating[played.group == group].tolist()) == [[0, 1], [1, 0]]
    # who plays the same from both seats plays the same game twice
    twins = match(Scripted(first_legal), Scripted(first_legal), groups=50)
    by_group = twins.returns[np.lexsort((twins.seating[:, 0], twins.group))].reshape(50, 2, 2)
    assert (by_group[:, 0] == by_group[:, 1]).all()
    assert (scores(twins).scores == 0.5).all()


def test_openings_are_random_and_end_no_game() -> None:
    boards, led = openings([TIC_TAC_TOE], 500, 6, np.random.default_rng(0))
    assert (boards.seat() != TERMINAL).all()
    assert led.shape == (500, 6) and len(np.unique(led, axis=0)) > 400
    positions = TIC_TAC_TOE.initial(500)
    for actions in led.T:
        positions = TIC_TAC_TOE.step(positions, actions)
    assert (positions == boards.positions[0]).all()
    with pytest.raises(ValueError, match="end the game"):
        openings([TIC_TAC_TOE], 1, 9, np.random.default_rng(0))


def test_one_call_for_each_player_and_ply() -> None:
    one, other = Scripted(first_legal), Scripted(first_legal)
    played = match(one, other, groups=20)
    assert max(one.calls, other.calls) <= played.moves.max()


def test_the_same_seed_plays_the_same_games() -> None:
    one, again, different = (match(Random(GAME), Random(GAME), seed=seed) for seed in (1, 1, 2))
    assert (one.returns == again.returns).all() and (one.openings == again.openings).all()
    assert (one.moves == again.moves).all()
    assert (one.moves != different.moves).any()


def illegal(positions: Positions) -> Array:
    return np.where(corner(positions), 7, first_legal(positions))


def raising(positions: Positions) -> Array:
    if corner(positions).any():
        raise RuntimeError("I don't like this corner")
    return first_legal(positions)


def leaving(positions: Positions) -> Array:
    if corner(positions).any():
        raise SystemExit(3)
    return first_legal(positions)


def nothing(positions: Positions) -> Array | None:
    return None if corner(positions).any() else first_legal(positions)


def short(positions: Positions) -> Array:
    return first_legal(positions)[~corner(positions)]


def fractional(positions: Positions) -> Array:
    return first_legal(positions) + 0.5 if corner(positions).any() else first_legal(positions)


def huge(positions: Positions) -> Array:
    return np.where(corner(positions), np.uint64(2**64 - 1), first_legal(positions).astype(np.uint64))


@pytest.mark.parametrize(
    ("choose", "reason"),
    [
        (illegal, "illegal action 7, legal were [0, 1"),
        (raising, "raised RuntimeError: I don't like this corner"),
        (leaving, "raised SystemExit: 3"),
        (nothing, "answered None, expected int64 [1]"),
        (short, "answered int64 [0], expected int64 [1]"),
        (fractional, "answered float64 [1]"),
        (huge, "answered a number that no action has"),
    ],
)
def test_a_misbehaving_player_forfeits_the_games_in_which_it_misbehaves(
    choose: Callable[[Positions], Any], reason: str
) -> None:
    honest = match(Scripted(first_legal), Random(GAME), groups=60)
    played = match(Scripted(choose), Random(GAME), groups=60)
    lost = played.forfeit >= 0
    assert 10 < lost.sum() < 110
    assert set(played.reasons) == set(np.flatnonzero(lost))
    assert all(told.startswith(reason) for told in played.reasons.values())
    assert (played.seating[np.flatnonzero(lost), played.forfeit[lost]] == 0).all()
    assert np.isnan(played.returns[lost]).all() and not np.isnan(played.returns[~lost]).any()
    assert len(played.returns) == len(honest.returns)
    lines = {line.name: line for line in standings(["bad", "good"], [played], np.random.default_rng(0))}
    assert all(line.games == 120 == line.wins + line.draws + line.losses for line in lines.values())
    assert (lines["bad"].forfeits, lines["good"].forfeits) == (lost.sum(), 0)
    assert lines["bad"].score + lines["good"].score == pytest.approx(1)
    assert lines["good"].wins >= lost.sum()
    (told, *_) = reasons(["bad", "good"], [played])
    assert told.startswith("bad forfeited") and reason in told


def test_both_may_misbehave() -> None:
    played = match(Scripted(lambda positions: None), Scripted(lambda positions: None), groups=4, plies=0)
    assert (played.forfeit == 0).all()  # whoever moves first
    assert (scores(played).scores == 0.5).all()


def test_who_is_slow_forfeits_the_games_in_which_it_is() -> None:
    limit = 0.05

    def slow(positions: Positions) -> Array:
        if corner(positions).any():
            time.sleep(1.5 * limit * len(positions))
        return first_legal(positions)

    played = match(Scripted(slow), Random(GAME), groups=2, seconds=limit, seed=1)
    lost = played.forfeit >= 0
    assert 0 < lost.sum() < 4
    assert all("the limit is 0.05 s" in told for told in played.reasons.values())
    assert not np.isnan(played.returns[~lost]).any()


def test_who_hangs_forfeits_the_rest() -> None:
    never = threading.Event()

    def hang(positions: Positions) -> Array:
        if corner(positions).any():
            never.wait()
        return first_legal(positions)

    begin = time.perf_counter()
    played = match(Scripted(hang), Random(GAME), groups=5, seconds=0.02)
    never.set()
    assert time.perf_counter() - begin < 5
    assert len(played.reasons) == (played.forfeit >= 0).sum() > 0
    assert all("asked no more" in told for told in played.reasons.values())


def test_getting_ready_is_not_timed() -> None:
    def compile_first(positions: Positions) -> Array:
        if not ready:
            time.sleep(0.2)
            ready.append(True)
        return first_legal(positions)

    ready: list[bool] = []
    played = match(Scripted(compile_first), Random(GAME), groups=2, seconds=0.05)
    assert (played.forfeit < 0).all()


def test_seatings() -> None:
    assert seatings([0, 1]).tolist() == [[0, 1], [1, 0]]
    assert len(seatings([0, 1, 2])) == 6
    assert seatings([0, 0, 1]).tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    with pytest.raises(ValueError, match="has 2 seats"):
        match(Random(GAME), Random(GAME), table=[0, 1, 1])


def test_games_of_a_group_share_their_luck() -> None:
    pytest.importorskip("pyspiel")
    game = make_game("leduc_poker", native=False)
    assert usual_plies(game.spec) == 0
    raising_ = Scripted(lambda positions: np.array([state.legal_actions()[-1] for state in positions]))
    played = match(raising_, raising_, groups=40, game=game)
    order = np.lexsort((played.seating[:, 0], played.group))
    by_group = played.returns[order].reshape(40, 2, 2)
    assert (by_group[:, 0] == by_group[:, 1]).all()  # the same cards, and the same way to play them
    assert len(np.unique(by_group[:, 0, 0])) > 2
    (line, _) = standings(["a", "b"], [played], np.random.default_rng(0))
    assert line.mean_return == pytest.approx(0)
    assert isinstance(line.return_interval, Interval)


def test_three_players() -> None:
    pytest.importorskip("pyspiel")
    game = make_game("kuhn_poker(players=3)", native=False)
    bets = Scripted(lambda positions: np.array([state.legal_actions()[-1] for state in positions]), "bets")
    passes = Scripted(lambda positions: np.array([state.legal_actions()[0] for state in positions]), "passes")
    players: list[Player] = [bets, passes, Random(game)]
    played = play(game, players, 50, streams(Seeds(0), [p.name for p in players]), plies=0)
    assert len(played.group) == 300
    assert played.returns.sum(1) == pytest.approx(np.zeros(300))
    found = pairings(3, [played])
    assert [(pairing.first, pairing.second) for pairing in found] == [(0, 1), (0, 2), (1, 2)]
    assert all((pairing.games == 6).all() and len(pairing.scores) == 50 for pairing in found)
    lines = standings([p.name for p in players], [played], np.random.default_rng(0))
    assert {line.name for line in lines[:1]} == {"bets"}
    # somebody leaves: the others go on in the other games, and beat it in these
    two: list[Player] = [Scripted(lambda positions: None, "gone"), passes]
    mixed = play(game, two, 10, streams(Seeds(0), ["gone", "passes"]), plies=0, table=[0, 1, 1])
    assert (mixed.seating[np.arange(30), mixed.forfeit] == 0).all()
    (pairing,) = pairings(2, [mixed])
    assert (pairing.scores == 0).all() and (pairing.games == 6).all()


def test_a_player_may_read_the_positions_of_another_game() -> None:
    pytest.importorskip("pyspiel")
    theirs = make_game("connect_four", native=False)

    class Reader:
        name, game = "reader", theirs

        begin = staticmethod(forgets)

        def choose(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> tuple[Carry, Array]:
            return carry, np.array([state.legal_actions()[0] for state in positions])

    native = match(Scripted(first_legal), Random(GAME), groups=20)
    read = match(Reader(), Random(GAME), groups=20, seed=0)
    assert native.openings.tolist() == read.openings.tolist()
    assert (read.forfeit < 0).all()
    same = play(GAME, [Reader(), Random(GAME)], 20, streams(Seeds(0), ["scripted", "random"]), 2)
    assert (same.returns == native.returns).all() and (same.moves == native.moves).all()
