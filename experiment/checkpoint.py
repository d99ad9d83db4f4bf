"""Checkpoints of nested state dicts: a directory of safetensors and JSON, hashed, atomic, and never unpickled.

    path = save(run.checkpoints, step, {"learner": learner.state_dict(), ...}, about={"algorithm": "dqn"})
    path, state, about = newest(run.checkpoints)
    prune(run.checkpoints, keep=3)

A state is made of dicts with text keys; at the leaves are numpy arrays, integers of any size, floats, text, booleans,
None, and lists of these. It comes back exactly, but for three conveniences: a tuple comes back as a list, a numpy
scalar as a 0-d array (np.float64, which is a float, as a float), and a NaN without its payload.

    step_000012000/
        learner.safetensors   the arrays below state["learner"], named by their path; so for every top-level key
        state.json            everything else, with {"$array": path} where an array belongs
        manifest.json         format, step, what the caller says, size and sha256 of each file, and of itself

A checkpoint is written beside its final name, synced, and renamed; a name is never written twice. A second save at
one step becomes step_000012000.1, which is newer. So whenever a save dies, what was complete before it still is.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

State = dict[str, Any]
Array = NDArray[Any]

FORMAT = 2
_NAME = re.compile(r"step_(\d{9,})(?:\.(\d+))?")
_TEMPORARY = ".tmp-"
_CHUNK = 1 << 24  # bytes hashed and written, or read, at a time
_BLOCK = 4096  # what a file occupies is a multiple of this
_DTYPES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16", "uint32": "U32", "int32": "I32",
    "uint64": "U64", "int64": "I64", "float16": "F16", "float32": "F32", "float64": "F64", "complex64": "C64",
}  # fmt: skip


class CheckpointError(RuntimeError):
    """A checkpoint that can't be written or must not be trusted; the message names the file and what is wrong."""


class StorageError(CheckpointError):
    """The disk doesn't take a checkpoint, now. Nothing of it is left behind."""


# What must not be saved --------------------------------------------------------------------------------------------

WORLDS = "fleet"  # below this key lies what belongs to others: worlds may well hold an infinite number


def require_finite(value: Any, path: str = "") -> None:
    """Raise FloatingPointError, with the path of the number, where a state holds a NaN or an infinite one."""
    if isinstance(value, Mapping):
        for key in value.keys() - {WORLDS}:
            require_finite(value[key], f"{path}/{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            require_finite(item, f"{path}/{index}")
    elif isinstance(value, (np.ndarray, np.floating, float)) and not np.isfinite(value).all():
        raise FloatingPointError(f"state{path} is not finite")


# Saving ------------------------------------------------------------------------------------------------------------


def save(directory: Path, step: int, state: State, about: dict[str, Any]) -> Path:
    """Write `state` and return where it lies. `about` (JSON) describes it: algorithm, spec, counters, versions.

    Large arrays are streamed from where they are, so memory doesn't double (one that isn't contiguous is copied).
    Raises CheckpointError for what can't be stored, and StorageError when the disk is or gets full; then nothing is
    left behind.
    """
    files, manifest = _plan(step, state, about)
    directory = Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _sync(directory.parent)
        _sweep(directory)
        _require_space(directory, files)
        return _write(directory, step, files, manifest)
    except OSError as error:
        raise StorageError(f"{directory}: the checkpoint of step {step} can't be written: {error}") from error


def replace(path: Path, step: int, state: State, about: dict[str, Any]) -> None:
    """Write a checkpoint as `path`, in the place of the one that is there. Raises what `save` does."""
    temporary = path.with_name(_TEMPORARY + path.name)
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        made = save(temporary, step, state, about)
        if path.exists():
            os.rename(path, temporary / "former")  # a directory that isn't empty can't be replaced
        os.rename(made, path)
        shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise StorageError(f"{path}: can't be written: {error}") from error


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Arrays by name as a file of safetensors; what was there is replaced. Raises StorageError."""
    temporary = path.with_name(_TEMPORARY + path.name)
    try:
        temporary.unlink(missing_ok=True)
        _write_file(temporary, _safetensors(dict(arrays)))
        os.replace(temporary, path)
    except OSError as error:
        raise StorageError(f"{path}: can't be written: {error}") from error


def _plan(step: int, state: State, about: dict[str, Any]) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """The pieces of each file, and the manifest without the files; everything that can be refused is refused here."""
    files: dict[str, list[Any]] = {}
    plain: dict[str, Any] = {}
    for key, value in state.items():
        if not isinstance(key, str) or not re.fullmatch(r"[A-Za-z0-9_-]+", key):
            raise CheckpointError(f"state key {key!r} can't name a file: expected letters, digits, '_' and '-'")
        arrays: dict[str, Array] = {}
        plain[key] = _encode(value, f"/{_escaped(key)}", arrays)
        if arrays:
            files[f"{key}.safetensors"] = _safetensors(arrays)
    files["state.json"] = [json.dumps(plain, indent=1, allow_nan=False).encode()]
    try:
        described = json.loads(json.dumps(about, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"what is said about the checkpoint is not JSON: {error}") from error
    return files, {"format": FORMAT, "step": int(step), "about": described}


def _encode(value: Any, path: str, arrays: dict[str, Array]) -> Any:
    """`value` as JSON; its arrays are put into `arrays` under their path."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise CheckpointError(f"state{path}: key {key!r} is not text")
        # A "$" marks our own words below, so a key of the state that begins with one gets another.
        return {"$" * k.startswith("$") + k: _encode(v, f"{path}/{_escaped(k)}", arrays) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encode(item, f"{path}/{index}", arrays) for index, item in enumerate(value)]
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):  # other readers of JSON lose digits, and Python refuses to print very many
        return value if value.bit_length() <= 53 else {"$int": hex(value)}
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": str(float(value))}
    if isinstance(value, np.generic):
        value = np.asarray(value)
    if type(value) not in (np.ndarray, np.memmap):
        raise CheckpointError(f"state{path}: {type(value).__name__} can't be stored; expected arrays and plain values")
    if value.dtype.name not in _DTYPES or not value.dtype.isnative:
        raise CheckpointError(f"state{path}: an array of {value.dtype} can't be stored; expected {', '.join(_DTYPES)}")
    arrays[path] = value
    return {"$array": path}


