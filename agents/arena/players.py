"""Simple players: random, one ply ahead, a policy made for environments, a person at the terminal."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.api import Policy
from agents.maths.explore import draw
from agents.records import Carry, forgets
from envs.api import TERMINAL, Array, Game, Positions, Step
from envs.games.native import NativeGame, legal_into
from envs.games.rules import kernel

CHUNK = 200_000  # positions that one_ply looks at together


@kernel
def _draw_legal(kind: int, board: Array, positions: Array, uniform: Array, chosen: Array) -> None:
    for row in range(len(positions)):
        # `chosen` is as long as there are actions; the next rows will overwrite what is not theirs
        legal = legal_into(kind, board, positions[row], chosen[row:])
        chosen[row] = chosen[row + int(uniform[row] * legal)]


class Random:
    """Every legal action with the same probability."""

    def __init__(self, game: Game, name: str = "random") -> None:
        self.game, self.name = game, name

    def probabilities(self, positions: Positions) -> Array:
        """[n, A] for whoever is to move."""
        legal = self.game.legal(positions)
        return legal / legal.sum(1, keepdims=True)

    begin = staticmethod(forgets)

    def choose(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> tuple[Carry, Array]:
        uniform = rng.random(len(positions))
        if not isinstance(self.game, NativeGame):
            return carry, draw(self.game.legal(positions), uniform)
        rules = self.game.rules
        chosen = np.empty(len(positions) + rules.spec.actions, np.int64)
        _draw_legal(rules.kind, rules.board, positions, uniform, chosen)
        return carry, chosen[: len(positions)]


class OnePly:
    """Wins at once where it can; does not let the next one win at once where it can be helped; else random.

    To win is to get more than everybody else. Raises ValueError for games in which it would have to look at what is
    hidden from it.
    """

    def __init__(self, game: Game, name: str = "one_ply") -> None:
        if not game.spec.perfect_information:
            raise ValueError(f"{name} looks ahead on the board, and in {game.spec.name} not everything is to be seen")
        self.game, self.name = game, name

    begin = staticmethod(forgets)

    def choose(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> tuple[Carry, Array]:
        rows = max(1, CHUNK // self.game.spec.actions**2)
        parts = [positions[start : start + rows] for start in range(0, len(positions), rows)]
        return carry, np.concatenate([self._choose(part, rng) for part in parts])

    def _choose(self, positions: Positions, rng: np.random.Generator) -> Array:
        parent, action, after = self._children(positions)
        wins = self._won(after, self.game.seat(positions)[parent])
        loses = np.zeros(len(action), bool)
        open_ = np.flatnonzero(self.game.seat(after) >= 0)
        child, _, reply = self._children(after[open_])
        loses[open_[child[self._won(reply, self.game.seat(after[open_])[child])]]] = True
        # a win is worth 2, what does not lose at once 1; among the best of a row all are equally likely
        worth = np.full((len(positions), self.game.spec.actions), -1)
        worth[parent, action] = np.where(wins, 2, np.where(loses, 0, 1))
        return draw(worth == worth.max(1, keepdims=True), rng.random(len(positions)))

    def _children(self, positions: Positions) -> tuple[Array, Array, Positions]:
        """All moves: the row [m] that each is made in, the action [m], and the position [m] it leads to."""
        parent, action = np.nonzero(self.game.legal(positions))
        return parent, action, self.game.step(positions[parent], action)

    def _won(self, positions: Positions, seat: Array) -> Array:
        """[n] bool: the game is over, and `seat` [n] has more than everybody else."""
        own = np.arange(self.game.spec.seats) == seat[:, None]
        returns = self.game.returns(positions)
        best = np.where(own, -np.inf, returns).max(1)
        return (self.game.seat(positions) == TERMINAL) & (returns[own] > best)


class PolicyPlayer:
    """A policy for environments, such as one that was trained in the TurnEnv of the game."""

    def __init__(self, policy: Policy, game: Game, name: str) -> None:
        self.policy, self.game, self.name = policy, game, name

    def begin(self, n: int) -> Carry:
        return self.policy.initial(n)

    def choose(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> tuple[Carry, Array]:
        n, obs = len(positions), self.game.observe(positions)
        none, paid = np.zeros(n, bool), np.zeros((n, self.game.spec.seats))
        step = Step(obs, self.game.legal(positions), self.game.seat(positions), paid, none, none, obs)
        acted = self.policy.act(carry, step, rng, explore=False)
        return acted.carry, acted.action


class Human:
    """A person at the terminal, who sees OpenSpiel's text and names actions as OpenSpiel does, or by their number."""

    def __init__(self, game: Any, name: str = "human") -> None:
        self.game, self.name = game, name  # an OpenSpielGame: its positions can print themselves

    begin = staticmethod(forgets)

    def choose(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> tuple[Carry, Array]:
        return carry, np.array([self._ask(position) for position in positions], np.int64)

    def _ask(self, position: Any) -> int:
        seat = position.current_player()
        seen = position if self.game.spec.perfect_information else self.game.information_state(_row(position))[0]
        names = {position.action_to_string(seat, action): action for action in position.legal_actions()}
        print(f"\n{seen}\nseat {seat} to move: {', '.join(f'{name} ({n})' for name, n in names.items())}")
        while True:
            said = input("> ").strip()
            if said in names:
                return int(names[said])
            if said.isdigit() and int(said) in names.values():
                return int(said)
            print(f"{said!r} is not a legal action")


def _row(position: Any) -> Positions:
    row = np.empty(1, object)
    row[0] = position
    return row
