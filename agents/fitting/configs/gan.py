"""Config of generative adversarial networks. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from agents.config import CoderOptions
from agents.fitting.configs.data import BatchLearner, OfData
from experiment.config import Count, Fixed, Fraction, NonNegative
from generative.examples import Name


class AdversarialLearner(BatchLearner):
    loss: Literal["minimax", "non_saturating", "least_squares", "wasserstein"] = "non_saturating"
    """what both play for"""
    penalty: NonNegative = 0.0
    """weight of the gradient penalty, which wasserstein needs: 10 in its paper"""
    turns: Count = 1
    """updates of the discriminator for one of the generator; a step is the latter"""
    momentum: Fraction = 0.5
    """Adam's beta 1, of both"""
    averaging: Fixed[Annotated[float, Field(ge=0, lt=1)]] = 0.0
    """decay of a running mean of the generator's parameters, which evaluations draw by; 0 takes them as they are"""


class GAN(OfData):
    algorithm: Literal["gan"] = "gan"
    """generative adversarial networks"""
    data: Fixed[Name]
    """the data: digits are pictures, ring and grid are mixtures of normals in the plane"""
    latent: Fixed[Count] = 16
    """numbers of the noise that a sample is made from"""
    conditional: Fixed[bool] = False
    """show both the class: then samples are made to order"""
    generator: Fixed[CoderOptions] = CoderOptions()
    """from noise to samples, as the decoder of an autoencoder"""
    discriminator: Fixed[CoderOptions] = CoderOptions()
    """from data or samples to a verdict, as the encoder of one"""
    learner: AdversarialLearner = AdversarialLearner()
    """the update"""
