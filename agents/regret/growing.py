"""Monte-Carlo CFR on games too large to compile: batches of traversals through `Game`, and a table that grows.

An iteration is `batch` traversals by seat 0, then by seat 1. All of a batch go by the policy that the table holds when
it begins, level by level, one call of the game for all positions of a level; then what they brought is added. A batch
is so a function of a table and a random stream, which changes neither table nor game. What is estimated, and with which
weights, is written in `agents/regret/sampling.py`.

When memory is full, known information sets go on learning, and new ones don't begin: there both seats play all actions
alike, and what is found is the equilibrium of a game in which they must. `game/unknown` says how often that was needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from agents.api import State, fresh
from agents.maths.explore import draw
from agents.records import Carry, forgets
from agents.regret.infosets import UNKNOWN, InfosetTable, fingerprints
from envs.api import CHANCE, TERMINAL, Array, Game, Positions
from experiment.seeding import Seeds
from experiment.stop import unless_stopped


class Level(NamedTuple):
    """n positions of equal depth, and the m successors that are the next level. D of them are decisions."""

    result: Array  # [n] float64, what the traversing seat gets where the game is over, else 0
    share: Array  # [n, A] float64: how much of what an action brings is passed up
    parent: Array  # [m] int64
    action: Array  # [m] int64
    chance: Array  # [m] float64: with which probability the traversing seat sampled it; 1 if it did not sample
    decision: Array  # [D] int64: rows in which a seat has a choice
    own: Array  # [D] bool, the traversing seat
    weight: Array  # [D] float64, 1 / product of `chance` on the way
    policy: Array  # [D, A] float64
    legal: Array  # [D, A] bool
    fingerprint: Array  # [D, 2] uint64


def traverse(
    game: Game, table: InfosetTable, seat: int, count: int, exploration: float | None, rng: np.random.Generator
) -> list[Level]:
    """`count` traversals for `seat`: with `exploration` it samples its actions, with None it tries them all."""
    levels: list[Level] = []
    positions, weight = game.initial(count), np.ones(count)
    while len(positions):
        level = _visit(game, table, positions, weight, seat, exploration, rng)
        levels.append(level)
        positions = game.step(positions[level.parent], level.action)
        weight = weight[level.parent] / level.chance
    return levels


def _visit(
    game: Game,
    table: InfosetTable,
    positions: Positions,
    weight: Array,
    seat: int,
    exploration: float | None,
    rng: np.random.Generator,
) -> Level:
    """Decide what is tried in each of these positions."""
    mover, legal = game.seat(positions), game.legal(positions)
    counts = legal.sum(1)
    result = np.zeros(len(positions))
    over, lucky = np.flatnonzero(mover == TERMINAL), np.flatnonzero(mover == CHANCE)
    result[over] = game.returns(positions[over])[:, seat]
    share = legal.astype(np.float64)  # right already where there is one action, or none
    if len(lucky):
        share[lucky] = game.chance(positions[lucky])
    decision = np.flatnonzero((mover >= 0) & (counts > 1))
    known = fingerprints(mover[decision], game.information_state(positions[decision]) if len(decision) else [])
    policy = table.policy(table.find(known, counts[decision], grow=False), legal[decision])
    share[decision] = policy
    own = mover[decision] == seat
    choosing = decision[own]
    drawing, tried = share.copy(), np.zeros(legal.shape, np.bool_)
    sampled = mover != TERMINAL
    if exploration is None:
        sampled[choosing] = False
        tried[choosing] = legal[choosing]
    else:
        alike = legal[choosing] / counts[choosing, None]
        drawing[choosing] = (1 - exploration) * policy[own] + exploration * alike
    rows = np.flatnonzero(sampled)
    drawn = draw(drawing[rows], rng.random(len(rows)))
    tried[rows, drawn] = True
    sampled[choosing] = False
    share[sampled] = tried[sampled]
    parent, action = np.nonzero(tried)
    chance = np.ones(len(parent))
    if exploration is not None:
        chose = np.zeros(len(positions), np.bool_)
        chose[choosing] = True
        chance = np.where(chose[parent], drawing[parent, action], 1.0)
    return Level(result, share, parent, action, chance, decision, own, weight[decision], policy, legal[decision], known)


def gains(levels: list[Level]) -> list[Array]:
    """For each level, at the traversing seat's decisions: what actions brought, minus what the policy did, [d, A]."""
    found: list[Array] = []
    value = np.zeros(0)
    for level in reversed(levels):
        brought = np.zeros(level.share.shape)
        brought[level.parent, level.action] = value / level.chance
        value = level.result + (level.share * brought).sum(1)
        rows = level.decision[level.own]
        found.append((brought[rows] - value[rows, None]) * level.weight[level.own, None])
    return found[::-1]


