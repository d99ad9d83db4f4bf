from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from experiment import checkpoint
from experiment.checkpoint import CheckpointError, load, newest, prune, save

DTYPES = ["bool", "uint8", "int32", "uint64", "int64", "float16", "float32", "float64", "complex64"]

pytestmark = pytest.mark.filterwarnings("error")  # newest warns of what it passes over


def same(left: Any, right: Any) -> bool:
    """Equal in type, dtype, shape and every bit, all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()
    if isinstance(left, float):
        return left.hex() == right.hex()
    return bool(left == right)


def small(seed: int = 0) -> dict[str, Any]:
    rng = np.random.Generator(np.random.PCG64(seed))
    return {
        "learner": {"weight": rng.random((2, 2), np.float32), "step": 7, "rng": rng.bit_generator.state},
        "memory": [np.arange(3), None, "Zürich"],
    }


arrays = hnp.arrays(st.sampled_from(DTYPES), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
keys = st.text(st.characters(codec=None), max_size=5) | st.sampled_from(
    ["$array", "$float", "$", "a/b", "~1", "__metadata__"]
)
leaves = (
    arrays | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec=None)) | st.booleans() | st.none()
)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))
states = st.dictionaries(st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True), values, max_size=3)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(state=states)
def test_any_state_comes_back_exactly(tmp_path: Path, state: dict[str, Any]) -> None:
    path = save(tmp_path, 1, state, {"algorithm": "dqn"})
    loaded, about = load(path)
    assert same(loaded, state)
    assert about == {"algorithm": "dqn"}
    shutil.rmtree(path)


def test_corner_cases_come_back_exactly(tmp_path: Path) -> None:
    state = {
        "ints": [2**63, -(2**200), 10**5000, 2**53, 2**53 + 1, 0, -1],
        "floats": [-0.0, math.inf, -math.inf, 5e-324, 0.1, 1e308],
        "empty": {"dict": {}, "list": [], "array": np.zeros((0, 3), np.float16), "text": ""},
        "scalars": {dtype: np.ones((), dtype) for dtype in DTYPES},
        "views": [np.arange(12).reshape(3, 4).T, np.arange(10)[::3], np.broadcast_to(np.float32(2), (2, 2))],
        "text": "\ud800 Ωμέγα \x00 \u2028",
        "marks": {"$array": "/x", "$$": {"$int": 1}, "$": np.zeros(1)},
        "paths": {"a/b": np.array(1), "a~1b": np.array(2), "a": {"b": np.array(3)}, "__metadata__": np.array(4)},
    }
    assert same(load(save(tmp_path, 1, state, {}))[0], state)


def test_conveniences(tmp_path: Path) -> None:
    state = {"x": {"nan": math.nan, "tuple": (1, 2), "scalar": np.int32(5), "float": np.float64(0.1)}}
    loaded = load(save(tmp_path, 1, state, {"shape": (4,)}))
    assert math.isnan(loaded[0]["x"].pop("nan"))
    assert same(loaded[0], {"x": {"tuple": [1, 2], "scalar": np.array(5, np.int32), "float": 0.1}})
    assert loaded[1] == {"shape": [4]}


def test_loaded_arrays_can_be_written(tmp_path: Path) -> None:
    state, _ = load(save(tmp_path, 1, small(), {}))
    state["learner"]["weight"] += 1


def test_arrays_are_aligned_for_readers_that_map_the_file(tmp_path: Path) -> None:
    path = save(tmp_path, 1, {"a": [np.ones(3, dtype) for dtype in DTYPES]}, {})
    content = (path / "a.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    for entry in json.loads(content[8 : 8 + length]).values():
        width = (entry["data_offsets"][1] - entry["data_offsets"][0]) // 3
        assert (8 + length + entry["data_offsets"][0]) % width == 0


def test_files_are_what_the_architecture_says(tmp_path: Path) -> None:
    path = save(tmp_path / "checkpoints", 12_000, small(), {"algorithm": "dqn"})
    assert path == tmp_path / "checkpoints" / "step_000012000"
    assert {p.name for p in path.iterdir()} == {
        "learner.safetensors",
        "memory.safetensors",
        "state.json",
        "manifest.json",
    }
    manifest = json.loads((path / "manifest.json").read_text())
    assert (manifest["format"], manifest["step"], manifest["about"]) == (2, 12_000, {"algorithm": "dqn"})
    for name, written in manifest["files"].items():
        assert written["bytes"] == (path / name).stat().st_size
    tensors = safetensors.numpy.load_file(path / "learner.safetensors")  # the format's own reader agrees
    np.testing.assert_array_equal(tensors["/learner/weight"], small()["learner"]["weight"])


@pytest.mark.parametrize(
    ("state", "named"),
    [
        ({"a": {"b": object()}}, "/a/b: object"),
        ({"a": [b"bytes"]}, "/a/0: bytes"),
        ({"a": {1: 2}}, "/a: key 1"),
        ({"a": np.array([{}])}, "/a: an array of object"),
        ({"a": np.zeros(2, ">f4")}, "/a: an array of >f4"),
        ({"a": np.zeros(2, np.complex128)}, "/a: an array of complex128"),
        ({"a": np.array(["x"])}, "/a: an array of <U1"),
        ({"a": np.ma.masked_array([1.0], [True])}, "/a: MaskedArray"),
        ({"a": {2}}, "/a: set"),
        ({"../a": 1}, "'../a'"),
        ({"": 1}, "''"),
    ],
)
def test_what_cannot_be_stored_is_named(tmp_path: Path, state: dict[str, Any], named: str) -> None:
    with pytest.raises(CheckpointError) as error:
        save(tmp_path, 1, state, {})
    assert named in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_about_must_be_json(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not JSON"):
        save(tmp_path, 1, {}, {"x": np.zeros(2)})


def test_too_little_space_is_noticed_before_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = save(tmp_path, 1, small(), {})
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(CheckpointError, match=r"needs \d+ bytes, and 1000 are free"):
        save(tmp_path, 2, small(), {})
    assert list(tmp_path.iterdir()) == [old]


def test_space_is_counted_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_000_000))
    with pytest.raises(CheckpointError, match="needs 10"):
        save(tmp_path, 1, {"memory": np.zeros(1_000_000, np.uint8)}, {})


# Damage ------------------------------------------------------------------------------------------------------------


def files_of(path: Path) -> list[Path]:
    return sorted(path.iterdir())


def test_truncation_at_every_byte_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, 1, small(), {"algorithm": "dqn"})
    for file in files_of(path):
        content = file.read_bytes()
        for length in range(len(content)):
            file.write_bytes(content[:length])
            with pytest.raises(CheckpointError) as error:
                load(path)
            assert file.name in str(error.value)
        file.write_bytes(content)
    load(path)


def test_a_flipped_bit_in_every_byte_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, 1, small(), {"algorithm": "dqn"})
    for file in files_of(path):
        content = file.read_bytes()
        for at in range(len(content)):
            file.write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
            with pytest.raises(CheckpointError) as error:
                load(path)
            assert file.name in str(error.value)
        file.write_bytes(content)
    load(path)


def test_every_bit_of_the_manifest_counts(tmp_path: Path) -> None:
    path = save(tmp_path, 1, {"a": 1}, {})
    file = path / "manifest.json"
    content = file.read_bytes()
    for bit in range(8 * len(content)):
        file.write_bytes(content[: bit // 8] + bytes([content[bit // 8] ^ 1 << bit % 8]) + content[bit // 8 + 1 :])
        with pytest.raises(CheckpointError, match=r"manifest\.json"):
            load(path)


def test_files_too_many_or_too_few_are_named(tmp_path: Path) -> None:
    path = save(tmp_path, 1, small(), {})
    for file in files_of(path):
        content = file.read_bytes()
        file.unlink()
        with pytest.raises(CheckpointError, match=rf"{file.name}: is missing"):
            load(path)
        file.mkdir()
        with pytest.raises(CheckpointError, match=file.name):
            load(path)
        file.rmdir()
        file.write_bytes(content)
    (path / "extra.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"extra\.safetensors: does not belong here"):
        load(path)


def test_a_link_is_no_file(tmp_path: Path) -> None:
    path = save(tmp_path, 1, small(), {})
    (path / "state.json").rename(tmp_path / "elsewhere.json")
    (path / "state.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(CheckpointError, match=r"state\.json: is not a plain file"):
        load(path)


def planted(marker: Path) -> bytes:
    """A pickle, protocol 0, that makes a directory when it is loaded."""
    return f"cos\nmkdir\n(V{marker}\ntR.".encode()


def test_the_planted_pickle_would_work(tmp_path: Path) -> None:
    pickle.loads(planted(tmp_path / "executed"))
    assert (tmp_path / "executed").exists()


def resealed(path: Path) -> None:
    """Make the manifest agree with the files that lie there, as a forger would."""
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["sha256"]
    manifest["files"] = {}
    for file in files_of(path):
        if file.name != "manifest.json":
            content = file.read_bytes()
            manifest["files"][file.name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (path / "manifest.json").write_bytes(checkpoint._sealed(manifest))


def test_a_planted_pickle_is_never_executed(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    path = save(tmp_path / "checkpoints", 1, small(), {})
    manifest = (path / "manifest.json").read_bytes()
    for name in [*(file.name for file in files_of(path)), "learner.pkl"]:
        content = (path / name).read_bytes() if (path / name).exists() else None
        (path / name).write_bytes(planted(marker))
        with pytest.raises(CheckpointError, match=name):
            load(path)
        if name != "manifest.json":
            resealed(path)
            with pytest.raises(CheckpointError, match="not what this version has written"):
                load(path)
        (path / name).unlink()
        if content is not None:
            (path / name).write_bytes(content)
        (path / "manifest.json").write_bytes(manifest)
        load(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest.update(format=1),
        lambda manifest: manifest.pop("format"),
        lambda manifest: manifest.pop("files"),
        lambda manifest: manifest.update(files=3),
        lambda manifest: manifest["files"].update({"../elsewhere": {"bytes": 0, "sha256": ""}}),
        lambda manifest: manifest["files"].pop("state.json"),
        lambda manifest: manifest["files"]["state.json"].pop("bytes"),
        lambda manifest: manifest.pop("about"),
    ],
)
def test_a_foreign_manifest_is_refused(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = save(tmp_path, 1, small(), {})
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["sha256"]
    change(manifest)
    (path / "manifest.json").write_bytes(checkpoint._sealed(manifest))
    with pytest.raises(CheckpointError, match="step_000000001"):
        load(path)


@pytest.mark.parametrize("content", ["3", "{}", '{"a": {"$array": "/none"}}', '{"a": {"$int": 1}}', "[" * 100_000])
def test_a_foreign_state_is_refused(tmp_path: Path, content: str) -> None:
    path = save(tmp_path, 1, small(), {})
    (path / "state.json").write_text(content)
    resealed(path)
    with pytest.raises(CheckpointError, match="not what this version has written"):
        load(path)


# Death -------------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Not an Exception, so that nothing tidies up, as after SIGKILL."""


