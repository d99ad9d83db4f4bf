"""Configs of the solvers of imperfect information. Torch-free and numba-free."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from agents.config import (
    Activation,
    Evaluation,
    Learning,
    Natural,
    NonNegative,
    OfGame,
    Positive,
    PositiveFloat,
    Runtime,
    Solution,
    SolverEvaluation,
)
from agents.schedules import Schedule
from experiment.config import Config, Fixed

Exponent = Annotated[float, Field(allow_inf_nan=False)]


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
    gamma: Fixed[NonNegative | None] = None  # the sums so far are weighted so
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
    batch: Positive = 64
    """table=growing: traversals for each seat at one iteration, by one policy; with table=tree it is one"""
    memory_bytes: Positive = 4 << 30
    """ceiling: a game whose tree would take more is refused; a growing table stops growing"""
    evaluation: SampledEvaluation = SampledEvaluation()
    """when to measure how far the policy is from equilibrium"""
    runtime: Runtime | None = None
    """where actors sample, each on a copy of the table; its growth is joined by the mean; null samples in one place"""
    iterations: Positive = 1_000
    """with a runtime: iterations that an actor makes before it shares what it found"""

    @model_validator(mode="after")
    def _a_growing_table_is_in_one_place(self) -> Self:
        if self.runtime is not None and self.table == "growing":
            raise ValueError("runtime is set, but a table that grows is sampled in one place: leave runtime out")
        return self


class DeepCFRNetwork(Config):
    hidden: tuple[Positive, ...] = (64, 64)
    """widths of the hidden layers of every network"""
    activation: Activation = "relu"
    """nonlinearity between layers"""

    @field_validator("hidden", mode="before")
    @classmethod
    def _list_is_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value


class DeepCFRLearner(Config):
    updates: Positive = 750
    """updates of a new advantage network, at each iteration of its seat"""
    batch_size: Positive = 1024
    """rows of one update"""
    learning_rate: PositiveFloat | Schedule = Schedule(kind="linear", start=1e-2, end=0.0)
    """step size of Adam for an advantage network; a schedule goes from its first update to its last"""
    strategy_updates: Positive = 100
    """updates of the strategy network after each collection"""
    strategy_learning_rate: PositiveFloat | Schedule = Schedule(kind="linear", start=3e-3, end=0.0)
    """step size of Adam for the strategy network; a schedule goes over the run"""
    max_gradient_norm: PositiveFloat = 1.0
    """longer gradients are scaled down to this Euclidean norm"""
    adam_epsilon: PositiveFloat = 1e-8
    """added to Adam's denominator"""


class DeepCFRMemory(Config):
    capacity: Fixed[Positive] = 1_000_000
    """rows kept for each seat's advantages, and for the strategy: a uniform sample of all that ever came"""


class DeepCFREvaluation(Evaluation):
    memory_bytes: Natural = 4 << 30
    """a game whose tree would take more is refused; 0: no tree is made, and exploitability not measured"""


class DeepCFR(Learning, OfGame):
    algorithm: Literal["deep_cfr"] = "deep_cfr"
    """deep counterfactual regret minimization"""
    steps: Positive = 300_000
    """traversals, of all seats together: an iteration is `traversals` for each seat"""
    traversals: Positive = 1_500
    """traversals of one seat at one iteration, over all actors together"""
    average: Fixed[Literal["network", "mixture"]] = "network"
    """the average policy: a network trained on how was played, or all past advantage networks, exactly (SD-CFR)"""
    network: Fixed[DeepCFRNetwork] = DeepCFRNetwork()
    """of advantages and of the strategy"""
    learner: DeepCFRLearner = DeepCFRLearner()
    """the updates"""
    memory: DeepCFRMemory = DeepCFRMemory()
    """the reservoirs"""
    evaluation: DeepCFREvaluation = DeepCFREvaluation()
    """when to measure how far the average policy is from equilibrium"""

    @model_validator(mode="after")
    def _iterations_are_whole(self) -> Self:
        if self.traversals % self.runtime.actors:
            raise ValueError(
                f"traversals ({self.traversals}) is not divisible by runtime.actors ({self.runtime.actors}): "
                "each actor makes as many"
            )
        if self.runtime.mode == "asynchronous":
            raise ValueError(
                "runtime.mode is asynchronous, but an iteration of deep_cfr needs all its traversals: use synchronous"
            )
        return self
