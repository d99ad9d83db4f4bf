from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from envs.compiled import compiler

ROOT = Path(__file__).resolve().parents[2]


def test_compiled_code_is_void_when_another_file_changes(tmp_path: Path) -> None:
    source = tmp_path / "othello.py"
    source.write_text("one")

    def stamp() -> object:
        return compiler([source])(lambda bits: bits)._cache._cache_file._source_stamp

    first = stamp()
    assert stamp() == first
    source.write_text("three")
    assert stamp() != first


OLD = """
from typing import NamedTuple
from envs.compiled import compiler

class Pair(NamedTuple):
    a: int
    b: int

@compiler([])
def total(pair):
    return pair.a + pair.b

print(total(Pair(1, 2)))
"""


def test_code_that_was_compiled_of_a_class_that_has_gone_is_compiled_anew(tmp_path: Path) -> None:
    for text in (OLD, OLD.replace("Pair", "Couple")):
        (tmp_path / "kernels.py").write_text(text)
        environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
        request = [sys.executable, "-c", "import kernels"]
        done = subprocess.run(request, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.stdout == "3\n", done.stderr