CALLS = ["mkdir", "open", "write", "fsync", "close", "rename", "rmdir", "unlink"]


def dying(patch: pytest.MonkeyPatch, at: int, reason: Callable[[], BaseException]) -> list[tuple[str, Any]]:
    """From system call `at` on each one fails, a write half way. Returns the calls that were made, as they come."""
    made: list[tuple[str, Any]] = []

    def failing(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            made.append((name, arguments))
            if len(made) > at:
                if name == "write" and len(made) == at + 1:
                    call(arguments[0], arguments[1][: len(arguments[1]) // 2])
                raise reason()
            return call(*arguments, **options)

        return wrapped

    for name in CALLS:
        patch.setattr(os, name, failing(name, getattr(os, name)))
    return made


def calls_of_a_save(directory: Path) -> list[tuple[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        made = dying(patch, 10**9, Killed)
        save(directory, 2, small(2), {})
    shutil.rmtree(directory / "step_000000002")
    return made


def test_whenever_a_save_is_killed_the_old_state_or_the_new_is_there(tmp_path: Path) -> None:
    save(tmp_path, 1, small(1), {"n": 1})
    outcomes: list[int] = []
    finished = False
    while not finished:  # each time on top of what the last death left behind
        with pytest.MonkeyPatch.context() as patch:
            dying(patch, len(outcomes), Killed)
            try:
                save(tmp_path, 2, small(2), {"n": 2})
                finished = True
            except Killed:
                pass
        _, state, about = newest(tmp_path)  # a warning would be an error here: no half checkpoint has a final name
        assert same(state, small(about["n"]))
        outcomes.append(about["n"])
        if about["n"] == 2:
            shutil.rmtree(tmp_path / "step_000000002")
    assert len(outcomes) > 20
    assert set(outcomes[:-1]) == {1, 2}  # the new one is there before the last call, which only makes it durable
    save(tmp_path, 3, small(3), {})
    assert [path.name for path in files_of(tmp_path)] == ["step_000000001", "step_000000003"]  # leftovers are gone


def test_whenever_the_disk_fails_the_old_state_stays_and_nothing_is_left_behind(tmp_path: Path) -> None:
    save(tmp_path, 1, small(1), {"n": 1})
    for at in range(len(calls_of_a_save(tmp_path))):
        with pytest.MonkeyPatch.context() as patch:
            made = dying(patch, at, lambda: OSError(28, "No space left on device"))
            with pytest.raises(CheckpointError, match="No space left on device"):
                save(tmp_path, 2, small(2), {"n": 2})
        renamed = "rename" in [name for name, _ in made[:at]]
        assert newest(tmp_path)[2]["n"] == (2 if renamed else 1)
        shutil.rmtree(tmp_path / "step_000000002", ignore_errors=True)


def test_everything_is_synced_before_the_rename_and_the_parent_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: dict[int, str] = {}
    events: list[tuple[str, str]] = []
    real_open, real_fsync, real_rename = os.open, os.fsync, os.rename

    def open_(path: Any, *arguments: Any, **options: Any) -> int:
        descriptor = real_open(path, *arguments, **options)
        opened[descriptor] = Path(path).name
        return descriptor

    def fsync(descriptor: int) -> None:
        events.append(("sync", opened[descriptor]))
        real_fsync(descriptor)

    def rename(source: Any, target: Any) -> None:
        events.append(("rename", Path(target).name))
        real_rename(source, target)

    monkeypatch.setattr(os, "open", open_)
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    path = save(tmp_path / "checkpoints", 1, small(), {})
    assert events == [
        ("sync", tmp_path.name),
        ("sync", "learner.safetensors"),
        ("sync", "memory.safetensors"),
        ("sync", "state.json"),
        ("sync", "manifest.json"),
        ("sync", ".tmp-step_000000001"),
        ("rename", "step_000000001"),
        ("sync", "checkpoints"),
    ]
    assert {event for _, event in events} >= {file.name for file in files_of(path)}


def test_whenever_pruning_is_killed_the_newest_stays(tmp_path: Path) -> None:
    total = 10**9
    at = 0
    while at < total:
        shutil.rmtree(tmp_path)
        for step in (1, 2, 3):
            save(tmp_path, step, {"a": step}, {})
        with pytest.MonkeyPatch.context() as patch:
            made = dying(patch, at, Killed)
            try:
                prune(tmp_path, 1)
            except Killed:
                pass
            else:
                total = len(made)
        assert newest(tmp_path)[1] == {"a": 3}
        prune(tmp_path, 1)
        assert [path.name for path in files_of(tmp_path)] == ["step_000000003"]
        at += 1
    assert total > 5


# Many --------------------------------------------------------------------------------------------------------------


def test_a_name_is_never_written_twice(tmp_path: Path) -> None:
    first = save(tmp_path, 5, {"a": 1}, {})
    second = save(tmp_path, 5, {"a": 2}, {})
    third = save(tmp_path, 5, {"a": 3}, {})
    assert [path.name for path in (first, second, third)] == ["step_000000005", "step_000000005.1", "step_000000005.2"]
    assert [load(path)[0]["a"] for path in (first, second, third)] == [1, 2, 3]
    assert newest(tmp_path)[0] == third
    prune(tmp_path, 1)
    assert save(tmp_path, 5, {"a": 4}, {}).name == "step_000000005.3"  # or it would be older than .2
    assert newest(tmp_path)[1] == {"a": 4}


def test_newest_counts_in_numbers(tmp_path: Path) -> None:
    for step in (999_999_999, 1_000_000_000, 5):
        save(tmp_path, step, {"step": step}, {})
    assert newest(tmp_path)[1] == {"step": 1_000_000_000}


def test_newest_falls_back_with_a_warning(tmp_path: Path) -> None:
    paths = [save(tmp_path, step, {"step": step}, {}) for step in (1, 2, 3)]
    (paths[2] / "state.json").write_bytes(b"")
    (paths[1] / "manifest.json").unlink()
    with pytest.warns(UserWarning, match="invalid checkpoint") as warned:
        path, state, _ = newest(tmp_path)
    assert (path, state) == (paths[0], {"step": 1})
    assert ["step_000000003" in str(warned[0].message), "step_000000002" in str(warned[1].message)] == [True, True]
    (paths[0] / "state.json").unlink()
    with pytest.warns(UserWarning, match="invalid checkpoint"), pytest.raises(CheckpointError) as error:
        newest(tmp_path)
    assert all(path.name in str(error.value) for path in paths)


def test_no_checkpoint_is_an_error(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "absent"):
        with pytest.raises(CheckpointError, match="holds no valid checkpoint"):
            newest(directory)
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load(tmp_path / "absent")


def test_prune_keeps_the_newest_and_the_newest_valid(tmp_path: Path) -> None:
    paths = [save(tmp_path, step, {"step": step}, {}) for step in (1, 2, 3, 4)]
    prune(tmp_path, None)
    assert files_of(tmp_path) == paths
    (paths[3] / "state.json").write_bytes(b"")
    (paths[2] / "state.json").write_bytes(b"")
    (tmp_path / ".tmp-step_000000009").mkdir()
    prune(tmp_path, 1)
    assert files_of(tmp_path) == [paths[1], paths[3]]
    with pytest.raises(ValueError, match="at least 1"):
        prune(tmp_path, 0)


def test_large_arrays_are_not_copied(tmp_path: Path) -> None:
    array = np.zeros(40_000_000, np.uint8)
    tracemalloc.start()
    try:
        save(tmp_path, 1, {"memory": array}, {})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000
