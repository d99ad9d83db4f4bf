from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from agents.api import fresh
from agents.regret import linear_program
from agents.regret.best_response import best_response, expected_returns, exploitability, nash_conv
from agents.regret.cfr import VARIANTS, RegretMinimizer
from agents.regret.policies import (
    TabularPlayer,
    by_action,
    normalized,
    of_function,
    random,
    realization_plan,
    table,
    text,
    uniform,
)
from agents.regret.tree import GameTree, compile_tree
from envs.api import Array, Positions
from envs.games.make import make_game

pyspiel = pytest.importorskip("pyspiel")
LIARS_DICE = "liars_dice(numdice=1,dice_sides=3)"


@cache
def compiled(name: str) -> GameTree:
    return compile_tree(make_game(name))


def theirs(tree: GameTree, policy: Array) -> dict[str, list[tuple[int, float]]]:
    rows = (tree.slice(infoset) for infoset in range(tree.infosets))
    pairs = (zip(tree.sequence_action[own].tolist(), policy[own].tolist(), strict=True) for own in rows)
    return {tree.key(infoset): list(pair) for infoset, pair in enumerate(pairs)}


def policies(tree: GameTree) -> dict[str, Array]:
    solver = RegretMinimizer(tree)
    solver.iterate(100)
    return {"uniform": uniform(tree), "random": random(tree, np.random.default_rng(3)), "cfr+": solver.average_policy()}


@pytest.mark.parametrize("name", ["kuhn_poker", "leduc_poker", LIARS_DICE, "kuhn_poker(players=3)", "tiny_hanabi"])
def test_nash_conv_equals_open_spiels(name: str) -> None:
    game, tree = pyspiel.load_game(name), compiled(name)
    for policy in policies(tree).values():
        assert nash_conv(tree, policy) == pytest.approx(pyspiel.nash_conv(game, theirs(tree, policy)), abs=1e-10)


def always(tree: GameTree, action: int) -> Array:
    return normalized(tree, (tree.sequence_action == action).astype(float))


def test_the_analytic_values() -> None:
    kuhn, leduc = compiled("kuhn_poker"), compiled("leduc_poker")
    assert nash_conv(kuhn, uniform(kuhn)) == pytest.approx(11 / 12, abs=1e-12)
    assert exploitability(kuhn, uniform(kuhn)) == pytest.approx(11 / 24, abs=1e-12)
    assert expected_returns(kuhn, uniform(kuhn)) == pytest.approx([1 / 8, -1 / 8], abs=1e-12)
    assert nash_conv(leduc, uniform(leduc)) == pytest.approx(4.747222222222, abs=1e-12)
    for tree in (kuhn, leduc):  # folding where it is legal, else checking
        folds = np.zeros(tree.sequences)
        folds[tree.infoset_first] = 1
        assert nash_conv(tree, normalized(tree, folds)) == pytest.approx(2.0, abs=1e-12)


@pytest.mark.parametrize("alpha", [0, 0.2, 1 / 3])
def test_the_equilibria_of_kuhn(alpha: float) -> None:
    """Kuhn 1950: the first seat bluffs with the jack with probability alpha, and bets the king three times as often."""
    tree = compiled("kuhn_poker")
    bets = {"0": alpha, "1": 0.0, "2": 3 * alpha, "0pb": 0.0, "1pb": alpha + 1 / 3, "2pb": 1.0}
    bets |= {"0p": 1 / 3, "1p": 0.0, "2p": 1.0, "0b": 0.0, "1b": 1 / 3, "2b": 1.0}
    policy = uniform(tree)
    for infoset in range(tree.infosets):
        bet = bets[tree.key(infoset)]
        policy[tree.slice(infoset)] = 1 - bet, bet
    assert nash_conv(tree, policy) == pytest.approx(0, abs=1e-12)
    assert expected_returns(tree, policy)[0] == pytest.approx(-1 / 18, abs=1e-12)


def test_a_best_response_earns_what_it_says() -> None:
    tree = compiled("leduc_poker")
    policy = random(tree, np.random.default_rng(0))
    gain = 0.0
    for seat in range(2):
        response = best_response(tree, policy, seat)
        assert expected_returns(tree, response.policy)[seat] == pytest.approx(response.value, abs=1e-12)
        own = slice(tree.sequence_start[seat], tree.sequence_start[seat + 1])
        assert set(response.policy[own]) == {0.0, 1.0}
        gain += response.value
    assert nash_conv(tree, policy) == pytest.approx(gain, abs=1e-12)  # zero-sum


def test_exploitability_is_refused_where_it_is_not_defined() -> None:
    for name in ("kuhn_poker(players=3)", "tiny_hanabi"):
        tree = compiled(name)
        with pytest.raises(ValueError, match="two players: exploitability is not defined, see nash_conv"):
            exploitability(tree, uniform(tree))
        with pytest.raises(ValueError, match="which alone is a linear program; CFR takes any game"):
            linear_program.solve(tree)


