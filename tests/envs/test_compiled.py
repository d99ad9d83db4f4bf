from __future__ import annotations

from pathlib import Path

from envs.compiled import compiler


def test_compiled_code_is_void_when_another_file_changes(tmp_path: Path) -> None:
    source = tmp_path / "othello.py"
    source.write_text("one")

    def stamp() -> object:
        return compiler([source])(lambda bits: bits)._cache._cache_file._source_stamp

    first = stamp()
    assert stamp() == first
    source.write_text("three")
    assert stamp() != first
