"""What a run was asked to do, read back as TensorBoard reads it."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
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


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """TensorBoard's address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(directory), "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as program:
        assert program.stderr is not None
        assert any("Press CTRL+C" in line for line in program.stderr), "it says so once it listens"
        yield f"http://127.0.0.1:{port}"
        program.terminate()


DEEP_TEXT = """
const text = node => [...node.childNodes].map(
    child => (child.nodeType == 3 ? child.data : "") + (child.shadowRoot ? text(child.shadowRoot) : "") + text(child)
).join(" ");
return text(document.body)
"""


@pytest.mark.slow
def test_a_browser_shows_config_hyperparameters_and_pictures(tmp_path: Path, browser: Any) -> None:
    from selenium.webdriver.support.wait import WebDriverWait

    for run in ("first", "second"):
        (tmp_path / run).mkdir()
        metrics = Metrics(tmp_path / run, "nothing", CONFIG.replace("algorithm: ppo", f"algorithm: {run}_rule"))
        metrics.write(100, {"eval/mean_reward": 1.0, "eval/samples": np.zeros((4, 4, 1), np.uint8)})
        metrics.close()
    wanted = {"text": "second_rule", "hparams": "learner.learning_rate", "images": "eval/samples"}
    with served(tmp_path) as address:
        for tab, word in wanted.items():
            browser.get(f"{address}/#{tab}")
            browser.refresh()
            WebDriverWait(browser, 120).until(partial(_shows, word))


def _shows(word: str, page: Any) -> bool:
    return word in page.execute_script(DEEP_TEXT)
