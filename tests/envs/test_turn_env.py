from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from envs.api import Discrete, EnvError, Step
from envs.check import check_env
from envs.games.make import make_game
from envs.turn_env import TurnEnv

NATIVE = ["tic_tac_toe", "connect_four(rows=4,columns=4)", "hex(board_size=3)"]
OPEN_SPIEL = ["2048", "goofspiel(players=3,num_cards=3)", "kuhn_poker", "leduc_poker(players=3)", "liars_dice", "pig"]


@pytest.mark.parametrize("name", NATIVE)
def test_native_games_are_worlds(name: str) -> None:
    check_env(lambda count: TurnEnv(make_game(name), count))


@pytest.mark.parametrize("name", OPEN_SPIEL)
def test_games_of_open_spiel_are_worlds(name: str) -> None:
    pytest.importorskip("pyspiel")
    check_env(lambda count: TurnEnv(make_game(name), count))


def played(env: TurnEnv, actions: list[int]) -> Step:
    for action in actions:
        step = env.step(np.full(env.count, action))
    return step


def test_a_game_of_tic_tac_toe() -> None:
    env = TurnEnv(make_game("tic_tac_toe"), 2)
    assert env.spec.actions == Discrete(9) and env.spec.masked and env.spec.seats == 2
    first = env.reset(0)
    step = played(env, [0, 3, 1, 4])
    assert step.seat.tolist() == [0, 0] and not step.reward.any()
    assert step.mask is not None and np.flatnonzero(step.mask[0]).tolist() == [2, 5, 6, 7, 8]
    step = env.step(np.array([2, 8]))
    assert step.reward.tolist() == [[1, -1], [0, 0]]
    assert step.terminated.tolist() == [True, False] and not step.truncated.any()
    assert step.seat.tolist() == [0, 1]
    assert np.array_equal(step.obs[0], first.obs[0])
    assert step.final_obs[0, 2].ravel().tolist() == [1, 1, 1, 0, 0, 0, 0, 0, 0]  # the crosses that won


def test_an_illegal_action_names_row_and_what_is_legal() -> None:
    env = TurnEnv(make_game("tic_tac_toe"), 2)
    env.reset(0)
    played(env, [4])
    with pytest.raises(EnvError, match=r"tic_tac_toe: the action is illegal, legal are \[0, 1, 2, 3, 5.*row 1.*step 1"):
        env.step(np.array([0, 4]))
    assert env.step(np.array([0, 0])).seat.tolist() == [0, 0]  # nothing had happened
    with pytest.raises(ValueError, match=r"takes actions int64 \[2\], not int64 \[3\]"):
        env.step(np.array([1, 2, 3]))


def test_rewards_sum_to_the_returns() -> None:
    """In pots that change hands by luck and in games that pay as they go, for three seats."""
    pytest.importorskip("pyspiel")
    for name in ("leduc_poker(players=3)", "goofspiel(players=3,num_cards=4)", "2048"):
        game = make_game(name)
        env, rng = TurnEnv(game, 1), np.random.default_rng(1)
        step, earned, seen = env.reset(3), np.zeros(game.spec.seats), []
        while True:
            assert step.mask is not None
            position = env._positions
            action = np.array([rng.choice(np.flatnonzero(step.mask[0]))])
            step = env.step(action)
            earned += step.reward[0]
            seen.append(step.reward[0])
            if step.terminated[0]:
                break
        over: Any = game.step(position, action)
        if game.seat(over)[0] == -4:  # no luck after the last move
            assert earned.tolist() == pytest.approx(game.returns(over)[0].tolist())
        assert np.abs(earned).any()
    assert np.count_nonzero(np.array(seen).sum(1)) > 1  # 2048 pays during the game


def test_the_cards_of_an_episode_come_from_its_own_seed() -> None:
    pytest.importorskip("pyspiel")
    env = TurnEnv(make_game("kuhn_poker"), 600)
    step = env.reset(5)
    cards = step.obs[:, 2:5].argmax(1)
    assert np.bincount(cards, minlength=3).tolist() == pytest.approx([200, 200, 200], abs=50)
    assert np.array_equal(TurnEnv(make_game("kuhn_poker"), 30).reset(5).obs, step.obs[:30])
    assert not np.array_equal(env.reset(6).obs, step.obs)


def test_a_state_of_something_else_is_refused() -> None:
    env = TurnEnv(make_game("tic_tac_toe"), 2)
    with pytest.raises(ValueError, match="never reset"):
        env.load_state_dict(env.state_dict())
    env.reset(0)
    with pytest.raises(ValueError, match="the state is of 2 x tic_tac_toe, not 3 x tic_tac_toe"):
        TurnEnv(make_game("tic_tac_toe"), 3).load_state_dict(env.state_dict())
    with pytest.raises(ValueError, match=r"not 2 x hex\(board_size=3\)"):
        TurnEnv(make_game("hex(board_size=3)"), 2).load_state_dict(env.state_dict())
    with pytest.raises(ValueError, match="at least 1 row"):
        TurnEnv(make_game("tic_tac_toe"), 0)
    with pytest.raises(RuntimeError, match=r"reset\(seed\)"):
        TurnEnv(make_game("tic_tac_toe"), 1).step(np.array([0]))


def test_a_row_is_drawn() -> None:
    env = TurnEnv(make_game("tic_tac_toe"), 2)
    with pytest.raises(RuntimeError, match=r"reset\(seed\)"):
        env.render()
    env.reset(0)
    env.step(np.array([0, 8]))
    assert env.render().shape == (96, 96, 3)
    assert env.render(0)[16, 16].max() < 50 < env.render(1)[16, 16].max()
    poker = TurnEnv(make_game("kuhn_poker"), 1)
    poker.reset(0)
    with pytest.raises(ValueError, match="kuhn_poker has no board to draw"):
        poker.render()
