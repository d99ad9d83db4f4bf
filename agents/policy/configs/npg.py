"""Config of the natural policy gradient. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Literal

from agents.experience.rewards.configs import Rewarded
from agents.parts.config import NaturalLearning


class NPG(NaturalLearning, Rewarded):
    algorithm: Literal["npg"] = "npg"
    """natural policy gradient"""
