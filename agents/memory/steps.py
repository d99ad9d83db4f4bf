"""Steps as they were made: transitions over n of them are put together when they are sampled.

    table = Steps(100_000, columns=8, gamma=0.99, n_step=3)
    table.add(experience)                                   # Experience of an Unroll
    table.gather(index)                                     # Transition, [m]

A step is kept once, in a ring in the order in which steps came, with a pointer to the one that follows it in its column
(one row of the environments of one actor). Since rewards are added up only here, they can be other ones than the
world's, as they are judged when they are learned from.

Rows are numbered as they become complete: when the n steps from them are here, their episode's or the next one's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import DTypeLike

from agents.api import State
from agents.memory.few import NOWHERE, Few
from agents.memory.table import Change, allocate, available_memory
from agents.records import Experience, Lived, Transition, Unroll
from agents.returns import transitions
from agents.rewards.rewards import Rewards
from envs.api import Array

KEPT = ("action", "reward", "terminated", "truncated", "turn")  # fields of an Unroll that are kept as they are


class Steps:
    """The newest `capacity` complete rows. `columns`: of all actors, those of actor i are i * B .. i * B + B - 1."""

    def __init__(
        self,
        capacity: int,
        columns: int,
        gamma: float,
        n_step: int = 1,
        rewards: Rewards | None = None,
        available: Callable[[], int] = available_memory,
    ) -> None:
        self.capacity, self.columns, self.gamma, self.n_step = capacity, columns, gamma, n_step
        self.rewards, self.available = rewards or Rewards(), available
        self.slots = 0  # of the ring
        self.made = 0  # steps ever: number k lies at k % slots
        self.complete = 0  # rows ever
        self.rings: dict[str, Array] = {}  # [slots, ...]
        self.order = np.zeros(0, np.int64)  # [capacity] the slot of each row
        self.front: dict[str, Array] = {}  # [columns, ...] what each column shows now
        self.last = np.full(columns, -1)  # number of the newest step of each column
        self.waiting: dict[int, Array] = {}  # for each actor: numbers [w, B] of steps that aren't complete
        self.finals = Few()  # what was shown after steps that ended an episode

    @property
    def size(self) -> int:
        """Rows lie at 0 .. size - 1."""
        return min(self.complete, self.capacity)

    def ready(self, index: Array) -> Array:
        """Whether the rows at `index` can be sampled, bool."""
        return self.order[index] != NOWHERE

    # Writing

    def add(self, experience: Experience) -> Change:
        """Append an Unroll to the block of columns of its actor. An episode that neither ended nor goes on, as when an
        actor was replaced, counts as cut off."""
        unroll: Unroll = experience.rows
        length, count = unroll.reward.shape
        block = np.arange(experience.actor * count, (experience.actor + 1) * count)
        if self.columns % count or block[-1] >= self.columns:
            raise ValueError(f"rows {block[0]} to {block[-1]} don't fit into {self.columns} columns")
        if length * count > self.capacity:
            raise ValueError(
                f"{length * count} steps at once don't fit: set memory.capacity, now {self.capacity}, to more"
            )
        if not self.rings:
            fields = {name: getattr(unroll, name) for name in ("obs", "mask", *KEPT)}
            shapes = {name: (field.shape[2:], field.dtype) for name, field in fields.items() if field is not None}
            pointers = {"next": np.int64, "row": np.int64, "final": np.int32}
            # Steps that wait for their successors are passed by those of the other actors: room for them.
            waiting = self.columns * (length + self.n_step - 1) if self.n_step > 1 else 0
            self._allocate(shapes | {name: ((), dtype) for name, dtype in pointers.items()}, self.capacity + waiting)
        numbers = self.made + np.arange(length * count).reshape(length, count)
        slots = numbers % self.slots
        self._join(unroll, block, slots[0])
        stale = self._forget(slots.reshape(-1))
        self._write(unroll, block, slots)
        self.last[block], self.made = numbers[-1], self.made + length * count
        return Change(self._number(experience.actor, numbers), stale)

    def _allocate(self, rows: Mapping[str, tuple[tuple[int, ...], DTypeLike]], slots: int) -> None:
        """Room for steps whose fields have these shapes and types. Raises NotEnoughMemory."""
        self.slots = slots
        shapes: dict[str, tuple[tuple[int, ...], DTypeLike]] = {
            name: ((slots, *shape), dtype) for name, (shape, dtype) in rows.items()
        }
        self.rings = allocate(shapes | {"order": ((self.capacity,), np.int64)}, self.capacity, self.available)
        self.order = self.rings.pop("order")
        for pointers in (self.order, self.rings["final"], self.rings["row"]):
            pointers[:] = NOWHERE
        shown = (name for name in ("obs", "mask") if name in rows)
        self.front = {name: np.zeros((self.columns, *rows[name][0]), rows[name][1]) for name in shown}

    def _join(self, unroll: Unroll, block: Array, following: Array) -> None:
        """Let the newest steps of a block be followed by those at `following`, or be cut off."""
        newest = self.last[block]
        here = newest >= max(0, self.made - self.slots)
        slot = newest % self.slots
        ended = self.rings["terminated"][slot] | self.rings["truncated"][slot]
        broken = here & unroll.first[0] & ~ended
        if broken.any():
            self.rings["truncated"][slot[broken]] = True
            self.rings["final"][slot[broken]] = self.finals.put(
                *(shown[block[broken]] for shown in self.front.values())
            )
        self.rings["next"][slot[here]] = following[here]

    def _forget(self, slots: Array) -> Array:
        """What lies at `slots` is about to be overwritten. Returns rows that begin there and can't be sampled any more:
        there are some only if an actor was so slow that its steps were overtaken by a whole memory of others."""
        self.finals.drop(self.rings["final"], slots)
        rows = self.rings["row"][slots]
        stale = rows[rows != NOWHERE]
        self.order[stale] = NOWHERE
        self.rings["row"][slots] = NOWHERE
        return stale

    def _write(self, unroll: Unroll, block: Array, slots: Array) -> None:
        rings = self.rings
        for name in self.front:
            shown = getattr(unroll, name)
            rings[name][slots] = shown[:-1]
            self.front[name][block] = shown[-1]
        for name in KEPT:
            if name in rings:
                rings[name][slots] = getattr(unroll, name)
        rings["next"][slots[:-1]], rings["next"][slots[-1]] = slots[1:], -1 - block
        shown = [array for array in (unroll.final_obs, unroll.final_mask) if array is not None]
        rings["final"][slots.reshape(-1)[unroll.final_at]] = self.finals.put(*shown)

    def _number(self, actor: int, numbers: Array) -> Array:
        """Give the steps of an actor that are complete now their rows. Returns these."""
        waiting = self.waiting.get(actor, numbers[:0])
        window = np.concatenate([waiting, numbers])
        done = max(len(window) - (self.n_step - 1), 0)
        self.waiting[actor] = window[done:]
        complete = window[:done].reshape(-1)
        complete = complete[complete >= self.made - self.slots]  # who waited too long has been overwritten
        rows = (self.complete + np.arange(len(complete))) % self.capacity
        before = self.order[rows]
        self.rings["row"][before[before != NOWHERE]] = NOWHERE
        self.order[rows] = complete % self.slots
        self.rings["row"][self.order[rows]] = rows
        self.complete += len(complete)
        return rows

    # Reading

    def gather(self, index: Array) -> Transition:
        """The n-step transitions that start at rows `index` [m]."""
        rings, each = self.rings, np.arange(len(index))
        slots = self._windows(self.order[index])
        reward, terminated, truncated = (rings[name][slots] for name in ("reward", "terminated", "truncated"))
        if self.rewards:
            reward = self.rewards.judged(self._lived(slots.reshape(-1))).reshape(slots.shape)
        gamma = self.gamma * rings["turn"][slots].astype(np.float64) if "turn" in rings else self.gamma
        steps = transitions(reward, terminated, truncated, gamma, self.n_step, starts=1)
        after = self._after(slots[steps.last[0], each])
        return Transition(
            obs=rings["obs"].take(slots[0], 0),
            action=rings["action"].take(slots[0], 0),
            reward=steps.reward[0],
            discount=steps.discount[0],
            next_obs=after["obs"],
            next_mask=after.get("mask"),
        )

    def _lived(self, slots: Array) -> Lived:
        """The steps at `slots` [n], each by itself."""
        obs, action, reward, terminated = (
            self.rings[name][slots] for name in ("obs", "action", "reward", "terminated")
        )
        return Lived(obs, action, reward, self._after(slots)["obs"], terminated)

    def _windows(self, starts: Array) -> Array:
        """The slots of n steps from each start on, [n, m]; behind a column's newest step it stands again."""
        slots = np.empty((self.n_step, len(starts)), np.int64)
        slots[0] = starts
        for i in range(1, self.n_step):
            following = self.rings["next"][slots[i - 1]]
            slots[i] = np.where(following < 0, slots[i - 1], following)
        return slots

    def _after(self, slots: Array) -> dict[str, Array]:
        """What was shown after the steps at `slots` [m]. Nothing is legal where an episode terminated: there the next
        one's mask stands, as no value counts."""
        following = self.rings["next"][slots]
        shown = {name: self._shown(name, following) for name in self.front}
        number = self.rings["final"][slots]
        ended = np.flatnonzero(number != NOWHERE)
        if len(ended):
            obs, *mask = self.finals.get(number[ended])
            shown["obs"][ended] = obs
            cut = self.rings["truncated"][slots[ended]]
            for legal in mask:
                shown["mask"][ended[cut]] = legal[cut]
        return shown

    def _shown(self, name: str, where: Array) -> Array:
        """At slots, or on the front of column -1 - where."""
        shown = self.rings[name].take(np.maximum(where, 0), 0)
        front = np.flatnonzero(where < 0)
        shown[front] = self.front[name][-1 - where[front]]
        return shown

    # Resuming

    def state_dict(self) -> State:
        """The filled part only. The arrays of steps are views: write them out before adding more."""
        return {
            "capacity": self.capacity,
            "columns": self.columns,
            "n_step": self.n_step,
            "slots": self.slots,
            "made": self.made,
            "complete": self.complete,
            "rings": {name: ring[: self.made] for name, ring in self.rings.items()},
            "order": self.order[: self.size],
            "front": {name: shown.copy() for name, shown in self.front.items()},
            "last": self.last.copy(),
            "waiting": {str(actor): numbers.copy() for actor, numbers in self.waiting.items()},
            "finals": self.finals.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        for name in ("capacity", "columns", "n_step"):
            if state[name] != getattr(self, name):
                raise ValueError(f"the saved memory has {name} {state[name]}, but this one {getattr(self, name)}")
        if state["rings"]:
            shapes = {name: (ring.shape[1:], ring.dtype) for name, ring in state["rings"].items()}
            self._allocate(shapes, state["slots"])
        for name, ring in state["rings"].items():
            self.rings[name][: len(ring)] = ring
        self.order[: len(state["order"])] = state["order"]
        self.made, self.complete, self.last = state["made"], state["complete"], state["last"].copy()
        self.front = {name: shown.copy() for name, shown in state["front"].items()}
        self.waiting = {int(actor): numbers.copy() for actor, numbers in state["waiting"].items()}
        self.finals.load_state_dict(state["finals"])
