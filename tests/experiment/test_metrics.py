from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from experiment.metrics import Metrics
from experiment.png import png

pytestmark = pytest.mark.filterwarnings("error")


def lines(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def scalars(directory: Path, name: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(directory))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_a_write_reaches_file_tensorboard_and_console(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = Metrics(tmp_path, console="tables")
    metrics.write(1000, {"rollout/ep_rew_mean": 21.5, "rollout/ep_len_mean": 200, "train/loss": np.float32(0.25)})
    metrics.write(2000, {"rollout/ep_rew_mean": -1e-9})
    # Both are complete on disk before closing: a killed run keeps them.
    assert lines(tmp_path) == [
        {"step": 1000, "rollout/ep_rew_mean": 21.5, "rollout/ep_len_mean": 200, "train/loss": 0.25},
        {"step": 2000, "rollout/ep_rew_mean": -1e-9},
    ]
    assert scalars(tmp_path, "rollout/ep_rew_mean") == [(1000, 21.5), (2000, pytest.approx(-1e-9))]
    assert scalars(tmp_path, "train/loss") == [(1000, 0.25)]
    metrics.close()
    printed = capsys.readouterr().out
    assert [part in printed for part in ("step 1,000", "rollout/", "ep_rew_mean", "21.5", "200")] == [True] * 5


def test_numbers_have_separators_and_a_fleet_on_time_says_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {"rollout/ep_rew_mean": 21.523, "time/fps": 12345.6, "time/total_timesteps": 1000000, "train/loss": 1e-5}
    for console in ("tables", "lines"):
        metrics = Metrics(tmp_path, console)
        metrics.write(1000000, told | {"fleet/staleness": 0.0, "fleet/waiting": 0.25})
        metrics.close()
    table, line = (part for part in capsys.readouterr().out.rsplit("step", 1))
    assert [word in table for word in ("21.52", "12,346", "1,000,000", "1e-05", "waiting", "0.25")] == [True] * 6
    assert "staleness" not in table
    assert line == " 1,000,000: ep_rew_mean 21.52, fps 12,346\n"
    assert lines(tmp_path)[0]["fleet/staleness"] == 0, "files keep everything"
    assert metrics.latest == told | {"fleet/staleness": 0.0, "fleet/waiting": 0.25}


def test_a_line_of_other_metrics_has_them_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = Metrics(tmp_path, "lines")
    metrics.write(3, {"train/loss": 0.5, "exploitability": 0.25})
    metrics.close()
    assert capsys.readouterr().out == "step 3: loss 0.5, exploitability 0.25\n"


def test_pictures_go_to_tensorboard_alone(tmp_path: Path) -> None:
    picture = np.zeros((3, 4, 1), np.uint8)
    metrics = Metrics(tmp_path, console="nothing")
    metrics.write(7, {"eval/samples": picture, "eval/loss": 0.5})
    metrics.write(8, {"eval/samples": picture})
    metrics.close()
    assert lines(tmp_path) == [{"step": 7, "eval/loss": 0.5}]
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    images = events.Images("eval/samples")
    assert [(image.step, image.height, image.width) for image in images] == [(7, 3, 4), (8, 3, 4)]
    assert images[0].encoded_image_string == png(picture)


def test_so_do_texts_as_they_are(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, console="nothing")
    metrics.write(7, {"eval/text": "# 1 *\nä", "eval/loss": 0.5})
    metrics.close()
    assert lines(tmp_path) == [{"step": 7, "eval/loss": 0.5}]
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert events.SummaryMetadata("eval/text").plugin_data.plugin_name == "text"
    (event,) = events.Tensors("eval/text")
    assert event.step == 7
    assert event.tensor_proto.string_val[0].decode() == "    # 1 *\n    ä\n", "as a block of code: no Markdown"


def test_without_console_nothing_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = Metrics(tmp_path, console="nothing")
    metrics.write(1, {"a": 1.0})
    metrics.close()
    assert capsys.readouterr() == ("", "")


def test_nan_and_infinity_are_left_out_and_reported_once_per_name(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, console="nothing")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in range(3):
            metrics.write(step, {"good": step, "bad": float("nan"), "worse": float("-inf")})
        metrics.write(3, {"bad": float("nan")})
        metrics.write(4, {"bad": 1.0})
    metrics.close()
    assert sorted(str(warning.message).split()[1] for warning in caught) == ["bad", "worse"]
    assert lines(tmp_path) == [*({"step": step, "good": step} for step in range(3)), {"step": 4, "bad": 1.0}]
    assert scalars(tmp_path, "bad") == [(4, 1.0)]


def test_what_was_written_after_the_checkpoint_is_dropped(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, console="nothing")
    for step in (10, 20):
        metrics.write(step, {"a": step})
    state = metrics.state_dict()
    assert json.loads(json.dumps(state)) == state
    metrics.write(20, {"b": 1})  # of the step at which the checkpoint was made, but after it
    metrics.write(30, {"a": -30})
    metrics.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 40, "a"')  # and there the run died

    resumed = Metrics(tmp_path, console="nothing")
    resumed.load_state_dict(state)
    resumed.write(25, {"a": 25})
    resumed.close()
    assert lines(tmp_path) == [{"step": step, "a": step} for step in (10, 20, 25)]
    assert scalars(tmp_path, "a") == [(10, 10.0), (20, 20.0), (25, 25.0)]
    assert resumed.state_dict() == {"step": 25, "offset": (tmp_path / "metrics.jsonl").stat().st_size}


def test_a_file_that_has_lost_lines_is_reported_and_not_padded(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, console="nothing")
    metrics.write(1, {"a": 1})
    state = metrics.state_dict()
    metrics.close()
    (tmp_path / "metrics.jsonl").unlink()
    resumed = Metrics(tmp_path, console="nothing")
    with pytest.warns(UserWarning, match="has lost lines"):
        resumed.load_state_dict(state)
    resumed.write(2, {"a": 2})
    resumed.close()
    assert lines(tmp_path) == [{"step": 2, "a": 2}]


def test_a_full_disk_stops_neither_training_nor_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics(tmp_path, console="nothing")
    metrics.write(1, {"a": 1})

    def full(descriptor: int, line: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.warns(UserWarning, match=r"metrics.jsonl has failed .* No space left on device"):
            metrics.write(2, {"a": 2})
        metrics.write(3, {"a": 3})  # a second warning would be an error
    metrics.write(4, {"a": 4})
    state = metrics.state_dict()
    metrics.close()
    assert lines(tmp_path) == [{"step": 1, "a": 1}]
    assert state == {"step": 4, "offset": (tmp_path / "metrics.jsonl").stat().st_size}
    assert [step for step, _ in scalars(tmp_path, "a")] == [1, 2, 3, 4]


def test_half_a_line_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics(tmp_path, console="nothing")
    metrics.write(1, {"a": 1})
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, line: write(descriptor, line[:5]))
        with pytest.warns(UserWarning, match="only a part"):
            metrics.write(2, {"a": 2})
    metrics.close()
    assert lines(tmp_path) == [{"step": 1, "a": 1}]


def test_without_tensorboard_the_lines_are_still_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.summary_pb2", None)
    metrics = Metrics(tmp_path, console="nothing")
    with pytest.warns(UserWarning, match="TensorBoard has failed"):
        metrics.write(1, {"a": 1})
    metrics.write(2, {"a": 2})
    metrics.close()
    assert [line["step"] for line in lines(tmp_path)] == [1, 2]


def test_a_missing_directory_stops_nothing(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / "absent", console="nothing")
    with pytest.warns(UserWarning, match="has failed") as caught:
        metrics.write(1, {"a": 1})
    assert len(caught) == 2
    metrics.close()


def test_event_files_need_neither_torch_nor_tensorflow(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from experiment import checkpoint, config, run, seeding, metrics\n"
        "heavy = {'torch', 'tensorflow', 'ray', 'numba', 'scipy', 'matplotlib', 'tensorboard'}\n"
        "assert not heavy & set(sys.modules)\n"
        f"m = metrics.Metrics(Path({str(tmp_path)!r}), 'nothing'); m.write(1, {{'a': 2.0}}); m.close()\n"
        "assert heavy & set(sys.modules) == {'tensorboard'}\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": "."})
    assert scalars(tmp_path, "a") == [(1, 2.0)]
