"""Tree search for many positions of one game at once.

    search = Search(make_game("connect_four"), options)
    result = search.run(positions, evaluator, seeds)

Every row has a tree of its own and a random stream of its own: what is found in a row depends on its position, its
seed and its budget, not on the rows beside it (as far as the evaluator's numbers don't). Each node is evaluated at its
first visit, the root before the first simulation, so that a node's visits are 1 + those of its children, and those of
the root's children sum to the simulations. Chance nodes are not evaluated: their visits are those of their children.
"""

from __future__ import annotations

import time

import numpy as np

from agents.search.api import Estimate, Evaluator, Result
from agents.search.config import Search as Options
from agents.search.descent import CHAIN
from agents.search.gumbel import Plan, empty_plan
from agents.search.leaves import AdaptedLeaves, Leaves, NativeLeaves
from agents.search.result import noisy_roots, plan_roots, summary, variation
from agents.search.rollouts import Rollouts, begin_roots, simulate
from agents.search.selection import GUMBEL, PUCT, rule
from agents.search.streams import seed, words
from agents.search.tree import clear, grown, plant, reroot
from envs.api import Array, Game, Positions
from envs.games.native import NativeGame

FIRST_ROOM = 4096  # simulations that a tree has room for at first, at most; it grows when there are more
FIRST_PIECE = 16  # simulations between two looks at the clock, at first


