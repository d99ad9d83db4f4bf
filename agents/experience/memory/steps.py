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
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import DTypeLike

from agents.api import State
from agents.experience.memory.few import NOWHERE, Few
from agents.experience.memory.table import Change, allocate
from agents.experience.rewards.rewards import Rewards
from agents.footprint import available_memory
from agents.maths.returns import transitions
from agents.records import Experience, Lived, Transition, Unroll
from envs.api import Array

KEPT = ("action", "reward", "terminated", "truncated", "turn")  # fields of an Unroll that are kept as they are


POINTERS = ("next", "row", "final")
NO_TURNS = np.empty(0, np.float32)
Lead = tuple[Array, Array, Array, Array]  # see `_lead`


class Pointers(NamedTuple):
    """Where steps lead, as kernels see it: int64, or NOWHERE."""

    next: Array  # [slots] the following step of the column; -1 - column where it is still to come
    row: Array  # [slots] the row that begins here
    final: Array  # [slots] number of what was shown last, where the episode ended
    order: Array  # [capacity] the slot of each row
    terminated: Array  # [slots] bool
    truncated: Array  # [slots] bool


@njit(cache=True)
def _enter(
    pointers: Pointers, made: int, length: int, last: Array, first: Array, column: int
) -> tuple[Array, Array, Array]:
    """Point the next `length` steps of a block, of columns from `column` on, at each other, and the newest ones before
    them, numbers `last` [B], at them. Returns

    - which columns are cut off: where an episode neither ended nor goes on, as bool `first` [B] says;
    - the rows that began where the new steps come to lie, which are forgotten: there are some only if an actor was so
      slow that its steps were overtaken by a whole memory of others;
    - the numbers of what was shown last there.
    """
    slots, count = len(pointers.next), len(last)
    total = length * count
    kept = max(0, made + total - slots)  # the oldest step that the new ones leave
    broken, cut = np.empty(count, np.int64), 0
    for b in range(count):
        if last[b] < kept:
            continue
        slot = last[b] % slots
        pointers.next[slot] = (made + b) % slots
        if first[b] and not (pointers.terminated[slot] or pointers.truncated[slot]):
            pointers.truncated[slot] = True
            broken[cut] = b
            cut += 1
    stale, dropped = np.empty(total, np.int64), np.empty(total, np.int64)
    rows, finals, slot = 0, 0, made % slots
    for step in range(total):
        if pointers.row[slot] >= 0:
            stale[rows] = pointers.row[slot]
            pointers.order[stale[rows]] = NOWHERE
            rows += 1
        if pointers.final[slot] >= 0:
            dropped[finals] = pointers.final[slot]
            finals += 1
        pointers.row[slot] = pointers.final[slot] = NOWHERE
        behind = step + count
        pointers.next[slot] = (made + behind) % slots if behind < total else -1 - column - step % count
        slot = slot + 1 if slot + 1 < slots else 0
    return broken[:cut], stale[:rows], dropped[:finals]


@njit(cache=True)
def _begin_rows(row: Array, order: Array, numbers: Array, complete: int) -> Array:
    """Let the next rows, numbers `complete` and so on, begin with the steps of these numbers. Returns them."""
    rows = np.empty(len(numbers), np.int64)
    for i in range(len(numbers)):
        rows[i], slot = (complete + i) % len(order), numbers[i] % len(row)
        before = order[rows[i]]
        if before >= 0:
            row[before] = NOWHERE
        order[rows[i]], row[slot] = slot, rows[i]
    return rows


@njit(cache=True)
def _lead(pointers: Pointers, slots: Array) -> Lead:
    """Where the steps at `slots` [m] lead: [m] the following slot, or -1 - column; which of them lead to the front of a
    column; which ended an episode, and the numbers of what was shown there."""
    following = np.empty(len(slots), np.int64)
    open_, ended, number = np.empty((3, len(slots)), np.int64)
    opens, ends = 0, 0
    for i in range(len(slots)):
        following[i] = pointers.next[slots[i]]
        if following[i] < 0:
            open_[opens] = i
            opens += 1
        if pointers.final[slots[i]] >= 0:
            ended[ends], number[ends] = i, pointers.final[slots[i]]
            ends += 1
    return following, open_[:opens], ended[:ends], number[:ends]


@njit(cache=True)
def _windows(pointers: Pointers, n: int, starts: Array) -> Array:
    """The slots of n steps from each start on, [n, m]; behind a column's newest step it stands again."""
    slots = np.empty((n, len(starts)), np.int64)
    for i in range(len(starts)):
        slot = starts[i]
        for k in range(n):
            slots[k, i] = slot
            slot = pointers.next[slot] if pointers.next[slot] >= 0 else slot
    return slots


