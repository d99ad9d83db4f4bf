"""Worlds whose state is not seen: partially observable MDPs, and what is believed about the state.

    world = tiger()
    belief, chance = world.after(world.mdp.start, world.mdp.action("listen"), world.observation("left"))
    believed = beliefs(world)                               # an MDP again, whose states are beliefs

Kaelbling, Littman & Cassandra 1998, https://doi.org/10.1016/S0004-3702(98)00023-X.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.api import Array
from envs.tabular.mdp import CLOSE, MDP, Name


@dataclass(frozen=True, eq=False)
class POMDP:
    """After each action something is seen, which depends on the action and on the state that it led to.

    Raises ValueError where `seen` has another shape, or isn't made of probabilities.
    """

    mdp: MDP
    observations: tuple[Name, ...]  # O
    seen: Array  # [A, S, O] probability of each observation

    def __post_init__(self) -> None:
        shape = len(self.mdp.actions), len(self.mdp.states), len(self.observations)
        if self.seen.shape != shape or not (self.seen >= 0).all() or not np.allclose(self.seen.sum(2), 1, atol=CLOSE):
            raise ValueError(
                f"{self.mdp.name}: `seen` holds probabilities {list(shape)} of actions, states, observations that sum "
                f"to 1 over the last axis, but found {list(self.seen.shape)}, sums {np.unique(self.seen.sum(-1))}"
            )

    def observation(self, name: Name) -> int:
        """Raises ValueError where there is none of this name."""
        return self.observations.index(name)

    def after(self, belief: Array, action: int, observation: int) -> tuple[Array, float]:
        """What is believed [S] after an action and what was seen then, and how likely it was to be seen.

        Bayes: b'(s') = p(o | a, s') sum_s p(s' | s, a) b(s) / p(o | b, a). Raises ValueError for what can't be seen.
        """
        joint = self.seen[action, :, observation] * (belief @ self.mdp.transition[:, action])
        chance = float(joint.sum())
        if chance <= 0:
            seen, done = self.observations[observation], self.mdp.actions[action]
            raise ValueError(f"{self.mdp.name}: {seen!r} can't be seen after {done!r} with belief {belief}")
        return joint / chance, chance

    def possible(self, belief: Array, action: int) -> list[tuple[Array, float]]:
        """The same for everything that may be seen."""
        chances = belief @ self.mdp.transition[:, action] @ self.seen[action]
        return [self.after(belief, action, observation) for observation in np.flatnonzero(chances).tolist()]


def beliefs(world: POMDP, digits: int = 9, limit: int = 10_000) -> MDP:
    """The MDP whose states are what may be believed, from the start on; what is seen decides which one comes next.

    States are tuples of probabilities, alike if they agree to so many digits. For worlds without an end in which all
    actions are legal everywhere; raises ValueError for others, and where there are more than `limit` beliefs.
    """
    if world.mdp.terminal.any() or not world.mdp.legal.all():
        raise ValueError(f"{world.mdp.name}: beliefs are of worlds without an end, in which every action is legal")
    dynamics: dict[tuple[Any, Any], list[tuple[float, Any, float]]] = {}
    first = _rounded(world.mdp.start, digits)
    names, held = [first], {first: world.mdp.start}
    for name in names:  # which grows on the way
        if len(names) > limit:
            raise ValueError(f"{world.mdp.name} leads to more than {limit} beliefs: allow more, or take fewer digits")
        for action, done in enumerate(world.mdp.actions):
            reward, following = float(held[name] @ world.mdp.reward[:, action]), world.possible(held[name], action)
            after = [_rounded(belief, digits) for belief, _ in following]
            dynamics[name, done] = [(chance, there, reward) for there, (_, chance) in zip(after, following)]
            names += dict.fromkeys(there for there in after if there not in held)
            for there, (belief, _) in zip(after, following):
                held.setdefault(there, belief)
    return MDP.of(f"beliefs of {world.mdp.name}", dynamics)


def _rounded(belief: Array, digits: int) -> tuple[float, ...]:
    return tuple(np.round(belief, digits).tolist())


def tiger(accuracy: float = 0.85) -> POMDP:
    """A tiger is behind the left or the right door, and treasure behind the other one; then everything begins anew.

    To listen costs 1 and tells the tiger's side with this accuracy; the treasure is worth 10, and the tiger costs 100.
    """
    sides = ("left", "right")
    dynamics: dict[tuple[str, str], list[tuple[float, str, float]]] = {}
    for side in sides:
        dynamics[side, "listen"] = [(1.0, side, -1.0)]
        for door in sides:
            dynamics[side, f"open {door}"] = [(0.5, anew, -100.0 if door == side else 10.0) for anew in sides]
    heard = np.full((3, 2, 2), 0.5)  # behind an opened door nothing is heard of the next tiger
    heard[0] = [[accuracy, 1 - accuracy], [1 - accuracy, accuracy]]
    return POMDP(MDP.of("tiger", dynamics, dict.fromkeys(sides, 0.5)), sides, heard)


def tiger_beliefs(accuracy: float = 0.85) -> MDP:
    """What may be believed of the tiger."""
    return beliefs(tiger(accuracy))


POMDPS: dict[str, Callable[..., POMDP]] = {"tiger": tiger}
