from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from envs.check import check_env
from envs.gymnasium_env import make
from envs.tabular.environment import FiniteWorld, HiddenWorld
from envs.tabular.make import WORLDS


@pytest.mark.parametrize("world", ["recycling_robot", "cliff_walking"])
def test_a_world_keeps_the_rules(world: str) -> None:
    check_env(lambda count: make(f"tabular/{world}-v0", count))


def test_every_world_is_registered_with_its_parameters() -> None:
    for world in WORLDS:
        env = make(f"tabular/{world}-v0", 1)
        assert env.spec.obs_shape == (len(WORLDS[world]().states),)
    assert make("tabular/gridworld-v0", 1, {"rows": 3, "columns": 3}).spec.obs_shape == (9,)
    assert make("tabular/windy_gridworld-v0", 1, {"stochastic": True}).spec.name == "tabular/windy_gridworld-v0"


def test_what_happens_is_what_the_model_says() -> None:
    """Means of 5,000 rewards: within 5 standard errors, a false alarm once in a million seeds."""
    world = FiniteWorld("recycling_robot")
    state, shown = world.reset(seed=1)
    seen: dict[tuple[int, int], list[float]] = {}
    rng = np.random.default_rng(0)
    for _ in range(5000):
        assert shown["action_mask"].tolist() == world.mdp.legal[state].tolist()
        action = int(rng.choice(np.flatnonzero(shown["action_mask"])))
        following, reward, terminated, truncated, shown = world.step(action)
        seen.setdefault((state, action), []).append(reward)
        assert not terminated and not truncated
        state = following
    assert len(seen) == world.mdp.legal.sum()
    for (s, a), rewards in seen.items():
        error = np.std(rewards) / np.sqrt(len(rewards))
        assert np.mean(rewards) == pytest.approx(world.mdp.reward[s, a], abs=5 * error + 1e-12)


def test_an_episode_ends_and_an_illegal_action_is_refused() -> None:
    world = FiniteWorld("gambler", goal=2)
    world.reset(seed=0)
    assert world.step(0)[2]
    robot = FiniteWorld("recycling_robot")
    robot.reset(seed=0)
    with pytest.raises(ValueError, match="'recharge' is not legal in 'high'"):
        robot.step(2)


def test_what_is_without_end_is_cut_off() -> None:
    env = make("tabular/two_state-v0", 1)
    step, rng = env.reset(0), np.random.default_rng(0)
    for _ in range(1000):
        assert not step.truncated[0]
        step = env.step(rng.integers(2, size=1))
    assert step.truncated[0] and not step.terminated[0]
    assert gymnasium.spec("tabular/two_state-v0").max_episode_steps == 1000


def test_the_tiger_is_heard_and_not_seen() -> None:
    """4,000 sounds with accuracy .85: within 4.5 standard errors, a false alarm once in 100,000 seeds."""
    check_env(lambda count: make("tabular/tiger-v0", count))
    world = HiddenWorld("tiger")
    assert world.reset(seed=3)[0] == 2  # nothing yet
    right = 0
    for _ in range(4000):
        side = world.state
        heard, reward, *_ = world.step(0)
        assert (world.state, reward) == (side, -1.0)
        right += heard == side
    assert right / 4000 == pytest.approx(0.85, abs=4.5 * np.sqrt(0.85 * 0.15 / 4000))
    assert world.step(1 + world.state)[1] == -100.0
