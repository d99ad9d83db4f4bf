"""The memory of on-policy algorithms: it hands out what was just collected, once."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.api import Experience, Sample, State, Unroll
from envs.api import Array


class Latest:
    """Unrolls of all actors side by side, in order of arrival; `sample` empties it."""

    def __init__(self) -> None:
        self.unrolls: list[Unroll] = []

    def add(self, experience: Experience) -> None:
        self.unrolls.append(experience.rows)

    def sample(self) -> Sample:
        """All Unrolls since the last sample as one, as if a single actor had made them in all rows."""
        if not self.unrolls:
            raise ValueError("nothing was collected since the last sample")
        unrolls, self.unrolls = self.unrolls, []
        return Sample(side_by_side(unrolls))

    def update(self, sample: Sample, priority: object) -> None:
        """Priorities don't matter: every sample is all there is."""

    def state_dict(self) -> State:
        return {"unrolls": {str(i): unroll._asdict() for i, unroll in enumerate(self.unrolls)}}

    def load_state_dict(self, state: State) -> None:
        stored = state["unrolls"]
        self.unrolls = [Unroll(**stored[str(i)]) for i in range(len(stored))]


def side_by_side(unrolls: list[Unroll]) -> Unroll:
    """Unrolls of T steps joined along their rows B; `cut_at` is renumbered for, and ascends in, the wider result."""
    if len(unrolls) == 1:
        return unrolls[0]
    lengths = [len(unroll.reward) for unroll in unrolls]
    if len(set(lengths)) > 1:
        raise ValueError(f"unrolls of different lengths can't be joined: {lengths} steps")
    widths = [unroll.reward.shape[1] for unroll in unrolls]
    offsets = np.concatenate([[0], np.cumsum(widths)])
    cut_at = np.concatenate(
        [
            unroll.cut_at // width * offsets[-1] + offset + unroll.cut_at % width
            for unroll, width, offset in zip(unrolls, widths, offsets[:-1], strict=True)
        ]
    )
    order = np.argsort(cut_at)

    def joined(parts: tuple[Array | None, ...], axis: int = 1) -> Any:
        present = [part for part in parts if part is not None]
        return np.concatenate(present, axis=axis) if present else None

    *fields, cut_obs, _, cut_mask, turn = zip(*unrolls, strict=True)
    masks = joined(cut_mask, axis=0)
    cuts = [joined(cut_obs, axis=0)[order], cut_at[order], None if masks is None else masks[order]]
    columns: list[Any] = [*map(joined, fields), *cuts, joined(turn)]
    return Unroll(*columns)
