"""Models that are written down as tables, for tests: finite Markov decision processes of any seats, and whole games."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agents.search.api import Evaluator, ModelSpec
from agents.search.model import Prediction
from envs.api import TERMINAL, Array, Game


class TableModel(NamedTuple):
    """`agents.search.model.Model` of S states: what is observed of a state, and its embedding, is its number."""

    following: Array  # [S, A] int64
    reward: Array  # [S, A, P]
    discount: Array  # [S, A]
    seat: Array  # [S] int64
    logits: Array  # [S, A] float32
    values: Array  # [S, P]: what the model says, right or wrong

    @property
    def spec(self) -> ModelSpec:
        return ModelSpec("table", self.reward.shape[1], self.reward.shape[2])

    def root(self, positions: Array, seeds: Array) -> Prediction:
        n, seats = len(positions), self.reward.shape[2]
        return self._predict(np.full((n, seats), np.nan_to_num(np.inf)), np.zeros(n), positions)  # not read

    def recurrent(self, embeddings: Array, actions: Array, seeds: Array) -> Prediction:
        states = self.following[embeddings, actions]
        return self._predict(self.reward[embeddings, actions], self.discount[embeddings, actions], states)

    def _predict(self, reward: Array, discount: Array, states: Array) -> Prediction:
        return Prediction(reward, discount, self.seat[states], self.logits[states], self.values[states], states)


def random_table(rng: np.random.Generator, states: int, actions: int, seats: int = 1, scale: float = 1.0) -> TableModel:
    """What seats do to each other by chance, and a model that has learned nothing yet."""
    return TableModel(
        following=rng.integers(states, size=(states, actions)),
        reward=scale * rng.uniform(-1, 1, (states, actions, seats)),
        discount=rng.choice([0.0, 0.5, 0.9], size=(states, actions)),
        seat=rng.integers(seats, size=states),
        logits=rng.normal(size=(states, actions)).astype(np.float32),
        values=scale * rng.uniform(-1, 1, (states, seats)),
    )


def optimal_values(model: TableModel, sweeps: int = 500) -> Array:
    """The action values [S, A] of a table of one seat, by value iteration."""
    q = np.zeros(model.discount.shape)
    for _ in range(sweeps):
        q = model.reward[:, :, 0] + model.discount * q.max(1)[model.following]
    return q


def table_of(game: Game, evaluator: Evaluator) -> tuple[TableModel, dict[bytes, int]]:
    """A native game as a table that knows what `evaluator` would say, and the state of each position.

    What a seat wins is the reward of the last action, and nothing follows it.
    """
    positions = game.initial(1)
    number, states = {positions[0].tobytes(): 0}, [positions[0]]
    following: list[tuple[int, int, int]] = []
    for state, position in enumerate(states):  # which grow meanwhile
        for action in np.flatnonzero(game.legal(position[None])[0]).tolist():
            reached = game.step(position[None], np.array([action]))[0]
            if reached.tobytes() not in number:
                number[reached.tobytes()] = len(states)
                states.append(reached)
            following.append((state, action, number[reached.tobytes()]))
    return _filled(game, evaluator, np.stack(states), np.array(following)), number


def _filled(game: Game, evaluator: Evaluator, positions: Array, edges: Array) -> TableModel:
    (states, spec), (begin, action, end) = (len(positions), game.spec), edges.T
    over = game.seat(positions) == TERMINAL
    model = TableModel(
        following=np.zeros((states, spec.actions), np.int64),
        reward=np.zeros((states, spec.actions, spec.seats)),
        discount=np.ones((states, spec.actions)),
        seat=np.maximum(game.seat(positions), 0),
        logits=np.full((states, spec.actions), -np.inf, np.float32),
        values=np.zeros((states, spec.seats)),
    )
    model.following[begin, action] = end
    model.reward[begin, action] = np.where(over[end, None], game.returns(positions)[end], 0.0)
    model.discount[begin, action] = ~over[end]
    estimate = evaluator(positions[~over], np.zeros(int((~over).sum()), np.uint64))
    model.values[~over] = estimate.values
    model.logits[~over] = np.where(game.legal(positions[~over]), estimate.logits, -np.inf)
    model.logits[over] = 0.0  # what follows the end is worth nothing, whatever is done
    return model
