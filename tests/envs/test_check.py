"""The conformance suite passes real worlds and fails each broken one for the right reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from envs.api import Array, Step
from envs.atari import AtariOptions
from envs.check import check_env
from envs.gymnasium_env import GymnasiumEnv, make
from envs.probes import WORLDS


@pytest.mark.parametrize("name", sorted(WORLDS.keys() - {"Slow"}))
def test_probes_conform(name: str) -> None:
    check_env(lambda count: make(f"sparring/{name}-v0", count), steps=50)


@pytest.mark.parametrize(
    ("id", "steps", "limit"),
    [
        ("CartPole-v1", 200, None),
        ("CartPole-v1", 100, 9),
        ("Acrobot-v1", 50, 20),
        ("Pendulum-v1", 210, None),
        ("FrozenLake-v1", 100, None),
        ("Taxi-v4", 50, 20),
    ],
)
def test_gymnasium_conforms(id: str, steps: int, limit: int | None) -> None:
    check_env(lambda count: make(id, count, max_episode_steps=limit), steps)


def test_mujoco_conforms() -> None:
    pytest.importorskip("mujoco")
    check_env(lambda count: make("HalfCheetah-v5", count, max_episode_steps=15), steps=50)


def test_atari_conforms() -> None:
    pytest.importorskip("ale_py")
    options = AtariOptions(noop_max=5)
    check_env(lambda count: make("ALE/Pong-v5", count, atari=options, max_episode_steps=4), steps=10)


class Drifting(gymnasium.Env[Any, Any]):
    """Ends after 4 steps; its first observation is drawn from `draw`, which may or may not obey the seed."""

    observation_space: spaces.Space[Any] = spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space: spaces.Space[Any] = spaces.Discrete(2)

    def __init__(self, draw: Callable[[np.random.Generator], float] = lambda rng: rng.random()) -> None:
        self.draw = draw

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.time, self.x = 0, self.draw(self.np_random)
        return np.array([self.x]), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.time, self.x = self.time + 1, self.x + 1 + action
        return np.array([self.x]), self.x, self.time == 4, False, {}


class Broken:
    """A sound environment with one method changed."""

    def __init__(self, count: int, step: Any = None, state: Any = None, worlds: Any = None, limit: Any = None) -> None:
        self.inner = GymnasiumEnv(worlds or [Drifting() for _ in range(count)], "drifting", limit)
        self.spec, self.count = self.inner.spec, count
        self.change, self.alter = step or (lambda result: result), state or (lambda found: found)

    def reset(self, seed: int) -> Step:
        return self.inner.reset(seed)

    def step(self, action: Array) -> Step:
        return self.change(self.inner.step(action))

    def state_dict(self) -> dict[str, Any]:
        return self.alter(self.inner.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> Step:
        return self.inner.load_state_dict(state)

    def render(self, row: int = 0) -> Array:
        return self.inner.render(row)

    def close(self) -> None:
        self.inner.close()


def test_the_sound_one_passes() -> None:
    check_env(Broken, steps=40)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda step: step._replace(final_obs=step.obs), "final_obs: all .* episodes end with the first observation"),
        (lambda step: step._replace(final_obs=step.final_obs + 1), "final_obs at step 1 differs from obs"),
        (lambda step: step._replace(truncated=step.terminated), "both terminated and truncated"),
        (lambda step: step._replace(obs=step.obs.astype(np.float64)), "obs at step 1: float64"),
        (lambda step: step._replace(reward=step.reward[:, 0]), r"reward at step 1: float64 \(3,\)"),
        (lambda step: step._replace(reward=step.reward * np.nan), "reward at step 1 is not finite"),
        (lambda step: step._replace(mask=np.ones((3, 2), bool)), "masks: step 1 has one"),
        (lambda step: step._replace(seat=step.seat + 1), "seat at step 1"),
    ],
)
def test_broken_steps_fail(change: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_env(lambda count: Broken(count, change), steps=40)


def test_reused_arrays_fail() -> None:
    kept: dict[int, Array] = {}

    def reuse(step: Step) -> Step:
        obs = kept.setdefault(len(step.obs), step.obs.copy())
        obs[...] = step.obs
        ended = (step.terminated | step.truncated)[:, None]
        return step._replace(obs=obs, final_obs=np.where(ended, step.final_obs, obs))

    with pytest.raises(AssertionError, match="kept arrays"):
        check_env(lambda count: Broken(count, reuse), steps=40)


def test_hidden_randomness_fails() -> None:
    hidden = np.random.default_rng(0)
    with pytest.raises(AssertionError, match="determinism: .* step 0: obs differs"):
        check_env(
            lambda count: GymnasiumEnv([Drifting(lambda _: hidden.random()) for _ in range(count)], "x"), steps=40
        )


def test_rows_that_share_a_stream_fail() -> None:
    """Each row's first observation counts the rows before it: alone it would be another."""

    def shared(count: int) -> GymnasiumEnv:
        return GymnasiumEnv([Drifting(lambda rng: rng.random() + count) for _ in range(count)], "x")

    with pytest.raises(AssertionError, match="row independence"):
        check_env(shared, steps=40)


