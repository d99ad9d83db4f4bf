"""Acting with an expert beside one: who says in every state what was to be done, and in some of them does it.

    actor = Guided(own, expert)     # own, expert: agents.api.Policy
    actor.load(guide(own_weights, share=0.5))
    acted = actor.act(carry, step, rng, explore=True)
    acted.extras["label"]           # what the expert would have done

Nothing here is drawn by what the learner would explore with: its actions are those that it takes for the best.
"""

from __future__ import annotations

import numpy as np

from agents.api import Policy
from agents.parts.cloning import Examples
from agents.records import Acted, Carry, Unroll
from envs.api import Array, Continuous, Spec, Step

THEIRS = "expert."  # what stands before the names of what the expert remembers


def guide(weights: Array, share: float) -> Array:
    """A learner's weights, and how often the expert acts in its place: what `Guided` loads."""
    return np.append(weights, np.float32(share))


class Guided:
    """At each step the expert acts with probability `share`, else what was learned; without an expert that alone."""

    def __init__(self, own: Policy, expert: Policy | None = None) -> None:
        self.own, self.expert, self.share = own, expert, 1.0

    def initial(self, batch: int) -> Carry:
        theirs = {} if self.expert is None else self.expert.initial(batch)
        return {**self.own.initial(batch), **{THEIRS + name: part for name, part in theirs.items()}}

    def act(self, carry: Carry, step: Step, rng: np.random.Generator, explore: bool) -> Acted:
        own = self.own.act({n: part for n, part in carry.items() if not n.startswith(THEIRS)}, step, rng, False)
        if self.expert is None:
            return own
        remembered = {n.removeprefix(THEIRS): part for n, part in carry.items() if n.startswith(THEIRS)}
        theirs = self.expert.act(remembered, step, rng, False)
        guided = rng.random(len(step.obs)) < self.share
        action = np.where(guided.reshape(-1, *(1,) * (own.action.ndim - 1)), theirs.action, own.action)
        kept = {**own.carry, **{THEIRS + name: part for name, part in theirs.carry.items()}}
        return Acted(kept, action.astype(own.action.dtype), {"label": theirs.action})

    def load(self, weights: Array) -> None:
        self.own.load(weights[:-1])
        self.share = float(weights[-1])


def labelled(unroll: Unroll, spec: Spec) -> Examples:
    """What the expert would have done in each state of an unroll."""

    def flat(array: Array) -> Array:
        return array.reshape(unroll.reward.size, *array.shape[2:])

    label, actions = flat(unroll.extras["label"]), spec.actions
    if isinstance(actions, Continuous):
        label = label.clip(actions.low, actions.high).astype(np.float32)
    return Examples(flat(unroll.obs[:-1]), label, None if unroll.mask is None else flat(unroll.mask[:-1]))
