"""What is learned from others: their episodes, played and kept, and the steps of those that were shown.

unrolls = recorded(Scripted(env.spec), env, episodes=5, seed=0, rng=rng, explore=False)
path = write(Path("logs/cartpole"), unrolls)    # agents.experience.logged
shown = demonstrated(config, env_spec(config.env), seeds)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from agents.api import Policy
from agents.config import Demonstrations, Scene
from agents.experience.logged import read
from agents.experience.rollout import Rollout, RolloutActor, make_env
from agents.experience.scripted import Scripted
from agents.records import Unroll, lived
from envs.api import Actions, Array, Continuous, MultiDiscrete, Spec, VectorEnv
from experiment.seeding import Seeds

PIECE = 1_000  # steps that are made at a time where nothing limits an episode
FEW = 5  # episodes of a scripted expert where nobody says how many
LONGEST = 27_000  # steps of an episode that nothing else ends, as in evaluations


class Shown(NamedTuple):
    """n steps of somebody else."""

    obs: Array  # [n, *obs]
    mask: Array | None  # [n, A] bool, what was legal at obs
    action: Array  # [n] or [n, D]; within the bounds of continuous ones, as the world took it
    next_obs: Array  # [n, *obs] true, also where the episode ended
    terminated: Array  # [n] bool


def recorded(
    policy: Policy, env: VectorEnv, episodes: int, seed: int, rng: np.random.Generator, explore: bool
) -> list[Unroll]:
    """So many whole episodes of a world of one row, an Unroll each."""
    rollout = Rollout(env, policy, seed, rng, explore)
    actor = RolloutActor(rollout, min(env.spec.max_steps or PIECE, PIECE), 0, episodes=1)
    return [actor.collect().rows for _ in range(episodes)]


def demonstrated(options: Demonstrations, env: Scene, spec: Spec, seeds: Seeds) -> Shown:
    """The steps of the first `options.episodes` that were begun in a log, or that the scripted expert plays.

    Raises ValueError where no such expert is known, or the log holds fewer or is of another world; CheckpointError
    where it is damaged.
    """
    source, episodes = options.demonstrations, options.episodes
    if source == "scripted":
        world, rng = make_env(env.whole_games(), 1, at_most=LONGEST), seeds.generator("demonstrations", "policy")
        seed = seeds.integer("demonstrations")
        unrolls = recorded(Scripted(spec), world, episodes or FEW, seed, rng, explore=False)
        world.close()
    else:
        unrolls = read(Path(source))
        if misfit := _misfit(unrolls[0], spec):
            raise ValueError(f"demonstrations: {source} does not fit {spec.name}: {misfit}")
    return steps_of(unrolls, spec.actions, episodes, source)


def steps_of(unrolls: Sequence[Unroll], actions: Actions, episodes: int | None, source: str) -> Shown:
    """The steps of so many episodes, those that began first; None: all of them. Raises ValueError where there are
    fewer."""
    first = np.concatenate([unroll.first[:-1] for unroll in unrolls])
    begun = np.maximum.accumulate(np.where(first, first.cumsum().reshape(first.shape), 0))  # [T, B] its number, from 1
    if episodes is not None and begun.max() < episodes:
        raise ValueError(f"demonstrations: {source} holds {begun.max()} episodes, expected {episodes}")
    kept = begun.reshape(-1) <= (episodes or begun.max())
    parts = [lived(unroll) for unroll in unrolls]
    masks = [unroll.mask[:-1].reshape(-1, unroll.mask.shape[2]) for unroll in unrolls if unroll.mask is not None]
    action = np.concatenate([part.action for part in parts])[kept]
    return Shown(
        np.concatenate([part.obs for part in parts])[kept],
        np.concatenate(masks)[kept] if masks else None,
        action.clip(actions.low, actions.high).astype(np.float32) if isinstance(actions, Continuous) else action,
        np.concatenate([part.next_obs for part in parts])[kept],
        np.concatenate([part.terminated for part in parts])[kept],
    )


def _misfit(unroll: Unroll, spec: Spec) -> str | None:
    """How a log differs from a world; None if it may be of it."""
    kind, below = _actions(spec.actions)
    obs, action = unroll.obs, unroll.action
    if obs.shape[2:] != spec.obs_shape or obs.dtype != spec.obs_dtype:
        return f"it shows {obs.dtype} {list(obs.shape[2:])}, not {spec.obs_dtype} {list(spec.obs_shape)}"
    if action.shape[2:] != below.shape or not np.issubdtype(action.dtype, kind):
        return f"its actions are {action.dtype} {list(action.shape[2:])}, not of {spec.actions}"
    if kind is np.integer and not ((action >= 0) & (action < below)).all():
        return f"it has actions that are none of {spec.actions}"
    return None if (unroll.mask is not None) == spec.masked else "one of them has masks, the other none"


def _actions(actions: Actions) -> tuple[type[np.generic], Array]:
    """Of what kind an action is, and what bounds whole numbers, in its shape."""
    if isinstance(actions, Continuous):
        return np.floating, np.array(actions.high)
    return np.integer, np.array(actions.sizes if isinstance(actions, MultiDiscrete) else actions.n)
