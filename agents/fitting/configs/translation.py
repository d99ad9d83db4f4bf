"""Config of sequence to sequence. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Literal

from agents.fitting.configs.data import OfData
from agents.fitting.configs.sequences import SequenceLearner, SequenceOptions
from experiment.config import Count, Fixed, NonNegative, Rows


class Translation(OfData):
    algorithm: Literal["translation"] = "translation"
    """sequence to sequence: an encoder reads, a decoder that attends to it writes"""
    data: Fixed[Literal["dates", "number_words"]]
    """what is translated, character by character: dates in eight styles into ISO 8601, numbers in words into digits"""
    examples: Fixed[Rows] = 20_000
    """pairs in all, no two of the same day or number"""
    network: Fixed[SequenceOptions] = SequenceOptions()
    """encoder and decoder; of cells the layers are the encoder's, whose decoder has one"""
    learner: SequenceLearner = SequenceLearner()
    """the update"""
    beam: Count = 4
    """beginnings that beam search keeps"""
    length_power: NonNegative = 1.0
    """beam search compares log-probabilities over the length to this power; 0 prefers short texts"""
