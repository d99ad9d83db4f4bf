"""A recurrent algorithm, made for tests: action values of a GRU, learned from sequences by Monte Carlo.

    python scripts/train.py recurrent.yaml --import tests.recurrent

Q(h_t, a_t) is moved towards the return of the episode from t on, a goal that doesn't depend on the network; steps whose
episode goes on behind the sequence have none. As in R2D2, a sequence begins with the carry that was stored with it, and
its first `burn_in` steps only warm that up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from agents.api import Actor, Algorithm, Parts
from agents.config import Collection, Control
from agents.experience.memory.ratio import PerStep
from agents.experience.memory.replay import Replay
from agents.experience.memory.sequences import Sequences
from agents.experience.memory.uniform import Uniform
from agents.experience.rollout import actor_of
from agents.maths.explore import epsilon_greedy
from agents.parts.state import Assembled
from agents.records import Acted, Carry, Round, Sample, Unroll
from agents.registry import ALGORITHMS, Entry
from envs.api import Array, Discrete, Spec, Step
from experiment.config import Config, Fixed, Fraction, Natural, Positive, PositiveFloat
from experiment.seeding import Seeds
from supervised.flat import Flat
from supervised.trained import Found, Trained


class RecurrentLearner(Config):
    learning_rate: PositiveFloat = 1e-2
    """step size of Adam"""
    batch_size: Positive = 32
    """sequences of one update"""
    updates_per_step: Fixed[PositiveFloat] = 0.1
    """updates per environment step"""
    length: Fixed[Positive] = 10
    """steps of a sequence"""
    overlap: Fixed[Natural] = 4
    """steps that a sequence shares with the next one"""
    burn_in: Natural = 1
    """steps at the beginning of a sequence that are not learned from"""
    capacity: Fixed[Positive] = 4_000
    """steps kept"""
    start: Fixed[Natural] = 200
    """environment steps before the first update"""


class Recurrent(Control):
    algorithm: Literal["recurrent"] = "recurrent"
    """Monte-Carlo values of a GRU"""
    rollout: Collection = Collection(steps=3)
    """how much is collected between updates"""
    hidden: Fixed[Positive] = 16
    """what is remembered"""
    forgetful: Fixed[bool] = False
    """remember nothing: the same network, begun anew at each step"""
    epsilon: Fraction = 0.3
    """probability of a random action"""
    learner: RecurrentLearner = RecurrentLearner()
    """how it learns"""


class Memoir(nn.Module):
    """obs [B, *obs], hidden [B, H] -> action values [B, A], hidden [B, H]."""

    def __init__(self, spec: Spec, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        assert isinstance(spec.actions, Discrete)
        self.cell = nn.GRUCell(int(np.prod(spec.obs_shape)), hidden)
        self.head = nn.Linear(hidden, spec.actions.n)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-(hidden**-0.5), hidden**-0.5, generator=generator)

    def forward(self, obs: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.cell(obs.flatten(1), hidden)
        return self.head(hidden), hidden


class Policy:
    """Greedy in the values, epsilon-greedy when exploring. Carry: hidden [B, H] float32.

    It says which seat moved, since in games of two each has a memory of its own, and the values that it went by.
    """

    def __init__(self, config: Recurrent, spec: Spec) -> None:
        self.network = Memoir(spec, config.hidden, torch.Generator())
        self.flat, self.config = Flat(self.network), config

    def initial(self, batch: int) -> Carry:
        return {"hidden": np.zeros((batch, self.config.hidden), np.float32)}

    @torch.no_grad()
    def act(self, carry: Carry, step: Step, rng: np.random.Generator, explore: bool) -> Acted:
        values, hidden = self.network(torch.tensor(step.obs), torch.tensor(carry["hidden"]))
        action = epsilon_greedy(values.numpy(), self.config.epsilon if explore else 0.0, step.mask, rng)
        extras = {"seat": step.seat.copy(), "values": values.numpy()} if explore else {}
        return Acted(self.initial(len(action)) if self.config.forgetful else {"hidden": hidden.numpy()}, action, extras)

    def load(self, weights: Array) -> None:
        self.flat.load(weights)


class Learner(Assembled):
    STATE = ("trained", "updates")

    def __init__(self, config: Recurrent, spec: Spec, seeds: Seeds) -> None:
        self.config, self.updates = config, 0
        network = Memoir(spec, config.hidden, torch.Generator().manual_seed(seeds.integer("learner", "network")))
        self.trained = Trained(network, self.loss, {"loss": 1.0}, max_gradient_norm=1.0)

    def begin_round(self, round: Round) -> None:
        """Nothing depends on it."""

    def update(self, sample: Sample) -> None:
        self.updates += 1
        unroll: Unroll = sample.rows
        goal, known = goals(unroll)
        known[: self.config.learner.burn_in] = False
        first = np.ones_like(unroll.first) if self.config.forgetful else unroll.first
        seat = unroll.extras["seat"]
        carry, action = unroll.carry["hidden"], unroll.action
        self.trained.update(self.config.learner.learning_rate, unroll.obs, first, seat, carry, action, goal, known)

    def loss(
        self,
        parameters: Tensor,
        obs: Tensor,
        first: Tensor,
        seat: Tensor,
        carry: Tensor,
        action: Tensor,
        goal: Tensor,
        known: Tensor,
    ) -> Found:
        """The squared error of the values [T, B] of what was done, where the goal is known."""
        values = self.values(parameters, obs, first, seat, carry).gather(2, action.unsqueeze(2)).squeeze(2)
        return {"loss": (values - goal).square() * known}, {}

    def values(self, parameters: Tensor, obs: Tensor, first: Tensor, seat: Tensor, carry: Tensor) -> Tensor:
        """Action values [T, B, A] of the first T of obs [T + 1, B, *obs]. Without gradients through the burn-in.

        first [T + 1, B]: where memory begins anew. seat [T, B]: whose memory it is, of carry [B, H] or [B, P, H].
        """
        rows, found = torch.arange(len(carry)), []
        memory = carry.clone() if carry.ndim == 3 else carry.unsqueeze(1).clone()
        for t in range(len(seat)):
            memory = memory * ~first[t, :, None, None]
            values, hidden = self.trained.flat.call(parameters, obs[t], memory[rows, seat[t]])
            memory = memory.index_put((rows, seat[t]), hidden.detach() if t < self.config.learner.burn_in else hidden)
            found.append(values)
        return torch.stack(found)

    def metrics(self) -> Mapping[str, float]:
        return self.trained.drain("train/") | {"train/n_updates": self.updates}

    def weights(self) -> Array:
        weights: Array = self.trained.flat.weights()
        return weights


def goals(unroll: Unroll) -> tuple[Array, Array]:
    """Undiscounted returns from each step on, as the one who moves sees them, [T, B] float32, and whether the episode
    ended within the sequence, bool."""
    discount, after = unroll.discount(1.0).astype(np.float32), np.zeros(unroll.reward.shape[1], np.float32)
    goal, known, ended = np.empty_like(unroll.reward), np.zeros(unroll.reward.shape, bool), np.zeros(len(after), bool)
    for t in reversed(range(len(goal))):
        closed = unroll.terminated[t] | unroll.truncated[t]
        after, ended = np.where(closed, 0, after), ended | closed
        after = unroll.reward[t] + discount[t] * after
        goal[t], known[t] = after, ended
    return goal, known


def make(config: Recurrent, spec: Spec, seeds: Seeds, device: torch.device) -> Parts:
    options = config.learner
    table = Sequences(options.capacity, config.env.count, options.length, options.overlap)
    memory = Replay(table, Uniform(), options.batch_size, seeds.generator("memory"))
    return Parts(Learner(config, spec, seeds), memory, PerStep(options.updates_per_step, options.start))


def policy(config: Recurrent, spec: Spec, device: torch.device) -> Policy:
    return Policy(config, spec)


def actor(config: Recurrent, index: int, incarnation: int) -> Actor:
    return actor_of(config, policy, index, incarnation)


ALGORITHM = Algorithm[Recurrent](make=make, actor=actor, policy=policy)
ALGORITHMS["recurrent"] = Entry(__name__, "Recurrent", __name__)
