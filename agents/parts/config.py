"""Options of learners that learn from their own latest steps. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from agents.config import Collection, Control, NetworkOptions, NormalizeOptions
from agents.maths.schedules import Schedule
from experiment.config import Config, Fixed, Fraction, NonNegative, Positive, PositiveFloat


class StochasticOptions(NetworkOptions):
    log_std: float = 0.0
    """initial log standard deviation of continuous actions"""


class ActorCriticOptions(StochasticOptions):
    shared: bool = False
    """policy and value share one torso"""


class ReturnNormalizeOptions(NormalizeOptions):
    rewards: bool = False
    """divide rewards by the running deviation of the discounted return"""


class Descent(Config):
    """One loss of policy, values and entropy."""

    learning_rate: PositiveFloat | Schedule = 7e-4
    """step size of Adam; a number or a schedule over the run"""
    discount: Fraction = 0.99
    """gamma"""
    value_coefficient: NonNegative = 1.0
    """weight of the value loss, (target - value)^2 / 2; 1 is 0.5 where others don't halve it"""
    entropy_coefficient: NonNegative = 0.0
    """weight of the entropy bonus"""
    max_gradient_norm: PositiveFloat = 0.5
    """longer gradients are scaled down to this Euclidean norm"""
    adam_epsilon: PositiveFloat = 1e-5
    """added to Adam's denominator"""


class ActorCriticLearning(Control):
    """A policy and its values are one network: `agents.parts.actor_critic`."""

    network: Fixed[ActorCriticOptions] = ActorCriticOptions()
    """policy and value networks"""
    learner: Descent = Descent()
    """the update"""
    normalize: Fixed[ReturnNormalizeOptions] = ReturnNormalizeOptions()
    """running normalization"""


class BaselineOptions(Config):
    """Values beside a policy: `agents.parts.baselines`."""

    learning_rate: PositiveFloat | Schedule = 1e-3
    """step size of Adam; a number or a schedule over the run"""
    batch_size: Positive = 64
    """rows of one minibatch"""
    epochs: Positive = 10
    """passes over what was collected"""


class PolicyLearning(Control):
    """A policy, and values beside it: `agents.parts.policy_learner`."""

    network: Fixed[StochasticOptions] = StochasticOptions()
    """policy and value networks, of the same shape"""
    baseline: BaselineOptions = BaselineOptions()
    """what is subtracted from returns"""
    normalize: Fixed[ReturnNormalizeOptions] = ReturnNormalizeOptions()
    """running normalization"""


class NaturalStep(Config):
    """A step that is measured by how far the distribution of actions moves."""

    radius: PositiveFloat | Schedule = 0.01
    """KL divergence that a step may make; a number or a schedule over the run"""
    iterations: Positive = 10
    """of the conjugate gradient"""
    damping: NonNegative = 0.1
    """added to the diagonal of the Fisher matrix"""
    discount: Fraction = 0.99
    """gamma"""
    gae_lambda: Fraction = 0.95
    """lambda of generalized advantage estimation: 0 = one-step, 1 = Monte-Carlo"""
    normalize_advantage: bool = True
    """give the advantages of each update mean 0 and deviation 1"""


class NaturalLearning(PolicyLearning):
    """A policy moves by natural steps: `agents.parts.natural`."""

    rollout: Collection = Collection(steps=256)
    """how much is collected for one update"""
    learner: NaturalStep = NaturalStep()
    """the update of the policy"""


class CorrectionFit(Config):
    updates: Positive = 500
    """steps of Adam after each collection"""
    batch_size: Positive = 64
    """rows of one step of Adam; all of them where there are fewer"""
    learning_rate: PositiveFloat | Schedule = 1e-3
    """step size of Adam; a number or a schedule"""
    regularization: NonNegative = 0.0
    """added to the loss: this times the square of the parameters' length"""


class Correcting(Control):
    """An expert says what was to be done in the states that the learner comes to: `agents.parts.correcting`."""

    expert: Fixed[str] = "scripted"
    """whose actions are learned: scripted, a rule known for some worlds, or the directory of a run or checkpoint"""
    rollout: Collection = Collection(steps=250)
    """how much is collected between fits"""
    network: Fixed[StochasticOptions] = StochasticOptions()
    """the policy"""
    normalize: Fixed[NormalizeOptions] = NormalizeOptions()
    """running normalization"""
    learner: CorrectionFit = CorrectionFit()
    """the fits"""
