"""What becomes of a training whose numbers are no more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from experiment.checkpoint import newest, require_finite
from tests.runs import raw, train

HUGE = {"learning_rate": 1e30}
BATCHES = {
    "ppo": "Unroll.rows.obs",
    "dqn": "Transition.weight",
    "td3": "Transition.rows.next_obs",
    "alphazero": "Moves.rows.policy",
    "deep_cfr": "Advantages.rows.advantage",
    "fit_numbers": "column_0",
}


@pytest.mark.parametrize("name", BATCHES)
def test_a_learner_that_diverges_ends_its_run_with_1_and_nothing_worthless_is_saved(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train(raw(name, learner=HUGE, checkpoint={"every": 1, "keep": 2}), run) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: ") and told.count("\n") == 1
    assert "can go on from step " in told
    _, state, about = newest(run / "checkpoints")
    require_finite(state)
    assert f"go on from step {about['steps']}," in told
    (file,) = run.glob("diverged_*.safetensors")
    assert str(file) in told
    assert BATCHES[name] in safetensors.numpy.load_file(file)


def test_a_run_that_diverged_goes_on_with_another_step_size(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(raw("ppo", learner=HUGE), run) == 1
    assert train(raw("ppo"), run, "--resume") == 0
    state = newest(run / "checkpoints")[1]
    assert state["loop"]["steps"] >= 600 and np.isfinite(state["weights"]).all()
