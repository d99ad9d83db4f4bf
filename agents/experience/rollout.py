"""THE loop that steps a VectorEnv with a Policy, and the actors made of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from agents.api import Policy, State
from agents.config import Control, Scene
from agents.records import Acted, Carry, Episodes, Experience, Unroll, concatenate, head, mapped
from envs import pixels
from envs.api import Array, Spec, Step, VectorEnv
from envs.atari import AtariOptions
from envs.games.make import make_game
from envs.gymnasium_env import make
from envs.normalize import Moments, ReturnMoments
from envs.spaces import UnsupportedEnv
from envs.turn_env import TurnEnv
from experiment.seeding import Seeds


class Rollout:
    """Goes on stepping where it stopped; every episode is accounted to the row that finished it.

    Where two seats play for opposite rewards, the policy plays both: a step is seen by who moves, and its reward is the
    mover's (`Unroll.discount` does the rest). What it remembers is each seat's own. The return of an episode is the
    first seat's.
    """

    def __init__(
        self, env: VectorEnv, policy: Policy, seed: int, rng: np.random.Generator, explore: bool = True
    ) -> None:
        require_sides(env.spec)
        spec = env.spec
        self.env, self.policy, self.rng, self.explore = env, policy, rng, explore
        self.now: Step = env.reset(seed)
        self.first = np.ones(env.count, bool)  # rows whose episode begins with `now`
        self.carry: Carry = policy.initial(env.count * spec.seats)  # [B * P, ...]
        self.returns = np.zeros(env.count)
        self.lengths = np.zeros(env.count, np.int64)

    def collect(self, length: int, enough: int | None = None) -> tuple[Unroll, Episodes]:
        """Make `length` steps in each row: environment steps = length * rows. Fewer where `enough` episodes are over
        before."""
        count, seats, now, rows = self.env.count, self.env.spec.seats, self.now, np.arange(self.env.count)
        obs, first = room(length + 1, now.obs), np.empty((length + 1, count), bool)
        mask = None if now.mask is None else room(length + 1, now.mask)
        reward = np.empty((length, count), np.float32)
        terminated, truncated = np.zeros((2, length, count), bool)
        turn = np.ones((length, count), np.float32) if seats == 2 else None
        action, extras = np.empty(0), dict[str, Array]()
        carry = mapped(lambda a: a.reshape(count, seats, *a.shape[1:]).copy() if seats > 1 else a.copy(), self.carry)
        finals, episodes = Finals(), Episodes([], [])
        for t in range(length):
            obs[t], first[t] = now.obs, self.first
            if mask is not None:
                mask[t] = now.mask
            acted = self._act(now)
            if t == 0:
                action, extras = room(length, acted.action), mapped(lambda a: room(length, a), acted.extras)
            action[t] = acted.action
            for name, value in acted.extras.items():
                extras[name][t] = value
            mover = now.seat
            now = self.env.step(acted.action)
            reward[t] = now.reward[rows, mover]
            if turn is not None:
                turn[t, now.seat != mover] = -1  # in rows that ended nothing is discounted
            self.returns += now.reward[:, 0]
            self.lengths += 1
            self.first = ended = now.terminated | now.truncated
            if ended.any():
                terminated[t], truncated[t] = now.terminated, now.truncated
                finals.note(now, ended, t * count)
                self._end(ended, episodes)
                if enough is not None and len(episodes.returns) >= enough:
                    break
        made = t + 1
        obs[made], first[made] = now.obs, self.first
        if mask is not None:
            mask[made] = now.mask
        self.now = now
        final_obs, final_at, final_mask = finals.arrays(obs, mask)
        unroll = Unroll(
            obs,
            mask,
            first,
            action,
            reward,
            terminated,
            truncated,
            final_obs,
            final_at,
            final_mask,
            turn,
            extras,
            carry,
        )
        return (unroll if made == length else head(unroll, made)), episodes

    def _act(self, now: Step) -> Acted:
        """The policy's action in each row; what it remembers is that of the seat to move."""
        seats = self.env.spec.seats
        own = np.arange(self.env.count) * seats + now.seat
        carry = self.carry if seats == 1 else mapped(lambda a: a[own], self.carry)
        acted = self.policy.act(carry, now, self.rng, self.explore)
        if seats == 1:
            self.carry = acted.carry
        else:
            for name, value in acted.carry.items():
                self.carry[name][own] = value
        return acted

    def _end(self, ended: Array, episodes: Episodes) -> None:
        """Account for the episodes of these rows, and begin anew."""
        episodes.returns.extend(self.returns[ended].tolist())
        episodes.lengths.extend(self.lengths[ended].tolist())
        self.returns[ended] = 0
        self.lengths[ended] = 0
        seats = self.env.spec.seats
        self.carry = restart(self.carry, self.policy.initial(len(ended) * seats), ended.repeat(seats))

    def state_dict(self) -> State:
        return {
            "env": self.env.state_dict(),
            "rng": self.rng.bit_generator.state,
            "first": self.first.copy(),
            "carry": mapped(np.copy, self.carry),
            "returns": self.returns.copy(),
            "lengths": self.lengths.copy(),
        }

    def load_state_dict(self, state: State) -> None:
        self.now = self.env.load_state_dict(state["env"])
        self.rng.bit_generator.state = state["rng"]
        self.first = state["first"].copy()
        self.carry = mapped(np.copy, state["carry"])
        self.returns = state["returns"].copy()
        self.lengths = state["lengths"].copy()


