"""Any Gymnasium id as a VectorEnv: B worlds in this process, stepped in lockstep.

Gymnasium's own vector environments insert a fake transition per episode by default; here a row that ends restarts
within the same step, and its true last observation is `final_obs`. Every episode of every row is reset with its own
seed, so each episode is reproducible on its own and a snapshot is the actions since the last reset.
"""

from __future__ import annotations

import copy
import difflib
import math
import traceback
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import gymnasium
import numpy as np

from envs.api import Array, Continuous, Discrete, EnvError, Spec, Step
from envs.shown import LARGEST, Unfit, amount, flag, mask_row
from envs.spaces import UnsupportedEnv, choice, mask_width, observation
from envs.wrappers import wrapped

if TYPE_CHECKING:
    from envs.atari import AtariOptions

EXTRAS = {"mujoco": "mujoco", "ale_py": "atari", "cv2": "atari", "Box2D": "box2d"}  # missing module: our extra
FAULTS = (Exception, SystemExit)  # of a world, which may not end the process it lives in
ENGINES = {  # packages that compute the worlds of a module
    "ale_py": ("ale-py", "opencv-python-headless"),
    "gymnasium.envs.box2d": ("box2d",),
    "gymnasium.envs.mujoco": ("mujoco",),
}


class SingleEnv(Protocol):
    """What is asked of one row: a gymnasium.Env, or `envs.atari.AtariGame`.

    A world may have `continues` (bool) and `resume()`: when an episode terminated and `continues` is true, the next
    one goes on from there by `resume()` instead of `reset(seed)`.
    """

    observation_space: Any
    action_space: Any

    def reset(self, *, seed: int | None = None) -> tuple[Any, dict[str, Any]]: ...

    def step(self, action: Any, /) -> tuple[Any, Any, bool, bool, dict[str, Any]]: ...

    def render(self) -> Any: ...

    def close(self) -> None: ...


def episode_seed(seed: int, row: int, episode: int) -> int:
    """The seed, 31 bits, of one episode of one row after `reset(seed)`; independent of the number of rows."""
    return int(np.random.SeedSequence(seed, spawn_key=(row, episode)).generate_state(1)[0]) >> 1


def make(
    id: str,
    count: int,
    options: Mapping[str, Any] | None = None,
    atari: AtariOptions | None = None,
    max_episode_steps: int | None = None,
    render: bool = False,
    wrappers: Sequence[Mapping[str, Any]] = (),
    at_most: int | None = None,
) -> GymnasiumEnv:
    """`count` copies of a registered Gymnasium environment.

    options: keyword arguments of the environment. atari: preprocessing of an "ALE/..." id. max_episode_steps: replaces
    the registered time limit. wrappers: see `envs.wrappers`. at_most: the time limit where there is no other. Raises
    UnsupportedEnv for an unknown id, a missing package, unusable options, wrappers or spaces.
    """
    if count < 1:
        raise UnsupportedEnv(f"{id}: count is {count}, at least 1 row is needed")
    if max_episode_steps is not None and max_episode_steps < 1:
        raise UnsupportedEnv(f"{id}: max_episode_steps is {max_episode_steps}, at least 1 is needed")
    spec = copy.deepcopy(_registered(id))
    limit = next((steps for steps in (max_episode_steps, spec.max_episode_steps) if steps is not None), at_most)
    spec.order_enforce = False  # GymnasiumEnv keeps the order and the time limit itself, once for all rows
    extra: dict[str, Any] = {"max_episode_steps": -1, "disable_env_checker": True}
    if render:
        extra["render_mode"] = "rgb_array"
    if taken := sorted({"render_mode", *extra} & (options or {}).keys()):
        raise UnsupportedEnv(f"{id}: options cannot contain {', '.join(taken)}: make has own arguments for these")
    worlds: list[SingleEnv] = []
    try:
        for _ in range(count):
            if atari is None:
                worlds.append(cast(SingleEnv, wrapped(gymnasium.make(spec, **extra, **(options or {})), wrappers, id)))
            else:
                from envs.atari import wrap

                worlds.append(wrap(spec, atari, options or {}, extra))
        return GymnasiumEnv(worlds, id, limit, atari.stack if atari is not None else 1)
    except FAULTS as error:
        _close(worlds, id)
        if isinstance(error, UnsupportedEnv | EnvError):
            raise
        if isinstance(error, ImportError | gymnasium.error.DependencyNotInstalled):
            raise UnsupportedEnv(_missing(id, error)) from error
        raise UnsupportedEnv(f"{id} cannot be made with options {dict(options or {})}: {error}") from error


