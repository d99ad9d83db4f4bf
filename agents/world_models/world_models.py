"""World Models (Ha and Schmidhuber 2018, https://arxiv.org/abs/1803.10122): what a world shows becomes codes (V), a
memory says which codes come next (M), and a linear controller of both (C) is found by CMA-ES in what is dreamt.

Four phases of one run, each logged under its name: `play`, at random, by the actors; `codes`, a variational autoencoder
of what was shown; `memory`, an MDN-RNN of their codes; `controller`, in the dream or in the environment. The last one
is what acts, and `controller/eval/mean_reward` is always of the environment.

Differs from the paper: the memory says rewards, so that any world can be dreamt of; V has Gaussian pixels of one
learned variance; in the world the controller sees means of codes, where its dream was made of draws; the mean of the
search distribution acts, not the best of a generation; a generation dreams with the same luck.

Logs, beside what phases log as fits and learners do, under the name of the phase: `memory/`, train/codes (nats of the
next codes), train/reward (half the squared error), train/end (nats); `controller/`, train/value and train/best of a
generation, train/sigma, train/generations; and eval/dream_reward.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy

import numpy as np
import torch
from torch import Tensor

from agents.api import Algorithm, Evaluation, Parts, Source, State
from agents.arena.paired import Episodic
from agents.config import Experiment
from agents.courses.training import Training
from agents.experience.memory.latest import Latest
from agents.experience.memory.ratio import EveryCollection
from agents.experience.rollout import env_spec
from agents.fitting.configs.data import BatchLearner
from agents.fleet.make import fleet, prepare
from agents.maths.schedules import value as scheduled
from agents.parts.coding import compared, variational
from agents.records import Unroll
from agents.world_models.configs.world_models import WorldModels
from agents.world_models.dream import Dream
from agents.world_models.evolution import AtRandom, Evolution, Generation, Still, WorldActor
from agents.world_models.mind import MindPolicy, autoencoder, floats, mind_of
from agents.world_models.strategy import CMA
from agents.world_models.windows import CHUNK, Window, along, begun, sampled, strips, surprises, windows
from envs.api import Array, Spec
from experiment.course import Course
from experiment.phases import Phase, Phases
from experiment.seeding import Seeds
from generative.vae import VariationalAutoencoder
from supervised.accelerate import device_of, pays_off
from supervised.fit import Fitting
from supervised.flat import Flat
from supervised.trained import Found, Trained

LEAST = 1e-6  # variance of pixels that V begins with
JUDGES = 64  # dreams by which the mean controller is measured


def course(config: WorldModels, seeds: Seeds, build: Callable[[Experiment], Course]) -> Phases:
    """Ready to begin. Raises ValueError where world and config don't fit."""
    prepare(config.runtime)
    return Makers(config, seeds).phases()


