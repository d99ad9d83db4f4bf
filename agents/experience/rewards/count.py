"""A bonus for what was seldom seen: r + scale / sqrt(N(s')), N(s') how often s' was arrived at, this time included.

Strehl and Littman 2008, https://doi.org/10.1016/j.jcss.2007.08.009. Observations are the same if they are so after
rounding to multiples of `resolution`.

Logs reward/count_bonus, the mean bonus of what was learned from, and reward/count_states, how many were seen.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from agents.api import State
from agents.records import Lived, Unroll, lived
from envs.api import Array

ODD = np.uint64(0x9E3779B97F4A7C15)  # 2 ** 64 / golden ratio, as in splitmix64


class CountBonus:
    """A reward model (`agents.api.RewardModel`). The counts are exact but for two states in 2 ** 64 with one key."""

    def __init__(self, scale: float, resolution: float) -> None:
        self.scale, self.resolution = scale, resolution
        self.keys = np.empty(0, np.uint64)  # ascending
        self.counts = np.empty(0, np.int64)
        self.given, self.judgements = 0.0, 0

    def learn(self, unroll: Unroll) -> None:
        keys = np.concatenate([self.keys, self.key(lived(unroll).next_obs)])
        counts = np.concatenate([self.counts, np.ones(len(keys) - len(self.keys), np.int64)])
        self.keys, where = np.unique(keys, return_inverse=True)
        self.counts = np.bincount(where, counts).astype(np.int64)

    def judge(self, steps: Lived) -> Array:
        bonus = self.scale / np.sqrt(np.maximum(self.count(steps.next_obs), 1))
        self.given += float(bonus.sum())
        self.judgements += len(bonus)
        return (steps.reward + bonus).astype(np.float32)

    def count(self, obs: Array) -> Array:
        """How often each of obs [n, *obs] was seen, [n]."""
        if not len(self.keys):
            return np.zeros(len(obs), np.int64)
        keys = self.key(obs)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[place] == keys, self.counts[place], 0)

    def key(self, obs: Array) -> Array:
        """uint64 [n]: equal for observations that are equal after rounding."""
        rounded = np.rint(obs.reshape(len(obs), -1) / self.resolution).astype(np.int64).view(np.uint64)
        mixed = np.zeros(len(obs), np.uint64)
        for column in rounded.T:  # wraps around, as it is meant to
            mixed = (mixed ^ column) * ODD
            mixed ^= mixed >> np.uint64(29)
        return mixed

    def metrics(self) -> Mapping[str, float]:
        told = {"count_states": float(len(self.keys))}
        if self.judgements:
            told["count_bonus"] = self.given / self.judgements
        self.given, self.judgements = 0.0, 0
        return told

    def state_dict(self) -> State:
        return {
            "keys": self.keys.copy(),
            "counts": self.counts.copy(),
            "given": self.given,
            "judgements": self.judgements,
        }

    def load_state_dict(self, state: State) -> None:
        self.keys, self.counts = state["keys"].copy(), state["counts"].copy()
        self.given, self.judgements = state["given"], state["judgements"]
