"""Config of dynamic programming. Torch-free and numba-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from agents.config import OfMDP, SolverEvaluation
from experiment.config import Fraction, NonNegative, Positive


class DynamicProgramming(OfMDP):
    algorithm: Literal["dynamic_programming"] = "dynamic_programming"
    """values and policies of a finite MDP whose probabilities are known"""
    method: Literal["policy_evaluation", "policy_iteration", "value_iteration", "prioritized_sweeping"] = (
        "value_iteration"
    )
    """what an iteration does: a sweep of backups, of the uniform policy or of the optimum; an evaluation and an
    improvement; or as many backups as there are states, each where the error is largest"""
    steps: Positive = 1_000
    """iterations at most"""
    discount: Fraction = 0.9
    """gamma: what a reward one step later is worth"""
    tolerance: NonNegative = 1e-8
    """an iteration that changes no value by more than this is the last one"""
    in_place: bool = True
    """sweep with one array, so that a state sees new values of the states before it; otherwise with two"""
    sweeps: Positive | None = None
    """policy_iteration: sweeps of an evaluation, from the values before it; null solves linear equations"""
    temperature: NonNegative = 0.0
    """weight of the policy's entropy, which is then maximized with the rewards; 0 is none"""
    evaluation: SolverEvaluation = SolverEvaluation()
    """when to measure what was found"""

    @model_validator(mode="after")
    def _sweeps_have_a_reader(self) -> Self:
        if self.sweeps is not None and self.method != "policy_iteration":
            raise ValueError(f"sweeps is an option of method=policy_iteration, but method is {self.method}")
        return self
