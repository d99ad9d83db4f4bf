from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.courses.training import Training
from agents.experience.memory.latest import Latest
from agents.registry import parse
from agents.world_models.configs.world_models import WorldModels
from agents.world_models.mind import mind_of
from agents.world_models.windows import Window, windows
from agents.world_models.world_models import Makers, played
from experiment.seeding import Seeds
from tests.runs import raw

pytest.importorskip("cma")


def test_windows_hold_the_steps_in_order_and_what_truly_followed() -> None:
    """Of random play in which episodes end: the next codes are those of the last picture, never of the next episode."""
    config = parse(raw("world_models"))
    assert isinstance(config, WorldModels)
    phases = Makers(config, Seeds(0)).phases()
    phases.begin()
    phases.advance(120)
    assert isinstance(phases.now, Training) and isinstance(phases.now.memory, Latest)
    mind = mind_of(config, Makers(config, Seeds(0)).spec)
    (unroll,) = played({"play": phases.now})
    found = Window(*windows([unroll], mind, 10))  # type: ignore[arg-type]
    assert found.z.shape == (12, 10, 4) and found.action.shape == (12, 10, 2)
    codes = mind.posterior(torch.from_numpy(unroll.obs.reshape(-1, 1, 8, 8))).detach().numpy().reshape(31, 4, 4)
    final = mind.posterior(torch.from_numpy(unroll.final_obs)).detach().numpy()
    ends = {(int(at) // 4, int(at) % 4): final[number] for number, at in enumerate(unroll.final_at)}
    assert len(ends) > 4
    for part in range(3):
        for row in range(4):
            for t in range(10):
                time, window = 10 * part + t, 4 * part + row
                np.testing.assert_allclose(found.z[window, t], codes[time, row], atol=1e-5)
                after = ends.get((time, row), codes[time + 1, row])
                np.testing.assert_allclose(found.following[window, t], after, atol=1e-5)
                assert found.end[window, t] == unroll.terminated[time, row]
                assert found.first[window, t] == unroll.first[time, row]
                assert found.reward[window, t] == unroll.reward[time, row]
    phases.close()
