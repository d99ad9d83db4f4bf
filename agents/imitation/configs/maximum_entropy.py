"""Config of maximum causal entropy. Torch-free and numba-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Literal

from agents.config import OfMDP, SolverEvaluation
from experiment.config import Fixed, Fraction, NonNegative, Positive, PositiveFloat


class MaximumEntropy(OfMDP):
    algorithm: Literal["maximum_entropy"] = "maximum_entropy"
    """maximum causal entropy: the rewards of a finite MDP, from how often an expert is where"""
    steps: Positive = 100
    """iterations at most"""
    discount: Fraction = 0.9
    """gamma: what a reward one step later is worth"""
    temperature: Fixed[PositiveFloat] = 1.0
    """of the expert, who maximizes rewards and this times the entropy of what it does; what is learned has 1"""
    features: Fixed[Literal["state", "state_action"]] = "state"
    """what a reward belongs to"""
    regularization: NonNegative = 0.0
    """taken from the likelihood: half of this times the square of the rewards' length"""
    tolerance: NonNegative = 1e-9
    """an iteration after which no feature is expected more or less often than by the expert, by more than this, is the
    last one"""
    evaluation: SolverEvaluation = SolverEvaluation()
    """when to measure what was found"""
