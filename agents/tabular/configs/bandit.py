"""Config of bandits, and the rules that explore them. Torch-free and numba-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from agents.config import Experiment, World
from agents.footprint import Footprint
from experiment.config import Config, Fixed, Fraction, NonNegative, Positive, PositiveFloat, Rows


class Estimating(Config):
    """Goes by an estimate of each arm's mean."""

    step_size: Annotated[float, Field(gt=0, le=1)] | None = None
    """estimate += step_size * (reward - estimate); null is 1 / n after n rewards, which makes it their mean"""
    initial: float = 0.0
    """estimate of an arm before its first reward; far too high, it makes greedy explore (optimistic initial values)"""


class Greedy(Estimating):
    name: Literal["epsilon_greedy"] = "epsilon_greedy"
    """the arm with the best estimate, seldom any arm"""
    epsilon: Fraction = 0.1
    """probability of any arm, all alike; 0 is greedy, 1 looks at nothing"""


class UCB1(Estimating):
    name: Literal["ucb1"] = "ucb1"
    """the arm with the best estimate + c * sqrt(log(t) / n) after t pulls, n of this arm; each once first"""
    c: NonNegative = 2**0.5
    """sqrt(2) is UCB1 of Auer et al. 2002, for rewards in [0, 1]; Sutton & Barto, figure 2.4, have 2"""


class UCBDeviation(Estimating):
    name: Literal["ucb_deviation"] = "ucb_deviation"
    """the arm with the best estimate + c * a standard deviation; each arm twice first"""
    c: NonNegative = 1.0
    """weight of the deviation"""
    of: Literal["rewards", "mean"] = "rewards"
    """the deviation of an arm's n rewards, or that of their mean, which is smaller by sqrt(n) and so shrinks"""


class Gradient(Config):
    name: Literal["gradient"] = "gradient"
    """arms in proportion to exp(preference), and the gradient of the expected reward (Sutton & Barto, section 2.8)"""
    step_size: PositiveFloat = 0.1
    """of the preferences"""
    baseline: bool = True
    """compare a reward with the mean of those before it; otherwise with 0"""


class Thompson(Config):
    name: Literal["thompson"] = "thompson"
    """an arm with the probability that it is the best, judged from a standard normal, or uniform, prior"""


Rule = Greedy | UCB1 | UCBDeviation | Gradient | Thompson


class Testbed(Config):
    rows: Rows = 2_000
    """independent problems, each with a learner of its own"""
    arms: Annotated[int, Field(ge=2, le=2**16)] = 10
    """arms of each"""
    rewards: Literal["normal", "bernoulli"] = "normal"
    """normal: of deviation 1 around the arm's mean; bernoulli: 1 or 0, the means drawn uniformly"""
    mean: float = 0.0
    """rewards=normal: an arm's mean is drawn from a normal around this ..."""
    spread: NonNegative = 1.0
    """rewards=normal: ... of this deviation"""
    drift: NonNegative = 0.0
    """rewards=normal: standard deviation of what each mean moves by after each pull"""

    def footprint(self, run: Any, world: Any) -> Footprint:
        return {"rows": 16 * self.rows * self.arms}  # a mean and an estimate of it

    @model_validator(mode="after")
    def _probabilities_have_their_own_prior(self) -> Self:
        if self.rewards == "bernoulli" and (self.mean, self.spread, self.drift) != (0.0, 1.0, 0.0):
            raise ValueError("mean, spread and drift are options of rewards=normal, but rewards is bernoulli")
        return self


class Bandit(Experiment):
    algorithm: Literal["bandit"] = "bandit"
    """a rule that explores many-armed bandits"""
    steps: Positive = 1_000
    """pulls, in each row of the testbed"""
    testbed: Fixed[Testbed] = Testbed()
    """the problems"""
    rule: Fixed[Annotated[Rule, Field(discriminator="name")]] = Greedy()
    """how arms are chosen"""

    @property
    def world(self) -> World:
        return World("bandits", "bandits")
