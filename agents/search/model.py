"""Planning in a model that was learned: it imagines what an action pays, what follows, and what that is worth.

    search = Search(ModelDynamics(ModelSpec("pong", actions=6)), Options(bounds="observed"))
    result = search.run(observations, model, seeds)         # observations [B, ...]: whatever model.root takes

`model` is a `Model`: a network (MuZero, Schrittwieser et al. 2020, https://arxiv.org/abs/1911.08265), or a table. Its
embeddings [n, ...] of states are kept here for every node that was expanded, and never looked into.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from agents.search.api import Estimate, Expanded, Leaves, ModelSpec
from agents.search.gumbel import Plan
from agents.search.leaves import checked, expand_rows, not_finite, rooms, roots, walk_rows
from agents.search.selection import SelectionRule
from agents.search.tree import SearchTree
from envs.api import Array, GameSpec, Positions
from envs.streams import words


class Prediction(NamedTuple):
    """What a model says about n states, and about the actions that led there."""

    reward: Array  # [n, P] paid to each seat by the action; not read at the root
    discount: Array  # [n] of all that follows, 0 after the end; not read at the root
    seat: Array  # [n] int64: who moves, 0 .. P - 1
    logits: Array  # [n, A] of the policy of who moves, up to a constant; -inf: there is no such action
    values: Array  # [n, P] the discounted rewards that each seat can expect from here
    embedding: Array  # [n, *] the states themselves, for `recurrent`


class Model(Protocol):
    """What a network must say to be planned with. seeds: uint64 [n], for those that need luck.

    Values are those of each seat, as rewards are. So a game of two needs no discount of -1 as mctx has it, and any
    number of seats may play. What is illegal at the root has a logit of -inf; below, a model may know or not.
    """

    def root(self, positions: Positions, seeds: Array) -> Prediction:
        """The states in which a search begins, from what was observed: [n, ...], as `Search.run` was given it."""
        ...

    def recurrent(self, embeddings: Array, actions: Array, seeds: Array) -> Prediction:
        """What follows from actions [n] int64 in the states `embeddings` [n, *]."""
        ...


class ModelDynamics:
    """A learned model (`agents.search.api.Dynamics`): whatever `Model` a search is given."""

    words, rewards = 0, True

    def __init__(self, spec: GameSpec | ModelSpec) -> None:
        self.spec = spec

    def check(self, positions: Positions) -> None:
        """A model says who moves: nobody else knows."""

    def plant(self, rows: int) -> None:
        self.embeddings: Array | None = None  # [B, M, *] once a model has said what they are like

    def arrived(self, tree: SearchTree, positions: Positions) -> Array:
        """What was imagined is taken for what is observed now, on trust."""
        return np.ones(len(positions), bool)

    def begin(
        self, tree: SearchTree, rule: SelectionRule, streams: Array, rows: Array, positions: Positions, evaluator: Model
    ) -> Leaves:
        return roots(rows, positions, streams)

    def simulate(
        self,
        tree: SearchTree,
        rule: SelectionRule,
        plan: Plan,
        streams: Array,
        budgets: Array,
        made: Array,
        evaluator: Model,
    ) -> tuple[Leaves, bool]:
        """The positions of leaves are the embeddings that they are reached from."""
        waiting = np.flatnonzero(made < budgets)
        room = np.empty(len(waiting), bool)
        rooms(tree, waiting, self.spec.actions, room)
        rows = waiting[room]
        nodes, parents, seeds = np.empty_like(rows), np.empty_like(rows), np.empty(len(rows), np.uint64)
        walk_rows(tree, rule, plan, streams, rows, np.zeros_like(rows), nodes, parents)
        words(streams, rows, seeds)
        made[rows] += 1
        states = rows if self.embeddings is None else self.embeddings[rows, parents]
        return Leaves(rows, nodes, parents, states, seeds), not room.all()

    def expand(
        self, tree: SearchTree, rule: SelectionRule, streams: Array, leaves: Leaves, evaluator: Model
    ) -> Expanded:
        row, node, parent, states, seeds = leaves
        if parent[0] < 0:
            said = evaluator.root(states, seeds)
        else:
            said = evaluator.recurrent(states, tree.action[row, node].astype(np.int64), seeds)
        logits, values = checked(self.spec, len(row), Estimate(said.logits, said.values))
        self._check(said, len(row))
        branches, seats = np.empty_like(row), np.asarray(said.seat, np.int64)
        bad = expand_rows(tree, rule, streams, row, node, parent, seats, logits != -np.inf, logits, values, branches)
        if bad >= 0:
            raise not_finite(self.spec, logits, values, bad)
        assert tree.edges is not None
        tree.edges.reward[row, node], tree.edges.discount[row, node] = said.reward, said.discount
        self._keep(tree, row, branches, said.embedding)
        return Expanded(branches, values)

    def moved(self, row: int, kept: Array) -> None:
        if self.embeddings is not None:
            self.embeddings[row, : len(kept)] = self.embeddings[row, kept]

    def _check(self, said: Prediction, n: int) -> None:
        """Raises ValueError for what is no prediction of n states, FloatingPointError for one that is not finite."""
        name, seats = self.spec.name, self.spec.seats
        shapes = [np.shape(each) for each in (said.reward, said.discount, said.seat)]
        if shapes != [(n, seats), (n,), (n,)]:
            found = ", ".join(str(list(shape)) for shape in shapes)
            wanted = f"{[n, seats]}, {[n]}, {[n]}"
            raise ValueError(f"{name}: the model gave rewards, discounts and seats {found}, not {wanted}")
        if not (np.isfinite(said.reward).all() and np.isfinite(said.discount).all()):
            raise FloatingPointError(f"{name}: the model's rewards and discounts are not finite")
        if np.min(said.seat) < 0 or np.max(said.seat) >= seats:
            raise ValueError(f"{name}: the model lets a seat move that is none of 0 .. {seats - 1}: {said.seat}")
        if (np.asarray(said.logits) == -np.inf).all(1).any():
            raise FloatingPointError(f"{name}: the model's logits are not finite: there is a state without an action")

    def _keep(self, tree: SearchTree, rows: Array, branches: Array, embedding: Array) -> None:
        room, old = tree.node.shape[1], self.embeddings
        if old is None or old.shape[1] < room:
            self.embeddings = np.empty((len(tree.nodes), room, *embedding.shape[1:]), embedding.dtype)
            if old is not None:
                self.embeddings[:, : old.shape[1]] = old
        assert self.embeddings is not None
        self.embeddings[rows, branches] = embedding
