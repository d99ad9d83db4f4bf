"""Config of MCCFR. Torch-free and numba-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from agents.config import Runtime, Solution, SolverEvaluation
from agents.footprint import Footprint
from experiment.config import Fixed, Positive, Rows


class SampledEvaluation(SolverEvaluation):
    games: Positive = 1_000
    """table=growing: games against random play, half of them in each seat"""


class MCCFR(Solution):
    algorithm: Literal["mccfr"] = "mccfr"
    """Monte-Carlo counterfactual regret minimization"""
    sampling: Literal["external", "outcome"] = "external"
    """external: all actions of the traversing seat are tried; outcome: one game is played"""
    exploration: Annotated[float, Field(gt=0, le=1)] = 0.6
    """sampling=outcome: probability with which the traversing seat's action is uniform"""
    weighting: Fixed[Literal["linear", "uniform"]] = "linear"  # the sums so far are weighted so
    """linear: iteration t counts t times, in regrets and averages (Brown & Sandholm 2019); uniform: once"""
    table: Fixed[Literal["tree", "growing"]] = "tree"
    """tree: the game is compiled; growing: it is sampled through its rules, for games too large to compile"""
    batch: Rows = 64
    """table=growing: traversals for each seat at one iteration, by one policy; with table=tree it is one"""
    memory_bytes: Positive = 4 << 30
    """ceiling: a game whose tree would take more is refused; a growing table stops growing"""
    evaluation: SampledEvaluation = SampledEvaluation()
    """when to measure how far the policy is from equilibrium"""
    runtime: Runtime | None = None
    """where actors sample, each on a copy of the table; its growth is joined by the mean; null samples in one place"""
    iterations: Positive = 1_000
    """with a runtime: iterations that an actor makes before it shares what it found"""

    def footprint(self, run: Any, world: Any) -> Footprint:
        return {"memory_bytes": self.memory_bytes} if self.table == "growing" else {}

    @model_validator(mode="after")
    def _a_growing_table_is_in_one_place(self) -> Self:
        if self.runtime is not None and self.table == "growing":
            raise ValueError("runtime is set, but a table that grows is sampled in one place: leave runtime out")
        return self
