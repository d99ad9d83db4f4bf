"""Config of World Models. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from agents.config import Acting, CoderOptions
from agents.fitting.configs.data import BatchLearner
from agents.fitting.configs.vae import VariationalLearner
from agents.footprint import Footprint, Shown, shown_bytes, step_bytes
from envs.api import Continuous, MultiDiscrete, Spec
from experiment.config import Config, Count, Fixed, Fraction, Positive, PositiveFloat, Rows


class PlayOptions(Config):
    steps: Fixed[Positive] = 20_000
    """environment steps of random play, over all environments together"""
    length: Fixed[Rows] = 100
    """steps of every environment in one collection"""

    def footprint(self, run: Any, world: Shown) -> Footprint:
        assert isinstance(world, Spec)
        return {"steps": self.steps * (step_bytes(world) + 2 * shown_bytes(world))}  # as rows of the fits too


class CodeOptions(Config):
    updates: Fixed[Positive] = 5_000
    """of the variational autoencoder"""
    latent: Fixed[Count] = 4
    """numbers that a picture becomes"""
    network: Fixed[CoderOptions] = CoderOptions()
    """the encoder; the decoder is its mirror image"""
    learner: VariationalLearner = VariationalLearner()
    """the update"""


class MemoryOptions(Config):
    updates: Fixed[Positive] = 5_000
    """of the network that says what comes next"""
    kind: Fixed[Literal["rnn", "gru", "lstm"]] = "lstm"
    """cells that remember the episode"""
    width: Fixed[Count] = 64
    """numbers that it remembers, h"""
    mixtures: Fixed[Annotated[int, Field(gt=0, le=1_000)]] = 5
    """normals of which each next code is a mixture"""
    reward: Fixed[bool] = True
    """say rewards too; a dream needs it"""
    end: Fixed[bool] = True
    """say too whether the episode ends"""
    window: Fixed[Rows] = 25
    """steps that are learned from in a row"""
    learner: BatchLearner = BatchLearner()
    """the update; its rows are windows"""


class LinearOptions(Config):
    world: Fixed[Literal["dream", "real"]] = "dream"
    """where it is found: in what was learned, or in the environment, on the fleet"""
    sees: Fixed[Literal["z", "z_h", "z_h_c"]] = "z_h"
    """of a step the codes z, what is remembered h, and the cells c of an lstm"""
    bias: Fixed[bool] = True
    """a constant beside what it sees"""
    whiten: Fixed[bool] = False
    """turn and scale what it sees so that in random play all of it varies alike; the paper doesn't"""
    population: Fixed[Annotated[int, Field(ge=4, le=65_536)]] = 64
    """controllers of one generation of CMA-ES"""
    rollouts: Positive = 8
    """episodes by which one of them is judged"""
    deviation: Fixed[PositiveFloat] = 0.5
    """of the weights of the first generation, around 0"""
    temperature: PositiveFloat = 1.0
    """of the dream: above 1 more uncertain than what was learned, below 1 less, and easier to cheat"""
    horizon: Positive = 100
    """steps after which a dream is cut off"""
    discount: Fraction = 1.0
    """gamma of what a dream is worth"""


class WorldModels(Acting):
    algorithm: Literal["world_models"] = "world_models"
    """World Models: codes of pictures, a memory that says what comes next, and a linear controller of both"""
    steps: Positive = 200_000
    """in all: environment steps of random play, updates of both fits, then steps of controllers, dreamt or real"""
    play: PlayOptions = PlayOptions()
    """what is learned from"""
    held_out: Fixed[Annotated[float, Field(gt=0, lt=1)]] = 0.1
    """fraction of it, drawn by the seed, that the fits don't learn from: they are measured by it"""
    codes: CodeOptions = CodeOptions()
    """V: what pictures become"""
    memory: MemoryOptions = MemoryOptions()
    """M: what is thought to come next"""
    controller: LinearOptions = LinearOptions()
    """C: what is done"""

    @model_validator(mode="after")
    def _a_controller_is_found_too(self) -> Self:
        before = self.play.steps + self.codes.updates + self.memory.updates
        if self.steps <= before:
            raise ValueError(
                f"steps ({self.steps}) are not more than play.steps + codes.updates + memory.updates ({before}): "
                "none are left for the controller"
            )
        return self

    @model_validator(mode="after")
    def _what_is_dreamt_is_said(self) -> Self:
        if self.controller.world == "dream" and not self.memory.reward:
            raise ValueError("controller.world is dream, which needs rewards: set memory.reward=true")
        if self.controller.sees == "z_h_c" and self.memory.kind != "lstm":
            raise ValueError(f"controller.sees is z_h_c, but memory.kind={self.memory.kind} has no cells: use lstm")
        if self.memory.window > self.play.length:
            raise ValueError(f"memory.window ({self.memory.window}) is longer than play.length ({self.play.length})")
        return self

    @model_validator(mode="after")
    def _whole_generations_are_judged_alone(self) -> Self:
        if self.env.game is not None:
            raise ValueError(f"world_models acts alone in an environment, and {self.env.id} is a game")
        if self.runtime.mode == "asynchronous":
            raise ValueError("a generation is judged as a whole: set runtime.mode=synchronous")
        if self.controller.population % self.runtime.actors:
            raise ValueError(
                f"controller.population ({self.controller.population}) is not divisible by runtime.actors "
                f"({self.runtime.actors}): each actor judges as many"
            )
        return self

    def require_world(self, world: Shown) -> None:
        actions = world.actions if isinstance(world, Spec) else None
        bounds = (*actions.low, *actions.high) if isinstance(actions, Continuous) else ()
        if isinstance(actions, MultiDiscrete) or not all(map(isfinite, bounds)):
            raise ValueError(
                f"world_models chooses one of some actions, or numbers between bounds; {self.env.id} has {actions}"
            )
