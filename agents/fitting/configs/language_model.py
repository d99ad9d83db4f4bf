"""Config of a language model. Torch-free: see `agents/config.py`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from agents.fitting.configs.data import OfData
from agents.fitting.configs.sequences import ReaderOptions, SequenceLearner
from experiment.config import Count, Fixed, Rows


class LanguageLearner(SequenceLearner):
    batch_size: Fixed[Rows] = 32
    """rows of one update: so many places at which the text is read at once"""


class LanguageModel(OfData):
    algorithm: Literal["language_model"] = "language_model"
    """a model of what comes next in a text"""
    data: Fixed[Literal["markov", "python"] | str]
    """markov, a source of three symbols whose entropy is known; python, the reference of the language, which ships with
    it; or the path of a text file in UTF-8"""
    held_out: Fixed[Annotated[float, Field(gt=0, lt=1)]] = 0.1
    """fraction of the text, at its end, that is not learned from: the evaluation is by this"""
    tokens: Fixed[Literal["characters", "subwords"]] = "characters"
    """what the text is cut into; subwords are learned from it by byte-pair encoding (Sennrich et al. 2016)"""
    vocabulary: Fixed[Annotated[int, Field(ge=257, le=2**16)]] = 512
    """how many subwords there are at most, 256 of which are single bytes"""
    window: Fixed[Count] = 64
    """tokens of each row in one update, through which gradients flow; a transformer sees so many"""
    carried: bool = True
    """a window goes on from what was remembered at the end of the one before; false: each begins anew, which suits
    transformers that are shown positions"""
    network: Fixed[ReaderOptions] = ReaderOptions()
    """what reads"""
    learner: LanguageLearner = LanguageLearner()
    """the update"""
