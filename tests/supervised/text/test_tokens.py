"""Texts come back from their tokens as they were."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from supervised.text.tokens import Characters, Subwords, read

TEXT = "the cat sat on the mat, and the cat ate the mouse.\n" * 20 + "\tÄ – 猫\n\n"


def test_characters() -> None:
    tokens = Characters("abca")
    assert tokens.size == 4 and tokens.encode("cabx").tolist() == [2, 0, 1, 3]
    assert tokens.decode([2, 0, 1, 3]) == "cab\ufffd"
    assert Characters(TEXT).decode(Characters(TEXT).encode(TEXT).tolist()) == TEXT


def test_subwords_spell_any_text_in_fewer_tokens() -> None:
    pytest.importorskip("tokenizers")
    tokens = Subwords(TEXT, 280)
    assert tokens.size == 280
    for text in (TEXT, "a dog: 犬"):
        assert tokens.decode(tokens.encode(text).tolist()) == text
    assert len(tokens.encode(TEXT)) < len(TEXT) / 2
    assert tokens.encode(TEXT).max() < tokens.size
    np.testing.assert_array_equal(Subwords(TEXT, 280).encode(TEXT), tokens.encode(TEXT))


def test_who_has_no_tokenizers_is_told_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ValueError, match=r"pip install 'sparring\[text\]'"):
        Subwords(TEXT, 280)


def test_texts(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    assert set(read("markov", rng)) == set("abc")
    assert "assert_stmt" in read("python", rng)
    file = tmp_path / "text.txt"
    file.write_text(TEXT, "utf-8")
    assert read(str(file), rng) == TEXT
    file.write_bytes(b"\xff\xfe\x00")
    for wrong in (str(file), str(tmp_path / "another.txt"), str(tmp_path)):
        with pytest.raises(ValueError, match="expected markov, python, or a text file in UTF-8"):
            read(wrong, rng)
