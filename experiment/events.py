"""TensorBoard's event files: numbers, pictures, texts, and what a run was asked to do, for the tabs `text` and
`hparams`.

The usual writers load TensorFlow or torch for it; these are written record by record.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiment.png import png

if TYPE_CHECKING:
    from experiment.metrics import Picture, Values

PLAIN = bool, int, float, str


class Events:
    """The event file of a run, opened at the first record. config_text: YAML."""

    def __init__(self, directory: Path, config_text: str) -> None:
        self._directory, self._config_text = directory, config_text
        self._purge_step: int | None = None
        self._records: Any = None

    def write(self, step: int, values: Values) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._add(step, [Summary.Value(tag=name, simple_value=value) for name, value in values.items()])

    def show(self, step: int, pictures: Mapping[str, Picture]) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        images = {
            name: Summary.Image(height=p.shape[0], width=p.shape[1], colorspace=p.shape[2], encoded_image_string=png(p))
            for name, p in pictures.items()
        }
        self._add(step, [Summary.Value(tag=name, image=image) for name, image in images.items()])

    def tell(self, step: int, texts: Mapping[str, str]) -> None:
        self._add(step, [as_text(name, text) for name, text in texts.items()])

    def purge(self, step: int) -> None:
        """Tell TensorBoard, in the file that is opened next, to forget what it has read from this step on."""
        self.close()
        self._purge_step = step

    def flush(self) -> None:
        if self._records is not None:
            self._records.flush()

    def close(self) -> None:
        if self._records is not None:
            self._records.close()
            self._records = None

    def _add(self, step: int, values: list[Any]) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        if self._records is None:
            self._open()
        self._record(step=step, summary=Summary(value=values))
        self.flush()

    def _open(self) -> None:
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        # TensorBoard reads the files in the order of their names, so of time.
        path = self._directory / f"events.out.tfevents.{time.time_ns()}"
        self._records = RecordWriter(path.open("xb"))
        self._record(file_version="brain.Event:2")
        if self._purge_step is not None:
            self._record(step=self._purge_step, session_log=SessionLog(status=SessionLog.START))
        if asked := asked_for(self._config_text):
            self._record(step=self._purge_step or 0, summary=Summary(value=asked))

    def _record(self, **fields: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._records.write(Event(wall_time=time.time(), **fields).SerializeToString())


def as_text(name: str, text: str) -> Any:
    """A value of a summary for the tab `text`, as it is: a block of code, whatever it would mean as Markdown."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.types_pb2 import DT_STRING

    shown = "".join(f"    {line}\n" for line in text.splitlines())
    plugin = SummaryMetadata.PluginData(plugin_name="text")
    tensor = TensorProto(dtype=DT_STRING, string_val=[shown.encode()])
    return Summary.Value(tag=name, tensor=tensor, metadata=SummaryMetadata(plugin_data=plugin))


def asked_for(config_text: str) -> list[Any]:
    """Values of a summary (`tensorboard.compat.proto.summary_pb2`) for a config in YAML; none where it is empty."""
    import yaml
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    config = yaml.safe_load(config_text)
    if not isinstance(config, dict):
        return []
    begin = plugin_data_pb2.SessionStartInfo()
    for name, value in flat(config):
        slot = begin.hparams[name]
        if isinstance(value, bool):
            slot.bool_value = value
        elif isinstance(value, int | float):
            slot.number_value = value
        else:
            slot.string_value = value
    content = plugin_data_pb2.HParamsPluginData(session_start_info=begin, version=metadata.PLUGIN_DATA_VERSION)
    plugin = SummaryMetadata.PluginData(plugin_name=metadata.PLUGIN_NAME, content=content.SerializeToString())
    return [
        as_text("config", config_text),
        Summary.Value(
            tag=metadata.SESSION_START_INFO_TAG,
            tensor=metadata.NULL_TENSOR,
            metadata=SummaryMetadata(plugin_data=plugin),
        ),
    ]


def flat(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, bool | int | float | str]]:
    """The keys that have a value, by the names under which the command line sets them; lists as text."""
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from flat(value, f"{name}.")
        elif value is not None:
            yield name, value if isinstance(value, PLAIN) else str(value)
