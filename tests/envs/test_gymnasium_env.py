"""The adapter against plain loops over raw Gymnasium environments, and its errors word for word where it matters."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from envs.api import Array, Continuous, Discrete, EnvError, MultiDiscrete, Step
from envs.gymnasium_env import GymnasiumEnv, episode_seed, make
from envs.spaces import UnsupportedEnv


class Scripted(gymnasium.Env[Any, Any]):
    """Shows and accepts what a test wants, and remembers the actions that it was given."""

    def __init__(self, observation: spaces.Space[Any], action: spaces.Space[Any], shown: Any, **more: Any) -> None:
        self.observation_space, self.action_space, self.shown, self.more = observation, action, shown, more
        self.given: list[Any] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.given.clear()
        return self.shown, dict(self.more)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.given.append(action)
        return self.shown, 1.0, False, False, dict(self.more)


BOX = spaces.Box(-1.0, 1.0, (2,), np.float32)
NOTHING = np.zeros(2, np.float32)


class Ends(gymnasium.Env[Any, Any]):
    """Counts its steps; terminates and truncates when told. `noise` is randomness that no seed reaches."""

    observation_space: spaces.Space[Any] = spaces.Box(0, np.inf, (1,), np.float64)
    action_space: spaces.Space[Any] = spaces.Discrete(2)

    def __init__(self, dies: int = 0, cut: int = 0, noise: np.random.Generator | None = None) -> None:
        self.dies, self.cut, self.noise = dies, cut, noise

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.time = 0
        return self._see(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.time += 1
        return self._see(), 1.0, self.time == self.dies, self.time == self.cut, {}

    def _see(self) -> Any:
        return np.array([self.time + (self.noise.random() if self.noise else 0.0)])


def equal(one: Step, two: Step) -> bool:
    return all(
        (a is None and b is None) or np.array_equal(a, b)  # type: ignore[arg-type]
        for a, b in zip(one, two, strict=True)
    )


def test_cartpole_is_eight_plain_loops() -> None:
    """Every number of every field, through terminations and truncations, equals a loop over raw environments."""
    count, seed, limit = 8, 11, 25
    env = make("CartPole-v1", count, max_episode_steps=limit)
    step = env.reset(seed)
    raw = [gymnasium.make("CartPole-v1", max_episode_steps=limit) for _ in range(count)]
    episode = [0] * count
    obs = np.stack([world.reset(seed=episode_seed(seed, row, 0))[0] for row, world in enumerate(raw)])
    rng = np.random.default_rng(0)
    cut = died = 0
    for _ in range(200):
        np.testing.assert_array_equal(step.obs, obs)
        action = rng.integers(0, 2, count)
        step = env.step(action)
        for row, world in enumerate(raw):
            seen, reward, terminated, truncated, _ = world.step(action[row])
            assert step.reward[row, 0] == reward
            assert step.terminated[row] == terminated
            assert step.truncated[row] == (truncated and not terminated)
            np.testing.assert_array_equal(step.final_obs[row], seen)
            if terminated or truncated:
                died, cut = died + terminated, cut + truncated
                episode[row] += 1
                seen, _ = world.reset(seed=episode_seed(seed, row, episode[row]))
            obs[row] = seen
    assert died > 10
    assert cut > 10
    assert env.spec.max_steps == limit
    assert step.mask is None
    assert step.reward.shape == (count, 1)


def test_returned_arrays_stay() -> None:
    env = make("CartPole-v1", 4)
    steps, copies = [], []
    step = env.reset(0)
    for _ in range(60):
        steps.append(step)
        copies.append(copy.deepcopy(step))
        step = env.step(np.ones(4, np.int64))
    assert all(equal(one, two) for one, two in zip(steps, copies, strict=True))


def test_termination_wins_over_truncation() -> None:
    for world, limit in ((Ends(dies=3, cut=3), None), (Ends(dies=3), 3)):
        env = GymnasiumEnv([world], "ends", limit)
        env.reset(0)
        for _ in range(3):
            step = env.step(np.zeros(1, np.int64))
        assert step.terminated.tolist() == [True]
        assert step.truncated.tolist() == [False]
    env = GymnasiumEnv([Ends()], "ends", 3)
    env.reset(0)
    ends = [bool(env.step(np.zeros(1, np.int64)).truncated[0]) for _ in range(7)]
    assert ends == [False, False, True, False, False, True, False]


def test_final_obs_and_float64_observations() -> None:
    env = GymnasiumEnv([Ends(dies=2), Ends(dies=3)], "ends")
    assert env.reset(0).obs.dtype == np.float32
    env.step(np.zeros(2, np.int64))
    step = env.step(np.zeros(2, np.int64))
    assert step.final_obs.tolist() == [[2.0], [2.0]]
    assert step.obs.tolist() == [[0.0], [2.0]]


def test_episode_seeds() -> None:
    keys = [(seed, row, episode) for seed in (0, 1, 2**63 - 1) for row in range(20) for episode in range(20)]
    seeds = [episode_seed(*key) for key in keys]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)
    # a seed of two words is not the same as a seed of one word beside another row
    assert episode_seed(5 + (7 << 32), 0, 0) != episode_seed(5, 7, 0)


@pytest.mark.parametrize(
    ("space", "actions", "batch", "given"),
    [
        (spaces.Discrete(3, start=5), Discrete(3), [0, 2], [5, 7]),
        (spaces.Discrete(3, start=-1), Discrete(3), [0, 2], [-1, 1]),
        (spaces.MultiDiscrete([2, 3]), MultiDiscrete((2, 3)), [[1, 2], [0, 0]], [[1, 2], [0, 0]]),
        (spaces.MultiDiscrete([2, 3], start=[1, 4]), MultiDiscrete((2, 3)), [[1, 2], [0, 0]], [[2, 6], [1, 4]]),
        (spaces.MultiDiscrete(np.array([[2, 3]])), MultiDiscrete((2, 3)), [[1, 2], [0, 0]], [[[1, 2]], [[0, 0]]]),
        (spaces.MultiBinary(2), MultiDiscrete((2, 2)), [[1, 0], [0, 1]], [[1, 0], [0, 1]]),
        (
            spaces.Box(-1.0, 1.0, (2, 1), np.float64),
            Continuous((-1.0, -1.0), (1.0, 1.0)),
            [[0.5, 3.0], [0.0, -np.inf]],  # what is out of bounds is clipped
            [[[0.5], [1.0]], [[0.0], [-1.0]]],
        ),
    ],
)
def test_actions_reach_the_world(space: Any, actions: Any, batch: Any, given: Any) -> None:
    worlds = [Scripted(BOX, space, NOTHING) for _ in range(2)]
    env = GymnasiumEnv(worlds, "scripted")
    assert env.spec.actions == actions
    env.reset(0)
    env.step(np.array(batch, np.float32 if isinstance(actions, Continuous) else np.int64))
    for world, expected in zip(worlds, given, strict=True):
        np.testing.assert_array_equal(world.given[0], expected)
        if isinstance(space, spaces.Discrete):
            assert space.contains(world.given[0])
        else:
            assert world.given[0].dtype == space.dtype
            assert world.given[0].shape == space.shape


@pytest.mark.parametrize(
    ("space", "batch", "row"),
    [
        (spaces.Discrete(3, start=5), [0, 3], 1),
        (spaces.Discrete(3, start=5), [-1, 0], 0),
        (spaces.MultiDiscrete([2, 3]), [[1, 2], [2, 0]], 1),
        (spaces.MultiBinary(2), [[1, -1], [0, 0]], 0),
        (BOX, [[0.0, 0.0], [0.0, np.nan]], 1),
    ],
)
def test_illegal_actions(space: Any, batch: Any, row: int) -> None:
    worlds = [Scripted(BOX, space, NOTHING) for _ in range(2)]
    env = GymnasiumEnv(worlds, "scripted")
    env.reset(4)
    action = np.array(batch, np.float32 if space is BOX else np.int64)
    with pytest.raises(EnvError, match="illegal action") as caught:
        env.step(action)
    error = caught.value
    assert (error.reason, error.row, error.step) == ("illegal action", row, 1)
    assert error.seed == episode_seed(4, row, 0)
    assert str(batch[row]) in error.action
    assert all(not world.given for world in worlds), "nothing moved, so the caller can go on"
    env.step(np.zeros_like(action))


def test_wrong_batches_are_named() -> None:
    env = make("CartPole-v1", 2)
    with pytest.raises(RuntimeError, match=r"reset\(seed\)"):
        env.step(np.zeros(2, np.int64))
    env.reset(0)
    for wrong in (np.zeros(3, np.int64), np.zeros((2, 1), np.int64), np.zeros(2, np.float32)):
        with pytest.raises(ValueError, match=r"CartPole-v1 takes actions int64 \[2\], not"):
            env.step(wrong)


@pytest.mark.parametrize(
    ("space", "shown", "expected"),
    [
        (spaces.Discrete(4), 2, [0, 0, 1, 0]),
        (spaces.Discrete(3, start=7), np.int64(9), [0, 0, 1]),
        (spaces.MultiDiscrete([2, 3]), np.array([1, 0]), [0, 1, 1, 0, 0]),
        (spaces.MultiDiscrete(np.array([[2], [3]])), np.array([[1], [0]]), [0, 1, 1, 0, 0]),
        (spaces.MultiBinary(3), np.array([1, 0, 1], np.int8), [1, 0, 1]),
        (spaces.Box(0, 255, (3,), np.uint8), np.array([1, 2, 255], np.uint8), [1, 2, 255]),
        (spaces.Box(-9, 9, (1, 2), np.int64), np.array([[-3, 4]]), [[-3, 4]]),
    ],
)
def test_observations(space: Any, shown: Any, expected: Any) -> None:
    env = GymnasiumEnv([Scripted(space, spaces.Discrete(2), shown)], "scripted")
    for step in (env.reset(0), env.step(np.zeros(1, np.int64))):
        assert step.obs.dtype == np.float32
        np.testing.assert_array_equal(step.obs[0], expected)
    assert env.spec.obs_shape == np.shape(expected)


def test_images_stay_bytes() -> None:
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    env = GymnasiumEnv([Scripted(spaces.Box(0, 255, (2, 4, 3), np.uint8), spaces.Discrete(2), picture)], "scripted")
    assert env.spec.obs_dtype == "uint8"
    np.testing.assert_array_equal(env.reset(0).obs[0], picture)


def test_an_observation_outside_its_space_is_refused() -> None:
    for space, shown in ((spaces.Discrete(4), -1), (spaces.Discrete(4), 4), (BOX, np.zeros(1, np.float32))):
        with pytest.raises(EnvError, match="observation"):
            GymnasiumEnv([Scripted(space, spaces.Box(-1, 1, (1,)), shown)], "scripted").reset(0)


def test_observations_of_no_fixed_size_are_refused() -> None:
    """Also behind Gymnasium's FlattenObservation, which makes nothing else of them: so it is not what is advised."""
    for space in (spaces.Sequence(spaces.Discrete(3)), spaces.flatten_space(spaces.Sequence(spaces.Discrete(3)))):
        with pytest.raises(UnsupportedEnv, match="no fixed size") as caught:
            GymnasiumEnv([Scripted(space, spaces.Discrete(2), None)], "scripted")
        assert str(space) in str(caught.value)
        assert "ObservationWrapper" in str(caught.value) and "Flatten" not in str(caught.value)


