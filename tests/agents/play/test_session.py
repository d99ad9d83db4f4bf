"""What can be done in a session, what is refused, and what a person gets to see."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from agents.api import Player, fresh
from agents.arena.players import Random
from agents.play.session import GameTable, Refusal, Session
from agents.play.thoughts import think
from agents.play.view import view
from agents.records import Carry, forgets
from agents.search.config import SearchOptions
from agents.search.evaluators import uniform
from agents.search.players import SearchPlayer, mcts
from envs.api import TERMINAL, Array, Positions
from envs.games.make import make_game


class Scripted:
    """Plays these actions, one after another, then the first legal one."""

    def __init__(self, *actions: Any) -> None:
        self.name, self.actions = "scripted", list(actions)

    begin = staticmethod(forgets)

    def choose(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> tuple[Carry, Array]:
        if not self.actions:
            return carry, GAME.legal(positions).argmax(1)
        action = self.actions.pop(0)
        if isinstance(action, Exception):
            raise action
        return carry, np.array([action])


class Weighing(Random):
    """Can tell its chances."""

    def probabilities(self, positions: Positions) -> Array:
        legal = self.game.legal(positions)
        return legal / legal.sum(1, keepdims=True)


GAME = make_game("tic_tac_toe")


def session(*players: Player, game: str = "tic_tac_toe", seed: int = 0) -> Session:
    return Session(GameTable(make_game(game), players or [Scripted()]), np.random.default_rng(seed))


def board(game: Session) -> list[int]:
    found: list[int] = view(game)["board"]
    return found


def test_a_game_is_played_to_its_end() -> None:
    game = session()
    for action in (4, 2, 6):
        assert view(game)["told"] == "Your turn (x)."
        game.play(action)
        if game.seat != TERMINAL:
            assert view(game)["told"] == "scripted (o) is to move."
            game.reply()
    seen = view(game)
    assert seen["told"] == "You have won (x)."
    assert seen["board"] == [2, 2, 1, 0, 1, 0, 1, 0, 0]
    assert [move["label"] for move in seen["history"]] == ["b2", "a1", "c1", "b1", "a3"]
    assert (seen["seat"], seen["moves"], seen["last"]["places"]) == (None, [], [6])
    for deed in (lambda: game.play(5), game.reply):
        with pytest.raises(Refusal, match="over"):
            deed()


def test_what_is_not_allowed_is_refused_and_changes_nothing() -> None:
    game = session()
    game.play(4)
    with pytest.raises(Refusal, match="not your turn"):
        game.play(0)
    game.reply()
    before = json.dumps(view(game))
    for deed in (
        lambda: game.play(4),
        lambda: game.play(99),
        lambda: game.play(-1),
        game.reply,
        lambda: game.strengthen(0, 8),
        lambda: game.strengthen(-1, 8),
    ):
        with pytest.raises(Refusal):
            deed()
    assert json.dumps(view(game)) == before


def test_undo_goes_back_to_ones_own_choice() -> None:
    game = session()
    with pytest.raises(Refusal, match="nothing to take back"):
        game.undo()
    start = board(game)
    game.play(4)
    game.undo()  # before the reply
    assert board(game) == start
    game.play(4)
    game.reply()
    once = board(game)
    game.play(8)
    game.reply()
    game.undo()
    assert board(game) == once
    game.undo()
    assert board(game) == start
    game.swap()
    game.reply()
    with pytest.raises(Refusal, match="nothing to take back"):
        game.undo()  # the agent began


def test_swapping_seats_leaves_the_board_and_turns_the_sides() -> None:
    game = session()
    game.play(4)
    game.swap()
    assert game.person == 1
    assert board(game)[4] == 1
    assert view(game)["told"] == "Your turn (o)."
    game.play(0)
    game.reply()
    assert [past.mover for past in game.moments[1:]] == [0, 1, 0]
    game.restart()
    assert (game.person, len(game.moments)) == (1, 1)


def test_two_agents_take_turns_step_by_step() -> None:
    game = session(Scripted(), Scripted(8))
    seen = view(game)
    assert (seen["person"], seen["moves"]) == (None, [])
    with pytest.raises(Refusal, match="not your turn"):
        game.play(0)
    game.reply()
    game.reply()
    assert board(game) == [1, 0, 0, 0, 0, 0, 0, 0, 2]
    game.undo()
    assert board(game) == [1, 0, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(("action", "reason"), [(4, "not legal"), (RuntimeError("no idea"), "no idea")])
def test_an_agent_that_fails_has_lost_and_the_game_goes_on_after_undo(action: Any, reason: str) -> None:
    game = session(Scripted(action))
    game.play(4)
    game.reply()
    seen = view(game)
    assert seen["seat"] is None
    assert reason in seen["told"]
    game.undo()
    game.play(4)
    game.reply()
    assert len(game.moments) == 3


def test_a_search_tells_what_it_thought_and_tries_as_hard_as_it_is_told() -> None:
    game = session(mcts(make_game("connect_four"), 50), game="connect_four")
    assert view(game)["thought"] is None
    game.play(3)
    game.reply()
    seen = view(game)
    thought = seen["thought"]
    assert thought["simulations"] == sum(move["visits"] for move in thought["moves"]) == 50
    assert thought["label"] == thought["moves"][0]["label"] == thought["line"][0]["label"] == seen["last"]["label"]
    assert thought["value"][0] == -thought["value"][1]
    assert seen["values"] == [[2, 1, thought["value"][1]]]
    assert sum(cell > 0 for cell in thought["before"]) == 1
    assert sum(cell > 0 for cell in thought["after"]) == 1 + len(thought["line"])
    for move in thought["line"]:
        assert thought["after"][move["places"][-1]] == move["seat"] + 1
    assert seen["strengths"][0]["simulations"] == 50
    game.strengthen(0, 16)
    game.play(3)
    game.reply()
    assert view(game)["thought"]["simulations"] == 16
    with pytest.raises(Refusal, match="strength"):
        game.strengthen(0, 17)


def test_a_network_may_be_asked_for_its_bare_policy() -> None:
    connect_four = make_game("connect_four")
    options = SearchOptions(selection="gumbel", simulations=0)
    game = session(SearchPlayer("network", connect_four, uniform(connect_four), options), game="connect_four")
    game.swap()
    game.reply()
    thought = view(game)["thought"]
    assert (thought["simulations"], thought["value"], thought["line"]) == (0, [0, 0], [])
    assert [move["share"] for move in thought["moves"]] == pytest.approx([1 / 7] * 7)
    assert [move["value"] for move in thought["moves"]] == [None] * 7
    game.strengthen(0, 32)
    game.play(0)
    game.reply()
    assert sum(move["visits"] for move in view(game)["thought"]["moves"]) == 32


def test_a_searching_player_plays_the_same_here_as_in_a_match() -> None:
    game = make_game("connect_four")
    player, positions = mcts(game, 50), game.initial(1)
    thought = think(player, positions, np.random.default_rng(3), 50)
    assert thought.action == fresh(player, positions, np.random.default_rng(3))[0]


def test_players_that_know_their_chances_tell_them_and_others_nothing() -> None:
    game = session(Weighing(GAME))
    game.play(4)
    game.reply()
    thought = view(game)["thought"]
    assert [move["share"] for move in thought["moves"]] == [0.125] * 8
    assert (thought["value"], thought["moves"][0]["visits"]) == (None, None)
    game = session()
    game.play(4)
    game.reply()
    assert view(game)["thought"]["moves"] == []


def test_what_is_hidden_stays_hidden() -> None:
    pytest.importorskip("pyspiel")
    for seed in range(20):
        game = session(Weighing(make_game("leduc_poker")), game="leduc_poker", seed=seed)
        while game.seat != TERMINAL:
            state = game.now.boards.positions[1][0]
            seen = view(game)
            assert seen["text"] == state.observation_string(0) != state.observation_string(1)
            assert (seen["thought"], seen["last"], seen["values"]) == (None, None, [])
            assert {move["seat"] for move in seen["history"]} <= {0}
            if game.seat == game.person:
                game.play(game.legal[-1])
            else:
                game.reply()
        assert not view(game)["hidden"]
    game.swap()
    assert (len(game.moments), game.person) == (1, 1), "the other seat's cards were known: a new game begins"


def test_a_person_who_only_watches_sees_everything() -> None:
    pytest.importorskip("pyspiel")
    poker = make_game("leduc_poker")
    game = session(Random(poker), Random(poker), game="leduc_poker")
    assert view(game)["text"] == str(game.now.boards.positions[1][0])


def test_chance_is_drawn_and_three_can_play() -> None:
    pytest.importorskip("pyspiel")
    poker = make_game("leduc_poker(players=3)")
    game = session(Random(poker), game="leduc_poker(players=3)")
    game.swap()
    assert [seat["player"] for seat in view(game)["seats"]] == ["random", "you", "random"]
    while game.seat != TERMINAL:
        if game.seat == game.person:
            game.play(game.legal[0])
        else:
            game.reply()
    assert view(game)["told"].startswith("The game is over: random (seat 0)")
    json.dumps(view(game), allow_nan=False)