def _escaped(key: str) -> str:
    """One step of a path, as in a JSON pointer, so that no two paths look the same; in ASCII."""
    return json.dumps(key)[1:-1].replace("~", "~0").replace("/", "~1")


def _safetensors(arrays: dict[str, Array]) -> list[Any]:
    """The pieces of a safetensors file: header, then each array."""
    header, offset = {}, 0
    ordered = sorted(arrays.items(), key=lambda item: -item[1].itemsize)  # so that each is aligned
    for path, array in ordered:
        ends = [offset, offset + array.nbytes]
        header[path] = {"dtype": _DTYPES[array.dtype.name], "shape": list(array.shape), "data_offsets": ends}
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return [len(text).to_bytes(8, "little") + text, *(array for _, array in ordered)]


def _require_space(directory: Path, files: Mapping[str, list[Any]]) -> None:
    sizes = [sum(piece.nbytes if isinstance(piece, np.ndarray) else len(piece) for piece in f) for f in files.values()]
    needed = sum(-(-size // _BLOCK) * _BLOCK for size in sizes) + 4 * _BLOCK  # the manifest and the directory
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise StorageError(f"{directory}: the checkpoint needs {needed} bytes, and {free} are free")


def _write(directory: Path, step: int, files: Mapping[str, list[Any]], manifest: dict[str, Any]) -> Path:
    used = [number for at, number, _ in _checkpoints(directory) if at == step]
    name = f"step_{step:09d}" + (f".{max(used) + 1}" if used else "")
    temporary = directory / (_TEMPORARY + name)
    try:
        os.mkdir(temporary)
        written = {file: _write_file(temporary / file, pieces) for file, pieces in files.items()}
        _write_file(temporary / "manifest.json", [_sealed(manifest | {"files": written})])
        _sync(temporary)
        os.rename(temporary, directory / name)
        _sync(directory)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return directory / name


def _write_file(path: Path, pieces: Iterable[Any]) -> dict[str, Any]:
    """Write and sync one file. Returns what the manifest says of it."""
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        for piece in pieces:
            # The bytes of an array without a copy; memoryview.cast doesn't take arrays of no dimension or no length.
            flat: Any = (
                np.ascontiguousarray(piece).reshape(-1).view(np.uint8) if isinstance(piece, np.ndarray) else piece
            )
            view = memoryview(flat)
            size += len(view)
            while view:
                done = os.write(descriptor, view[:_CHUNK])
                digest.update(view[:done])
                view = view[done:]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return {"bytes": size, "sha256": digest.hexdigest()}


def _sealed(manifest: dict[str, Any]) -> bytes:
    """A manifest with the digest of itself, in the one form that is accepted."""
    digest = hashlib.sha256(json.dumps(manifest).encode()).hexdigest()
    return json.dumps(manifest | {"sha256": digest}, indent=1).encode() + b"\n"


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# Loading -----------------------------------------------------------------------------------------------------------


def load(path: Path) -> tuple[State, dict[str, Any]]:
    """The state and what was said about it. Raises CheckpointError unless every byte is the one that was written."""
    path = Path(path)
    with _distrusting(path):
        manifest = _verified(path)
        arrays: dict[str, Array] = {}
        for name in manifest["files"]:
            if name.endswith(".safetensors"):
                arrays |= safetensors.numpy.load_file(path / name)
            elif name != "state.json":
                raise ValueError(f"{name} is no part of a checkpoint")
        plain = json.loads((path / "state.json").read_bytes())
        state = {key: _decode(value, arrays) for key, value in plain.items()}
        if arrays:
            raise ValueError(f"no place for the array {min(arrays)}")
        return state, manifest["about"]


@contextmanager
def _distrusting(path: Path) -> Iterator[None]:
    """Whatever goes wrong inside is a CheckpointError: a forged file may hold anything under a right digest."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, SafetensorError) as error:
        raise CheckpointError(f"{path}: not what this version has written: {error!r}") from error


def _verified(path: Path) -> dict[str, Any]:
    """The manifest of a checkpoint whose files are all there, no others, and all as they were written."""
    if not path.is_dir():
        raise CheckpointError(f"{path}: no such checkpoint")
    manifest = _manifest(path / "manifest.json")
    present, expected = {entry.name for entry in path.iterdir()}, {*manifest["files"], "manifest.json"}
    for name in sorted(present ^ expected):
        raise CheckpointError(f"{path / name}: {'is missing' if name in expected else 'does not belong here'}")
    for name, written in manifest["files"].items():
        file = path / name
        if file.is_symlink() or not file.is_file():
            raise CheckpointError(f"{file}: is not a plain file")
        if (size := file.stat().st_size) != written["bytes"]:
            raise CheckpointError(f"{file}: has {size} bytes, expected {written['bytes']}")
        with open(file, "rb") as content:
            digest = hashlib.sha256()
            while chunk := content.read(_CHUNK):
                digest.update(chunk)
        if digest.hexdigest() != written["sha256"]:
            raise CheckpointError(f"{file}: is damaged (its sha256 differs from the manifest's)")
    return manifest


def _manifest(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise CheckpointError(f"{file}: is missing")
    content = file.read_bytes()
    try:
        manifest = json.loads(content)
        body = {key: value for key, value in manifest.items() if key != "sha256"}
        intact = _sealed(body) == content
    except (AttributeError, ValueError, RecursionError):
        intact = False
    if not intact:
        raise CheckpointError(f"{file}: is damaged (it does not agree with its own sha256)")
    if body["format"] != FORMAT:
        raise CheckpointError(f"{file}: has format {body['format']}, and this version reads format {FORMAT}")
    return body


def _decode(value: Any, arrays: dict[str, Array]) -> Any:
    """The inverse of `_encode`; takes what it uses out of `arrays`."""
    if isinstance(value, list):
        return [_decode(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if "$array" in value:
        return arrays.pop(value["$array"])
    if "$int" in value:
        return int(value["$int"], 16)
    if "$float" in value:
        return float(value["$float"])
    return {key.removeprefix("$"): _decode(item, arrays) for key, item in value.items()}


# Many checkpoints --------------------------------------------------------------------------------------------------


Check = Callable[[Path, State, dict[str, Any]], None]


def newest(directory: Path, check: Check | None = None) -> tuple[Path, State, dict[str, Any]]:
    """The newest valid checkpoint: its path, state, and what was said about it.

    check: raises CheckpointError for one that isn't taken although it is as it was written. Warns of each newer one
    that is invalid. Raises CheckpointError, with every reason, if none is valid.
    """
    reasons = []
    for _, _, path in _checkpoints(Path(directory)):
        try:
            state, about = load(path)
            if check is not None:
                check(path, state, about)
        except CheckpointError as error:
            warnings.warn(f"passing over an invalid checkpoint: {error}", stacklevel=2)
            reasons.append(str(error))
        else:
            return path, state, about
    raise CheckpointError("\n".join([f"{directory}: holds no valid checkpoint", *reasons]))


def described(path: Path) -> dict[str, Any]:
    """What a checkpoint, or the newest one of a run directory, says of itself: its manifest is read, and no more.

    {} where no manifest is intact.
    """
    one = (path / "manifest.json").is_file()
    directory = path if path.name == "checkpoints" else path / "checkpoints"
    for place in [path] if one else [found for _, _, found in _checkpoints(directory)]:
        try:
            with _distrusting(place):
                about: dict[str, Any] = _manifest(place / "manifest.json")["about"]
                return about
        except CheckpointError:
            continue
    return {}


def prune(directory: Path, keep: int | None) -> None:
    """Delete all but the newest `keep` checkpoints (None: keep all), but never the newest valid one."""
    if keep is None:
        return
    if keep < 1:
        raise ValueError(f"keep is at least 1, or None for all; found {keep}")
    directory = Path(directory)
    try:
        _sweep(directory)
        paths = [path for _, _, path in _checkpoints(directory)]
        valid = next((path for path in paths if _is_valid(path)), None) if len(paths) > keep else None
        for path in paths[keep:]:
            if path != valid:
                # Renamed first: what is half deleted must not look like a checkpoint that is damaged.
                os.rename(path, directory / (_TEMPORARY + path.name))
        _sweep(directory)
    except OSError as error:
        raise StorageError(f"{directory}: old checkpoints can't be deleted: {error}") from error


def _is_valid(path: Path) -> bool:
    try:
        with _distrusting(path):
            _verified(path)
    except CheckpointError:
        return False
    return True


def _checkpoints(directory: Path) -> list[tuple[int, int, Path]]:
    """Step, number of the save at this step, and path of all that look like checkpoints, newest first."""

    def found() -> Iterator[tuple[int, int, Path]]:
        for path in directory.iterdir() if directory.is_dir() else ():
            if match := _NAME.fullmatch(path.name):
                yield int(match[1]), int(match[2] or 0), path

    return sorted(found(), reverse=True)


def _sweep(directory: Path) -> None:
    """Remove what saves and deletions that died have left behind."""
    for path in directory.glob(f"{_TEMPORARY}*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