class Told(Scripted):
    """Returns from a step, or from a reset, what a test says."""

    def __init__(self, step: Any = None, reset: Any = (NOTHING, {}), actions: Any = None) -> None:
        super().__init__(BOX, actions or spaces.Discrete(2), NOTHING)
        self.by_step, self.by_reset = step, reset

    def reset(self, **_: Any) -> Any:
        return self.by_reset

    def step(self, action: Any) -> Any:
        return self.by_step


SHOWN = r"the observation has the shape \[{}\], not \[2\] as its space says"


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        (np.float32(0.5), SHOWN.format("")),
        (np.zeros(1, np.float32), SHOWN.format("1")),  # would be broadcast
        (np.zeros((1, 2), np.float32), SHOWN.format("1, 2")),  # would be broadcast too
        ([0.0, 0.0, 0.0], SHOWN.format("3")),
        (np.zeros(2, complex), "expected real numbers"),
        (np.array(["1", "2"]), "expected real numbers"),  # numpy would read them
        ([None, 1.0], "expected real numbers"),
        ([[1.0], [1.0, 2.0]], "expected real numbers"),
    ],
)
def test_what_is_shown_is_looked_at_in_resets_and_steps(shown: Any, reason: str) -> None:
    with pytest.raises(EnvError, match=reason):
        GymnasiumEnv([Told(reset=(shown, {}), actions=BOX)], "told").reset(0)
    env = GymnasiumEnv([Told((shown, 0.0, False, False, {}))], "told")
    env.reset(0)
    with pytest.raises(EnvError, match=reason) as caught:
        env.step(np.zeros(1, np.int64))
    assert caught.value.step == 1 and not caught.value.trace


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ((NOTHING, None, False, False, {}), "the reward is None, expected one real number"),
        ((NOTHING, np.ones(1), False, False, {}), r"the reward is array\(\[1.\]\) of shape \[1\], expected one"),
        ((NOTHING, 1j, False, False, {}), "the reward is 1j, expected one real"),
        ((NOTHING, 1e39, False, False, {}), "the reward is 1e.39, which is too large for float32"),
        ((NOTHING, 10**39, False, False, {}), "the reward is 1000.*expected one real|too large for float32"),
        ((NOTHING, np.float64(np.inf), False, False, {}), "the reward is inf"),
        ((NOTHING, 0.0, None, False, {}), "terminated is None, expected True or False"),
        ((NOTHING, 0.0, False, np.zeros(2, bool), {}), "truncated is array.*expected True or False"),
        ((NOTHING, 0.0, False, 0.5, {}), "truncated is 0.5, expected True or False"),
        ((NOTHING, 0.0, False, {}), "the step returned a tuple of 4, expected .observation, reward, terminated, trunc"),
        (None, "the step returned a NoneType, expected"),
        ((NOTHING, 0.0, False, False, {"action_mask": [1, 1]}), "action_mask, which the first reset did not show"),
    ],
)
def test_what_a_step_may_not_say(told: Any, reason: str) -> None:
    env = GymnasiumEnv([Told(told)], "told")
    env.reset(0)
    with pytest.raises(EnvError, match=reason) as caught:
        env.step(np.zeros(1, np.int64))
    assert not caught.value.trace, "the world raised nothing"


