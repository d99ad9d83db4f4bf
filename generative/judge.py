"""A classifier of the data that judges samples: what Inception is to photographs, for data of our own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from supervised.datasets import Labelled
from supervised.fit import Fitting
from supervised.losses import cross_entropy
from supervised.networks.predictor import Predictor
from supervised.networks.torso import initialize, torso
from supervised.trained import Found, Trained

Array = NDArray[Any]
UPDATES, BATCH, RATE, WIDTH = 1_000, 64, 2e-3, 64


class Judge:
    """Fitted to rows with classes as targets, in about a second; always the same for the same rows."""

    def __init__(self, rows: Labelled, classes: int) -> None:
        def loss(parameters: torch.Tensor, inputs: torch.Tensor, targets: torch.Tensor) -> Found:
            return {"loss": cross_entropy(trained.flat.call(parameters, inputs), targets)}, {}

        generator = torch.Generator().manual_seed(0)
        layers, features = torso(rows.inputs.shape[1:], "mlp", [WIDTH], "relu")
        initialize(layers, "fan_in", generator)
        self.network = Predictor(layers, features, classes, generator)
        trained = Trained(self.network, loss, {"loss": 1.0})
        rng = np.random.default_rng(0)
        fit = Fitting(trained, rows, rows, BATCH, lambda progress: RATE * (1 - progress), UPDATES, rng)
        for _ in range(UPDATES):
            fit.update()

    @torch.no_grad()
    def features(self, x: Array) -> Array:
        """What its last hidden layer makes of inputs [n, *shape]: [n, WIDTH]."""
        return np.asarray(self.network.torso(torch.from_numpy(x)))

    @torch.no_grad()
    def probabilities(self, x: Array) -> Array:
        """[n, K] of the classes."""
        return np.asarray(self.network(torch.from_numpy(x)).softmax(-1))
