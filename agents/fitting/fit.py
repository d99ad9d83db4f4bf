"""A network fitted to a data set: an empirical risk minimized by Adam on shuffled batches (Goodfellow et al. 2016,
chapter 8).

Classes by cross-entropy, or by the squared error of indicators; numbers by their squared error. Inputs, and numbers
that are predicted, are standardized by the training rows.

Logs, as means over updates: train/loss, train/accuracy (classes only); and train/learning_rate, train/epoch,
train/n_updates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from agents.api import Algorithm
from agents.config import Experiment
from agents.fitting.configs.fit import Fit
from agents.parts.fitted import fitted
from agents.parts.networks import build
from envs.api import Array
from experiment.course import Course
from experiment.seeding import Seeds
from supervised.accelerate import device_of, pays_off, use_cpu
from supervised.datasets import Data, dataset
from supervised.fit import Fitting
from supervised.losses import LOSSES, accuracy
from supervised.networks.predictor import Predictor
from supervised.pictures import shifted
from supervised.trained import Found, Trained


def course(config: Fit, seeds: Seeds, make: Callable[[Experiment], Course]) -> Fitting:
    """Ready to begin. Raises ValueError where data, network and loss don't fit together, or there are no data."""
    use_cpu(config.threads)
    shift = config.learner.shift

    def augmented(rng: np.random.Generator, columns: Sequence[Array]) -> Sequence[Array]:
        return [shifted(columns[0], shift, rng), *columns[1:]] if shift else columns

    rng = seeds.generator("data", "held out")
    data = shaped(dataset(config.data, config.held_out, rng, config.fold, config.standardize), config)
    return fitted(config, seeds, predictor(config, data, seeds), data.train, data.held_out, augment=augmented)


def shaped(data: Data, config: Fit) -> Data:
    """With inputs of the shape that the config asks for. Raises ValueError where they don't have as many numbers."""
    if config.shape is None:
        return data
    numbers = data.train.inputs.shape[1]
    if math.prod(config.shape) != numbers:
        raise ValueError(f"shape: found {list(config.shape)}, expected {numbers} numbers in all, as {config.data} has")
    train, rest = (rows._replace(inputs=rows.inputs.reshape(-1, *config.shape)) for rows in (data.train, data.held_out))
    return data._replace(train=train, held_out=rest)


def predictor(config: Fit, data: Data, seeds: Seeds) -> Trained:
    """The network and its loss."""
    loss = LOSSES[loss_of(config, data)]

    def found(parameters: Tensor, inputs: Tensor, targets: Tensor) -> Found:
        outputs = trained.flat.call(parameters, inputs)
        measures = {} if data.classes is None else {"accuracy": accuracy(outputs, targets)}
        return {"loss": loss(outputs, targets)}, measures

    device, options = device_of(config.device), config.network
    inputs, targets = data.train
    outputs = targets.shape[1] if data.classes is None else data.classes
    generator = torch.Generator().manual_seed(seeds.integer("learner", "network"))
    network = Predictor(*build(options, inputs.shape[1:], "fan_in", generator), outputs, generator)
    trained = Trained(
        network.to(device),
        found,
        {"loss": 1.0},
        [] if data.classes is None else ["accuracy"],
        regularization=config.learner.regularization,
        compiled=pays_off(config.compile, config.steps, device),
    )
    return trained


def loss_of(config: Fit, data: Data) -> str:
    """Its name. Raises ValueError where these data can't have it."""
    loss = config.learner.loss
    if data.classes is None and loss == "cross_entropy":
        raise ValueError(
            f"learner.loss is cross_entropy, which is of classes, but {config.data} has numbers to predict: use squared"
        )
    return loss or ("squared" if data.classes is None else "cross_entropy")


ALGORITHM = Algorithm[Fit](course=course)