class Remembering(Drifting):
    """Begins an episode where the actions of earlier ones lead."""

    past = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.x += self.past
        return np.array([self.x]), {}

    def step(self, action: Any) -> Any:
        self.past += action
        return super().step(action)


def test_episodes_that_depend_on_the_past_fail() -> None:
    class Forgetful(Broken):
        """`reset` of all rows clears the past, so the whole is deterministic; single episodes are not."""

        def __init__(self, count: int) -> None:
            self.worlds = [Remembering() for _ in range(count)]
            super().__init__(count, worlds=self.worlds)

        def reset(self, seed: int) -> Step:
            for world in self.worlds:
                world.past = 0
            return super().reset(seed)

    with pytest.raises(AssertionError, match="episode seeds: episode 1"):
        check_env(Forgetful, steps=40)


def test_a_state_that_forgets_fails() -> None:
    def forget(state: dict[str, Any]) -> dict[str, Any]:
        return state | {"episodes": state["episodes"] + 1}

    with pytest.raises(AssertionError, match="snapshot: the Step"), pytest.warns(UserWarning, match="another"):
        check_env(lambda count: Broken(count, state=forget), steps=40)


def test_a_state_that_is_no_data_fails() -> None:
    for extra, message in (({"more": object()}, "'more'.* is a object"), ({3: 1}, "key 3"), ({"a": [1, {2}]}, "a set")):
        with pytest.raises(AssertionError, match=message):
            check_env(lambda count, extra=extra: Broken(count, state=lambda state: state | extra), steps=40)  # type: ignore[misc]


def test_a_time_limit_taken_for_death_fails() -> None:
    def die(step: Step) -> Step:
        return step._replace(terminated=step.truncated, truncated=step.terminated)

    with pytest.raises(AssertionError, match="time limit: every episode terminated after just 3 steps"):
        check_env(lambda count: Broken(count, die, limit=3), steps=40)


def test_a_time_limit_that_is_not_kept_fails() -> None:
    class Endless(Broken):
        def __init__(self, count: int) -> None:
            super().__init__(count)
            self.spec = GymnasiumEnv([Drifting()], "x", 3).spec

    with pytest.raises(AssertionError, match=r"time limit: rows \[0, 1, 2\] go on at step 3"):
        check_env(Endless, steps=40)


def test_lenient_actions_fail() -> None:
    class Lenient(Broken):
        def step(self, action: Array) -> Step:
            return super().step(np.clip(action, 0, 1))

    with pytest.raises(AssertionError, match="illegal actions: -1 was accepted"):
        check_env(Lenient, steps=40)
