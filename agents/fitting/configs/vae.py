"""Config of a variational autoencoder. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Literal

from agents.config import CoderOptions
from agents.fitting.configs.data import BatchLearner, OfData
from experiment.config import Count, Fixed, NonNegative
from generative.examples import Name


class VariationalLearner(BatchLearner):
    beta: NonNegative = 1.0
    """weight of the divergence; 1 is the bound on log p(x), more presses codes to say less (Higgins et al. 2017)"""
    free_bits: NonNegative = 0.0
    """nats that each code may say for nothing"""


class VAE(OfData):
    algorithm: Literal["vae"] = "vae"
    """variational autoencoder"""
    data: Fixed[Name]
    """the data: digits are pictures, ring and grid are mixtures of normals in the plane"""
    latent: Fixed[Count] = 8
    """numbers that an input becomes, each with a deviation"""
    network: Fixed[CoderOptions] = CoderOptions()
    """the encoder; the decoder is its mirror image"""
    likelihood: Fixed[Literal["gaussian", "bernoulli"]] = "gaussian"
    """what the decoder says: means of normals with one learned variance, or probabilities of pixels that are drawn as 0
    or 1, in proportion to their grey, each time they are seen"""
    learner: VariationalLearner = VariationalLearner()
    """the update"""
