"""What a run will take of memory, told before any of it is taken.

    require(config, spec)

A section of a config whose numbers cost bytes says so, at the least, by the names of its fields:

    class ReplayOptions(Config):
        capacity: Fixed[Rows] = 1_000_000

        def footprint(self, run: Any, world: Shown) -> Footprint:
            return {"capacity": self.capacity * step_bytes(world)}

What is allocated later, when shapes are known, is looked at once more: `agents.experience.memory.table.allocate`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

from envs.api import Continuous, Discrete, GameSpec, Spec
from experiment.config import Config

Footprint = Mapping[str, int]
Shown = Spec | GameSpec | None  # None: data

PARAMETER = 16  # bytes: its value, its gradient, and Adam's two moments, float32
STEP = 32  # bytes of a kept step beside what it shows and what was done


class NotEnoughMemory(MemoryError):
    """Something was refused before anything was allocated for it: the value of a key asks for more bytes than the
    `available` ones."""

    def __init__(self, key: str, value: Any, needed: int, available: int) -> None:
        super().__init__(key, value, needed, available)
        self.key, self.value, self.needed, self.available = key, value, needed, available

    def __str__(self) -> str:
        found = f"{self.key}={self.value} needs {self.needed} bytes, but {self.available} are available"
        fits = self.value * self.available // max(self.needed, 1) if isinstance(self.value, int) else 0
        return f"{found}: set {self.key} to {fits} or less" if fits else f"{found}: choose less"


def available_memory() -> int:
    """Bytes that can be allocated without swapping, as the system estimates it, within the limits of a container."""
    free = [_ceiling() or _physical()]
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            free.append(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")))
    except (OSError, StopIteration):  # not Linux
        pass
    return min(free)


def _physical() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _ceiling() -> int | None:
    """What a control group leaves to its processes; None where it sets no limit."""
    for most, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            numbers = [int((Path("/sys/fs/cgroup") / name).read_text()) for name in (most, used)]
        except (OSError, ValueError):  # not there, or "max"
            continue
        return max(0, numbers[0] - numbers[1])
    return None


def footprint(config: Config, world: Shown) -> dict[str, int]:
    """Bytes that settings ask for, at the least, by their dotted keys."""
    return dict(_sections(config, config, world, ""))


def _sections(section: Config, run: Config, world: Shown, prefix: str) -> Iterator[tuple[str, int]]:
    told = getattr(section, "footprint", None)
    for name, size in {} if told is None else told(run, world).items():
        yield prefix + name, size
    for name, inner in vars(section).items():
        if isinstance(inner, Config):
            whole = "algorithm" in type(inner).model_fields  # a run within a run
            yield from _sections(inner, inner if whole else run, world, f"{prefix}{name}.")


def require(config: Config, world: Shown, available: Callable[[], int] = available_memory) -> None:
    """Raises NotEnoughMemory where all that a run asks for can't fit; it names what asks for most."""
    sizes = footprint(config, world)
    if sum(sizes.values()) <= (free := available()):
        return
    key = max(sizes, key=lambda name: sizes[name])
    rest = sum(sizes.values()) - sizes[key]
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    raise NotEnoughMemory(key, list(value) if isinstance(value, tuple) else value, sizes[key], max(0, free - rest))


# What sections reckon with --------------------------------------------------------------------------------------------


def shown_bytes(world: Shown) -> int:
    """What a seat is shown at one step: an observation and a mask."""
    if world is None:
        return 0
    if isinstance(world, GameSpec):
        return prod(world.obs_shape) + world.actions
    masked = world.actions.n if world.masked and isinstance(world.actions, Discrete) else 0
    return prod(world.obs_shape) * (1 if world.obs_dtype == "uint8" else 4) + masked


def step_bytes(world: Spec) -> int:
    """A step that a memory keeps; of stacked pictures one."""
    numbers = len(world.actions.low) if isinstance(world.actions, Continuous) else 2
    return shown_bytes(world) // world.frames + 4 * numbers + STEP


def layer_bytes(world: Shown, hidden: Sequence[int]) -> int:
    """Layers of these widths behind an observation, and what learning keeps beside each parameter."""
    inputs = 1 if world is None else prod(world.obs_shape)
    return PARAMETER * sum(a * b + b for a, b in pairwise([inputs, *hidden]))