class GymnasiumEnv:
    """B rows of one world (`envs.api.VectorEnv`). Step arrays are new at each step: callers may keep them.

    After an EnvError from a world the rows are out of step: `reset` or `load_state_dict` before going on.
    """

    def __init__(self, worlds: Sequence[SingleEnv], name: str, max_steps: int | None = None, frames: int = 1) -> None:
        first = worlds[0]
        self.count = len(worlds)
        self._worlds = list(worlds)
        self._acts = [world.step for world in worlds]
        self._encoding = observation(first.observation_space, name)
        self._choice = choice(first.action_space, name)
        self._current: Step | None = None
        self._seed = 0
        self._episode = [0] * self.count  # number of true resets of each row, less one
        self._time = 0  # actions in the log
        self._start = [0] * self.count  # where each row's world was last truly reset, in the log
        self._due = math.inf if max_steps is None else max_steps  # no time limit can strike before this time
        self._max_steps = max_steps
        actions = self._choice.actions
        shape: tuple[int, ...] = () if isinstance(actions, Discrete) else (_width(actions),)
        kind = np.float32 if isinstance(actions, Continuous) else np.int64
        self._log: Array = np.empty((64, self.count, *shape), kind)  # what every row did since its last reset
        self._obs_shape = (self.count, *self._encoding.shape)
        self._pictures = self._encoding.dtype == "uint8"
        self._seat: Array = np.zeros(self.count, np.int64)
        self._seat.flags.writeable = False
        self._bounds = np.cumsum([0, *actions.sizes[:-1]]) if not isinstance(actions, Continuous | Discrete) else [0]
        self._rows = np.arange(self.count)[:, None]
        self._least = int(getattr(first.action_space, "start", 0)) if isinstance(actions, Discrete) else 0
        self._mask_width = 0
        self.spec = Spec(name, self._encoding.shape, self._encoding.dtype, actions, False, 1, max_steps, frames)
        if not isinstance(actions, Continuous):
            _, more = self._restart(0, 0)  # only a reset tells whether masks come beside the observation
            if self._encoding.masked or more.get("action_mask") is not None:
                self._mask_width = mask_width(actions)
                self.spec = Spec(name, self._encoding.shape, self._encoding.dtype, actions, True, 1, max_steps, frames)
        elif self._encoding.masked:
            raise UnsupportedEnv(f"{name}: continuous actions {first.action_space} cannot have an action mask")

    def reset(self, seed: int) -> Step:
        """Start episode 0 of every row with `episode_seed(seed, row, 0)`."""
        self._seed, self._time, self._current = seed, 0, None
        self._episode, self._start = [0] * self.count, [0] * self.count
        self._due = math.inf if self._max_steps is None else self._max_steps
        obs, mask = self._blank()
        for row in range(self.count):
            self._begin(row, obs, mask)
        none = np.zeros(self.count, bool)
        self._current = Step(obs, mask, self._seat, np.zeros((self.count, 1)), none, none.copy(), obs, mask)
        self._check(obs, mask)
        return self._current

    def step(self, action: Array) -> Step:
        """Act in every row. Raises EnvError: a world failed, or an action is illegal; ValueError: not a batch."""
        if self._current is None:
            raise RuntimeError("reset(seed) the environment before its first step and after an EnvError")
        action = np.asarray(action)
        choices = self._legal(action)
        self._record(action)
        self._current = None  # until every row has moved
        write = self._encoding.write
        obs, mask = self._blank()
        reward = np.empty(self.count)
        terminated, truncated = np.zeros(self.count, bool), np.zeros(self.count, bool)
        ended: list[int] = []
        row = 0
        told: Any = (None,) * 5
        try:
            for row, act in enumerate(self._acts):
                told = act(choices[row])
                shown, paid, dead, cut, more = told
                reward[row] = paid if isinstance(paid, float) and -LARGEST <= paid <= LARGEST else amount(paid)
                write(obs, row, shown)
                if dead is not False and flag(dead, "terminated"):  # it wins: there is no future to bootstrap from
                    terminated[row] = True
                    ended.append(row)
                    continue
                if cut is not False and flag(cut, "truncated"):
                    truncated[row] = True
                    ended.append(row)
                if mask is not None or more:
                    self._allow(row, shown, more, mask)
        except FAULTS as error:
            raise self._raised(_unlike_a_step(told) or error, row) from error
        if self._time >= self._due:
            ended = self._cut_off(terminated, truncated, ended)
        final_obs, final_mask = obs, mask if mask is None or not ended else mask | terminated[:, None]
        self._check(obs, final_mask)
        if ended:
            final_obs = obs.copy()
            for row in ended:
                self._next(row, obs, mask)
            self._due = math.inf if self._max_steps is None else min(self._start) + self._max_steps
            self._check(obs, mask)
        result = Step(obs, mask, self._seat, reward[:, None], terminated, truncated, final_obs, final_mask)
        self._current = result
        return result

    def state_dict(self) -> dict[str, Any]:
        """The seed, each row's episode number and actions since its last reset (rows one after another), the Step."""
        if self._current is None:
            return {"started": False}
        starts = self._start
        step = self._current
        return {
            "started": True,
            "seed": self._seed,
            "episodes": np.array(self._episode, np.int64),
            "lengths": np.array([self._time - start for start in starts], np.int64),
            "actions": np.concatenate([self._log[start : self._time, row] for row, start in enumerate(starts)]),
            "obs": step.obs.copy(),
            "mask": None if step.mask is None else step.mask.copy(),
            "reward": step.reward.copy(),
            "terminated": step.terminated.copy(),
            "truncated": step.truncated.copy(),
            "final_obs": step.final_obs.copy(),
            "final_mask": None if step.final_mask is None else step.final_mask.copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> Step:
        """Reset each row with its episode's seed, repeat its actions, and return the Step of that moment.

        Where a row then shows something else (a world with randomness of its own) it warns and goes on with that.
        Raises ValueError for a state of another number of rows or of an environment that was never reset.
        """
        if not state["started"]:
            raise ValueError("this is the state of an environment that was never reset: call reset(seed) instead")
        lengths = [int(length) for length in state["lengths"]]
        if len(lengths) != self.count or state["obs"].shape != self._obs_shape:
            raise ValueError(
                f"the state is of observations {state['obs'].shape}, this environment has {self._obs_shape}: "
                "load it with the same environment and env.count as it was saved with"
            )
        self._current, self._seed = None, int(state["seed"])
        self._episode = [int(episode) for episode in state["episodes"]]
        self._time, past = max(lengths), state["actions"]
        self._log = np.zeros((2 * self._time + 64, *self._log.shape[1:]), self._log.dtype)
        self._start = [self._time - length for length in lengths]
        obs, mask = self._blank()
        end = 0
        for row, (start, length) in enumerate(zip(self._start, lengths, strict=True)):
            self._log[start : self._time, row] = past[end : end + length]
            end += length
            self._replay(row, obs, mask)
            same_mask = mask is None or np.array_equal(mask[row], state["mask"][row])
            if obs[row].tobytes() != state["obs"][row].tobytes() or not same_mask:
                self._warn(row, "shows another observation than when the state was saved; the run goes on from it")
        self._due = math.inf if self._max_steps is None else min(self._start) + self._max_steps
        terminated, truncated = state["terminated"].copy(), state["truncated"].copy()
        ended = terminated | truncated
        final_obs = np.where(_column(ended, obs), state["final_obs"], obs)
        final_mask = None if mask is None else np.where(ended[:, None], state["final_mask"], mask)
        self._current = Step(
            obs, mask, self._seat, state["reward"].copy(), terminated, truncated, final_obs, final_mask
        )
        self._check(obs, mask)
        return self._current

    def render(self, row: int = 0) -> Array:
        """One row as an RGB picture, uint8 [H, W, 3]; the environment must have been made with render=True."""
        picture = self._worlds[row].render()
        if not isinstance(picture, np.ndarray):
            raise RuntimeError(f"{self.spec.name} draws nothing: make(..., render=True) it, if it can be drawn at all")
        return picture

    def close(self) -> None:
        _close(self._worlds, self.spec.name)

    def _blank(self) -> tuple[Array, Array | None]:
        mask = np.zeros((self.count, self._mask_width), bool) if self._mask_width else None
        return np.empty(self._obs_shape, self._encoding.dtype), mask

    def _legal(self, action: Array) -> Sequence[Any]:
        """The batch as one action per row, or the reason why not."""
        actions, shape = self._choice.actions, self._log.shape[1:]
        kinds = "f" if isinstance(actions, Continuous) else "iu"
        if action.shape != shape or action.dtype.kind not in kinds:
            wanted = "float32" if kinds == "f" else "int64"
            raise ValueError(
                f"{self.spec.name} takes actions {wanted} {list(shape)}, not {action.dtype} {list(action.shape)}"
            )
        choices: Sequence[Any] = self._choice.rows(action)
        if isinstance(actions, Continuous):
            if math.isnan(np.vdot(action, action)):
                self._refuse(np.isnan(action).any(1), action)
            return choices
        if isinstance(actions, Discrete):
            if min(choices) < self._least or max(choices) >= self._least + actions.n:
                self._refuse((action < 0) | (action >= actions.n), action)
        else:
            outside = (action < 0) | (action >= np.asarray(actions.sizes))
            if outside.any():
                self._refuse(outside.any(1), action)
        mask = self._current.mask if self._current is not None else None
        if mask is not None:
            allowed = mask[self._rows, action.reshape(self.count, -1) + self._bounds]
            if not allowed.all():
                self._refuse(~allowed.all(1), action)
        return choices

    def _refuse(self, wrong: Any, action: Array) -> None:
        row = int(wrong.argmax())
        step, mask = self._current, None
        if step is not None and step.mask is not None:
            mask = np.flatnonzero(step.mask[row]).tolist()
        legal = f"legal are {mask}" if mask is not None else f"legal is {self._choice.actions}"
        seed, time = episode_seed(self._seed, row, self._episode[row]), self._time - self._start[row] + 1
        raise EnvError("illegal action", row, seed, time, f"{action[row].tolist()}, {legal}")

    def _record(self, action: Array) -> None:
        """Append to the log; when it is full, drop what no row's current episode needs, or make it longer."""
        if self._time == len(self._log):
            oldest = min(self._start)
            kept = self._log[oldest : self._time]
            room = len(self._log) if oldest > self._time // 2 else 2 * len(self._log)
            self._log = np.empty((room, *self._log.shape[1:]), self._log.dtype)
            self._log[: len(kept)] = kept
            self._time -= oldest
            self._start = [start - oldest for start in self._start]
            self._due -= oldest
        self._log[self._time] = action
        self._time += 1

    def _cut_off(self, terminated: Array, truncated: Array, ended: list[int]) -> list[int]:
        """The rows that ended, with those at the time limit: cut off unless they have just terminated for good."""
        limit = self._max_steps or 0
        late = np.array([self._time - start >= limit for start in self._start])
        truncated |= late & ~terminated
        return sorted({*ended, *np.flatnonzero(late).tolist()})

    def _restart(self, row: int, episode: int) -> tuple[Any, Mapping[str, Any]]:
        """Truly reset a row's world with its episode's seed."""
        self._episode[row], self._start[row] = episode, self._time
        seed = episode_seed(self._seed, row, episode)
        try:
            told = self._worlds[row].reset(seed=seed)
            if not (isinstance(told, tuple) and len(told) == 2 and isinstance(told[1], Mapping)):
                raise Unfit(f"the reset returned {_kind(told)}, expected (observation, info), as since Gymnasium 0.26")
        except FAULTS as error:
            raise self._raised(error, row) from error
        return told

    def _begin(self, row: int, obs: Array, mask: Array | None) -> None:
        """Reset a row for its current episode number and show its first observation."""
        self._show(row, *self._restart(row, self._episode[row]), obs, mask)

    def _next(self, row: int, obs: Array, mask: Array | None) -> None:
        """Begin what follows the end of a row's episode. A life lost in an Atari game is an end that goes on."""
        world: Any = self._worlds[row]
        limit = self._max_steps
        late = limit is not None and self._time - self._start[row] >= limit
        if not late and getattr(world, "continues", False):
            try:
                shown, more = world.resume()
            except FAULTS as error:
                raise self._raised(error, row) from error
            self._show(row, shown, more, obs, mask)
        else:
            self._episode[row] += 1
            self._begin(row, obs, mask)

    def _replay(self, row: int, obs: Array, mask: Array | None) -> None:
        """Reset a row and repeat the actions in its log."""
        start = self._start[row]
        shown, more = self._restart(row, self._episode[row])
        self._start[row] = start
        world: Any = self._worlds[row]
        for choice_ in self._choice.rows(self._log[start : self._time, row]):
            try:
                shown, _, dead, cut, more = world.step(choice_)
                if dead and getattr(world, "continues", False):
                    shown, more = world.resume()
                    dead = False
            except FAULTS as error:
                raise self._raised(error, row) from error
            if dead or cut:
                self._warn(row, "ended earlier than when the state was saved; its next episode begins")
                self._episode[row] += 1
                return self._begin(row, obs, mask)
        self._show(row, shown, more, obs, mask)

    def _show(self, row: int, shown: Any, more: Mapping[str, Any], obs: Array, mask: Array | None) -> None:
        """Write what a world shows into its row of the batch."""
        try:
            self._encoding.write(obs, row, shown)
            self._allow(row, shown, more, mask)
        except FAULTS as error:
            raise self._raised(error, row) from error

    def _allow(self, row: int, shown: Any, more: Mapping[str, Any], mask: Array | None) -> None:
        """Write the legal actions that a world shows, in its observation or beside it, into its row of the batch."""
        if mask is not None:
            mask[row] = mask_row((shown if self._encoding.masked else more).get("action_mask"), self._mask_width)
        elif more.get("action_mask") is not None:
            why = "which the first reset did not show: show it after each reset and step"
            if isinstance(self.spec.actions, Continuous):
                why = f"which continuous actions {self.spec.actions} cannot have"
            raise Unfit(f"there is an action_mask, {why}")

    def _check(self, obs: Array, mask: Array | None) -> None:
        """That every number shown is finite, as float32 has it, and something is legal."""
        # one dot product looks at all numbers; only when it overflows are they looked at one by one
        if not self._pictures and not math.isfinite(np.vdot(obs, obs)):
            wrong = ~np.isfinite(obs.reshape(self.count, -1))
            if wrong.any():
                row = int(wrong.any(1).argmax())
                value = obs.reshape(self.count, -1)[row][wrong[row]][0]
                raise self._failure(f"the observation is {value}", row)
        if mask is not None:
            legal = np.logical_or.reduceat(mask, self._bounds, axis=1).all(1)
            if not legal.all():
                raise self._failure("no action is legal", int((~legal).argmax()))

    def _raised(self, error: BaseException, row: int) -> EnvError:
        if isinstance(error, Unfit):
            return self._failure(str(error), row)
        return self._failure(f"the world raised {type(error).__name__}: {error}", row, _trace(error))

    def _failure(self, reason: str, row: int, trace: str = "") -> EnvError:
        self._current = None
        time = self._time - self._start[row]
        action = "none (reset)" if time == 0 else str(self._log[self._time - 1, row].tolist())
        return EnvError(reason, row, episode_seed(self._seed, row, self._episode[row]), time, action, trace)

    def _warn(self, row: int, what: str) -> None:
        warnings.warn(
            f"{self.spec.name} is not deterministic: row {row}, episode {self._episode[row]}, "
            f"replayed with its seed and actions, {what}",
            stacklevel=3,
        )


def engines(id: str) -> tuple[str, ...]:
    """The packages that decide what a registered world shows: an episode is replayed exactly with the same versions."""
    if id.startswith("pixels/"):  # of our own
        return ()
    entry = _registered(id).entry_point
    module = entry.partition(":")[0] if isinstance(entry, str) else entry.__module__
    return ("gymnasium", *(name for begin, names in ENGINES.items() if module.startswith(begin) for name in names))


def _unlike_a_step(told: Any) -> Unfit | None:
    """What is wrong with what a step returned; None if it has the right parts."""
    if isinstance(told, tuple) and len(told) == 5:
        return None
    return Unfit(f"the step returned {_kind(told)}, expected (observation, reward, terminated, truncated, info)")


def _kind(told: Any) -> str:
    """What a world returned in place of a tuple of the right length."""
    parts = f" of {len(told)}" if isinstance(told, tuple) else ""
    return f"a {type(told).__name__}{parts}"


def _close(worlds: Sequence[SingleEnv], name: str) -> None:
    """Close them all; what they raise then is told, and changes nothing."""
    for world in worlds:
        try:
            world.close()
        except FAULTS as error:
            warnings.warn(f"{name} raised {type(error).__name__} when it was closed: {error}", stacklevel=3)


def _width(actions: Any) -> int:
    return len(actions.low) if isinstance(actions, Continuous) else len(actions.sizes)


def _column(rows: Array, like: Array) -> Array:
    return rows.reshape(-1, *[1] * (like.ndim - 1))


def _trace(error: BaseException) -> str:
    """The traceback without our own first frame, if the error came from below it."""
    own = error.__traceback__
    below = own.tb_next if own is not None and own.tb_next is not None else own
    return "".join(traceback.format_exception(type(error), error, below))


def _registered(id: str) -> Any:
    """The registered spec of `id`; packages that bring environments are asked to register them first."""
    if ":" in id:
        module, _, own = id.rpartition(":")
        raise UnsupportedEnv(
            f"{id}: 'module:Id' would import a module that a config names; say --import {module}, and use the id {own}"
        )
    try:
        if id.startswith("ALE/"):
            from envs import atari

            atari.register()
        elif id.startswith("sparring/"):
            from envs import probes

            probes.register()
        elif id.startswith("tabular/"):
            from envs.tabular import environment

            environment.register()
    except ImportError as error:
        raise UnsupportedEnv(_missing(id, error)) from error
    if id not in gymnasium.registry:
        lower = {known.lower(): known for known in gymnasium.registry}
        near = [lower[match] for match in difflib.get_close_matches(id.lower(), lower, 3, 0.6)]
        advice = f"did you mean {' or '.join(near)}?" if near else "--import a module that calls gymnasium.register"
        raise UnsupportedEnv(f"no environment {id!r} is registered: {advice}")
    return gymnasium.registry[id]


def _missing(id: str, error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if extra := EXTRAS.get(getattr(cause, "name", None) or ""):
            return f"{id} needs a package that is not installed: pip install 'sparring[{extra}]'"
        cause = cause.__cause__
    return f"{id} needs a package that is not installed: {error}"
