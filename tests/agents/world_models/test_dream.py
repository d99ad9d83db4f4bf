"""Dreams of a world whose best rule is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.world_models.configs.world_models import WorldModels
from agents.world_models.dream import Dream, imagine, luck_of
from agents.world_models.evolution import Evolution, Generation
from agents.world_models.mind import Mind
from agents.world_models.strategy import CMA
from generative.mdn import MixtureDensityRNN
from supervised.flat import Flat
from supervised.trained import Found, Trained
from tests.agents.world_models.known import DEVIATION, ENTROPY, A, B, begins, lived_through, mind, riccati

pytest.importorskip("cma")


def dream(of: Mind, temperature: float = 1.0, discount: float = 0.9, rollouts: int = 64) -> Dream:
    rng = np.random.default_rng(0)
    return Dream(of, begins(200), rollouts, 30, temperature, discount, rng)


def found(source: Dream, generations: int) -> np.ndarray:
    """The mean controller after so many: weight and bias."""
    strategy = CMA(source.mind.controller.numel(), 16, 0.5, 0)
    learner, memory = Evolution(Flat(source.mind), strategy), Generation()
    for version in range(generations):
        source.publish(learner.weights(), version)
        for experience in source.collect():
            memory.add(experience)
        learner.update(memory.sample())
    return strategy.mean


def test_a_dream_is_what_would_be_lived_through() -> None:
    """Of a memory that knows the world, by the same luck."""
    thinker, discount, gains = mind(), 0.9, (0.3, 0.8)
    controllers = torch.tensor([[-gain, 0.0] for gain in gains])
    z = begins(5)[:, :1].repeat(2, 1)
    once, again = (luck_of(np.random.default_rng(1), 5, 1, z.device) for _ in range(2))
    returns, lengths = imagine(thinker, controllers, z, once, 7, 1.0, discount)
    noise = np.stack([next(again)[1].numpy()[:, 0] for _ in range(7)], 1)
    expected = [lived_through(k, float(z[r]), noise[r], discount) for k in gains for r in range(5)]
    np.testing.assert_allclose(returns.numpy(), expected, rtol=1e-4, atol=1e-5)
    assert (lengths == 7).all()


def test_nobody_dreams_otherwise_for_who_dreams_beside() -> None:
    thinker = mind("z_h")
    controllers = torch.randn(6, thinker.controller.numel(), generator=torch.Generator().manual_seed(0))
    all_of_them, _ = dream(thinker).judge(controllers, np.random.default_rng(2))
    alone, _ = dream(thinker).judge(controllers[4:5], np.random.default_rng(2))
    np.testing.assert_allclose(all_of_them[4:5], alone, rtol=1e-5)


def test_the_end_of_an_episode_pays_and_nothing_after_it() -> None:
    """A memory that is sure of the end after the first step."""

    class Ending(type(mind().memory)):  # type: ignore[misc]
        def forward(self, carry, z, action, first):  # type: ignore[no-untyped-def]
            carry, coming = super().forward(carry, z, action, first)
            return carry, coming._replace(end=torch.full(z.shape[:2], 50.0))

    thinker = mind(memory=Ending())
    returns, lengths = dream(thinker).judge(torch.tensor([[-0.5, 0.0]]), np.random.default_rng(3))
    assert (lengths == 1).all() and (returns < 0).all() and (returns > -3).all()


def test_evolution_in_the_dream_finds_the_gain_of_riccati() -> None:
    weight, bias = found(dream(mind()), 40)
    assert -weight == pytest.approx(riccati(0.9), rel=0.05) and abs(bias) < 0.02
    assert riccati(0.9) != pytest.approx(riccati(1.0), rel=0.05), "the broken variant, without discount, is noticed"


def test_a_low_temperature_promises_more_than_the_world_keeps() -> None:
    """Noise costs; a dream without it doesn't know."""
    controller = torch.tensor([[-riccati(0.9), 0.0]])
    promises = {tau: dream(mind(), tau).judge(controller, np.random.default_rng(0))[0].mean() for tau in (0.01, 1.0)}
    rng = np.random.default_rng(5)
    starts, noise = rng.normal(0, 0.15, 1_000), rng.standard_normal((1_000, 30))
    real = np.mean([lived_through(riccati(0.9), z, n, 0.9) for z, n in zip(starts, noise, strict=True)])
    assert promises[0.01] > 0.5 * promises[1.0] and promises[1.0] == pytest.approx(real, rel=0.25)


@pytest.mark.slow
def test_a_memory_that_learned_the_world_leads_to_the_same_gain() -> None:
    """Its surprise comes down to the entropy of a step; from there on CMA-ES knows nothing of the world."""
    rng, rows, steps = np.random.default_rng(0), 4_000, 20
    z, u = np.empty((steps + 1, rows), np.float32), rng.uniform(-1, 1, (steps, rows)).astype(np.float32)
    z[0] = rng.normal(0, 0.5, rows)
    for t in range(steps):
        z[t + 1] = A * z[t] + B * u[t] + DEVIATION * rng.standard_normal(rows)
    network = MixtureDensityRNN("lstm", 1, 1, 32, 2, torch.Generator().manual_seed(0), reward=True, end=False)
    first = torch.zeros(steps, 128, dtype=torch.bool)

    def loss(parameters: torch.Tensor, z: torch.Tensor, u: torch.Tensor, following: torch.Tensor) -> Found:
        _, coming = trained.flat.call(parameters, network.initial(z.shape[1]), z, u, first)
        assert coming.reward is not None
        reward = (coming.reward + (z.square() + u.square())[..., 0]).square()
        return {"codes": -coming.codes.log_prob(following)[..., 0], "reward": reward}, {}

    trained = Trained(network, loss, {"codes": 1.0, "reward": 10.0})
    columns = [torch.from_numpy(part)[..., None] for part in (z[:-1], u, z[1:])]
    for update in range(4_000):
        chosen = torch.from_numpy(rng.integers(rows - 128, size=128))
        trained.update(3e-3 * (1 - update / 4_000), *(column[:, chosen] for column in columns))
    with torch.no_grad():
        everything = torch.zeros(steps, rows, dtype=torch.bool)
        _, coming = network(network.initial(rows), columns[0], columns[1], everything)
        surprise = -coming.codes.log_prob(columns[2]).mean().item()
    print("surprise", surprise, "entropy", ENTROPY)
    assert ENTROPY - 0.01 < surprise < ENTROPY + 0.02
    weight, _ = found(dream(mind("z", network)), 60)
    print("gain", -weight, "riccati", riccati(0.9))
    assert -weight == pytest.approx(riccati(0.9), rel=0.1)


def test_the_defaults_are_those_of_an_honest_dream() -> None:
    assert WorldModels.model_fields["controller"].default.temperature == 1.0