@pytest.mark.parametrize(
    "told", [(NOTHING, 1, 0, 1, {}), (NOTHING, np.float32(1), np.False_, np.True_, {}), ([0, 0], True, False, 1.0, {})]
)
def test_what_a_step_may_say(told: Any) -> None:
    env = GymnasiumEnv([Told(told)], "told")
    env.reset(0)
    step = env.step(np.zeros(1, np.int64))
    assert (step.reward.item(), step.terminated.item(), step.truncated.item()) == (1.0, False, True)


def test_a_reset_as_before_gymnasium_0_26_is_named() -> None:
    for old in (NOTHING, {"observation": NOTHING}, (NOTHING, 3)):
        with pytest.raises(EnvError, match=r"the reset returned .*, expected \(observation, info\)"):
            GymnasiumEnv([Told(reset=old)], "told")


def test_a_picture_is_never_cut() -> None:
    space = spaces.Box(0, 255, (2, 2), np.uint8)
    for shown, lost in ((0.9, "0.9"), (-1.0, "-1"), (256.0, "256"), (np.nan, "nan")):
        env = GymnasiumEnv([Scripted(space, spaces.Discrete(2), np.full((2, 2), shown))], "scripted")
        with pytest.raises(EnvError, match=f"is float64 and holds {lost}.*, but its space says uint8"):
            env.reset(0)
    env = GymnasiumEnv([Scripted(space, spaces.Discrete(2), np.full((2, 2), 7))], "scripted")
    assert (env.reset(0).obs == 7).all(), "nothing is lost"


