"""Config of CFR. Torch-free and numba-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agents.config import Solution
from experiment.config import Fixed, Positive

Exponent = Annotated[float, Field(ge=-10, le=10)]


class CFR(Solution):
    algorithm: Literal["cfr"] = "cfr"
    """counterfactual regret minimization on a compiled tree"""
    variant: Fixed[Literal["cfr", "cfr_plus", "linear_cfr", "discounted_cfr", "predictive_cfr_plus"]] = "cfr_plus"
    """which regret minimizer"""
    updates: Literal["alternating", "simultaneous"] = "alternating"
    """whether seats learn in turns, or all at once"""
    alpha: Exponent | None = None
    """discounted_cfr: positive regrets keep t^alpha / (t^alpha + 1) after iteration t; null is 1.5"""
    beta: Exponent | None = None
    """discounted_cfr: negative regrets keep t^beta / (t^beta + 1); null is 0, which halves them"""
    gamma: Fixed[Annotated[float, Field(ge=0, le=10)] | None] = None  # the sums so far are weighted so
    """the policy of iteration t counts t^gamma times in the average; null is the variant's: 0, 1, 1, 2, 2"""
    form: Literal["auto", "sequence", "history"] = "auto"
    """sequence: fast, two seats; history: any number of seats, OpenSpiel's numbers to the last bit; auto: what fits"""
    memory_bytes: Positive = 4 << 30
    """games whose tree would take more are refused"""
    tree_cache: str | None = None
    """folder in which compiled trees are kept for the next run; null compiles each time"""

    @model_validator(mode="after")
    def _discounts_have_a_reader(self) -> Self:
        if self.variant != "discounted_cfr" and (self.alpha, self.beta) != (None, None):
            raise ValueError(f"alpha and beta are options of variant=discounted_cfr, but variant is {self.variant}")
        return self
