"""From options to reward models.

models = make_rewards(config, spec, seeds, log_prob)
Parts(learner, Latest(Rewards(models)), EveryCollection(), models)
"""

from __future__ import annotations

from typing import Any

from agents.api import RewardModel
from agents.experience.demonstrations import demonstrated
from agents.experience.rewards.adversarial import Adversary, LogProb
from agents.experience.rewards.configs import CountOptions, Reward
from agents.experience.rewards.count import CountBonus
from envs.api import Spec
from experiment.seeding import Seeds


def make_rewards(config: Any, spec: Spec, seeds: Seeds, log_prob: LogProb | None = None) -> dict[str, RewardModel]:
    """Those of a config (`Rewarded`) by kind, in their order. log_prob: of the learner's policy, where it has one.

    Raises ValueError or CheckpointError where a model can't be made for this world.
    """

    def made(options: Reward) -> RewardModel:
        if isinstance(options, CountOptions):
            return CountBonus(options.scale, options.resolution)
        shown = demonstrated(options, config.env, spec, seeds)
        return Adversary(options, shown, spec, config.learner.discount, seeds, log_prob)

    return {options.kind: made(options) for options in config.rewards}
