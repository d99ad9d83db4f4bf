"""What configs of fits to sequences have in common. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Literal

from agents.fitting.configs.data import BatchLearner
from agents.footprint import PARAMETER, Footprint, Shown
from agents.torsos import Heads, Layers
from experiment.config import Config, Count, NonNegative


class SequenceOptions(Config):
    kind: Literal["rnn", "gru", "lstm", "transformer"] = "gru"
    """cells that remember, or attention to what came before"""
    width: Count = 128
    """features of a token"""
    layers: Layers = 1
    heads: Heads = 4
    norm: Literal["pre", "post"] = "pre"
    """transformer: normalize what a block reads, or what it puts out"""

    def footprint(self, run: object, world: Shown) -> Footprint:
        return {"width": PARAMETER * self.layers * self.width**2}


class ReaderOptions(SequenceOptions):
    positions: Literal["sinusoidal", "learned", "none"] = "sinusoidal"
    """transformer: how a token shows where it is"""
    attention: Literal["softmax", "linear"] = "softmax"
    """transformer: weigh tokens by the softmax of products (Vaswani et al. 2017), or by products (Katharopoulos et al.
    2020)"""


class SequenceLearner(BatchLearner):
    max_gradient_norm: NonNegative = 1.0
    """longer gradients are scaled down to this length; 0: no limit"""
