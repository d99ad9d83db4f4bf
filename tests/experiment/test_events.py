"""What a run was asked to do, read back as TensorBoard reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from experiment.events import asked_for, flat
from experiment.metrics import Metrics

CONFIG = "algorithm: ppo\nseed: 3\nlearner:\n  learning_rate: 0.001\n  hidden: [64, 64]\nfast: true\nnothing: null\n"


def events(directory: Path) -> EventAccumulator:
    return EventAccumulator(str(directory)).Reload()


def hyperparameters(found: EventAccumulator) -> dict[str, Any]:
    content = found.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    slots = metadata.parse_session_start_info_plugin_data(content).hparams
    return {name: getattr(slot, slot.WhichOneof("kind")) for name, slot in slots.items()}


def test_names_are_those_of_the_command_line() -> None:
    config = {"a": {"b": {"c": 1}}, "d": [1, 2], "e": None, "f": False}
    assert list(flat(config)) == [("a.b.c", 1), ("d", "[1, 2]"), ("f", False)]


def test_without_a_config_there_is_nothing() -> None:
    assert asked_for("") == []


def test_tensorboard_reads_config_and_hyperparameters(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, "nothing", CONFIG)
    metrics.write(100, {"eval/mean_reward": 1.0})
    metrics.close()
    found = events(tmp_path)
    (text,) = found.Tensors("config")
    assert text.step == 0 and text.tensor_proto.string_val[0].decode().split() == CONFIG.split()
    assert found.PluginTagToContent("text").keys() == {"config"}
    assert hyperparameters(found) == {
        "algorithm": "ppo", "seed": 3, "learner.learning_rate": 0.001, "learner.hidden": "[64, 64]", "fast": True
    }  # fmt: skip


def test_a_run_that_goes_on_is_one_curve_and_tells_what_it_was_asked_now(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, "nothing", CONFIG)
    metrics.write(100, {"a": 1.0})
    state = metrics.state_dict()
    metrics.write(200, {"a": 2.0})  # which a resumed run makes again
    metrics.close()
    resumed = Metrics(tmp_path, "nothing", CONFIG.replace("seed: 3", "seed: 4"))
    resumed.load_state_dict(state)
    for step in (200, 300):
        resumed.write(step, {"a": step / 10})
    resumed.close()
    found = events(tmp_path)
    assert [(event.step, event.value) for event in found.Scalars("a")] == [(100, 1.0), (200, 20.0), (300, 30.0)]
    assert b"seed: 4" in found.Tensors("config")[-1].tensor_proto.string_val[0]