def test_continuous_actions_have_no_mask() -> None:
    with pytest.raises(EnvError, match="action_mask, which continuous actions .* cannot have"):
        GymnasiumEnv([Told(reset=(NOTHING, {"action_mask": [1]}), actions=BOX)], "told").reset(0)


def test_masks_hold_nothing_but_0_and_1() -> None:
    for mask in ([2, 0], [-1.0, 1.0], ["1", "0"], [0.0, -np.inf]):
        env = GymnasiumEnv([Told(reset=(NOTHING, {"action_mask": mask}))], "told")
        with pytest.raises(EnvError, match="expected 1 for each legal action and 0 for the others"):
            env.reset(0)


def test_what_leaves_the_process_is_an_error_of_the_world() -> None:
    class Leaves(Ends):
        def step(self, action: Any) -> Any:
            raise SystemExit(3)

        def close(self) -> None:
            raise SystemExit(4)

    env = GymnasiumEnv([Leaves()], "leaves")
    env.reset(0)
    with pytest.raises(EnvError, match=r"the world raised SystemExit: 3 .*step 1, action 0"):
        env.step(np.zeros(1, np.int64))
    with pytest.warns(UserWarning, match="leaves raised SystemExit when it was closed: 4"):
        env.close()


def test_what_would_take_too_many_weights_is_refused_before_anything_is_made() -> None:
    with pytest.raises(UnsupportedEnv, match=r"one-hot vectors of 1,000,000,000 entries, more than 1,000,000"):
        GymnasiumEnv([Scripted(spaces.Discrete(10**9), spaces.Discrete(2), 5)], "scripted")
    with pytest.raises(UnsupportedEnv, match=r"1,000,000,000 actions, more than 1,000,000"):
        GymnasiumEnv([Scripted(BOX, spaces.Discrete(10**9), NOTHING)], "scripted")


