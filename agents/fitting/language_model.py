"""Language models: RNN, GRU, LSTM (Mikolov et al. 2010) or a causal transformer (Radford et al. 2018) that reads a text
and says what comes next.

Logs, as means over updates: train/loss, nats a token; and train/learning_rate, train/epoch, train/n_updates. Of the
held-out text: eval/loss, eval/perplexity = exp(eval/loss), eval/nats_per_character, by which models of different tokens
compare, eval/text, a sample; of the source whose entropy is known, eval/expected, the cross-entropy of what comes next
in expectation over all that may come, which is never less than its eval/entropy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from agents.api import Algorithm
from agents.config import Experiment
from agents.fitting.configs.language_model import LanguageModel
from agents.fitting.configs.sequences import ReaderOptions
from agents.maths.schedules import value as scheduled
from experiment.course import Course
from experiment.seeding import Seeds
from supervised.accelerate import device_of, use_cpu
from supervised.networks.reader import Reader
from supervised.networks.sequence import Carry, Recurrent, SequenceModel
from supervised.networks.transformer import CausalTransformer
from supervised.reading import Reading, Remembering, windows
from supervised.text.markov import TRANSITIONS, Source
from supervised.text.tokens import Characters, Subwords, Tokens, read
from supervised.text.writing import sample

CONTEXT = 10  # symbols of the source, all sequences of which are looked at


def course(config: LanguageModel, seeds: Seeds, build: Callable[[Experiment], Course]) -> Reading:
    """Ready to begin. Raises ValueError where there is no text, or too little of it."""
    use_cpu(config.threads)
    text = read(config.data, seeds.generator("data", "text"))
    learned = round(len(text) * (1 - config.held_out))
    tokens: Tokens = Characters(text[:learned])
    if config.tokens == "subwords":
        tokens = Subwords(text[:learned], config.vocabulary)
    train, held_out = tokens.encode(text[:learned]), tokens.encode(text[learned:])
    rows = min(config.learner.batch_size, max((len(held_out) - 1) // config.window, 1))
    trained = remembering(config, tokens.size, seeds)
    characters = (len(text) - learned) / len(held_out)  # of a token

    def show() -> Mapping[str, Any]:
        return {"text": tokens.decode(written(trained, config.window)), **known(config, trained.model)}

    found = Reading(
        trained,
        windows(train, config.learner.batch_size, config.window),
        windows(held_out, rows, config.window),
        lambda progress: scheduled(config.learner.learning_rate, progress),
        config.steps,
        config.carried,
        characters,
        show,
    )
    return found


def remembering(config: LanguageModel, tokens: int, seeds: Seeds) -> Remembering:
    """The network and its loss."""
    options, device = config.network, device_of(config.device)
    generator = torch.Generator().manual_seed(seeds.integer("learner", "network"))
    network = Reader(reads(options, config.window), options.width, tokens, generator)
    return Remembering(
        network.to(device),
        max_gradient_norm=config.learner.max_gradient_norm or None,
        compiled=config.compile == "on",  # steps of cells are compiled one by one, which takes minutes
    )


def reads(options: ReaderOptions, window: int) -> SequenceModel:
    """What reads features of `options.width`."""
    if options.kind != "transformer":
        return Recurrent(options.kind, options.width, options.width, options.layers)
    return CausalTransformer(
        options.width,
        options.width,
        options.layers,
        options.heads,
        window,
        options.norm,
        options.positions,
        options.attention,
    )


def written(trained: Remembering, length: int) -> list[int]:
    """What the model writes behind a token that it draws, too: always by the same luck."""
    device = trained.state.parameters.device
    model: Any = trained.model

    def step(carry: Carry, tokens: Tensor) -> tuple[Carry, Tensor]:
        carry, outputs = model(carry, tokens[None], torch.zeros(1, len(tokens), dtype=torch.bool, device=device))
        return carry, outputs[0]

    begin = torch.zeros(1, dtype=torch.int64, device=device)
    found: list[int] = sample(step, model.initial(1), begin, length, torch.Generator().manual_seed(0))[0].tolist()
    return found


@torch.no_grad()
def known(config: LanguageModel, model: Any) -> Mapping[str, float]:
    """The exact cross-entropy on the source whose entropy is known; nothing of other texts, or of subwords."""
    if config.data != "markov" or config.tokens != "characters":
        return {}
    source = Source(TRANSITIONS)
    sequences, chances = source.sequences(min(CONTEXT, config.window))
    shown = torch.from_numpy(sequences.T.copy()).to(next(model.parameters()).device)
    outputs = model(model.initial(len(sequences)), shown, torch.zeros_like(shown, dtype=torch.bool))[1]
    predicted = outputs.double().log_softmax(-1)[..., : len(TRANSITIONS)].transpose(0, 1).cpu().numpy()
    return {"expected": source.cross_entropy(sequences, chances, predicted), "entropy": source.entropy_rate}


ALGORITHM = Algorithm[LanguageModel](course=course)
