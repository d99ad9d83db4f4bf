"""From options to reward models.

models = make_rewards(config.rewards)
Parts(learner, Latest(Rewards(models)), EveryCollection(), models)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from agents.api import RewardModel
from agents.experience.rewards.configs import Reward
from agents.experience.rewards.count import CountBonus

MODELS: Mapping[str, Callable[[Reward], RewardModel]] = {
    "count": lambda options: CountBonus(options.scale, options.resolution),
}


def make_rewards(rewards: Sequence[Reward]) -> dict[str, RewardModel]:
    """By kind, in their order."""
    return {options.kind: MODELS[options.kind](options) for options in rewards}