MANY = spaces.Dict(
    {
        "b": spaces.Tuple((spaces.Discrete(3, start=4), spaces.MultiDiscrete([2, 3]), spaces.Box(-9, 9, (2, 2)))),
        "a": spaces.MultiBinary(2),
        "bytes": spaces.Box(0, 255, (2,), np.uint8),
        "text": spaces.Text(4),
        "one": spaces.OneOf((spaces.Discrete(2), spaces.Box(0, 1, (3,)))),
    }
)


def test_every_space_that_gymnasium_flattens_is_flattened_as_gymnasium_does() -> None:
    MANY.seed(0)
    for space in (MANY, *MANY.spaces.values()):
        for _ in range(5):
            shown = space.sample()
            env = GymnasiumEnv([Scripted(space, spaces.Discrete(2), shown)], "scripted")
            np.testing.assert_array_equal(env.reset(0).obs[0], np.asarray(spaces.flatten(space, shown), np.float32))


def test_parts_of_an_observation_are_looked_at() -> None:
    space = spaces.Tuple((spaces.Discrete(3), spaces.Text(2)))
    for shown in ((3, "a"), (1.0, "a"), (1, "long"), (1,), (1, "a", 2)):
        with pytest.raises(EnvError, match="the observation"):
            GymnasiumEnv([Scripted(space, spaces.Discrete(2), shown)], "scripted").reset(0)


def test_a_number_by_itself_is_a_vector_of_one() -> None:
    env = GymnasiumEnv([Scripted(spaces.Box(-1, 1, (), np.float32), spaces.Discrete(2), np.float32(0.5))], "scripted")
    assert env.spec.obs_shape == (1,)
    for step in (env.reset(0), env.step(np.zeros(1, np.int64))):
        assert step.obs.tolist() == [[0.5]]


def test_the_channels_of_a_picture_come_first() -> None:
    picture = np.arange(60, dtype=np.uint8).reshape(5, 4, 3)
    env = GymnasiumEnv([Scripted(spaces.Box(0, 255, (5, 4, 3), np.uint8), spaces.Discrete(2), picture)], "scripted")
    assert env.spec.obs_shape == (3, 5, 4)
    np.testing.assert_array_equal(env.reset(0).obs[0, 2], picture[:, :, 2])


def test_the_largest_number_is_no_bound() -> None:
    most = np.finfo(np.float32).max
    space = spaces.Box(np.array([-most, -1], np.float32), np.array([most, 1], np.float32), dtype=np.float32)
    assert GymnasiumEnv([Scripted(BOX, space, NOTHING)], "scripted").spec.actions == Continuous(
        (-np.inf, -1.0), (np.inf, 1.0)
    )


def test_other_actions_are_refused() -> None:
    for space in (spaces.Tuple((spaces.Discrete(2),)), spaces.Box(0, 9, (2,), np.int64), spaces.Text(3)):
        with pytest.raises(UnsupportedEnv, match="scripted: actions"):
            GymnasiumEnv([Scripted(BOX, space, NOTHING)], "scripted")


@pytest.mark.parametrize("keys", [("observation",), ("obs",), ("hand", "table")])
def test_masks_in_the_observation(keys: tuple[str, ...]) -> None:
    space = spaces.Dict({"action_mask": spaces.MultiBinary(3), **dict.fromkeys(keys, BOX)})
    shown = {"action_mask": np.array([1, 0, 1], np.int8), **dict.fromkeys(keys, NOTHING)}
    env = GymnasiumEnv([Scripted(space, spaces.Discrete(3), shown)], "scripted")
    assert env.spec.masked
    assert env.spec.obs_shape == (2 * len(keys),)
    for step in (env.reset(0), env.step(np.array([2]))):
        assert step.mask is not None
        assert step.mask.dtype == bool
        assert step.mask.tolist() == [[True, False, True]]
    with pytest.raises(EnvError, match=r"illegal action .*action 1, legal are \[0, 2\]"):
        env.step(np.array([1]))