@njit(cache=True)
def _add_up(
    pointers: Pointers, reward: Array, turn: Array, gamma: float, n: int, starts: Array
) -> tuple[Array, Array, Array]:
    """`agents.maths.returns.transitions` along the pointers, of the steps from each start on: for each the sum of up to
    n rewards float32, the discount float32 behind them, and the slot of the last of these steps."""
    total, discount = np.empty(len(starts), np.float32), np.empty(len(starts), np.float32)
    last = np.empty(len(starts), np.int64)
    for i in range(len(starts)):
        summed, factor, slot, k = 0.0, 1.0, starts[i], 1
        while True:
            summed += factor * reward[slot]
            factor *= gamma * np.float64(turn[slot]) if len(turn) else gamma
            if k == n or pointers.terminated[slot] or pointers.truncated[slot] or pointers.next[slot] < 0:
                break
            slot, k = pointers.next[slot], k + 1
        total[i], last[i] = summed, slot
        discount[i] = 0.0 if pointers.terminated[slot] else factor
    return total, discount, last


@njit(cache=True)
def _follow(pointers: Pointers, reward: Array, turn: Array, gamma: float, n: int, starts: Array) -> tuple[Any, Lead]:
    """`_add_up`, and `_lead` from where it ends."""
    added = _add_up(pointers, reward, turn, gamma, n, starts)
    return added, _lead(pointers, added[2])


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
        self.pointers: Pointers  # once there are rings: they, and the order
        self.front: dict[str, Array] = {}  # [columns, ...] what each column shows now
        self.last = np.full(columns, -1)  # number of the newest step of each column
        self.waiting: dict[int, Array] = {}  # for each actor: numbers [w, B] of steps that aren't complete
        self.gaps = False  # whether there are rows whose steps were forgotten
        self.finals = Few()  # what was shown after steps that ended an episode

    @property
    def size(self) -> int:
        """Rows lie at 0 .. size - 1."""
        return min(self.complete, self.capacity)

    def ready(self, index: Array) -> Array:
        """Whether the rows at `index` can be sampled, bool."""
        return self.order[index] != NOWHERE if self.gaps else index < self.size

    # Writing

    def add(self, experience: Experience) -> Change:
        """Append an Unroll to the block of columns of its actor. An episode that neither ended nor goes on, as when an
        actor was replaced, counts as cut off."""
        unroll: Unroll = experience.rows
        length, count = unroll.reward.shape
        first = experience.actor * count
        if self.columns % count or first + count > self.columns:
            raise ValueError(f"rows {first} to {first + count - 1} don't fit into {self.columns} columns")
        if length * count > self.capacity:
            raise ValueError(
                f"{length * count} steps at once don't fit: set memory.capacity, now {self.capacity}, to more"
            )
        if not self.rings:
            self._begin(unroll)
        block = self.last[first : first + count]
        broken, stale, dropped = _enter(self.pointers, self.made, length, block, unroll.first[0], first)
        if len(dropped):
            self.finals.free += dropped.tolist()
        if len(broken):
            slots = block[broken] % self.slots
            self.rings["final"][slots] = self.finals.put(*(shown[first + broken] for shown in self.front.values()))
        self._write(unroll, first)
        block[:] = self.made + (length - 1) * count + np.arange(count)
        self.made += length * count
        fresh = self._number(experience.actor, length, count)
        self.gaps = self.gaps or (len(stale) > 0 and bool((self.order[stale] == NOWHERE).any()))
        return Change(fresh, stale)

    def _begin(self, unroll: Unroll) -> None:
        fields = {name: getattr(unroll, name) for name in ("obs", "mask", *KEPT)}
        shapes = {name: (field.shape[2:], field.dtype) for name, field in fields.items() if field is not None}
        pointers = {name: ((), np.dtype(np.int64)) for name in ("next", "row", "final")}
        # Steps that wait for their successors are passed by those of the other actors: room for them.
        waiting = self.columns * (len(unroll.reward) + self.n_step - 1) if self.n_step > 1 else 0
        self._allocate(shapes | pointers, self.capacity + waiting)

    def _allocate(self, rows: Mapping[str, tuple[tuple[int, ...], DTypeLike]], slots: int) -> None:
        """Room for steps whose fields have these shapes and types. Raises NotEnoughMemory."""
        self.slots = slots
        shapes: dict[str, tuple[tuple[int, ...], DTypeLike]] = {
            name: ((slots, *shape), dtype) for name, (shape, dtype) in rows.items()
        }
        self.rings = allocate(shapes | {"order": ((self.capacity,), np.int64)}, self.capacity, self.available)
        self.order = self.rings.pop("order")
        fields = {name: self.rings[name] for name in Pointers._fields if name != "order"}
        self.pointers = Pointers(order=self.order, **fields)
        for array in (self.order, self.pointers.final, self.pointers.row):
            array[:] = NOWHERE
        shown = (name for name in ("obs", "mask") if name in rows)
        self.front = {name: np.zeros((self.columns, *rows[name][0]), rows[name][1]) for name in shown}

    def _write(self, unroll: Unroll, first: int) -> None:
        """Put the steps where number `made` and those behind it lie."""
        length, count = unroll.reward.shape
        start, total = self.made % self.slots, length * count
        fits = min(total, self.slots - start)
        for name, ring in self.rings.items():
            if name in POINTERS:
                continue
            field = getattr(unroll, name)
            steps = field[:length].reshape(total, *field.shape[2:])
            ring[start : start + fits] = steps[:fits]
            if fits < total:
                ring[: total - fits] = steps[fits:]
        for name, front in self.front.items():
            front[first : first + count] = getattr(unroll, name)[-1]
        if len(unroll.final_at):
            shown = [array for array in (unroll.final_obs, unroll.final_mask) if array is not None]
            self.rings["final"][(self.made + unroll.final_at) % self.slots] = self.finals.put(*shown)

    def _number(self, actor: int, length: int, count: int) -> Array:
        """Give the steps of an actor that are complete now their rows. Returns these."""
        complete = np.arange(self.made - length * count, self.made)
        if self.n_step > 1:
            window = complete.reshape(length, count)
            if actor in self.waiting:
                window = np.concatenate([self.waiting[actor], window])
            done = max(len(window) - (self.n_step - 1), 0)
            self.waiting[actor] = window[done:]
            complete = window[:done].reshape(-1)
            complete = complete[complete >= self.made - self.slots]  # who waited too long has been overwritten
        rows: Array = _begin_rows(self.rings["row"], self.order, complete, self.complete)
        self.complete += len(complete)
        return rows

    # Reading

    def gather(self, index: Array) -> Transition:
        """The n-step transitions that start at rows `index` [m]."""
        rings, starts = self.rings, self.order[index]
        if self.rewards:
            reward, discount, last = self._judged(starts)
            lead = _lead(self.pointers, last)
        else:
            turn = rings.get("turn", NO_TURNS)
            (reward, discount, last), lead = _follow(
                self.pointers, rings["reward"], turn, self.gamma, self.n_step, starts
            )
        after = self._after(last, lead)
        return Transition(
            obs=rings["obs"].take(starts, 0),
            action=rings["action"].take(starts, 0),
            reward=reward,
            discount=discount,
            next_obs=after["obs"],
            next_mask=after.get("mask"),
            mask=rings["mask"].take(starts, 0) if "mask" in rings else None,
        )

    def _judged(self, starts: Array) -> tuple[Array, Array, Array]:
        """What the reward models say that the steps from `starts` on are worth now: as `_add_up`."""
        slots = _windows(self.pointers, self.n_step, starts)
        shape, rings = slots.shape, self.rings
        reward = self.rewards.judged(self._lived(slots.reshape(-1))).reshape(shape)
        gamma = self.gamma * rings["turn"][slots].astype(np.float64) if "turn" in rings else self.gamma
        ends = rings["terminated"][slots], rings["truncated"][slots]
        steps = transitions(reward, *ends, gamma, self.n_step, starts=1)
        return steps.reward[0], steps.discount[0], slots[steps.last[0], np.arange(shape[1])]

    def _lived(self, slots: Array) -> Lived:
        """The steps at `slots` [n], each by itself."""
        obs, action, reward = (self.rings[name][slots] for name in ("obs", "action", "reward"))
        after = self._after(slots, _lead(self.pointers, slots))
        return Lived(obs, action, reward, after["obs"], self.rings["terminated"][slots])

    def _after(self, slots: Array, lead: Lead) -> dict[str, Array]:
        """What was shown after the steps at `slots` [m]. Nothing is legal where an episode terminated: there the next
        one's mask stands, as no value counts."""
        following, open_, ended, number = lead
        shown = {name: self.rings[name].take(following, 0, mode="clip") for name in self.front}
        if len(open_):
            for name, array in shown.items():
                array[open_] = self.front[name][-1 - following[open_]]
        if len(ended):
            obs, *mask = self.finals.get(number)
            shown["obs"][ended] = obs
            for legal in mask:
                cut = self.rings["truncated"][slots[ended]]
                shown["mask"][ended[cut]] = legal[cut]
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
            "gaps": self.gaps,
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
        self.gaps = state["gaps"]
        self.front = {name: shown.copy() for name, shown in state["front"].items()}
        self.waiting = {int(actor): numbers.copy() for actor, numbers in state["waiting"].items()}
        self.finals.load_state_dict(state["finals"])
