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
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

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
from agents.records import Unroll, lived
from agents.world_models.configs.world_models import WorldModels
from agents.world_models.dream import Dream
from agents.world_models.evolution import AtRandom, Evolution, Generation, Still, WorldActor
from agents.world_models.mind import Manner, Mind, MindPolicy, autoencoder, floats, mind_of
from agents.world_models.strategy import CMA
from envs.api import Array, Spec
from experiment.course import Course
from experiment.phases import Phase, Phases
from experiment.seeding import Seeds
from generative.mdn import Coming, MixtureDensityRNN
from generative.vae import VariationalAutoencoder
from supervised.accelerate import device_of, pays_off
from supervised.fit import Fitting
from supervised.flat import Flat
from supervised.pictures import tiled
from supervised.trained import Found, Trained

CHUNK = 1_024  # pictures that are encoded at once
LEAST = 1e-6  # variance of pixels that V begins with
SEEN, DREAMT = 5, 10  # steps of a strip that are shown to the memory, and that it then dreams
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
            network.log_variance.fill_(math.log(max(_floats(shown[:CHUNK]).var(), LEAST)))
        compiled = pays_off(self.config.compile, options.updates, self.device)
        trained = variational(network, options.learner.beta, options.learner.free_bits, compiled)

        def varied(rng: np.random.Generator, columns: Sequence[Array]) -> list[Array]:
            (obs,) = columns
            return [_floats(obs), rng.standard_normal((len(obs), options.latent), np.float32)]

        @torch.no_grad()
        def show() -> Mapping[str, Array]:
            x = torch.from_numpy(_floats(fit.held_out[0][:10])).to(self.device)
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
        rows = windows(played(done), mind, options.window, mind.manner)

        def varied(rng: np.random.Generator, columns: Sequence[Array]) -> list[Array]:
            codes, following, *rest = columns
            noise = rng.standard_normal((codes.shape[0], codes.shape[1] + 1, latent), np.float32)
            return [drawn(codes, noise[:, :-1]), drawn(following, noise[:, 1:]), *rest]

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
            mind.turn_by(along(mind, windows(played(done), mind, config.memory.window, mind.manner)))
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


def _floats(obs: Array) -> Array:
    return floats(torch.from_numpy(obs)).numpy()


@torch.inference_mode()
def encoded(mind: Mind, obs: Array) -> Array:
    """Means and log variances [n, 2 Z] of pictures [n, *obs]."""
    device = mind.controller.device
    parts = [torch.from_numpy(obs[start : start + CHUNK]).to(device) for start in range(0, len(obs), CHUNK)]
    return torch.cat([mind.posterior(part) for part in parts]).cpu().numpy()


def begun(unrolls: Sequence[Unroll], mind: Mind) -> Tensor:
    """Means and log variances [n, 2 Z] of what episodes began with."""
    shown = np.concatenate([unroll.obs[:-1][unroll.first[:-1]] for unroll in unrolls])
    return torch.from_numpy(encoded(mind, shown)).to(mind.controller.device)


# What the memory learns -----------------------------------------------------------------------------------------------


class Window(NamedTuple):
    """Steps in a row: [n, L, ...] as rows of a fit, [L, n, ...] as a network reads them."""

    z: Tensor  # [..., Z] of what was shown; as rows of a fit means and log variances [..., 2 Z]
    following: Tensor  # [..., Z] of what was shown next
    action: Tensor  # [..., A] as networks are told it
    reward: Tensor  # [...]
    end: Tensor  # [...] 1 where it terminated
    first: Tensor  # [...] bool


def windows(unrolls: Sequence[Unroll], mind: Mind, length: int, manner: Manner) -> list[Array]:
    """The columns of `Window` [n, L, ...] of all steps, but for those that are left at the end of an unroll."""
    parts = [_windows(unroll, mind, length, manner) for unroll in unrolls]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _windows(unroll: Unroll, mind: Mind, length: int, manner: Manner) -> list[Array]:
    steps, rows = unroll.reward.shape
    every = lived(unroll)
    columns = (
        encoded(mind, every.obs),
        encoded(mind, every.next_obs),
        manner.told(every.action),
        every.reward,
        every.terminated.astype(np.float32),
        unroll.first[:-1].reshape(-1),
    )
    whole = steps // length

    def cut(column: Array) -> Array:
        apart = column.reshape(steps, rows, *column.shape[1:])[: whole * length]
        apart = apart.reshape(whole, length, rows, *column.shape[1:])
        return np.moveaxis(apart, 2, 1).reshape(whole * rows, length, *column.shape[1:])

    return [cut(column) for column in columns]


@torch.inference_mode()
def along(mind: Mind, rows: Sequence[Array]) -> Array:
    """What a controller sees at each step of the first windows [n, features]."""
    codes, _, action, _, _, first = (torch.from_numpy(column[:CHUNK]).to(mind.controller.device) for column in rows)
    z, carry, seen = codes.chunk(2, -1)[0], mind.memory.initial(len(codes)), list[Tensor]()
    for t in range(z.shape[1]):
        carry = {name: part * ~first[:, t, None, None] for name, part in carry.items()}
        seen.append(mind.seen(z[:, t], carry))
        carry, _ = mind.foresee(carry, z[:, t], action[:, t])
    return torch.cat(seen).cpu().numpy()


def drawn(codes: Array, noise: Array) -> Array:
    """Codes [..., Z] of their means and log variances [..., 2 Z]."""
    mean, log_variance = np.split(codes, 2, -1)
    found: Array = mean + np.exp(0.5 * log_variance) * noise
    return found


def surprises(coming: Coming, steps: Window) -> Mapping[str, Tensor]:
    """Terms of the loss [L, n]: of the codes and the end in nats, of the reward half the squared error."""
    found = {"codes": -coming.codes.log_prob(steps.following).sum(-1)}
    if coming.reward is not None:
        found["reward"] = 0.5 * (coming.reward - steps.reward).square()
    if coming.end is not None:
        found["end"] = binary_cross_entropy_with_logits(coming.end, steps.end, reduction="none")
    return found


@torch.no_grad()
def strips(vae: VariationalAutoencoder, network: MixtureDensityRNN, rows: Sequence[Array]) -> Mapping[str, Array]:
    """What was shown, as its codes have it, above what the memory dreams of the same actions once it has seen the first
    steps: three such pairs, one below the other."""
    device, rng = next(network.parameters()).device, np.random.default_rng(0)
    length = min(SEEN + DREAMT, rows[0].shape[1])
    codes, _, action, _, _, first = (torch.from_numpy(column[:3, :length]).to(device) for column in rows)
    true = codes.chunk(2, -1)[0].transpose(0, 1)
    first, action = first.transpose(0, 1), action.transpose(0, 1)
    seen, carry, z = list[Tensor](), network.initial(true.shape[1]), true[0]
    for t in range(length):
        z = true[t] if t < SEEN else z
        seen.append(z)
        carry, coming = network(carry, z[None], action[t : t + 1], first[t : t + 1])
        uniform, noise = (
            torch.from_numpy(draw.astype(np.float32)).to(device)
            for draw in (rng.random(coming.codes.mean.shape[1:3]), rng.standard_normal(coming.codes.mean.shape[1:3]))
        )
        z = type(coming.codes)(*(part[0] for part in coming.codes)).at(uniform, noise)
    both = torch.stack([true, torch.stack(seen)], 1).permute(2, 1, 0, 3).flatten(0, 2)  # by strip, then by time
    return {"imagined": tiled(vae.expected(both).clamp(0, 1).cpu().numpy(), length)}


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