def test_masks_of_several_choices() -> None:
    mask = (np.array([0, 1], np.int8), np.array([1, 1, 0], np.int8))
    env = GymnasiumEnv([Scripted(BOX, spaces.MultiDiscrete([2, 3]), NOTHING, action_mask=mask)], "scripted")
    step = env.reset(0)
    assert step.mask is not None
    assert step.mask.tolist() == [[False, True, True, True, False]]
    env.step(np.array([[1, 1]]))
    for wrong in ([0, 1], [1, 2]):
        with pytest.raises(EnvError, match="illegal action"):
            env.step(np.array([wrong]))


def test_masks_that_leave_nothing() -> None:
    for space, mask in (
        (spaces.Discrete(3), np.zeros(3, np.int8)),
        (spaces.MultiDiscrete([2, 2]), np.array([1, 1, 0, 0], np.int8)),
    ):
        world = Scripted(BOX, space, NOTHING, action_mask=np.ones(mask.shape, np.int8))
        env = GymnasiumEnv([Scripted(BOX, space, NOTHING, **world.more), world], "scripted")
        env.reset(0)
        world.more["action_mask"] = mask
        with pytest.raises(EnvError, match="no action is legal") as caught:
            env.step(np.zeros((2, 2) if isinstance(space, spaces.MultiDiscrete) else 2, np.int64))
        assert caught.value.row == 1


def test_the_last_mask_of_an_episode_that_is_cut_off_leaves_something() -> None:
    """What follows is bootstrapped from; only where there is no future may nothing be legal."""

    class Empties(Ends):
        def step(self, action: Any) -> Any:
            shown, reward, dead, cut, _ = super().step(action)
            return shown, reward, dead, cut, {"action_mask": np.full(2, not (dead or cut))}

        def reset(self, **given: Any) -> Any:
            return super().reset(**given)[0], {"action_mask": np.ones(2, bool)}

    for world, refused in ((Empties(cut=1), True), (Empties(dies=1), False)):
        env = GymnasiumEnv([world], "empties")
        env.reset(0)
        with pytest.raises(EnvError, match="no action is legal") if refused else nullcontext():
            env.step(np.zeros(1, np.int64))


def test_a_mask_that_comes_and_goes_is_refused() -> None:
    world = Scripted(BOX, spaces.Discrete(3), NOTHING, action_mask=np.ones(3, np.int8))
    env = GymnasiumEnv([world], "scripted")
    env.reset(0)
    world.more.clear()
    with pytest.raises(EnvError, match="action_mask is None"):
        env.step(np.zeros(1, np.int64))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("raise", "the world raised RuntimeError: the fault that was asked for, at step 3"),
        ("nan_reward", "the reward is nan"),
        ("nan_obs", "the observation is nan"),
    ],
)
def test_faults(fault: str, reason: str) -> None:
    env = make("sparring/Faulty-v0", 2, {"fault": fault, "at": 3, "episode": 1})
    env.reset(9)
    action = np.array([1, 0])
    for _ in range(10):  # 8 steps of the first episode, 2 of the second
        env.step(action)
    with pytest.raises(EnvError) as caught:
        env.step(action)
    error = caught.value
    assert error.reason == reason
    assert (error.row, error.seed, error.step, error.action) == (0, episode_seed(9, 0, 1), 3, "1")
    assert ("probes.py" in error.trace) == (fault == "raise")
    assert "gymnasium_env.py" not in error.trace, "only the world's own frames"
    with pytest.raises(RuntimeError, match="reset"):
        env.step(action)  # the rows are out of step now
    env.reset(9)
    env.step(action)


def test_faults_in_a_reset() -> None:
    for fault, reason in (("raise", "the world raised RuntimeError"), ("nan_obs", "the observation is nan")):
        env = make("sparring/Faulty-v0", 1, {"fault": fault, "at": 0, "episode": 1})
        env.reset(9)
        for _ in range(7):
            env.step(np.zeros(1, np.int64))
        with pytest.raises(EnvError, match=reason) as caught:
            env.step(np.zeros(1, np.int64))
        error = caught.value
        assert (error.seed, error.step, error.action) == (episode_seed(9, 0, 1), 0, "none (reset)")


def test_nan_in_the_last_observation_is_not_lost() -> None:
    env = make("sparring/Faulty-v0", 1, {"fault": "nan_obs", "at": 8})
    env.reset(0)
    for _ in range(7):
        env.step(np.zeros(1, np.int64))
    with pytest.raises(EnvError, match="the observation is nan") as caught:
        env.step(np.zeros(1, np.int64))
    assert caught.value.step == 8


