"""Self-play: many games in lockstep, every move found by search, each game handed over when it is over.

What is learned from is the search's own opinion, as it was before a move was drawn from it, and the game's result:
games are only delivered whole, so that no position gets a made-up value.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
import torch

from agents.alphazero.config import AlphaZero
from agents.alphazero.policy_value import Replica, scale_of
from agents.api import State
from agents.maths.explore import draw
from agents.records import Episodes, Experience
from agents.search.dynamics import dynamics_of
from agents.search.evaluators import Cache, NetworkEvaluator, from_side
from agents.search.search import Search
from envs.api import CHANCE, TERMINAL, Array, Game, Positions
from envs.games.make import make_game
from envs.games.native import NativeGame
from experiment.seeding import Seeds


class Moves(NamedTuple):
    """Rows to learn from: n positions of games that are over."""

    obs: Array  # [n, *obs]: uint8 where a game shows ones and zeros, else float32
    seat: Array  # [n] int8, who moved
    legal: Array  # [n, A] bool
    policy: Array  # [n, A] float32, the search's
    value: Array  # [n, V] float32, as fractions of the largest return, the mover's first


class Record(NamedTuple):
    """A move of a game that goes on, to be learned from when it is over."""

    ply: int  # how many actions, chance's too, came before
    position: Positions  # [1, ...]
    policy: Array  # [A]
    number: int  # of the search, among those of its game


def moves(game: Game, positions: Positions, policy: Array, returns: Array) -> Moves:
    """Rows of n positions, with the search's policies [n, A] and what every seat gets [n, P]."""
    seat = game.seat(positions)
    obs = game.observe(positions, seat)
    return Moves(
        obs=obs.astype(np.uint8) if isinstance(game, NativeGame) else obs,
        seat=seat.astype(np.int8),
        legal=game.legal(positions),
        policy=policy.astype(np.float32),
        value=(from_side(returns, seat, game.spec) / scale_of(game.spec)).astype(np.float32),
    )


def tempered(policy: Array, temperature: float, rng: np.random.Generator) -> Array:
    """Actions [n], in proportion to policy [n, A] ** (1 / temperature)."""
    with np.errstate(divide="ignore"):
        logits = np.log(policy) / temperature
    return np.asarray((logits + rng.gumbel(size=policy.shape)).argmax(1))


def mixed(values: Array, returns: Array, share: float) -> Array:
    """The lambda-returns [n, P] of a game's n searches: G[t] = (1 - lambda) v[t] + lambda G[t + 1], lambda is `share`.

    values [n, P] are the searches', returns [P] the game's, G[n]. There are no rewards on the way, and no discount.
    """
    targets = np.empty_like(values)
    following = returns
    for t in range(len(values) - 1, -1, -1):
        targets[t] = following = (1 - share) * values[t] + share * following
    return targets


class Ongoing(NamedTuple):
    """One game in progress."""

    actions: list[int]  # chance's too
    records: list[Record]
    values: list[Array]  # [P] of each search
    checked: bool  # is played to its end even when a seat would resign
    given_up: list[int]  # seats that would have resigned, in order


