"""Tree search for many positions at once: simulate, expand, backward.

    search = Search(dynamics_of(make_game("connect_four")), options)
    result = search.run(positions, evaluator, seeds)

What is planned in is an argument (`agents.search.api.Dynamics`): a native game, any game, a learned model. Every row
has a tree of its own and a random stream of its own: what is found in a row depends on its position, its seed and its
budget, not on the rows beside it (as far as the evaluator's numbers don't). Each node is evaluated at its first visit,
the root before the first simulation, so that a node's visits are 1 + those of its children, and those of the root's
children sum to the simulations. Chance nodes are not evaluated: their visits are those of their children.
"""

from __future__ import annotations

import time
from typing import Generic

import numpy as np

from agents.search.api import Dynamics, E, Expanded, Leaves, Result
from agents.search.config import SearchOptions
from agents.search.descent import CHAIN
from agents.search.gumbel import Plan, empty_plan
from agents.search.result import noisy_roots, plan_roots, summary, variation
from agents.search.selection import GUMBEL, PUCT, rule
from agents.search.tree import SearchTree, backward, clear, grown, plant, reroot
from envs.api import Array, Positions
from envs.streams import seed

FIRST_ROOM = 4096  # simulations that a tree has room for at first, at most; it grows when there are more
FIRST_PIECE = 16  # simulations between two looks at the clock, at first