class Search:
    """One search of `options` in a game. It keeps its memory from run to run, and the trees of the last run."""

    def __init__(self, game: Game, options: Options) -> None:
        self.game, self.options, self.rule = game, options, rule(options, game.spec)
        self.rows = -1  # there is no tree yet
        self.alive = np.zeros(0, bool)  # [B] rows whose tree belongs to the position that was searched or followed to
        self.followed = False

    def run(
        self,
        positions: Positions,
        evaluator: Evaluator,
        seeds: Array,
        explore: bool = False,
        budgets: Array | None = None,
    ) -> Result:
        """Search each of `positions` [B], none of which is over or a chance node.

        seeds: uint64 [B]. explore: Dirichlet noise (puct) or Gumbel noise (gumbel) at the roots; without it there is
        none. budgets: simulations of each row [B], instead of `options.simulations`.
        Raises ValueError for positions that nobody can move in, arrays of another shape, and estimates that are not
        finite.
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
        if isinstance(evaluator, Rollouts) and isinstance(self.leaves, NativeLeaves):
            self._play_out(self.leaves, evaluator.times, streams, budgets, made, begin)
        else:
            self._ask(evaluator, streams, budgets, made, begin)
        return summary(self.tree, self.rule, self.plan, made, self.game.spec.actions)

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
            self.leaves.moved(row, branches[:count])
        self.followed = True

    def principal_variation(self, row: int) -> list[int]:
        """The actions that the last run expects in a row: its choice, then the most visited at each node."""
        return variation(self.tree, self.rule, self.plan, row)

    def _check(self, positions: Positions, seeds: Array, budgets: Array) -> None:
        name, n = self.game.spec.name, len(positions)
        if np.shape(seeds) != (n,) or budgets.shape != (n,) or budgets.dtype.kind not in "iu":
            raise ValueError(f"{name}: {n} positions want {n} seeds and {n} integer budgets")
        if (budgets < 0).any():
            raise ValueError(f"{name}: a budget of {budgets.min()} simulations")
        if n and (seats := self.game.seat(positions)).min() < 0:
            row = int(seats.argmin())
            raise ValueError(f"{name}: nobody is to move in row {row} (seat {seats[row]}): there is nothing to search")

    def _make_room(self, rows: int, simulations: int) -> None:
        """Memory for a run. The trees of another number of rows are forgotten."""
        if rows == self.rows:
            return
        spec, actions = self.game.spec, self.game.spec.actions
        if isinstance(self.game, NativeGame):
            self.leaves: NativeLeaves | AdaptedLeaves = NativeLeaves(self.game, rows)
        else:
            self.leaves = AdaptedLeaves(self.game, rows)
        branches = min(simulations, FIRST_ROOM) + CHAIN
        nodes = 1 + CHAIN * actions + branches * min(actions, 16)
        self.tree = plant(rows, nodes, branches, spec.seats, self.leaves.words)
        self.rows, self.alive, self.followed = rows, np.zeros(rows, bool), False

    def _grow(self) -> None:
        self.tree = grown(self.tree, 2 * self.tree.visits.shape[1], 2 * self.tree.node.shape[1])

    def _begin(self, positions: Positions, evaluator: Evaluator, streams: Array) -> None:
        """Expand and evaluate the roots of the rows whose tree does not go on."""
        goes_on = self.alive & self.followed
        if isinstance(self.leaves, NativeLeaves):
            goes_on &= (self.tree.position[:, 0] == positions).all(1)
        rows = np.flatnonzero(~goes_on)
        clear(self.tree, rows)
        self.alive[:], self.followed = True, False
        if len(rows) and isinstance(evaluator, Rollouts) and isinstance(self.leaves, NativeLeaves):
            kind, board, scratch = self.leaves.kind, self.leaves.board, self.leaves.scratch
            begin_roots(kind, board, self.tree, self.rule, streams, rows, positions[rows], evaluator.times, scratch)
        elif len(rows):
            seeds = np.empty(len(rows), np.uint64)
            words(streams, rows, seeds)
            roots = Leaves(rows, np.zeros_like(rows), np.full_like(rows, -1), positions[rows], seeds)
            self._evaluate(evaluator, streams, roots)

    def _prepare(self, streams: Array, explore: bool, budgets: Array) -> Plan:
        """Noise at the roots, where the search explores, and the plan of sequential halving."""
        options, actions = self.options, self.game.spec.actions
        if self.rule.selection == PUCT and explore and options.dirichlet_fraction > 0:
            noisy_roots(self.tree, streams, options.dirichlet_alpha, options.dirichlet_fraction)
        plan = empty_plan(self.rows, int(budgets.max(initial=0)), actions)
        if self.rule.selection == GUMBEL:
            plan_roots(self.tree, plan, streams, options.considered, budgets, explore)
        return plan

    def _play_out(
        self, leaves: NativeLeaves, times: int, streams: Array, budgets: Array, made: Array, begin: float
    ) -> None:
        """Whole simulations in compiled code: all of them, or pieces of them while there is time."""
        piece = FIRST_PIECE
        while True:
            until = budgets if self.options.seconds is None else np.minimum(budgets, made + piece)
            before = time.perf_counter()
            while not simulate(
                leaves.kind,
                leaves.board,
                self.tree,
                self.rule,
                self.plan,
                streams,
                until,
                made,
                times,
                leaves.scratch,
            ):
                self._grow()
            now = time.perf_counter()
            if not self._going(budgets, made, begin):
                return
            if self.options.seconds is not None and now - before < self.options.seconds / 64:
                piece *= 2

    def _ask(self, evaluator: Evaluator, streams: Array, budgets: Array, made: Array, begin: float) -> None:
        """One simulation of every row at a time, with one call of the evaluator for all."""
        while self._going(budgets, made, begin):
            leaves, full = self.leaves.find(self.tree, self.rule, self.plan, streams, budgets, made)
            if len(leaves.row):
                self._evaluate(evaluator, streams, leaves)
            if full:
                self._grow()

    def _going(self, budgets: Array, made: Array, begin: float) -> bool:
        """Whether a row has simulations left, and there is time."""
        if self.options.seconds is not None and time.perf_counter() - begin >= self.options.seconds:
            return False
        return bool(((made < budgets) & ~self.tree.solved[:, 0]).any())

    def _evaluate(self, evaluator: Evaluator, streams: Array, leaves: Leaves) -> None:
        """Ask for estimates, expand and back up. Raises ValueError for what is no estimate."""
        n, spec = len(leaves.row), self.game.spec
        estimate = evaluator(leaves.position, leaves.seed)
        logits = np.ascontiguousarray(estimate.logits, np.float32)
        values = np.array(estimate.values, np.float64, order="C")  # a copy: backing up writes into it
        if logits.shape != (n, spec.actions) or values.shape != (n, spec.seats):
            wanted = f"logits {[n, spec.actions]} and values {[n, spec.seats]}"
            raise ValueError(
                f"{spec.name}: the evaluator gave {list(logits.shape)} and {list(values.shape)}, not {wanted}"
            )
        bad = self.leaves.open(self.tree, self.rule, streams, leaves, Estimate(logits, values))
        if bad >= 0:
            what = f"logits {logits[bad]}, values {values[bad]}"
            raise ValueError(f"{spec.name}: the evaluator's estimate of a position is not finite: {what}")
