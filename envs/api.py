"""The interface of a world, and nothing else.

    env = make("CartPole-v1", count=8)
    step = env.reset(seed=7)
    while True:
        action = choose(step.obs, step.mask)        # one action for each of the B rows
        step = env.step(action)                     # rows that ended have restarted by themselves

`step.terminated` says that there is no future (bootstrap with zero); `step.truncated` says that the
episode was merely cut off (bootstrap from `step.final_obs`, the true last observation of the row).
In a row that ended, `obs` and `mask` already belong to the next episode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Discrete:
    """One of `n` actions, 0 .. n-1. An action batch is int64 [B]; a mask is bool [B, n]."""

    n: int


@dataclass(frozen=True)
class MultiDiscrete:
    """One choice of each of `sizes`. An action batch is int64 [B, len(sizes)]; a mask is bool [B, sum(sizes)]."""

    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Continuous:
    """A vector between `low` and `high` (either may be infinite). An action batch is float32 [B, len(low)].

    A world clips it to the bounds, so that a policy may be unbounded and still remember what it chose.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]


Actions = Discrete | MultiDiscrete | Continuous


@dataclass(frozen=True)
class Spec:
    """What a network needs to know of a world before it has seen any of it."""

    name: str
    obs_shape: tuple[int, ...]
    obs_dtype: str  # "float32", or "uint8" for images
    actions: Actions
    masked: bool = False  # True: every Step carries a mask
    seats: int = 1
    max_steps: int | None = None  # the time limit of an episode, where there is one
    frames: int = 1  # obs is this many stacked frames along axis 0, newest last; 1 = not stacked


class Step(NamedTuple):
    """What B rows show after a reset or an action. Single-agent is P == 1, not another type."""

    obs: Array  # [B, *obs] as seen by the seat to move
    mask: Array | None  # [B, A] bool, True = legal; None where every action is always legal
    seat: Array  # [B] int64, seat to move (0 when alone)
    reward: Array  # [B, P] float64, paid to each seat by the last action
    terminated: Array  # [B] bool, no future
    truncated: Array  # [B] bool, cut off: bootstrap from final_obs
    final_obs: Array  # [B, *obs] last observation of rows that just ended, else obs


class VectorEnv(Protocol):
    """B independent copies of one world, stepped together."""

    spec: Spec
    count: int  # B

    def reset(self, seed: int) -> Step:
        """Start episode 0 of every row. The episode seeds derive from (seed, row, episode number)."""
        ...

    def step(self, action: Array) -> Step:
        """Act in every row. Raises EnvError when a world fails, hands out NaN, or the action is illegal."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on exactly here: arrays and JSON values."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> Step:
        """Go back to that moment and return the Step that was current then."""
        ...

    def render(self, row: int = 0) -> Array:
        """One row as an RGB picture, uint8 [H, W, 3]."""
        ...

    def close(self) -> None: ...


class EnvError(RuntimeError):
    """A world failed: which row, in which episode, after what. `trace` is the world's own traceback, if it raised."""

    def __init__(self, reason: str, row: int, seed: int, step: int, action: str, trace: str = "") -> None:
        super().__init__(reason, row, seed, step, action, trace)
        self.reason, self.row, self.seed, self.step, self.action, self.trace = reason, row, seed, step, action, trace

    def __str__(self) -> str:
        where = f"row {self.row}, episode seed {self.seed}, step {self.step}, action {self.action}"
        return f"{self.reason} ({where})" + (f"\n{self.trace}" if self.trace else "")
