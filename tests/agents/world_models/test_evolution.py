from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.records import Episodes, Experience, Sample
from agents.registry import parse
from agents.world_models.configs.world_models import WorldModels
from agents.world_models.evolution import Evolution, Generation, Judged, WorldActor
from agents.world_models.mind import mind_of
from agents.world_models.strategy import CMA
from envs.pixels import Hover
from supervised.flat import Flat
from tests.runs import raw

pytest.importorskip("cma")


def actor(index: int = 0, actors: int = 1, rows: int = 4) -> WorldActor:
    env = {"id": "pixels/Hover-v0", "count": rows * actors, "options": {"size": 8}, "max_episode_steps": 20}
    config = parse(raw("world_models", env=env, runtime={"actors": actors}))
    assert isinstance(config, WorldModels)
    return WorldActor(config, index, 0)


def learner(of: WorldActor) -> Evolution:
    mind = mind_of(of.config, of.env.spec)
    return Evolution(Flat(mind), CMA(mind.controller.numel(), 4, 1.0, 0))


def test_without_weights_it_plays_at_random_and_with_them_it_judges() -> None:
    performer = actor()
    performer.load(np.empty(0, np.float32), 0)
    assert performer.collect().rows.obs.shape == (31, 4, 1, 8, 8)
    performer.load(learner(performer).weights(), 1)
    judged = performer.collect()
    assert isinstance(judged.rows, Judged) and judged.rows.candidate.tolist() == [0, 1, 2, 3]
    assert len(judged.episodes.returns) == 8 and judged.steps == sum(judged.episodes.lengths)
    means = np.reshape(judged.episodes.returns, (4, 2)).mean(1)
    np.testing.assert_allclose(judged.rows.value, means)


@pytest.mark.parametrize("rows", [1, 3, 8, 11])
def test_every_controller_gets_its_episodes_however_many_rows_there_are(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a world that pays what is done to it: each return is its own controller's, and as long as its episode."""
    performer = actor(rows=rows)
    weights = learner(performer).weights()
    size, outputs = performer.policy.mind.controller.numel(), 2
    generation = np.zeros((4, size), np.float32)
    generation[:, -outputs] = np.arctanh([0.1, 0.2, 0.3, 0.4])  # its constant alone decides

    step = Hover.step

    def paying(self: Hover, action: np.ndarray) -> object:
        return step(self, action)._replace(reward=action[:, :1].astype(np.float64))

    monkeypatch.setattr(Hover, "step", paying)
    performer.load(np.concatenate([weights[: -4 * size], generation.ravel()]), 1)
    judged = performer.collect()
    per_step = np.array(judged.episodes.returns) / judged.episodes.lengths
    np.testing.assert_allclose(per_step, np.repeat([0.1, 0.2, 0.3, 0.4], 2), rtol=1e-5)


def test_actors_share_a_generation_and_it_is_put_together_again() -> None:
    memory = Generation()
    for index in (1, 0):
        performer = actor(index, actors=2)
        performer.load(learner(performer).weights(), 3)
        memory.add(performer.collect())
    again = Generation()
    again.load_state_dict(memory.state_dict())
    rows, same = memory.sample().rows, again.sample().rows
    assert rows.candidate.tolist() == [0, 1, 2, 3] and rows.value.tolist() == same.value.tolist()
    assert memory.parts == []


def test_the_mean_acts_and_the_generation_is_behind_it() -> None:
    performer = actor()
    evolution = learner(performer)
    values = np.array([0.0, 3.0, 1.0, 2.0])
    asked = evolution.strategy.ask()
    evolution.update(Sample(Judged(np.arange(4), values)))
    assert evolution.metrics()["train/best"] == 3.0 and evolution.metrics()["train/generations"] == 1
    performer.load(evolution.weights(), 1)
    mean = torch.from_numpy(evolution.strategy.mean.astype(np.float32))
    torch.testing.assert_close(performer.policy.mind.controller, mean)
    assert performer.generation is not None
    np.testing.assert_allclose(performer.generation.numpy(), evolution.strategy.ask(), rtol=1e-6)
    assert asked[1] @ mean.numpy() > asked[0] @ mean.numpy(), "it moved towards who was worth most"


def test_what_is_judged_is_played_anew_by_an_actor_that_was_replaced() -> None:
    performer = actor()
    weights = learner(performer).weights()
    performer.load(weights, 5)
    first = performer.collect()
    another = actor()
    another.load(weights, 5)
    np.testing.assert_array_equal(another.collect().rows.value, first.rows.value)
    assert performer.state_dict() == {}
    other_version = actor()
    other_version.load(weights, 6)
    assert (other_version.collect().rows.value != first.rows.value).any()


def test_experiences_without_candidates_are_no_generation() -> None:
    memory = Generation()
    memory.add(Experience(Judged(np.array([1]), np.array([2.0])), 1, Episodes([], []), 0, 0))
    assert memory.sample().rows.value.tolist() == [2.0]
