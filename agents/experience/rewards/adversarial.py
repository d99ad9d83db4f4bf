"""Rewards by what tells an expert's steps from the learner's own: GAIL and AIRL.

GAIL (Ho & Ermon 2016, https://arxiv.org/abs/1606.03476): D(s, a) is trained to be 1 for the expert, 0 for the learner.
AIRL (Fu et al. 2018, https://arxiv.org/abs/1710.11248): D = exp f / (exp f + pi(a|s)), which is told what the learner
does anyway, with f = g + discount * h(s') - h(s): g becomes a reward, h takes what would only shape it.

Both are logit D = f - log pi(a|s), without the last term in GAIL. The discriminator minimizes -log D of the expert's
steps plus -log(1 - D) of the learner's: 2 log 2 where nothing tells them apart, 2 log 2 minus twice their
Jensen-Shannon divergence at the optimum, where D is expert / (expert + learner), densities of steps.

What is paid in place of the world's reward is logit D, or -log(1 - D), which is positive, or log D, which is negative.
Where episodes end by themselves the signs speak without the expert: who is paid lives, who is charged dies. So the
end is a state too (Kostrikov et al. 2019, https://arxiv.org/abs/1809.02925): a step that terminates is also paid
discount / (1 - discount) times what being there is worth, and both sides show that they were there, so often.

Logs reward/KIND_loss, reward/KIND_expert and reward/KIND_own (mean D of both sides' steps), reward/KIND_paid (mean of
what was learned from), KIND being gail or airl.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from agents.experience.demonstrations import Shown
from agents.experience.rewards.configs import AdversarialOptions, AIRLOptions
from agents.maths.stochastic import units
from agents.parts.batches import shuffled
from agents.parts.state import Assembled
from agents.records import Lived, Unroll, lived
from envs.api import Actions, Array, Continuous, Discrete, Spec
from envs.normalize import Moments
from experiment.seeding import Seeds
from generative.gan import steepness
from supervised.networks.heads import Value
from supervised.networks.torso import initialize, mlp
from supervised.trained import Found, Trained

LogProb = Callable[[Array, Array], Array]  # observations [n, *obs], actions -> log pi(a|s) [n] of the learner's policy
PAID: Mapping[str, Callable[[Tensor], Tensor]] = {
    "logit": lambda logit: logit,
    "positive": softplus,
    "negative": logsigmoid,
}


class Steps(NamedTuple):
    """What is judged, n steps. The end of an episode is a state of zeros but for its last number, which is 1."""

    state: Array  # [n, F]
    action: Array  # [n, K]
    following: Array  # [n, F]
    log_prob: Array  # [n], 0 where nobody asks

    def pick(self, index: Array) -> Steps:
        return Steps(*(column[index] for column in self))


class Pair(nn.Module):
    """GAIL: f of state and action, [n]."""

    def __init__(self, state: int, action: int, hidden: tuple[int, ...], generator: torch.Generator) -> None:
        super().__init__()
        self.torso, self.head = _torso(state + action, hidden, generator), Value(hidden[-1], generator, gain=0.1)

    def forward(self, state: Tensor, action: Tensor, following: Tensor) -> Tensor:
        return self.head(self.torso(torch.cat([state, action], -1)))


class Shaped(nn.Module):
    """AIRL: f = g + discount * h(s') - h(s), [n]; g of the state alone, or of the action too."""

    def __init__(
        self,
        state: int,
        action: int,
        hidden: tuple[int, ...],
        generator: torch.Generator,
        discount: float,
        state_only: bool,
    ) -> None:
        super().__init__()
        inputs = state if state_only else state + action
        self.state_only, self.discount = state_only, discount
        self.reward = nn.Sequential(_torso(inputs, hidden, generator), Value(hidden[-1], generator, gain=0.1))
        self.potential = nn.Sequential(_torso(state, hidden, generator), Value(hidden[-1], generator, gain=0.1))

    def forward(self, state: Tensor, action: Tensor, following: Tensor) -> Tensor:
        reward = self.reward(state if self.state_only else torch.cat([state, action], -1))
        return reward + self.discount * self.potential(following) - self.potential(state)


def _torso(inputs: int, hidden: tuple[int, ...], generator: torch.Generator) -> nn.Module:
    layers = mlp(inputs, hidden, "tanh")
    initialize(layers, "orthogonal", generator)
    return layers


class Adversary(Assembled):
    """A reward model (`agents.api.RewardModel`). log_prob: of the learner's policy, for AIRL.

    Raises ValueError for pictures, where ends are to be states and nothing is discounted, and for AIRL where the policy
    has no probabilities, or masks, which steps don't keep.
    """

    STATE = ("trained", "rng", "paid", "judged")

    def __init__(
        self,
        options: AdversarialOptions,
        shown: Shown,
        spec: Spec,
        discount: float,
        seeds: Seeds,
        log_prob: LogProb | None = None,
    ) -> None:
        kind = options.kind
        if len(spec.obs_shape) != 1:
            raise ValueError(f"rewards: {kind} judges vectors, but {spec.name} shows {list(spec.obs_shape)}")
        if options.absorbing and discount == 1:
            raise ValueError(f"rewards: {kind} takes the end for a state, for ever: set learner.discount below 1")
        if kind == "airl" and (log_prob is None or spec.masked):
            raise ValueError("rewards: airl wants a policy with probabilities and a world without masks: use gail")
        if kind == "airl" and log_prob is not None:
            log_prob(shown.obs[:1], shown.action[:1])  # a policy that remembers is refused before anybody acts
        self.options, self.actions, self.discount, self.log_prob = options, spec.actions, discount, log_prob
        self.moments = Moments(spec.obs_shape)
        self.moments.update(shown.obs)
        self.shown = Lived(shown.obs, shown.action, np.zeros(len(shown.obs)), shown.next_obs, shown.terminated)
        self.rng = seeds.generator("rewards", kind, "batches")
        generator = torch.Generator().manual_seed(seeds.integer("rewards", kind, "network"))
        self.width = coded(shown.action[:1], spec.actions).shape[1]
        self.trained = Trained(
            self.network(spec.obs_shape[0] + 1, self.width, generator),
            self.loss,
            {"loss": 1.0} | ({"penalty": options.penalty} if options.penalty else {}),
            ["expert", "own"],
        )
        self.paid, self.judged = 0.0, 0

    def network(self, state: int, action: int, generator: torch.Generator) -> nn.Module:
        options = self.options
        if isinstance(options, AIRLOptions):
            return Shaped(state, action, options.hidden, generator, self.discount, options.state_only)
        return Pair(state, action, options.hidden, generator)

    # Learning

    def learn(self, unroll: Unroll) -> None:
        """So many updates on as many steps of the expert as of the learner's latest."""
        options = self.options
        own, expert = self.with_ends(lived(unroll)), self.with_ends(self.shown)
        size = min(options.batch_size, len(own.state), len(expert.state))
        sides = [shuffled(self.rng, len(side.state), options.updates, size) for side in (own, expert)]
        for one, other in zip(*sides, strict=True):
            share = self.rng.random((size, 1), np.float32)
            self.trained.update(options.learning_rate, *own.pick(one), *expert.pick(other), share)

    def loss(self, parameters: Tensor, *columns: Tensor) -> Found:
        """The terms [n], to be minimized; mean D of both sides [n]."""
        own, expert, share = columns[:4], columns[4:8], columns[8]
        ours, theirs = (self.trained.flat.call(parameters, *side[:3]) - side[3] for side in (own, expert))
        terms = {"loss": softplus(ours) + softplus(-theirs)}
        if self.options.penalty:
            between = torch.cat([a.lerp(b, share) for a, b in zip(own[:3], expert[:3], strict=True)], -1)
            widths = [column.shape[1] for column in own[:3]]
            steep = steepness(lambda x: self.trained.flat.call(parameters, *x.split(widths, -1)), between, False)
            terms["penalty"] = (steep - 1).square()
        return terms, {"expert": theirs.sigmoid(), "own": ours.sigmoid()}

    # Judging

    @torch.no_grad()
    def judge(self, steps: Lived) -> Array:
        pay = PAID[self.options.reward]
        reward = pay(self.logits(self.steps(steps))).numpy()
        if self.options.absorbing:
            at_end = pay(self.logits(self.ends(1))).item()
            reward = reward + steps.terminated * (self.discount / (1 - self.discount) * at_end)
        self.paid += float(reward.sum())
        self.judged += len(reward)
        return reward.astype(np.float32)

    def logits(self, steps: Steps) -> Tensor:
        *shown, log_prob = map(torch.from_numpy, steps)
        logits: Tensor = self.trained.flat.module(*shown) - log_prob
        return logits

    def metrics(self) -> Mapping[str, float]:
        told = {f"{self.options.kind}_{name}": mean for name, mean in self.trained.drain().items()}
        if self.judged:
            told[f"{self.options.kind}_paid"] = self.paid / self.judged
        self.paid, self.judged = 0.0, 0
        return told

    # What is shown to the networks

    def steps(self, lived: Lived) -> Steps:
        following = self.seen(lived.next_obs)
        if self.options.absorbing:
            following[lived.terminated] = self.ends(1).state
        known = np.zeros(len(following), np.float32)
        if self.options.kind == "airl" and self.log_prob is not None:
            known = self.log_prob(lived.obs, lived.action)
        return Steps(self.seen(lived.obs), coded(lived.action, self.actions), following, known)

    def with_ends(self, lived: Lived) -> Steps:
        """Of each step, and behind them of each end that was come to, as often as one stays there, discounted."""
        steps = self.steps(lived)
        if not self.options.absorbing:
            return steps
        ends = self.ends(round(lived.terminated.sum() * self.discount / (1 - self.discount)))
        return Steps(*map(np.concatenate, zip(steps, ends, strict=True)))

    def ends(self, n: int) -> Steps:
        """n times the state behind the end, where nothing is chosen, and that leads to itself."""
        state = np.zeros((n, self.moments.shape[0] + 1), np.float32)
        state[:, -1] = 1
        return Steps(state, np.zeros((n, self.width), np.float32), state, np.zeros(n, np.float32))

    def seen(self, obs: Array) -> Array:
        """Observations in units of the expert's, and that this is no end, [n, F]."""
        scaled = ((obs - self.moments.mean) / self.moments.deviation).clip(-10, 10)
        return np.concatenate([scaled, np.zeros((len(obs), 1))], 1).astype(np.float32)


def coded(action: Array, actions: Actions) -> Array:
    """Actions as the networks are shown them, float32 [n, K]: one-hot, or in units of half their range."""
    if isinstance(actions, Continuous):
        middle, half = units(actions)
        return ((action.clip(actions.low, actions.high) - middle) / half).astype(np.float32)
    sizes = (actions.n,) if isinstance(actions, Discrete) else actions.sizes
    choices = action.reshape(len(action), -1).T
    return np.concatenate([np.eye(n, dtype=np.float32)[chosen] for n, chosen in zip(sizes, choices, strict=True)], 1)