class SelfPlay:
    """An actor (`agents.api.Actor`) that plays `count` games at once against itself."""

    def __init__(self, config: AlphaZero, index: int, incarnation: int) -> None:
        self.config, self.options, self.index = config, config.selfplay, index
        self.game = make_game(config.game)
        self.count = config.selfplay.games // config.runtime.actors
        self.replica = Replica(config.network, self.game.spec, torch.device("cpu"))
        self.network = NetworkEvaluator(self.game, self.replica)
        self.cache = Cache(self.game, self.network, self.options.cache) if self.options.cache else None
        self.search = Search(dynamics_of(self.game), config.search)
        self.rng = Seeds(config.seed).generator("actor", index, incarnation)
        self.version = 0
        self.games = [self._begin() for _ in range(self.count)]
        self.positions = self.game.initial(self.count)
        self._open(np.arange(self.count))

    def load(self, weights: Array, version: int) -> None:
        self.replica.load(weights)
        self.version = version
        if self.cache is not None:
            self.cache.clear()

    def collect(self) -> Experience:
        """`plies` moves in every game; the games that ended, whole."""
        self.ended: list[tuple[Ongoing, Array]] = []
        self.entropies: list[float] = []
        began, evaluated = time.perf_counter(), self.network.evaluated
        for _ in range(self.options.plies):
            self._ply()
        seconds = time.perf_counter() - began
        return Experience(
            rows=self._rows(),
            steps=self.count * self.options.plies,
            episodes=Episodes(
                [float(returns[0]) for _, returns in self.ended], [len(game.actions) for game, _ in self.ended]
            ),
            version=self.version,
            actor=self.index,
            measures=self._measures(seconds, self.network.evaluated - evaluated),
        )

    def _ply(self) -> None:
        """A move in every game: searched in full and learned from, or quickly, only to bring the games on.

        The coin falls for all games at once, so that full batches go through the network either way.
        """
        options, spec = self.options, self.game.spec
        full = bool(self.rng.random() < options.full_fraction)
        budget = self.config.search.simulations if full else options.fast_simulations
        result = self.search.run(
            self.positions,
            self.cache or self.network,
            self.rng.integers(0, 2**64, self.count, np.uint64),
            explore=full,
            budgets=np.full(self.count, budget),
        )
        played = np.array([len(game.actions) for game in self.games])
        drawn = tempered(result.policy, options.temperature, self.rng)
        actions = np.where(played < options.temperature_plies, drawn, result.action)
        if full:
            logs = np.log(result.policy, where=result.policy > 0, out=np.zeros_like(result.policy))
            self.entropies.append(float(-(result.policy * logs).sum(1).mean()))
            for row in range(self.count):
                position = self.positions[row : row + 1].copy()
                game = self.games[row]
                game.records.append(Record(int(played[row]), position, result.policy[row], len(game.values)))
        for game, value in zip(self.games, result.value, strict=True):
            game.values.append(value)
        resigned = self._resigned(result.value)
        self._move(np.arange(self.count), actions)
        over = self.game.seat(self.positions) == TERMINAL
        returns = self.game.returns(self.positions)
        for row in np.flatnonzero(resigned >= 0).tolist():
            returns[row] = scale_of(spec) * np.where(np.arange(spec.seats) == resigned[row], -1.0, 1.0)
        known = result.proven & options.adjudicate
        returns[known] = result.value[known]
        self._restart(np.flatnonzero(over | known | (resigned >= 0)), returns)

    def _resigned(self, values: Array) -> Array:
        """The seat that resigns in each game, or -1; `values` [G, P] are the search's."""
        resigned = np.full(self.count, -1)
        if self.options.resign is None:
            return resigned
        seats = self.game.seat(self.positions)
        lost = values[np.arange(self.count), seats] < self.options.resign * scale_of(self.game.spec)
        for row in np.flatnonzero(lost).tolist():
            game = self.games[row]
            if game.checked:
                game.given_up.append(int(seats[row]))
            else:
                resigned[row] = seats[row]
        return resigned

    def _restart(self, rows: Array, returns: Array) -> None:
        """New games in these rows, in place of those that ended with `returns` [G, P]."""
        for row in rows.tolist():
            self.ended.append((self.games[row], returns[row]))
            self.games[row] = self._begin()
        if len(rows):
            self._open(rows)

    def _begin(self) -> Ongoing:
        checked = self.options.resign is not None and bool(self.rng.random() < self.options.resign_checked)
        return Ongoing([], [], [], checked, [])

    def _open(self, rows: Array) -> None:
        """Begin the games in `rows` with their random moves. A beginning that ends the game is drawn again."""
        while len(rows):
            for row in rows.tolist():
                self.games[row].actions.clear()
            self.positions[rows] = self.game.initial(len(rows))
            self._past_chance(rows)
            plies = self.rng.integers(self.options.random_plies + 1, size=len(rows))
            for ply in range(plies.max()):
                going = rows[(plies > ply) & (self.game.seat(self.positions[rows]) != TERMINAL)]
                self._move(going, draw(self.game.legal(self.positions[going]), self.rng.random(len(going))))
            rows = rows[self.game.seat(self.positions[rows]) == TERMINAL]

    def _move(self, rows: Array, actions: Array) -> None:
        """An action in each of the games in `rows`, and then chance's."""
        self.positions[rows] = self.game.step(self.positions[rows], actions)
        for row, action in zip(rows.tolist(), actions.tolist(), strict=True):
            self.games[row].actions.append(action)
        self._past_chance(rows)

    def _past_chance(self, rows: Array) -> None:
        """Let chance move in the games in `rows` until a seat is to move or the game is over."""
        while len(rows := rows[self.game.seat(self.positions[rows]) == CHANCE]):
            outcomes = draw(self.game.chance(self.positions[rows]), self.rng.random(len(rows)))
            self.positions[rows] = self.game.step(self.positions[rows], outcomes)
            for row, outcome in zip(rows.tolist(), outcomes.tolist(), strict=True):
                self.games[row].actions.append(outcome)

    def _rows(self) -> Moves:
        records = [record for game, _ in self.ended for record in game.records]
        if not records:
            nothing = self.game.initial(1)[:0]
            return moves(self.game, nothing, np.zeros((0, self.game.spec.actions)), np.zeros((0, self.game.spec.seats)))
        values = list[Array]()
        for game, returns in self.ended:
            targets = mixed(np.stack(game.values), returns, self.config.learner.value_lambda)
            values += [targets[record.number] for record in game.records]
        positions = np.concatenate([record.position for record in records])
        return moves(self.game, positions, np.stack([record.policy for record in records]), np.stack(values))

    def _measures(self, seconds: float, evaluated: int) -> dict[str, float]:
        measures = {
            "selfplay/games": float(len(self.ended)),
            "time/games_per_second": len(self.ended) / seconds,
            "time/evaluations_per_second": evaluated / seconds,
        }
        if self.entropies:
            measures["selfplay/policy_entropy"] = float(np.mean(self.entropies))
        if self.cache is not None:
            measures |= self.cache.metrics()
        given_up = [(seat, returns) for game, returns in self.ended for seat in game.given_up[:1]]
        if given_up:
            measures["selfplay/resigned_wrongly"] = float(np.mean([returns[seat] >= 0 for seat, returns in given_up]))
        return measures

    def state_dict(self) -> State:
        """Games are kept as their actions: positions may be objects that only the rules can make."""
        records = [(row, record) for row, game in enumerate(self.games) for record in game.records]
        spec = self.game.spec
        return {
            "actions": [game.actions for game in self.games],
            "checked": [game.checked for game in self.games],
            "given_up": [game.given_up for game in self.games],
            "rows": np.array([row for row, _ in records], np.int64),
            "plies": np.array([record.ply for _, record in records], np.int64),
            "policies": np.array([record.policy for _, record in records]).reshape(-1, spec.actions),
            "numbers": np.array([record.number for _, record in records], np.int64),
            "values": [np.array(game.values).reshape(-1, spec.seats) for game in self.games],
            "rng": self.rng.bit_generator.state,
        }

    def load_state_dict(self, state: State) -> None:
        self.games = [
            Ongoing(list(actions), [], list(values.copy()), checked, list(given_up))
            for actions, values, checked, given_up in zip(
                *(state[name] for name in ("actions", "values", "checked", "given_up")), strict=True
            )
        ]
        lines = [self._line(game.actions) for game in self.games]
        self.positions = np.concatenate([line[-1] for line in lines])
        for index, (row, ply) in enumerate(zip(state["rows"], state["plies"], strict=True)):
            policy, number = state["policies"][index].copy(), int(state["numbers"][index])
            self.games[row].records.append(Record(int(ply), lines[row][ply], policy, number))
        self.rng.bit_generator.state = state["rng"]

    def _line(self, actions: list[int]) -> list[Positions]:
        """The positions that a game went through."""
        line = [self.game.initial(1)]
        for action in actions:
            line.append(self.game.step(line[-1], np.array([action])))
        return line

    def close(self) -> None:
        pass
