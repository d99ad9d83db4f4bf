"""What a search is given and what it gives: a world to plan in, estimates of its leaves, and results.

search = Search(dynamics_of(make_game("connect_four")), options)     # agents.search: search, dynamics, config
result = search.run(positions, evaluator, seeds)                     # positions [B], seeds uint64 [B]
positions = game.step(positions, result.action)
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from envs.api import Array, GameSpec, Positions

if TYPE_CHECKING:
    from agents.search.gumbel import Plan
    from agents.search.selection import SelectionRule
    from agents.search.tree import SearchTree


class Estimate(NamedTuple):
    """What an evaluator says about n positions in which a seat is to move."""

    logits: Array  # [n, A] of the policy of the seat to move, up to a constant; what is not legal is not read
    values: Array  # [n, P] the return that each seat can expect


class Evaluator(Protocol):
    """Any callable that estimates leaves: a network, a solver, a rule of thumb. See `agents.search.evaluators`."""

    def __call__(self, positions: Positions, seeds: Array) -> Estimate:
        """n >= 1 positions, and uint64 [n] for those that need luck: each row's own, whatever stands beside it."""
        ...


class ModelSpec(NamedTuple):
    """What a search needs to know of a world without rules; `envs.api.GameSpec` tells it of a game."""

    name: str
    actions: int  # A
    seats: int = 1  # P
    utility: tuple[float, float] = (-inf, inf)  # bounds of a return; infinite: not known


class Leaves(NamedTuple):
    """n nodes that wait for the evaluator, at most one of each row."""

    row: Array  # [n] int64
    node: Array  # [n] int64
    parent: Array  # [n] int64: the branch above; -1 at the root
    position: Positions  # [n, ...]: whatever the dynamics need to have it estimated
    seed: Array  # [n] uint64


class Expanded(NamedTuple):
    """What came of n leaves."""

    branches: Array  # [n] int64
    values: Array  # [n, P] float64, the reader's own: backing up overwrites them


E = TypeVar("E", contravariant=True)  # who estimates leaves: an Evaluator where the rules are known, else a model


class Dynamics(Protocol[E]):
    """The world that a search plans in, and what the search knows of it beside its tree; for one search alone.

    `agents.search.dynamics.dynamics_of` makes that of a game, `agents.search.model.ModelDynamics` is a learned one.
    """

    words: int  # uint64 of a position that is kept in the tree
    rewards: bool  # whether actions have rewards and discounts

    @property
    def spec(self) -> GameSpec | ModelSpec: ...

    def check(self, positions: Positions) -> None:
        """Raises ValueError for positions that can't be searched."""
        ...

    def plant(self, rows: int) -> None:
        """Begin with trees of so many rows, and forget all others."""
        ...

    def arrived(self, tree: SearchTree, positions: Positions) -> Array:
        """Whether the root of each row is at its position, as far as that can be known: [B] bool."""
        ...

    def begin(
        self, tree: SearchTree, rule: SelectionRule, streams: Array, rows: Array, positions: Positions, evaluator: E
    ) -> Leaves:
        """The roots of `rows`, whose trees are clear, as leaves; none if they have been evaluated already."""
        ...

    def simulate(
        self,
        tree: SearchTree,
        rule: SelectionRule,
        plan: Plan,
        streams: Array,
        budgets: Array,
        made: Array,
        evaluator: E,
    ) -> tuple[Leaves, bool]:
        """Go down from the roots until each row has a leaf that waits for the evaluator, or has made its budget.

        Simulations that need no evaluator are finished here, and the row tries again. Returns the leaves, valid until
        the next call, and whether a row needs more room to go on. `made` [B] counts simulations.
        """
        ...

    def expand(self, tree: SearchTree, rule: SelectionRule, streams: Array, leaves: Leaves, evaluator: E) -> Expanded:
        """Ask for estimates of n >= 1 leaves and give them their children. Raises ValueError for what is none."""
        ...

    def moved(self, row: int, kept: Array) -> None:
        """Only these branches of a row are left, in this order."""
        ...


class Result(NamedTuple):
    """What a search has found in B rows. Actions that are not legal have 0 everywhere."""

    action: Array  # [B] int64: the best
    visits: Array  # [B, A] int32: of the root's actions; those of a tree that was kept are counted too
    policy: Array  # [B, A] float64: gumbel's improved policy; else visits in proportion, priors where there are none
    value: Array  # [B, P] float64: what each seat can expect; exact where proven
    q: Array  # [B, A] float64: what the seat to move can expect of an action; 0 where it was not visited
    prior: Array  # [B, A] float64: the root's priors as the search used them, noise included
    simulations: Array  # [B] int32: made by this search
    proven: Array  # [B] bool: the root is solved
    solved: Array  # [B, A] bool: the action is solved, and q is exact
