"""The clone's loss: its optimum is the frequency of what was done, masks are kept, pictures are looked at."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from agents.config import NormalizeOptions
from agents.parts.cloning import Cloner, Examples
from agents.parts.config import StochasticOptions
from agents.torsos import spelt_out
from envs.api import Array, Continuous, Discrete, Spec

TABLE = Spec("table", (3,), "float32", Discrete(3))


def cloner(spec: Spec, **options: object) -> Cloner:
    network = StochasticOptions(**{"hidden": (), "activation": "tanh"} | options)  # type: ignore[arg-type]
    return Cloner(spec, network, NormalizeOptions(), 0.0, 0, torch.device("cpu"), False)


def fitted(made: Cloner, examples: Examples, updates: int, rate: float) -> None:
    for _ in range(updates):
        made.trained.update(rate, *examples.pick(np.arange(len(examples.obs))))


def outputs(made: Cloner, obs: Array) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = made.network(torch.from_numpy(obs))
    return found


def test_a_table_learns_how_often_each_action_was_taken() -> None:
    """Maximum likelihood without limits of the class is the empirical conditional; nothing is said of state 2."""
    counts = np.array([[6, 3, 1], [1, 0, 4]])
    state = np.repeat([0, 0, 0, 1, 1, 1], counts.reshape(-1))
    action = np.repeat([0, 1, 2, 0, 1, 2], counts.reshape(-1))
    made = cloner(TABLE, torso="mlp")
    fitted(made, Examples(np.eye(3, dtype=np.float32)[state], action, None), 300, 0.1)
    pi = outputs(made, np.eye(3, dtype=np.float32)).softmax(-1).numpy()
    np.testing.assert_allclose(pi[:2], counts / counts.sum(1, keepdims=True), atol=2e-3)
    entropy = -sum(n / 15 * math.log(n / row.sum()) for row in counts for n in row if n)
    assert made.trained.measure(np.eye(3, dtype=np.float32)[state], action)["loss"] == pytest.approx(entropy, abs=1e-3)


def test_what_was_not_legal_is_no_alternative() -> None:
    obs, mask = np.eye(3, dtype=np.float32)[[0, 0]], np.array([[True, False, True], [True, False, False]])
    made = cloner(TABLE)
    masked = made.trained.measure(obs, np.array([0, 0]), mask)["loss"]
    assert masked == pytest.approx(math.log(2) / 2, abs=0.01), "one of two, and the only one"
    assert made.trained.measure(obs, np.array([0, 0]))["loss"] == pytest.approx(math.log(3), abs=0.01)


def test_continuous_actions_are_learned_with_their_deviation() -> None:
    """One state, actions of mean 3 and deviation 0.5 in [-4, 4]: the maximum of the likelihood."""
    spec, rng = Spec("one", (1,), "float32", Continuous((-4.0,), (4.0,))), np.random.default_rng(0)
    action = rng.normal(3, 0.5, (400, 1)).astype(np.float32)
    made = cloner(spec)
    fitted(made, Examples(np.ones((400, 1), np.float32), action, None), 400, 0.05)
    mean, log_std = outputs(made, np.ones((1, 1), np.float32))[0].tolist()
    assert mean == pytest.approx(action.mean(), abs=1e-2) and math.exp(log_std) == pytest.approx(action.std(), rel=1e-2)


def test_pictures_are_looked_at_through_a_torso() -> None:
    """Left half light or right half light: two actions."""
    spec, action = Spec("picture", (1, 36, 36), "uint8", Discrete(2)), np.arange(8) % 2
    obs = np.zeros((8, 1, 36, 36), np.uint8)
    obs[::2, :, :, :18], obs[1::2, :, :, 18:] = 255, 255
    made = cloner(spec, torso=spelt_out("nature_cnn"), hidden=(16,), activation="relu")
    fitted(made, Examples(obs, action, None), 20, 3e-3)
    assert outputs(made, obs).argmax(-1).tolist() == action.tolist()


def test_observations_are_normalized_by_what_was_shown() -> None:
    made = Cloner(TABLE, StochasticOptions(), NormalizeOptions(observations=True), 0.0, 0, torch.device("cpu"), False)
    obs = np.random.default_rng(0).normal([5, 0, -1], [2, 1, 0.1], (1_000, 3)).astype(np.float32)
    made.standardize(obs)
    seen = made.network.normalize(torch.from_numpy(obs)).numpy()
    np.testing.assert_allclose([seen.mean(0), seen.std(0)], [[0] * 3, [1] * 3], atol=1e-3)
