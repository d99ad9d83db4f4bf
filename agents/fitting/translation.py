"""Sequence to sequence with attention: cells (Bahdanau et al. 2015, https://arxiv.org/abs/1409.0473) or the transformer
(Vaswani et al. 2017), on translations that are generated, so that each has one answer.

Logs, as means over updates: train/loss, nats a character of the answers, its end among them; and train/learning_rate,
train/epoch, train/n_updates. Of the held-out rows: eval/loss, and of the first 1,000 of them eval/greedy and eval/beam,
the share that is written without a mistake, eval/greedy_score and eval/beam_score, log-probability over length, and
eval/text, some of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from agents.api import Algorithm
from agents.config import Experiment
from agents.fitting.configs.translation import Translation
from agents.maths.schedules import value as scheduled
from envs.api import Array
from experiment.course import Course
from experiment.seeding import Seeds
from supervised.accelerate import device_of, use_cpu
from supervised.fit import Fitting
from supervised.networks.sequence import Carry
from supervised.networks.translator import PAD, AttendingTranslator, RecurrentTranslator, Translator
from supervised.text.phrases import BEGIN, END, MARKS, decoded, encoded, phrases
from supervised.text.tokens import Characters
from supervised.text.writing import beam, greedy
from supervised.trained import Found, Trained

SHOWN = 1_000  # held-out rows that are written
SAMPLES = 10  # of these to look at


def course(config: Translation, seeds: Seeds, build: Callable[[Experiment], Course]) -> Fitting:
    """Ready to begin. Raises ValueError where there are not so many examples."""
    use_cpu(config.threads)
    pairs = phrases(config.data, config.examples, seeds.generator("data", "pairs"))
    sources, targets = zip(*pairs)
    read, written = Characters("".join(sources)), Characters("".join(targets))
    rows = encoded(sources, read), encoded(targets, written)
    held_out = round(config.held_out * len(pairs))
    trained = translating(config, read.size + MARKS, written.size + MARKS, seeds)

    def show() -> Mapping[str, Any]:
        shown = min(SHOWN, held_out)
        return answers(config, trained, rows[0][:shown], sources, targets, written)

    return Fitting(
        trained,
        [column[held_out:] for column in rows],
        [column[:held_out] for column in rows],
        config.learner.batch_size,
        lambda progress: scheduled(config.learner.learning_rate, progress),
        config.steps,
        seeds.generator("learner", "batches"),
        show=show,
    )


def translating(config: Translation, sources: int, targets: int, seeds: Seeds) -> Trained:
    """The network and its loss of (sources [B, S], targets [B, T])."""

    def loss(parameters: Tensor, source: Tensor, target: Tensor) -> Found:
        outputs = trained.flat.call(parameters, source.T, target[:, :-1].T).permute(1, 2, 0)  # [B, K, T - 1]
        surprise = cross_entropy(outputs, target[:, 1:], ignore_index=PAD, reduction="none")
        return {"loss": surprise.sum() / (target[:, 1:] != PAD).sum()}, {}

    options = config.network
    generator = torch.Generator().manual_seed(seeds.integer("learner", "network"))
    network: Translator = (
        AttendingTranslator(sources, targets, options.width, options.layers, options.heads, options.norm, generator)
        if options.kind == "transformer"
        else RecurrentTranslator(options.kind, sources, targets, options.width, options.layers, generator)
    )
    trained = Trained(
        network.to(device_of(config.device)),
        loss,
        {"loss": 1.0},
        max_gradient_norm=config.learner.max_gradient_norm or None,
        compiled=config.compile == "on",  # steps of cells are compiled one by one, which takes minutes
    )
    return trained


@torch.no_grad()
def answers(
    config: Translation, trained: Trained, rows: Array, sources: Any, targets: Any, written: Characters
) -> Mapping[str, Any]:
    """How the rows are translated, which are those of the first sources and targets."""
    network: Any = trained.flat.module
    device = trained.state.parameters.device
    carry = network.begin(torch.from_numpy(rows.T).to(device))

    def step(carry: Carry, tokens: Tensor) -> tuple[Carry, Tensor]:
        carry, outputs = network.decode(carry, tokens[None])
        return carry, outputs[0]

    begin, longest = torch.full((len(rows),), BEGIN, device=device), 1 + max(map(len, targets))
    power, told, texts = config.length_power, dict[str, Any](), list[str]()
    for name, found in (
        ("greedy", greedy(step, carry, begin, END, longest, power)),
        ("beam", beam(step, carry, begin, END, longest, config.beam, power)),
    ):
        texts = decoded(found.tokens.cpu().numpy(), written)
        told[name] = sum(a == b for a, b in zip(texts, targets)) / len(rows)
        told[f"{name}_score"] = found.score.mean().item()
    told["text"] = "\n".join(f"{a} -> {b}" for a, b in list(zip(sources, texts))[:SAMPLES])
    return told


ALGORITHM = Algorithm[Translation](course=course)