class GrowingSolver:
    """A solver (`agents.api.Solver`) for two seats. `exploration` None is external sampling."""

    def __init__(
        self,
        game: Game,
        memory_bytes: int,
        batch: int,
        exploration: float | None,
        linear: bool,
        seeds: Seeds,
        evaluation_games: int,
    ) -> None:
        self.game, self.batch, self.exploration, self.linear = game, batch, exploration, linear
        self.table = InfosetTable(memory_bytes)
        self.iterations = self.nodes = self.decisions = self.refused = 0
        self.rng = seeds.generator("traversals")
        self._seeds, self._evaluation_games = seeds, evaluation_games

    def iterate(self, n: int) -> None:
        """n more iterations. n calls of 1 give the same as 1 call of n."""
        for _ in range(n):
            self.iterations += 1
            for seat in range(2):
                levels = traverse(self.game, self.table, seat, self.batch, self.exploration, self.rng)
                self._learn(levels, float(self.iterations) if self.linear else 1.0)

    def _learn(self, levels: list[Level], weight: float) -> None:
        for level, gain in zip(levels, gains(levels), strict=True):
            own, other = level.own, ~level.own
            records = self.table.find(level.fingerprint, level.legal.sum(1), grow=True)
            self.table.add(records[own], level.legal[own], weight * gain)
            played = weight * level.weight[other, None] * level.policy[other]
            self.table.add(records[other], level.legal[other], played, average=True)
            self.nodes += len(level.result)
            self.decisions += len(records)
            self.refused += int((records == UNKNOWN).sum())

    def metrics(self) -> Mapping[str, float]:
        """How far the table has grown, and how often it could not."""
        return {
            "game/infosets": float(self.table.infosets),
            "game/memory_bytes": float(self.table.used_bytes),
            "game/memory_ceiling": float(self.table.reserved_bytes),
            "game/unknown": self.refused / max(self.decisions, 1),
            "game/nodes": float(self.nodes),
        }

    def evaluate(self) -> Mapping[str, float]:
        """What the average policy gains against random play: a sanity check, as exploitability is out of reach here.

        Always with the same random stream, half of the games in each seat.
        """
        rng, rival = self._seeds.generator("evaluation"), InfosetTable(1024)
        players = [TablePlayer("average", self.game, self.table), TablePlayer("random", self.game, rival)]
        count = max(self._evaluation_games // 2, 1)
        first = returns(self.game, players, count, rng)[:, 0]
        second = returns(self.game, players[::-1], count, rng)[:, 1]
        return {"game/return_against_random": float(np.concatenate([first, second]).mean())}

    def state_dict(self) -> State:
        return {
            "iterations": self.iterations,
            "nodes": self.nodes,
            "decisions": self.decisions,
            "refused": self.refused,
            "rng": self.rng.bit_generator.state,
            "table": self.table.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        """Raises MemoryError if the table has less room than the state needs."""
        self.table.load_state_dict(state["table"])
        self.rng.bit_generator.state = state["rng"]
        self.iterations, self.nodes = state["iterations"], state["nodes"]
        self.decisions, self.refused = state["decisions"], state["refused"]


class TablePlayer:
    """Plays the average policy of a table, and all actions alike where it knows nothing (`agents.api.Player`)."""

    def __init__(self, name: str, game: Game, table: InfosetTable) -> None:
        self.name, self.game, self.table = name, game, table

    def probabilities(self, positions: Positions) -> Array:
        """[n, A] for whoever is to move."""
        legal = self.game.legal(positions)
        known = fingerprints(self.game.seat(positions), self.game.information_state(positions))
        counts = legal.sum(1)
        records = np.full(len(counts), UNKNOWN, np.int64)
        choice = counts > 1
        records[choice] = self.table.find(known[choice], counts[choice], grow=False)
        return self.table.policy(records, legal, average=True)

    begin = staticmethod(forgets)

    def choose(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> tuple[Carry, Array]:
        return carry, draw(self.probabilities(positions), rng.random(len(positions)))


def returns(game: Game, players: list[TablePlayer], count: int, rng: np.random.Generator) -> Array:
    """[count, P]: results of games in which player p has seat p, all played in lockstep."""
    positions = game.initial(count)
    seat = game.seat(positions)
    while (seat != TERMINAL).any():
        unless_stopped()
        action = np.zeros(count, np.int64)
        lucky = seat == CHANCE
        if lucky.any():
            action[lucky] = draw(game.chance(positions[lucky]), rng.random(int(lucky.sum())))
        for p, player in enumerate(players):
            if (seat == p).any():
                action[seat == p] = fresh(player, positions[seat == p], rng)
        going = seat != TERMINAL
        positions = positions.copy()
        positions[going] = game.step(positions[going], action[going])
        seat = game.seat(positions)
    found: Array = game.returns(positions)
    return found