def test_what_is_no_policy_is_refused() -> None:
    tree = compiled("kuhn_poker")
    with pytest.raises(ValueError, match=r"kuhn_poker is an array \[26\].* found \[3\]"):
        nash_conv(tree, np.ones(3))
    wrong = uniform(tree)
    wrong[tree.slice(4)] = 0.7
    with pytest.raises(ValueError, match="at infoset '1pb' is no distribution"):
        nash_conv(tree, wrong)
    wrong[tree.slice(4)] = -1.0, 2.0
    with pytest.raises(ValueError, match="is no distribution"):
        nash_conv(tree, wrong)
    wrong[tree.slice(4)] = np.nan
    with pytest.raises(ValueError, match="is no distribution"):
        nash_conv(tree, wrong)


# The linear program --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"), [("kuhn_poker", -1 / 18), ("leduc_poker", -0.085606424078), ("hex(board_size=2)", 1.0)]
)
def test_the_linear_program_finds_the_known_values(name: str, value: float) -> None:
    tree = compiled(name)
    found = linear_program.solve(tree)
    assert found.value == pytest.approx(value, abs=1e-9)
    assert nash_conv(tree, found.policy) == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("name", [LIARS_DICE, "goofspiel(num_cards=4,imp_info=True,points_order=descending)"])
def test_the_linear_program_and_regret_minimization_agree(name: str) -> None:
    tree = compiled(name)
    solver = RegretMinimizer(tree, VARIANTS["predictive_cfr_plus"])
    solver.iterate(3000)
    assert expected_returns(tree, solver.average_policy())[0] == pytest.approx(
        linear_program.solve(tree).value, abs=1e-4
    )


# Forms of policies ---------------------------------------------------------------------------------------------------


def test_the_policy_of_a_function_is_found_at_every_infoset() -> None:
    """A table's own player is asked for its probabilities, and all of them come back."""
    game, tree = make_game("leduc_poker"), compiled("leduc_poker")
    policy = random(tree, np.random.default_rng(5))
    choices = table(tree, policy)
    asked: list[int] = []

    def act(positions: Positions) -> Array:
        asked.append(len(positions))
        chances = np.full((len(positions), game.spec.actions), 0.5)  # also for what is not legal
        seats, keys = game.seat(positions).tolist(), game.information_state(positions)
        for row, name in enumerate(zip(seats, keys, strict=True)):
            chances[row, choices[name].actions] = 2 * choices[name].probabilities
        return chances

    assert of_function(tree, game, act) == pytest.approx(policy, abs=1e-12)
    assert sum(asked) == tree.infosets  # each once
    assert nash_conv(tree, of_function(tree, game, act)) == pytest.approx(nash_conv(tree, policy), abs=1e-12)


def test_a_function_that_gives_nothing_to_legal_actions_is_refused() -> None:
    game, tree = make_game("kuhn_poker"), compiled("kuhn_poker")
    with pytest.raises(ValueError, match="at infoset '0' the legal actions got"):
        of_function(tree, game, lambda positions: np.zeros((len(positions), 2)))


def test_plans_multiply_along_sequences() -> None:
    tree = compiled("leduc_poker")
    policy = random(tree, np.random.default_rng(2))
    plan = realization_plan(tree, policy)
    grown = tree.sequence_infoset >= 0
    assert plan[grown] == pytest.approx(plan[tree.sequence_parent[grown]] * policy[grown], rel=1e-12)
    assert normalized(tree, plan) == pytest.approx(policy, abs=1e-12)


def test_policies_can_be_read() -> None:
    tree = compiled("kuhn_poker")
    policy = always(tree, 1)
    assert by_action(tree, policy, "2pb") == {0: 0.0, 1: 1.0}
    lines = text(tree, policy, limit=3).splitlines()
    assert lines[0].split() == ["0", "0", "0:0.0000", "1:1.0000"]
    assert lines[-1] == "... and 9 more infosets"
    with pytest.raises(KeyError, match="no infoset '9'"):
        by_action(tree, policy, "9")


def test_a_player_draws_from_its_table_and_knows_its_limits() -> None:
    game, tree = make_game("kuhn_poker"), compiled("kuhn_poker")
    policy = random(tree, np.random.default_rng(1))
    player: Any = TabularPlayer("table", game, table(tree, policy))
    dealt = game.step(game.step(game.initial(40_000), np.full(40_000, 2)), np.full(40_000, 0))
    bets = fresh(player, dealt, np.random.default_rng(0))
    assert bets.dtype == np.int64
    assert bets.mean() == pytest.approx(by_action(tree, policy, "2")[1], abs=0.01)
    with pytest.raises(ValueError, match="table knows nothing of infoset"):
        fresh(TabularPlayer("table", game, {}), dealt[:1], np.random.default_rng(0))
