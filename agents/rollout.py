"""THE loop that steps a VectorEnv with a Policy, and the actors made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from agents.api import Carry, Episodes, Experience, Policy, State, Transition, Unroll
from agents.config import Control, Environment
from agents.returns import transitions
from envs.api import Array, Spec, Step, VectorEnv
from envs.atari import AtariOptions
from envs.games.make import make_game
from envs.gymnasium_env import make
from envs.normalize import Moments, ReturnMoments
from envs.turn_env import TurnEnv
from experiment.seeding import Seeds


class Rollout:
    """Goes on stepping where it stopped; every episode is accounted to the row that finished it.

    Where two seats play for opposite rewards, the policy plays both: a step is seen by who moves, and its reward is the
    mover's (`Unroll.discount` does the rest). The return of an episode is the first seat's.
    """

    def __init__(self, env: VectorEnv, policy: Policy, seed: int, rng: np.random.Generator) -> None:
        spec = env.spec
        if spec.seats > 2 or (spec.seats == 2 and not spec.zero_sum):
            raise ValueError(
                f"{spec.name} has {spec.seats} seats that don't just play against each other: this actor plays alone, "
                "or both sides of a game of two whose returns sum to zero; alphazero plays with more seats"
            )
        self.env, self.policy, self.rng = env, policy, rng
        self.now: Step = env.reset(seed)
        self.carry: Carry = policy.initial(env.count)
        self.returns = np.zeros(env.count)
        self.lengths = np.zeros(env.count, np.int64)

    def collect(self, length: int) -> tuple[Unroll, Episodes]:
        """Make `length` steps in each row: environment steps = length * rows."""
        count, now = self.env.count, self.now
        obs = np.empty((length + 1, *now.obs.shape), now.obs.dtype)
        mask = None if now.mask is None else np.empty((length + 1, *now.mask.shape), bool)
        reward = np.empty((length, count), np.float32)
        terminated = np.zeros((length, count), bool)
        truncated = np.zeros((length, count), bool)
        turn = np.ones((length, count), np.float32) if self.env.spec.seats == 2 else None
        rows = np.arange(count)
        action: Array | None = None
        log_prob: Array | None = None
        cut_obs: list[Array] = []
        cut_mask: list[Array] = []
        cut_at: list[int] = []
        episodes = Episodes([], [])
        for t in range(length):
            obs[t] = now.obs
            if mask is not None:
                mask[t] = now.mask
            self.carry, chosen, chosen_log_prob = self.policy.act(self.carry, now, self.rng, explore=True)
            if action is None:
                action = np.empty((length, *chosen.shape), chosen.dtype)
                log_prob = None if chosen_log_prob is None else np.empty((length, count), np.float32)
            action[t] = chosen
            if log_prob is not None:
                log_prob[t] = chosen_log_prob
            mover = now.seat
            now = self.env.step(chosen)
            reward[t] = now.reward[rows, mover]
            if turn is not None:
                turn[t, now.seat != mover] = -1  # in rows that ended nothing is discounted
            self.returns += now.reward[:, 0]
            self.lengths += 1
            ended = now.terminated | now.truncated
            if ended.any():
                terminated[t], truncated[t] = now.terminated, now.truncated
                for b in np.flatnonzero(ended):
                    episodes.returns.append(float(self.returns[b]))
                    episodes.lengths.append(int(self.lengths[b]))
                    if now.truncated[b]:
                        cut_obs.append(now.final_obs[b])
                        cut_at.append(t * count + int(b))
                        if now.final_mask is not None:
                            cut_mask.append(now.final_mask[b])
                self.returns[ended] = 0
                self.lengths[ended] = 0
                self.carry = restart(self.carry, self.policy.initial(count), ended)
        obs[length] = now.obs
        if mask is not None:
            mask[length] = now.mask
        self.now = now
        assert action is not None
        unroll = Unroll(
            obs=obs,
            mask=mask,
            action=action,
            log_prob=log_prob,
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            cut_obs=np.stack(cut_obs) if cut_obs else np.empty((0, *obs.shape[2:]), obs.dtype),
            cut_at=np.array(cut_at, np.int64),
            cut_mask=None if mask is None else np.array(cut_mask, bool).reshape(-1, mask.shape[2]),
            turn=turn,
        )
        return unroll, episodes

    def state_dict(self) -> State:
        return {
            "env": self.env.state_dict(),
            "rng": self.rng.bit_generator.state,
            "carry": {} if self.carry is None else {k: v.copy() for k, v in self.carry._asdict().items()},
            "returns": self.returns.copy(),
            "lengths": self.lengths.copy(),
        }

    def load_state_dict(self, state: State) -> None:
        self.now = self.env.load_state_dict(state["env"])
        self.rng.bit_generator.state = state["rng"]
        self.carry = None if self.carry is None else type(self.carry)(**state["carry"])
        self.returns = state["returns"].copy()
        self.lengths = state["lengths"].copy()


def restart(carry: Carry, fresh: Carry, ended: Array) -> Carry:
    """Rows of `carry` that ended begin anew. carry: None or a NamedTuple of arrays [B, ...]."""
    if carry is None:
        return None
    return type(carry)(
        *(np.where(ended.reshape(-1, *(1,) * (c.ndim - 1)), f, c) for c, f in zip(carry, fresh, strict=True))
    )


class NStep:
    """Turns consecutive unrolls into n-step transitions: the last n - 1 steps wait for their successors."""

    def __init__(self, n: int, discount: float) -> None:
        self.n, self.discount = n, discount
        self.tail: Unroll | None = None

    def __call__(self, unroll: Unroll) -> Transition:
        window = unroll if self.tail is None else concatenate(self.tail, unroll)
        steps, count = window.reward.shape
        starts = steps - (self.n - 1)
        self.tail = drop(window, max(starts, 0)) if self.n > 1 else None
        starts = max(starts, 0)
        reward, discount, last = transitions(
            window.reward, window.terminated, window.truncated, window.discount(self.discount), self.n, starts
        )
        rows = starts * count
        # The successor of step (t, b) is obs[t + 1, b], but where the episode was cut at t it is the true final one,
        # and where it terminated, so that nothing follows and discount is 0, the step's own stands in for it.
        obs = window.obs.reshape((steps + 1) * count, *window.obs.shape[2:])
        at = (last * count + np.arange(count)).reshape(rows)
        next_obs = obs[at + np.where(window.terminated.reshape(-1)[at], 0, count)]
        next_mask = None if window.mask is None else window.mask[1:].reshape(steps * count, -1)[at]
        if len(window.cut_at):
            where = np.full(steps * count, -1)
            where[window.cut_at] = np.arange(len(window.cut_at))
            cut = where[at] >= 0
            next_obs[cut] = window.cut_obs[where[at][cut]]
            if next_mask is not None and window.cut_mask is not None:
                next_mask[cut] = window.cut_mask[where[at][cut]]
        return Transition(
            obs=window.obs[:starts].reshape(rows, *window.obs.shape[2:]),
            action=window.action[:starts].reshape(rows, *window.action.shape[2:]),
            reward=reward.reshape(rows),
            discount=discount.reshape(rows),
            next_obs=next_obs,
            next_mask=next_mask,
        )

    def state_dict(self) -> State:
        tail = self.tail
        return {} if tail is None else {k: v.copy() for k, v in tail._asdict().items() if v is not None}

    def load_state_dict(self, state: State) -> None:
        fields: dict[str, Any] = {field: state.get(field) for field in Unroll._fields}
        self.tail = Unroll(**fields) if state else None


def concatenate(first: Unroll, second: Unroll) -> Unroll:
    """Two unrolls of the same rows, one after the other; where the first closes the second opens."""
    offset = first.reward.size

    def join(a: Any, b: Any) -> Any:
        return None if a is None else np.concatenate([a, b])

    return Unroll(
        obs=join(first.obs[:-1], second.obs),
        mask=None if first.mask is None else join(first.mask[:-1], second.mask),
        action=join(first.action, second.action),
        log_prob=join(first.log_prob, second.log_prob),
        reward=join(first.reward, second.reward),
        terminated=join(first.terminated, second.terminated),
        truncated=join(first.truncated, second.truncated),
        cut_obs=join(first.cut_obs, second.cut_obs),
        cut_at=join(first.cut_at, second.cut_at + offset),
        cut_mask=join(first.cut_mask, second.cut_mask),
        turn=join(first.turn, second.turn),
    )


def drop(unroll: Unroll, steps: int) -> Unroll:
    """The unroll without its first `steps` steps."""
    offset = steps * unroll.reward.shape[1]
    kept = unroll.cut_at >= offset
    return Unroll(
        obs=unroll.obs[steps:],
        mask=None if unroll.mask is None else unroll.mask[steps:],
        action=unroll.action[steps:],
        log_prob=None if unroll.log_prob is None else unroll.log_prob[steps:],
        reward=unroll.reward[steps:],
        terminated=unroll.terminated[steps:],
        truncated=unroll.truncated[steps:],
        cut_obs=unroll.cut_obs[kept],
        cut_at=unroll.cut_at[kept] - offset,
        cut_mask=None if unroll.cut_mask is None else unroll.cut_mask[kept],
        turn=None if unroll.turn is None else unroll.turn[steps:],
    )


class RolloutActor:
    """Collects `length` steps per row at a time and hands them out as `rows` makes of an Unroll (None: as they are)."""

    def __init__(
        self,
        rollout: Rollout,
        length: int,
        index: int,
        rows: NStep | None = None,
        observations: Moments | None = None,
        returns: ReturnMoments | None = None,
        reward_clip: float | None = None,
    ) -> None:
        self.rollout, self.length, self.index, self.rows = rollout, length, index, rows
        self.observations, self.returns, self.reward_clip = observations, returns, reward_clip
        self.version = -1

    def load(self, weights: Array, version: int) -> None:
        self.rollout.policy.load(weights)
        self.version = version

    def collect(self) -> Experience:
        unroll, episodes = self.rollout.collect(self.length)
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
            rows=unroll if self.rows is None else self.rows(unroll),
            steps=unroll.reward.size,
            episodes=episodes,
            version=self.version,
            actor=self.index,
            moments=moments or None,
        )

    def state_dict(self) -> State:
        """All but the weights, which whoever trains publishes before the next collection."""
        state: State = {"rollout": self.rollout.state_dict()}
        if self.rows is not None:
            state["rows"] = self.rows.state_dict()
        if self.returns is not None:
            state["returns"] = self.returns.state_dict()
        return state

    def load_state_dict(self, state: State) -> None:
        self.rollout.load_state_dict(state["rollout"])
        if self.rows is not None:
            self.rows.load_state_dict(state["rows"])
        if self.returns is not None:
            self.returns.load_state_dict(state["returns"])

    def close(self) -> None:
        self.rollout.env.close()


def make_env(config: Environment, count: int, render: bool = False) -> VectorEnv:
    """`count` rows of the configured environment. Raises UnsupportedEnv (a ValueError) where it can't be made."""
    if config.game is not None:
        return TurnEnv(make_game(config.game), count)
    atari = None if config.atari is None else AtariOptions(**config.atari.model_dump())
    return make(config.id, count, config.options, atari, config.max_episode_steps, render)


def env_spec(config: Environment) -> Spec:
    """Of the configured environment."""
    env = make_env(config, 1)
    try:
        return env.spec
    finally:
        env.close()


def actor_of(
    config: Control,
    policy: Callable[..., Policy],
    index: int,
    incarnation: int,
    rows: Callable[[Spec], NStep | None] = lambda spec: None,
    observations: bool = False,
    returns: float | None = None,
) -> RolloutActor:
    """Actor `index` of a run, alive for the `incarnation`-th time: each has streams and episodes of its own.

    policy(config, spec, device) makes its policy. observations: send their moments home; returns: send those of the
    return with this discount.
    """
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
        rows(env.spec),
        Moments(env.spec.obs_shape) if observations else None,
        None if returns is None else ReturnMoments(count, returns),
        config.env.reward_clip,
    )
