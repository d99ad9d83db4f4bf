"""Texts, and the tokens that they are cut into.

text = read("python")
tokens = Characters(text)       # or Subwords(text, 512)
tokens.encode(text)             # [N] int64, from 0 to tokens.size - 1
tokens.decode(tokens.encode(text)) == text
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from supervised.text.markov import TRANSITIONS, Source

Array = NDArray[Any]
SYMBOLS = 100_000  # that are drawn from the source


class Tokens(Protocol):
    size: int  # how many there are

    def encode(self, text: str) -> Array:
        """[N] int64."""
        ...

    def decode(self, tokens: Sequence[int]) -> str: ...


class Characters:
    """One for each character of a text, in their order, and a last one for all that are not in it."""

    def __init__(self, text: str) -> None:
        self.characters = sorted(set(text))
        self.size = len(self.characters) + 1
        self.numbers = {character: number for number, character in enumerate(self.characters)}

    def encode(self, text: str) -> Array:
        return np.array([self.numbers.get(character, self.size - 1) for character in text], np.int64)

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join([*self.characters, "\ufffd"][token] for token in tokens)


class Subwords:
    """Up to `size` tokens by byte-pair encoding (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909) of bytes, so
    that there is no text which they can't spell: pairs that are frequent in `text` become one. At least 256.

    Raises ValueError where the tokenizers library isn't here.
    """

    def __init__(self, text: str, size: int) -> None:
        try:
            from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
        except ImportError as error:
            raise ValueError(
                "subwords come with the tokenizers library, which isn't here: pip install 'sparring[text]'"
            ) from error
        self.tokenizer: Any = Tokenizer(models.BPE())
        self.tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        self.tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        )
        self.tokenizer.train_from_iterator(text.splitlines(keepends=True), trainer)
        self.size: int = self.tokenizer.get_vocab_size()

    def encode(self, text: str) -> Array:
        return np.array(self.tokenizer.encode(text).ids, np.int64)

    def decode(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(tokens)))


def read(name: str, rng: np.random.Generator) -> str:
    """The text of this name: "markov" is drawn by `rng` from a source of known entropy; "python" is the reference of
    the language, which ships with it, so it depends on its version; any other is the path of a file in UTF-8.

    Raises ValueError where there is no such file, or it is no text.
    """
    if name == "markov":
        return "".join(np.array(list("abc"))[Source(TRANSITIONS).draw(SYMBOLS, rng)])
    if name == "python":
        from pydoc_data.topics import topics

        return "\n".join(topics[topic] for topic in sorted(topics))
    try:
        return Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"data={name}: expected markov, python, or a text file in UTF-8: {error}") from error
