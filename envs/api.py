"""The two interfaces of a world, and nothing else: VectorEnv for learners, Game for search and match play.

    env = make("CartPole-v1", count=8)
    step = env.reset(seed=7)
    while True:
        action = choose(step.obs, step.mask)        # one action for each of the B rows
        step = env.step(action)                     # rows that ended have restarted by themselves

`step.terminated` says that there is no future (bootstrap with zero); `step.truncated` says that the
episode was merely cut off (bootstrap from `step.final_obs`, the true last observation of the row).
In a row that ended, `obs` and `mask` already belong to the next episode; `final_mask` goes with `final_obs`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
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
    zero_sum: bool = False  # of several seats: what one wins the others lose


class Step(NamedTuple):
    """What B rows show after a reset or an action. Single-agent is P == 1, not another type."""

    obs: Array  # [B, *obs] as seen by the seat to move
    mask: Array | None  # [B, A] bool, True = legal; None where every action is always legal
    seat: Array  # [B] int64, seat to move (0 when alone)
    reward: Array  # [B, P] float64, paid to each seat by the last action
    terminated: Array  # [B] bool, no future
    truncated: Array  # [B] bool, cut off: bootstrap from final_obs
    final_obs: Array  # [B, *obs] last observation of rows that just ended, else obs
    final_mask: Array | None = None  # [B, A] bool, what would have been legal there, else mask; None where mask is


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


CHANCE, TERMINAL = -1, -4  # what Game.seat says where nobody moves; OpenSpiel's numbers

Positions = NDArray[Any]  # [n, W] uint64 for native games, [n] object for OpenSpiel's: rows are positions either way


@dataclass(frozen=True)
class GameSpec:
    """What search, regret minimization and match play need to know of a game before it begins."""

    name: str  # OpenSpiel's string, such as "connect_four" or "leduc_poker(players=2)"
    seats: int
    actions: int  # A: distinct actions of all seats; chance outcomes are numbered 0 .. A - 1 too
    obs_shape: tuple[int, ...]  # float32, as `observe` gives it
    max_length: int  # moves of the longest game, chance not counted
    zero_sum: bool  # returns of all seats sum to 0 in every game
    chance: bool
    perfect_information: bool
    utility: tuple[float, float] = field(default=(-inf, inf), compare=False)  # bounds of a return; infinite: not known
    # of the rules as computed here: raised when the same actions would lead elsewhere, or be seen as something else
    version: int = field(default=1, compare=False)


class Symmetry(NamedTuple):
    """A position seen in another way, such as in a mirror, that is the same to whoever plays.

    `obs.reshape(n, -1, len(cells))[:, :, cells]` is the observation of it, and `policy[:, actions]` a policy (or mask)
    for it: both say, for each new place, which old one comes there. `cells` permutes the cells of every plane alike, or
    where planes change places too, all planes as one.
    """

    cells: Array  # int64 [C]
    actions: Array  # int64 [A]


class Game(Protocol):
    """The rules of a turn-based game, for many positions at once. Positions are never changed in place.

    `step` raises IllegalAction for an action that is not legal, and for any action after the end of a game.
    """

    spec: GameSpec

    def initial(self, n: int) -> Positions:
        """n copies of the position in which a game begins."""
        ...

    def step(self, positions: Positions, actions: Array) -> Positions:
        """Play actions [n] int64, or chance outcomes at chance nodes."""
        ...

    def seat(self, positions: Positions) -> Array:
        """Who moves: [n] int64, or CHANCE, or TERMINAL."""
        ...

    def legal(self, positions: Positions) -> Array:
        """[n, A] bool, True = legal; chance outcomes at chance nodes; all False after the end."""
        ...

    def chance(self, positions: Positions) -> Array:
        """[n, A] float64 probabilities of the outcomes at chance nodes; 0 elsewhere."""
        ...

    def returns(self, positions: Positions) -> Array:
        """[n, P] float64: what each seat has earned so far; the result of the game after its end."""
        ...

    def observe(self, positions: Positions, seat: Array | None = None) -> Array:
        """[n, *obs] float32 as seen by `seat` [n] (default: whoever moves). OpenSpiel's tensor where it has one."""
        ...

    def information_state(self, positions: Positions, seat: Array | None = None) -> list[str]:
        """What `seat` [n] (default: whoever moves) knows, as a key: equal for positions that it can't tell apart."""
        ...

    def information_tensor(self, positions: Positions, seat: Array | None = None) -> Array:
        """[n, F] float32: the same for a network. Unlike `observe` it forgets nothing. OpenSpiel's tensor.

        Raises ValueError where the game has none.
        """
        ...

    def symmetries(self) -> list[Symmetry]:
        """What leaves the game as it is; the first changes nothing, and is the only one where no other is known."""
        ...

    def text(self, positions: Positions, seat: Array | None = None) -> list[str]:
        """What `seat` [n] (default: whoever moves) sees, for a person to read; several lines each."""
        ...

    def picture(self, positions: Positions) -> Array:
        """uint8 [n, H, W, 3], RGB: what everybody sees. Raises ValueError for a game that can't be drawn."""
        ...


class IllegalAction(ValueError):
    """An action that the rules don't allow. The message says which row, which action, and what is legal there."""


class EnvError(RuntimeError):
    """A world failed: which row, in which episode, after what. `trace` is the world's own traceback, if it raised."""

    def __init__(self, reason: str, row: int, seed: int, step: int, action: str, trace: str = "") -> None:
        super().__init__(reason, row, seed, step, action, trace)
        self.reason, self.row, self.seed, self.step, self.action, self.trace = reason, row, seed, step, action, trace

    def __str__(self) -> str:
        where = f"row {self.row}, episode seed {self.seed}, step {self.step}, action {self.action}"
        return f"{self.reason} ({where})" + (f"\n{self.trace}" if self.trace else "")