class Search(Generic[E]):
    """One search of `options`. It keeps its memory from run to run, and the trees of the last run."""

    def __init__(self, dynamics: Dynamics[E], options: SearchOptions) -> None:
        if options.proven and dynamics.rewards:
            raise ValueError(f"{dynamics.spec.name}: proven=true needs rules: what a model says proves nothing")
        self.dynamics, self.options, self.rule = dynamics, options, rule(options, dynamics.spec.utility)
        self.tree: SearchTree
        self.rows = -1  # there is no tree yet
        self.alive = np.zeros(0, bool)  # [B] rows whose tree belongs to the position that was searched or followed to
        self.followed = False

    def run(
        self,
        positions: Positions,
        evaluator: E,
        seeds: Array,
        explore: bool = False,
        budgets: Array | None = None,
    ) -> Result:
        """Search each of `positions` [B], none of which is over or a chance node.

        evaluator: an `Evaluator`, or the `Model` of learned dynamics. seeds: uint64 [B]. explore: Dirichlet noise
        (puct) or Gumbel noise (gumbel) at the roots; without it there is none. budgets: simulations of each row [B],
        instead of `options.simulations`.
        Raises ValueError for positions that nobody can move in and arrays of another shape, FloatingPointError for
        estimates that are not finite.
        """
        budgets = np.full(len(positions), self.options.simulations) if budgets is None else np.asarray(budgets)
        self._check(positions, seeds, budgets)
        positions = np.ascontiguousarray(positions)
        budgets, made = budgets.astype(np.int64), np.zeros(len(positions), np.int64)
        self._make_room(len(positions), int(budgets.max(initial=0)))
        streams = np.empty(len(positions), np.uint64)
        seed(np.asarray(seeds, np.uint64), streams)
        begin = time.perf_counter()
        self._begin(positions, evaluator, streams)
        self.plan = self._prepare(streams, explore, budgets)
        self._simulations(evaluator, streams, budgets, made, begin)
        return summary(self.tree, self.rule, self.plan, made, self.dynamics.spec.actions)

    def follow(self, actions: Array) -> None:
        """Keep what the trees of the last run know of the positions after `actions` [B]; -1 forgets a row's tree.

        Moves of all seats and outcomes of chance are followed one after another. The next `run` goes on with these
        trees in the rows whose position is the one arrived at (for games that aren't native that is taken on trust).
        """
        if self.rule.selection == GUMBEL:
            raise ValueError(
                "selection=gumbel begins each search with no visits at the root: it can't go on with a tree"
            )
        if len(actions) != self.rows:
            raise ValueError(
                f"expected one action for each of the {self.rows} rows of the last run, not {len(actions)}"
            )
        branches = np.empty(self.tree.node.shape[1], np.int32)
        for row, action in enumerate(np.asarray(actions).tolist()):
            count = reroot(self.tree, row, action, branches) if self.alive[row] else 0
            self.alive[row] = count > 0
            self.dynamics.moved(row, branches[:count])
        self.followed = True

    def principal_variation(self, row: int) -> list[int]:
        """The actions that the last run expects in a row: its choice, then the most visited at each node."""
        return variation(self.tree, self.rule, self.plan, row)

    def _simulations(self, evaluator: E, streams: Array, budgets: Array, made: Array, begin: float) -> None:
        """Simulations in every row, in pieces while there is time, until all budgets are spent."""
        piece, seconds = FIRST_PIECE, self.options.seconds
        while True:
            until = budgets if seconds is None else np.minimum(budgets, made + piece)
            before = time.perf_counter()
            leaves, full = self._simulate(evaluator, streams, until, made)
            if len(leaves.row):
                self._backward(leaves, self._expand(leaves, evaluator, streams))
            elif seconds is not None and time.perf_counter() - before < seconds / 64:
                piece *= 2
            if full:
                self.tree = grown(self.tree, 2 * self.tree.visits.shape[1], 2 * self.tree.node.shape[1])
            if not self._going(budgets, made, begin):
                return

    def _simulate(self, evaluator: E, streams: Array, budgets: Array, made: Array) -> tuple[Leaves, bool]:
        """Go down from the roots: which leaves wait for the evaluator, and whether the trees must grow first."""
        return self.dynamics.simulate(self.tree, self.rule, self.plan, streams, budgets, made, evaluator)

    def _expand(self, leaves: Leaves, evaluator: E, streams: Array) -> Expanded:
        """Have the leaves evaluated, in one call for all rows, and give them their children."""
        return self.dynamics.expand(self.tree, self.rule, streams, leaves, evaluator)

    def _backward(self, leaves: Leaves, expanded: Expanded) -> None:
        """Add what the leaves are worth to all that lies above them."""
        row, node, parent, (branches, values) = leaves.row, leaves.node, leaves.parent, expanded
        backward(self.tree, row, node, parent, branches, values, self.rule.proven, self.rule.most)

    def _going(self, budgets: Array, made: Array, begin: float) -> bool:
        """Whether a row has simulations left, and there is time."""
        if self.options.seconds is not None and time.perf_counter() - begin >= self.options.seconds:
            return False
        return bool(((made < budgets) & ~self.tree.solved[:, 0]).any())

    def _check(self, positions: Positions, seeds: Array, budgets: Array) -> None:
        name, n = self.dynamics.spec.name, len(positions)
        if np.shape(seeds) != (n,) or budgets.shape != (n,) or budgets.dtype.kind not in "iu":
            raise ValueError(f"{name}: {n} positions want {n} seeds and {n} integer budgets")
        if (budgets < 0).any():
            raise ValueError(f"{name}: a budget of {budgets.min()} simulations")
        self.dynamics.check(positions)

    def _make_room(self, rows: int, simulations: int) -> None:
        """Memory for a run. The trees of another number of rows are forgotten."""
        if rows == self.rows:
            return
        dynamics, actions, seats = self.dynamics, self.dynamics.spec.actions, self.dynamics.spec.seats
        branches = min(simulations, FIRST_ROOM) + CHAIN
        nodes = 1 + CHAIN * actions + branches * min(actions, 16)
        edges = dynamics.rewards or self.rule.observed
        dynamics.plant(rows)
        self.tree = plant(rows, nodes, branches, seats, dynamics.words, edges)
        self.rows, self.alive, self.followed = rows, np.zeros(rows, bool), False

    def _begin(self, positions: Positions, evaluator: E, streams: Array) -> None:
        """Expand and evaluate the roots of the rows whose tree does not go on."""
        goes_on = self.alive & self.followed
        if self.followed:
            goes_on &= self.dynamics.arrived(self.tree, positions)
        rows = np.flatnonzero(~goes_on)
        clear(self.tree, rows)
        self.alive[:], self.followed = True, False
        if len(rows):
            leaves = self.dynamics.begin(self.tree, self.rule, streams, rows, positions[rows], evaluator)
            if len(leaves.row):
                self._backward(leaves, self._expand(leaves, evaluator, streams))

    def _prepare(self, streams: Array, explore: bool, budgets: Array) -> Plan:
        """Noise at the roots, where the search explores, and the plan of sequential halving."""
        options = self.options
        if self.rule.selection == PUCT and explore and options.dirichlet_fraction > 0:
            noisy_roots(self.tree, streams, options.dirichlet_alpha, options.dirichlet_fraction)
        plan = empty_plan(self.rows, int(budgets.max(initial=0)), self.dynamics.spec.actions)
        if self.rule.selection == GUMBEL:
            plan_roots(self.tree, plan, streams, options.considered, budgets, explore)
        return plan
