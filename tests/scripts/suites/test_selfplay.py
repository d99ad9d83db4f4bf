"""The rows of self-play measure the same work on both sides, and name the peers that are not there."""

from __future__ import annotations

import os
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from envs.games.make import make_game
from scripts.suites import games, learners, mctx_peer, selfplay
from scripts.suites.pairs import Absent
from scripts.suites.selfplay import OnePosition, Work, module, network, replica, rounds

TINY = Work(games=4, simulations=3, blocks=1, filters=8, plies=2, burn_in=1, scanned=1, single=1)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selfplay, "WORK", TINY)
    monkeypatch.setattr(os, "environ", os.environ.copy())  # jax_of writes into it


@pytest.mark.parametrize("module_", ["pgx", "flax"])
def test_an_absent_peer_is_named(module_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(name: str) -> object:
        return None if name == module_ else find_spec("json")

    monkeypatch.setattr(learners, "find_spec", found)
    monkeypatch.setattr(learners, "version", lambda distribution: "1.0")
    row = {"pgx": "selfplay-pgx", "flax": "selfplay-open-spiel"}[module_]
    with pytest.raises(Absent, match=f"{module_} is not installed"):
        games.ROWS[row](1, 1)


def test_the_share_of_the_network_is_measured() -> None:
    row = games.ROWS["selfplay-peak"](1, 1)
    assert row.unit == "evaluations/s" and row.asked.startswith(">= 70 %")
    assert min(row.rates) > 0


def test_a_cache_is_what_saves_evaluations() -> None:
    first, second = (rounds(TINY)() for _ in range(2))
    assert first == second == TINY.games * TINY.plies * (1 + TINY.simulations)  # nobody can win so early
    assert 0 < rounds(TINY, cache=64)() < first


def test_a_position_alone_gets_what_the_network_says() -> None:
    game = make_game(selfplay.GAME)
    forward = replica(game, network(TINY, "float32"))
    positions = game.step(game.initial(1), np.array([3]))
    obs, mask = game.observe(positions)[0], game.legal(positions)[0].copy()
    mask[2] = False
    value, policy = OnePosition(game, forward).inference(obs.reshape(-1), mask)
    logits, values = forward(obs[None], np.zeros(1, np.int64))
    expected = torch.softmax(torch.from_numpy(logits[0][mask]), 0).numpy()
    np.testing.assert_allclose(policy[mask], expected, rtol=1e-5)
    assert policy[2] == 0
    np.testing.assert_array_equal(value, values[0])


@pytest.mark.parametrize("dtype", mctx_peer.FORMATS)
def test_the_network_in_jax_is_ours(dtype: str) -> None:
    jax = pytest.importorskip("jax")
    made = module(make_game(selfplay.GAME), network(TINY))
    generator = torch.Generator().manual_seed(1)
    for parameter in made.parameters():  # as they begin, much is zero
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    planes = torch.randn(5, 4, 6, 7, generator=generator)
    with torch.no_grad():
        features = made.body(planes)
        logits, value = made.policy(features), torch.tanh(made.value(features))[:, 0]
    images = jax.numpy.asarray(planes.permute(0, 2, 3, 1).numpy())
    found = mctx_peer.forward_of(jax, dtype)(mctx_peer.weights_of(made, dtype), images)
    tolerance = 1e-4 if dtype == "float32" else 0.1
    np.testing.assert_allclose(found[0], logits, atol=tolerance * float(logits.abs().max()))
    np.testing.assert_allclose(found[1], value, atol=tolerance)


@pytest.mark.parametrize("row", ["selfplay-pgx", "selfplay-pgx-cached"])
def test_both_sides_play_with_jax(row: str) -> None:
    pytest.importorskip("pgx")
    found = games.ROWS[row](1, 1)
    assert found.unit == "moves/s" and min(found.rates) > 0
    assert (found.asked == ">= 4x") == (row == "selfplay-pgx")


@pytest.mark.parametrize("row", ["selfplay-open-spiel", "selfplay-open-spiel-torch"])
def test_both_sides_play_with_open_spiel(row: str) -> None:
    pytest.importorskip("flax")
    found = games.ROWS[row](1, 1)
    assert found.unit == "moves/s" and min(found.rates) > 0
