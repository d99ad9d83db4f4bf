"""Config of an autoencoder. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Literal

from agents.config import CoderOptions
from agents.fitting.configs.data import BatchLearner, OfData
from experiment.config import Count, Fixed, PositiveFloat
from generative.examples import Name


class Autoencoder(OfData):
    algorithm: Literal["autoencoder"] = "autoencoder"
    """an encoder and a decoder that give the data back through few numbers"""
    data: Fixed[Name]
    """the data: digits are pictures, ring and grid are mixtures of normals in the plane"""
    latent: Fixed[Count] = 8
    """numbers that an input becomes"""
    network: Fixed[CoderOptions] = CoderOptions()
    """the encoder; the decoder is its mirror image"""
    given: Literal["all", "noisy", "upper_half"] = "all"
    """what is shown of an input that is to be given back whole: everything, with normal noise, the upper half of a
    picture"""
    noise: PositiveFloat = 0.3
    """standard deviation of the noise (noisy)"""
    learner: BatchLearner = BatchLearner()
    """the update"""
