"""What a config says of a fit reaches it."""

from __future__ import annotations

import numpy as np
from torch import nn

from agents.maths.schedules import Schedule
from agents.parts.fitted import fitted
from agents.registry import parse
from experiment.seeding import Seeds
from supervised.trained import Trained
from tests.runs import FITS


def test_steps_and_learner_of_the_config() -> None:
    config = parse(FITS["fit"])
    trained = Trained(nn.Linear(1, 1), lambda parameters, x: ({"loss": parameters.sum() * x}, {}), {"loss": 1.0})
    x = np.arange(40, dtype=np.float32)[:, None]
    fit = fitted(config, Seeds(0), trained, [x], [x[:3]], show=lambda: {"picture": x})
    again = fitted(config, Seeds(0), trained, [x], [x[:3]])
    learner = config.learner  # type: ignore[attr-defined]
    assert isinstance(learner.learning_rate, Schedule)
    assert (fit.batch, fit.budget) == (learner.batch_size, config.steps) == (32, 60)
    assert [fit.rate(progress) for progress in (0.0, 0.5, 1.0)] == [1e-2, 5e-3, 0.0]
    np.testing.assert_array_equal(fit.order, again.order)
    assert (fit.order != fitted(config, Seeds(1), trained, [x], [x[:3]]).order).any()
    assert fit.show() == {"picture": x}