def test_infinite_is_refused_and_large_is_not() -> None:
    large = np.full(2, 3e38, np.float32)  # its square overflows
    env = GymnasiumEnv([Scripted(BOX, spaces.Discrete(2), large)], "scripted")
    np.testing.assert_array_equal(env.reset(0).obs[0], large)
    env = GymnasiumEnv([Scripted(BOX, spaces.Discrete(2), np.array([0, -np.inf], np.float32))], "scripted")
    with pytest.raises(EnvError, match="the observation is -inf"):
        env.reset(0)


@pytest.mark.parametrize("id", ["CartPole-v1", "Pendulum-v1", "sparring/MaskedAction-v0"])
def test_snapshots_at_every_moment(id: str) -> None:
    """Also right after a reset, and right after an episode's end."""
    env, other = make(id, 3, max_episode_steps=7), make(id, 3, max_episode_steps=7)
    rng = np.random.default_rng(0)

    def act(step: Step) -> Any:
        if step.mask is not None:
            return np.array([rng.choice(np.flatnonzero(row)) for row in step.mask])
        return rng.uniform(-2, 2, (3, 1)).astype(np.float32) if id == "Pendulum-v1" else rng.integers(0, 2, 3)

    step = env.reset(5)
    for _ in range(20):
        state = copy.deepcopy(env.state_dict())
        restored = other.load_state_dict(state)
        assert equal(step, restored)
        for key, value in other.state_dict().items():
            np.testing.assert_array_equal(value, state[key])
        action = act(step)
        step = env.step(action)
        assert equal(step, other.step(action))


def test_the_log_forgets_finished_episodes_and_keeps_long_ones() -> None:
    env = GymnasiumEnv([Ends(dies=5), Ends(dies=5)], "ends")
    env.reset(0)
    for _ in range(1000):
        env.step(np.ones(2, np.int64))
    assert len(env._log) <= 128
    env = GymnasiumEnv([Ends(dies=5), Ends(dies=900)], "ends", 700)
    env.reset(0)
    rng = np.random.default_rng(0)
    actions = rng.integers(0, 2, (699, 2))
    for action in actions:
        assert not env.step(action).truncated.any()
    state = env.state_dict()
    assert state["lengths"].tolist() == [4, 699]
    np.testing.assert_array_equal(state["actions"], np.concatenate([actions[-4:, 0], actions[:, 1]]))
    other = GymnasiumEnv([Ends(dies=5), Ends(dies=900)], "ends", 700)
    other.load_state_dict(state)
    for world in (env, other):
        assert world.step(np.zeros(2, np.int64)).truncated.tolist() == [False, True]


def test_a_world_with_hidden_randomness_is_reported() -> None:
    env = GymnasiumEnv([Ends(), Ends(noise=np.random.default_rng(1))], "ends")
    env.reset(0)
    env.step(np.zeros(2, np.int64))
    state = env.state_dict()
    with pytest.warns(UserWarning, match="row 1, episode 0.* shows another observation"):
        step = env.load_state_dict(state)
    assert step.obs[0] == state["obs"][0]
    assert step.obs[1] != state["obs"][1]
    assert step.final_obs[1] == step.obs[1]


def test_a_world_that_ends_during_the_replay_goes_on() -> None:
    state = _state_after(Ends(), 4)
    env = GymnasiumEnv([Ends(dies=3)], "ends")
    with pytest.warns(UserWarning, match="ended earlier"), pytest.warns(UserWarning, match="another observation"):
        step = env.load_state_dict(state)
    assert step.obs.tolist() == [[0.0]]
    assert env.state_dict()["lengths"].tolist() == [0]
    assert env.state_dict()["episodes"].tolist() == [1]
    ends = [bool(env.step(np.zeros(1, np.int64)).terminated[0]) for _ in range(3)]
    assert ends == [False, False, True]


def _state_after(world: Any, steps: int) -> dict[str, Any]:
    env = GymnasiumEnv([world], "ends")
    env.reset(0)
    for _ in range(steps):
        env.step(np.zeros(1, np.int64))
    return env.state_dict()


def test_states_that_do_not_fit() -> None:
    env = make("CartPole-v1", 2)
    assert env.state_dict() == {"started": False}
    with pytest.raises(ValueError, match="never reset"):
        env.load_state_dict(env.state_dict())
    env.reset(0)
    with pytest.raises(ValueError, match=r"env\.count"):
        make("CartPole-v1", 3).load_state_dict(env.state_dict())