def room(length: int, like: Array) -> Array:
    """For `length` arrays like this one."""
    return np.empty((length, *like.shape), like.dtype)


class Finals:
    """What episodes showed last, in the order of the steps that ended them."""

    def __init__(self) -> None:
        self.obs: list[Array] = []
        self.mask: list[Array] = []
        self.at: list[int] = []

    def note(self, step: Step, ended: Array, offset: int) -> None:
        """`ended` [B] are the rows of `step` whose episodes are over; row b is step `offset` + b of the Unroll."""
        for row in np.flatnonzero(ended).tolist():
            self.obs.append(step.final_obs[row])
            self.at.append(offset + row)
            if step.final_mask is not None:
                self.mask.append(step.final_mask[row])

    def arrays(self, obs: Array, mask: Array | None) -> tuple[Array, Array, Array | None]:
        """final_obs, final_at and final_mask of an Unroll that has these observations and masks."""
        shown = np.stack(self.obs) if self.obs else np.empty((0, *obs.shape[2:]), obs.dtype)
        legal = None if mask is None else np.array(self.mask, bool).reshape(-1, mask.shape[2])
        return shown, np.array(self.at, np.int64), legal


def restart(carry: Carry, fresh: Carry, ended: Array) -> Carry:
    """Rows of `carry` [B, ...] that ended begin anew."""

    def begun(now: Array, anew: Array) -> Array:
        return np.where(ended.reshape(-1, *(1,) * (now.ndim - 1)), anew, now)

    found: Carry = mapped(begun, carry, fresh)
    return found