class Makers:
    """What makes each phase of those before it."""

    def __init__(self, config: WorldModels, seeds: Seeds) -> None:
        self.config, self.seeds = config, seeds
        self.spec, self.device = env_spec(config.env), device_of(config.device)
        CMA(1, config.controller.population, 1.0, 0)  # refuse here what could not go on then
        mind_of(config, self.spec)

    def phases(self) -> Phases:
        config = self.config
        before = config.play.steps + config.codes.updates + config.memory.updates
        return Phases(
            [
                Phase("play", config.play.steps, lambda done: self.play()),
                Phase("codes", config.codes.updates, self.codes),
                Phase("memory", config.memory.updates, self.memory),
                Phase("controller", config.steps - before, self.controller),
            ]
        )

    # The phases ------------------------------------------------------------------------------------------------------

    def play(self) -> Training:
        config = self.config
        parts = Parts(Still(), Latest(), EveryCollection(0))
        evaluation = Episodic(config, lambda config, spec, device: AtRandom(spec.actions), self.seeds)
        return Training(parts, self.fleet(), evaluation, config.logging.window)

    def codes(self, done: Mapping[str, Course]) -> Fitting:
        options, spec = self.config.codes, self.spec
        shown = np.concatenate([unroll.obs.reshape(-1, *spec.obs_shape) for unroll in played(done)])
        network = autoencoder(self.config, spec, self.seeds).to(self.device)
        with torch.no_grad():  # from 1 on it would take most of the fit to come down, and codes say nothing meanwhile
            network.log_variance.fill_(math.log(max(as_floats(shown[:CHUNK]).var(), LEAST)))
        compiled = pays_off(self.config.compile, options.updates, self.device)
        trained = variational(network, options.learner.beta, options.learner.free_bits, compiled)

        def varied(rng: np.random.Generator, columns: Sequence[Array]) -> list[Array]:
            (obs,) = columns
            return [as_floats(obs), rng.standard_normal((len(obs), options.latent), np.float32)]

        @torch.no_grad()
        def show() -> Mapping[str, Array]:
            x = torch.from_numpy(as_floats(fit.held_out[0][:10])).to(self.device)
            return compared(x.cpu().numpy(), network.expected(network.posterior(x).mean).cpu().numpy())

        fit = self.fit("codes", trained, [shown], options.learner, options.updates, varied, show)
        return fit

    def memory(self, done: Mapping[str, Course]) -> Fitting:
        options, vae = self.config.memory, vae_in(done)
        mind = mind_of(self.config, self.spec, vae.encoder).to(self.device)
        network, latent = mind.memory, self.config.codes.latent
        names = ["codes", *["reward"] * options.reward, *["end"] * options.end]
        compiled = self.config.compile == "on"  # of a network that is compiled step by step, which takes minutes

        def loss(parameters: Tensor, *columns: Tensor) -> Found:
            steps = Window(*(column.transpose(0, 1) for column in columns))
            _, coming = trained.flat.call(
                parameters, network.initial(steps.z.shape[1]), steps.z, steps.action, steps.first
            )
            return surprises(coming, steps), {}

        trained = Trained(network, loss, dict.fromkeys(names, 1.0), max_gradient_norm=1.0, compiled=compiled)
        rows = windows(played(done), mind, options.window)

        def varied(rng: np.random.Generator, columns: Sequence[Array]) -> list[Array]:
            codes, following, *rest = columns
            noise = rng.standard_normal((codes.shape[0], codes.shape[1] + 1, latent), np.float32)
            return [sampled(codes, noise[:, :-1]), sampled(following, noise[:, 1:]), *rest]

        def show() -> Mapping[str, Array]:
            return strips(vae, network, fit.held_out) if len(self.spec.obs_shape) == 3 else {}

        fit = self.fit("memory", trained, rows, options.learner, options.updates, varied, show)
        return fit

    def controller(self, done: Mapping[str, Course]) -> Training:
        config, options = self.config, self.config.controller
        mind = mind_of(config, self.spec, deepcopy(vae_in(done).encoder)).to(self.device)
        memory = done["memory"]
        assert isinstance(memory, Fitting)
        mind.memory.load_state_dict(memory.trained.flat.module.state_dict())
        if options.whiten:
            mind.turn_by(along(mind, windows(played(done), mind, config.memory.window)))
        flat, seed = Flat(mind), self.seeds.integer("controller", "strategy")
        strategy = CMA(mind.controller.numel(), options.population, options.deviation, seed)
        parts = Parts(Evolution(flat, strategy), Generation(), EveryCollection())
        rng = self.seeds.generator("controller", "dream")
        begins = begun(played(done), mind)
        dream = Dream(mind, begins, options.rollouts, options.horizon, options.temperature, options.discount, rng)
        source: Source = dream if options.world == "dream" else self.fleet()
        evaluation = Transfer(Episodic(config, policy, self.seeds), dream, self.seeds)
        return Training(parts, source, evaluation, config.logging.window)

    def fleet(self) -> Source:
        return fleet(self.config, self.config.runtime, actor)

    def fit(
        self,
        name: str,
        trained: Trained,
        rows: Sequence[Array],
        learner: BatchLearner,
        updates: int,
        varied: Callable[[np.random.Generator, Sequence[Array]], list[Array]],
        show: Callable[[], Mapping[str, Array]],
    ) -> Fitting:
        order = self.seeds.generator(name, "held out").permutation(len(rows[0]))
        apart = max(1, round(len(order) * self.config.held_out))
        rest, learned = ([column[index] for column in rows] for index in (order[:apart], order[apart:]))
        rng = self.seeds.generator(name, "batches")

        def rate(progress: float) -> float:
            return scheduled(learner.learning_rate, progress)

        return Fitting(trained, learned, rest, learner.batch_size, rate, updates, rng, varied, show)


# What phases leave to those after them --------------------------------------------------------------------------------


def played(done: Mapping[str, Course]) -> list[Unroll]:
    """What random play has seen."""
    play = done["play"]
    assert isinstance(play, Training) and isinstance(play.memory, Latest)
    return play.memory.unrolls


def vae_in(done: Mapping[str, Course]) -> VariationalAutoencoder:
    codes = done["codes"]
    assert isinstance(codes, Fitting)
    vae = codes.trained.flat.module
    assert isinstance(vae, VariationalAutoencoder)
    return vae


def as_floats(obs: Array) -> Array:
    return floats(torch.from_numpy(obs)).numpy()


# Acting ---------------------------------------------------------------------------------------------------------------


class Transfer:
    """What controllers are measured by (`agents.api.Evaluation`): the environment, and what the dream promises."""

    def __init__(self, real: Evaluation, dream: Dream, seeds: Seeds) -> None:
        self.real, self.dream, self.seeds = real, dream, seeds

    def __call__(self, weights: Array, steps: int) -> Mapping[str, float]:
        controller = self.dream.mind.controller[None]
        rng = self.seeds.generator("evaluation", "dream")
        if self.dream.mind.memory.reward:
            promised = [self.dream.judge(controller, rng)[0].mean() for _ in range(-(-JUDGES // self.dream.rollouts))]
            return {**self.real(weights, steps), "eval/dream_reward": float(np.mean(promised))}
        return self.real(weights, steps)

    def state_dict(self) -> State:
        return self.real.state_dict()

    def load_state_dict(self, state: State) -> None:
        self.real.load_state_dict(state)


def policy(config: WorldModels, spec: Spec, device: torch.device) -> MindPolicy:
    return MindPolicy(mind_of(config, spec), device)


def actor(config: WorldModels, index: int, incarnation: int) -> WorldActor:
    return WorldActor(config, index, incarnation)


ALGORITHM = Algorithm[WorldModels](course=course, actor=actor, policy=policy)