def test_requests_that_cannot_be_met() -> None:
    with pytest.raises(UnsupportedEnv, match="did you mean CartPole-v1"):
        make("Cartpole-v1", 1)
    with pytest.raises(UnsupportedEnv, match=r"gymnasium\.register"):
        make("qqqqqqq", 1)
    with pytest.raises(UnsupportedEnv, match="import a module"):
        make("os:CartPole-v1", 1)
    with pytest.raises(UnsupportedEnv, match="did you mean sparring/LQR-v0"):
        make("sparring/LQR-v1", 1)
    with pytest.raises(UnsupportedEnv, match=r"options .*'gravitas': 3"):
        make("CartPole-v1", 1, {"gravitas": 3})
    with pytest.raises(UnsupportedEnv, match="not one of raise"):
        make("sparring/Faulty-v0", 1, {"fault": "sleep"})
    with pytest.raises(UnsupportedEnv, match="render_mode"):
        make("CartPole-v1", 1, {"render_mode": "human"})
    with pytest.raises(UnsupportedEnv, match="count is 0"):
        make("CartPole-v1", 0)
    with pytest.raises(UnsupportedEnv, match="max_episode_steps is 0"):
        make("CartPole-v1", 1, max_episode_steps=0)


@pytest.mark.parametrize(("module", "extra"), [("mujoco", "mujoco"), ("Box2D", "box2d"), ("ale_py", "atari")])
def test_missing_packages_name_the_extra(monkeypatch: pytest.MonkeyPatch, module: str, extra: str) -> None:
    def absent(*_: Any, **__: Any) -> None:
        try:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
        except ImportError as error:
            raise gymnasium.error.DependencyNotInstalled("not installed") from error

    monkeypatch.setattr(gymnasium, "make", absent)
    with pytest.raises(UnsupportedEnv, match=rf"pip install 'sparring\[{extra}\]'"):
        make("CartPole-v1", 1)


def test_options_reach_the_world() -> None:
    env = make("FrozenLake-v1", 1, {"is_slippery": False, "map_name": "8x8"})
    assert env.spec.obs_shape == (64,)
    env.reset(0)
    down, right = 1, 2
    steps = [env.step(np.array([action])) for action in [right] * 7 + [down] * 7]
    assert steps[-1].reward.tolist() == [[1.0]]
    assert steps[-1].terminated.tolist() == [True]


def test_render() -> None:
    pytest.importorskip("pygame")
    env = make("CartPole-v1", 2, render=True)
    env.reset(0)
    picture = env.render(1)
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    env.close()
    env = make("CartPole-v1", 1)
    env.reset(0)
    with pytest.warns(UserWarning, match="render"), pytest.raises(RuntimeError, match="render=True"):
        env.render()


class Counting(gymnasium.Env[Array, int]):
    """After t steps action t % 3 alone is legal; cut off by `limit`, or by itself after `own` steps."""

    observation_space: spaces.Space[Any] = spaces.Box(0, np.inf, (1,), np.float32)
    action_space: spaces.Space[Any] = spaces.Discrete(3)

    def __init__(self, own: int = 10**9) -> None:
        self.own, self.time = own, 0

    def shown(self) -> tuple[Array, dict[str, Any]]:
        return np.array([self.time], np.float32), {"action_mask": np.arange(3) == self.time % 3}

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Array, dict[str, Any]]:
        self.time = 0
        return self.shown()

    def step(self, action: int) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        self.time += 1
        obs, more = self.shown()
        return obs, 0.0, False, self.time >= self.own, more


@pytest.mark.parametrize(("own", "limit"), [(4, None), (10**9, 4)])
def test_final_mask_belongs_to_final_obs(own: int, limit: int | None) -> None:
    env = GymnasiumEnv([Counting(own)], "counting", limit)
    step = env.reset(0)
    for t in range(4):
        step = env.step(np.array([t % 3]))
    assert step.truncated.all() and step.mask is not None and step.final_mask is not None
    assert (step.obs.item(), step.final_obs.item()) == (0.0, 4.0)
    assert step.mask.tolist() == [[True, False, False]]
    assert step.final_mask.tolist() == [[False, True, False]]
    again = GymnasiumEnv([Counting(own)], "counting", limit).load_state_dict(env.state_dict())
    assert again.final_mask is not None and again.final_mask.tolist() == step.final_mask.tolist()