class RolloutActor:
    """Collects `length` steps per row at a time; or whole episodes, so many, where there is one row."""

    def __init__(
        self,
        rollout: Rollout,
        length: int,
        index: int,
        observations: Moments | None = None,
        returns: ReturnMoments | None = None,
        reward_clip: float | None = None,
        episodes: int | None = None,
    ) -> None:
        self.rollout, self.length, self.index, self.episodes = rollout, length, index, episodes
        self.observations, self.returns, self.reward_clip = observations, returns, reward_clip
        self.version = -1

    def load(self, weights: Array, version: int) -> None:
        self.rollout.policy.load(weights)
        self.version = version

    def collect(self) -> Experience:
        unroll, episodes = self._live()
        if self.reward_clip is not None:
            unroll = unroll._replace(reward=unroll.reward.clip(-self.reward_clip, self.reward_clip))
        moments: State = {}
        if self.observations is not None:
            self.observations.update(unroll.obs[:-1].reshape(-1, *unroll.obs.shape[2:]))
            moments["observations"] = self.observations.take()
        if self.returns is not None:
            for reward, ended in zip(unroll.reward, unroll.terminated | unroll.truncated, strict=True):
                self.returns.update(reward, ended)
            moments["returns"] = self.returns.take()
        return Experience(
            rows=unroll,
            steps=unroll.reward.size,
            episodes=episodes,
            version=self.version,
            actor=self.index,
            moments=moments or None,
        )

    def _live(self) -> tuple[Unroll, Episodes]:
        unroll, episodes = self.rollout.collect(self.length, self.episodes)
        while self.episodes is not None and len(episodes.returns) < self.episodes:
            more, others = self.rollout.collect(self.length, self.episodes - len(episodes.returns))
            unroll = concatenate(unroll, more)
            episodes = Episodes(episodes.returns + others.returns, episodes.lengths + others.lengths)
        return unroll, episodes

    def state_dict(self) -> State:
        """All but the weights, which whoever trains publishes before the next collection."""
        state: State = {"rollout": self.rollout.state_dict()}
        if self.returns is not None:
            state["returns"] = self.returns.state_dict()
        return state

    def load_state_dict(self, state: State) -> None:
        self.rollout.load_state_dict(state["rollout"])
        if self.returns is not None:
            self.returns.load_state_dict(state["returns"])

    def close(self) -> None:
        self.rollout.env.close()


def make_env(config: Scene, count: int, render: bool = False, at_most: int | None = None) -> VectorEnv:
    """`count` rows of the configured environment. Raises UnsupportedEnv (a ValueError) where it can't be made.

    at_most: the steps of an episode where nothing else limits them.
    """
    if config.game is not None:
        return TurnEnv(make_game(config.game), count)
    if config.id.startswith("pixels/"):
        if config.wrappers:
            raise UnsupportedEnv(f"env.wrappers are Gymnasium's, and {config.id} is none of its worlds: leave them out")
        return pixels.make(config.id, count, config.options, config.max_episode_steps)
    atari = None if config.atari is None else AtariOptions(**config.atari.model_dump())
    return make(config.id, count, config.options, atari, config.max_episode_steps, render, config.wrappers, at_most)


def env_spec(config: Scene) -> Spec:
    """Of the configured environment. Raises ValueError where a Rollout can't play it."""
    env = make_env(config, 1)
    try:
        require_sides(env.spec)
        return env.spec
    finally:
        env.close()


def require_sides(spec: Spec) -> None:
    """Raises ValueError for a game that isn't for one, or for two against each other."""
    if spec.seats > 2 or (spec.seats == 2 and not spec.zero_sum):
        raise ValueError(
            f"{spec.name} has {spec.seats} seats that don't just play against each other: this actor plays alone, "
            "or both sides of a game of two whose returns sum to zero; alphazero plays with more seats, where nothing "
            "is hidden from them"
        )


def actor_of(
    config: Control,
    policy: Callable[..., Policy],
    index: int,
    incarnation: int,
    observations: bool = False,
    returns: float | None = None,
    episodes: int | None = None,
) -> RolloutActor:
    """Actor `index` of a run, alive for the `incarnation`-th time: each has streams and episodes of its own.

    policy(config, spec, device) makes its policy. observations: send their moments home; returns: send those of the
    return with this discount. episodes: collect so many, from their beginning to their end.
    """
    import torch  # late: a request is refused before what takes seconds is loaded

    count = config.env.count // config.runtime.actors
    env = make_env(config.env, count)
    names = ("actor", index, incarnation)
    seeds = Seeds(config.seed)
    rollout = Rollout(
        env,
        policy(config, env.spec, torch.device("cpu")),
        seeds.integer(*names, "env"),
        seeds.generator(*names, "policy"),
    )
    return RolloutActor(
        rollout,
        config.rollout.steps,
        index,
        Moments(env.spec.obs_shape) if observations else None,
        None if returns is None else ReturnMoments(count, returns),
        config.env.reward_clip,
        episodes,
    )
