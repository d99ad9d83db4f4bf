"""The conformance suite of `envs.api.VectorEnv`: `check_env(lambda count: make("CartPole-v1", count))`.

Every test of a world ends with it. Only what the interface shows is looked at, so it fits any world; whether the world
itself is the right one is for the world's own tests.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from envs.api import Actions, Array, Continuous, Discrete, EnvError, Spec, Step, VectorEnv

Make = Callable[[int], VectorEnv]
ROWS = 3
FEW_ENDS = 8  # so many episodes must have ended before equal observations count as evidence


class Play(NamedTuple):
    """What was seen: steps[t + 1] came from actions[t]; episodes[t][b] is the episode that row b is in at steps[t]."""

    steps: list[Step]
    actions: list[Array]
    episodes: list[list[int]]


def check_env(make: Make, steps: int = 200, seed: int = 0) -> None:
    """Assert that `make(count)` builds worlds that keep to the interface. Plays about 8 times `steps` steps of 3 rows.

    Raises AssertionError with the rule that was broken. The world must be deterministic given its seed, and each of its
    episodes a fresh one (not so with Atari's episodic_life). Two rules need at least 8 ended episodes to be judged:
    not all end with just the observation that the next one begins with, and not all terminate just at the time limit.
    """
    env = make(ROWS)
    try:
        play = _play(env, seed, steps)
        _check_steps(env.spec, env.count, play)
        _check_time_limit(env.spec, play)
        _check_final(play)
        _assert_same(play, _play(env, seed, steps), "determinism: reset with the same seed and the same actions")
        _check_illegal(env, seed)
    finally:
        env.close()
    _check_others(make, play, steps, seed)
    _check_snapshot(make, play, steps, seed)


def _play(env: VectorEnv, seed: int, steps: int, variant: int = 0) -> Play:
    """Random legal play. Actions depend on the row and the episode's number; `variant` changes those of episode 0."""
    step = env.reset(seed)
    frozen = copy.deepcopy(step)
    episode = [0] * env.count
    streams = [_stream(row, 0, variant) for row in range(env.count)]
    play = Play([frozen], [], [list(episode)])
    for _ in range(steps):
        action = _choose(env.spec.actions, step.mask, streams)
        following = env.step(action.copy())
        _assert_steps_equal(step, frozen, "kept arrays: a step overwrote what an earlier step had returned")
        step, frozen = following, copy.deepcopy(following)
        for row in np.flatnonzero(step.terminated | step.truncated):
            episode[row] += 1
            streams[row] = _stream(int(row), episode[row], variant)
        play.steps.append(frozen)
        play.actions.append(action)
        play.episodes.append(list(episode))
    return play


def _stream(row: int, episode: int, variant: int) -> np.random.Generator:
    return np.random.default_rng([row, episode, variant if episode == 0 else 0])


def _choose(actions: Actions, mask: Array | None, streams: list[np.random.Generator]) -> Array:
    """One random legal action for each row, from the row's own stream."""
    if isinstance(actions, Continuous):
        low = np.maximum(np.array(actions.low), -1e3)
        high = np.minimum(np.array(actions.high), 1e3)
        return np.stack([stream.uniform(low, high) for stream in streams]).astype(np.float32)
    sizes = (actions.n,) if isinstance(actions, Discrete) else actions.sizes
    chosen = np.empty((len(streams), len(sizes)), np.int64)
    for row, stream in enumerate(streams):
        offset = 0
        for index, size in enumerate(sizes):
            legal = np.arange(size) if mask is None else np.flatnonzero(mask[row, offset : offset + size])
            assert len(legal), f"masks: no action is legal in row {row}"
            chosen[row, index] = stream.choice(legal)
            offset += size
    return chosen[:, 0] if isinstance(actions, Discrete) else chosen


def _check_steps(spec: Spec, count: int, play: Play) -> None:
    """Shapes, types and the rules within one step."""
    entries = 0
    if not isinstance(spec.actions, Continuous):
        entries = spec.actions.n if isinstance(spec.actions, Discrete) else sum(spec.actions.sizes)
    wanted = {
        "obs": ((count, *spec.obs_shape), spec.obs_dtype),
        "seat": ((count,), "int64"),
        "reward": ((count, spec.seats), "float64"),
        "terminated": ((count,), "bool"),
        "truncated": ((count,), "bool"),
        "final_obs": ((count, *spec.obs_shape), spec.obs_dtype),
    }
    if spec.masked:
        wanted |= dict.fromkeys(("mask", "final_mask"), ((count, entries), "bool"))
    for time, step in enumerate(play.steps):
        assert spec.masked or step.mask is None, f"masks: step {time} has one, though spec.masked is False"
        for name, (shape, dtype) in wanted.items():
            value = getattr(step, name)
            assert isinstance(value, np.ndarray), f"{name} at step {time}: {type(value).__name__} is not an array"
            found = f"{value.dtype} {value.shape}, expected {dtype} {shape}"
            assert value.shape == shape and value.dtype == dtype, f"{name} at step {time}: {found}"
        for name in ("obs", "final_obs", "reward"):
            assert np.isfinite(getattr(step, name)).all(), f"{name} at step {time} is not finite"
        assert ((step.seat >= 0) & (step.seat < spec.seats)).all(), f"seat at step {time}: {step.seat}"
        ended = step.terminated | step.truncated
        assert not (step.terminated & step.truncated).any(), f"step {time} both terminated and truncated a row"
        going = f"final_obs at step {time} differs from obs in a row that has not ended"
        assert np.array_equal(step.final_obs[~ended], step.obs[~ended]), going
        if step.mask is not None and step.final_mask is not None:
            going = f"final_mask at step {time} differs from mask in a row that has not ended"
            assert np.array_equal(step.final_mask[~ended], step.mask[~ended]), going
    first = play.steps[0]
    assert not (first.terminated | first.truncated).any() and not first.reward.any(), "a reset ended or paid something"


def _check_time_limit(spec: Spec, play: Play) -> None:
    """No episode is longer than max_steps; where only the limit ends episodes, it truncates them."""
    length = np.zeros(len(play.steps[0].obs), np.int64)
    terminated, at_limit = [], []  # of each episode that ended
    for time, step in enumerate(play.steps[1:], 1):
        length += 1
        ended = step.terminated | step.truncated
        if spec.max_steps is not None:
            late = np.flatnonzero((length >= spec.max_steps) & ~ended).tolist()
            assert not late, f"time limit: rows {late} go on at step {time} after {spec.max_steps} steps"
        terminated += step.terminated[ended].tolist()
        at_limit += (length[ended] == spec.max_steps).tolist()
        length[ended] = 0
    died = len(terminated) >= FEW_ENDS and all(terminated) and all(at_limit)
    assert not died, f"time limit: every episode terminated after just {spec.max_steps} steps, none was truncated"


def _check_final(play: Play) -> None:
    """`final_obs` is not the first observation of the next episode."""
    ends = [(step, row) for step in play.steps for row in np.flatnonzero(step.terminated | step.truncated)]
    varied = any((step.obs != play.steps[0].obs[0]).any() for step in play.steps)
    if varied and len(ends) >= FEW_ENDS:
        copied = all(np.array_equal(step.final_obs[row], step.obs[row]) for step, row in ends)
        assert not copied, f"final_obs: all {len(ends)} episodes end with the first observation of the next one"


def _check_illegal(env: VectorEnv, seed: int) -> None:
    """An action that does not exist, is masked out or is NaN is refused, and names row 0."""
    actions = env.spec.actions
    legal = _choose(actions, env.reset(seed).mask, [_stream(row, 0, 0) for row in range(env.count)])
    wrong: list[Any] = [np.nan]
    if not isinstance(actions, Continuous):
        size = actions.n if isinstance(actions, Discrete) else actions.sizes[0]
        mask = env.reset(seed).mask
        wrong = [-1, size, *([] if mask is None else np.flatnonzero(~mask[0, :size]).tolist())]
    for value in wrong:
        env.reset(seed)
        action = legal.copy()
        action[(0,) * action.ndim] = value
        try:
            env.step(action)
            blamed = None
        except EnvError as error:
            blamed = error.row
        assert blamed is not None, f"illegal actions: {value} was accepted from {actions}"
        assert blamed == 0, f"illegal actions: row 0 did {value}, but row {blamed} was blamed"


def _check_others(make: Make, play: Play, steps: int, seed: int) -> None:
    """Other instances: the same again; more rows; another episode 0 changes nothing in later episodes."""
    more = make(ROWS + 2)
    try:
        wide = _play(more, seed, steps)
        rows = [_first_rows(step) for step in wide.steps]
        narrow = Play(rows, [action[:ROWS] for action in wide.actions], wide.episodes)
        _assert_same(play, narrow, "row independence: the same rows beside others, in another instance")
        varied = _play(more, seed, steps, variant=1)
    finally:
        more.close()
    known = _episodes(wide)
    for key, seen in _episodes(varied).items():
        if key[1] > 0 and key in known:
            row, episode = key
            same = all(_bits(mine) == _bits(theirs) for mine, theirs in zip(seen, known[key], strict=False))
            assert same, f"episode seeds: episode {episode} of row {row} depends on what was done before it"


def _first_rows(step: Step) -> Step:
    fields: list[Any] = [None if field is None else field[:ROWS] for field in step]
    return Step(*fields)


def _episodes(play: Play) -> dict[tuple[int, int], list[Array]]:
    """The observations and rewards of each (row, episode), in order."""
    seen: dict[tuple[int, int], list[Array]] = {}
    for step, episodes in zip(play.steps, play.episodes, strict=True):
        for row, episode in enumerate(episodes):
            ended = bool(step.terminated[row] or step.truncated[row])
            if ended:
                seen[row, episode - 1] += [step.final_obs[row], step.reward[row]]
            elif (row, episode) in seen:
                seen[row, episode] += [step.reward[row]]
            seen.setdefault((row, episode), []).append(step.obs[row])
    return seen


def _check_snapshot(make: Make, play: Play, steps: int, seed: int) -> None:
    """Another instance goes on from a state in the middle bit for bit, and saving disturbs nothing."""
    middle = steps // 2 + 1
    env = make(ROWS)
    try:
        env.reset(seed)
        for action in play.actions[:middle]:
            env.step(action)
        state = copy.deepcopy(env.state_dict())
        _check_leaves(state, "state_dict()")
        for time, action in enumerate(play.actions[middle:], middle + 1):
            _assert_steps_equal(env.step(action), play.steps[time], f"state_dict disturbed the world: step {time}")
    finally:
        env.close()
    other = make(ROWS)
    try:
        what = "snapshot: the Step that load_state_dict returned"
        _assert_steps_equal(other.load_state_dict(state), play.steps[middle], what)
        for time, action in enumerate(play.actions[middle:], middle + 1):
            _assert_steps_equal(other.step(action), play.steps[time], f"snapshot: step {time}, after {middle} restored")
    finally:
        other.close()


def _check_leaves(value: Any, where: str) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            assert isinstance(key, str), f"{where} has a key {key!r} that is not text"
            _check_leaves(inner, f"{where}[{key!r}]")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _check_leaves(inner, f"{where}[{index}]")
    else:
        plain = value is None or isinstance(value, bool | int | float | str)
        packed = isinstance(value, np.ndarray) and value.dtype != object
        assert plain or packed, f"{where} is a {type(value).__name__}: only arrays and JSON values can be saved"


def _assert_same(one: Play, two: Play, what: str) -> None:
    for time, (mine, theirs) in enumerate(zip(one.steps, two.steps, strict=True)):
        _assert_steps_equal(theirs, mine, f"{what}: step {time}")


def _assert_steps_equal(found: Step, expected: Step, what: str) -> None:
    for name, mine, theirs in zip(Step._fields, found, expected, strict=True):
        assert _bits(mine) == _bits(theirs), f"{what}: {name} differs"


def _bits(field: Array | None) -> tuple[Any, ...] | None:
    return None if field is None else (field.shape, field.dtype, field.tobytes())
