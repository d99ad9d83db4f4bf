"""Networks: dreamt steps per second of a population at once, against one controller at a time; tokens that a
transformer writes per second from what it has kept, against reading all of them anew for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch

from agents.experience.rollout import env_spec
from agents.registry import parse
from agents.world_models.configs.world_models import WorldModels
from agents.world_models.dream import imagine, luck_of
from agents.world_models.mind import mind_of
from experiment.config import read
from scripts.suites.pairs import Row, Side, Trial, compare, rate
from supervised.networks.translator import AttendingTranslator

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "world_models" / "pixels.yaml"
POPULATION, HORIZON = 64, 100
ROWS_AT_ONCE, TOKENS = 8, 128


def dreaming(label: str, controllers: int, rollouts: int) -> Side:
    """So many controllers in one program, in a dream that nobody falls out of."""

    @contextmanager
    def start() -> Iterator[Trial]:
        config = parse(read(CONFIG))
        assert isinstance(config, WorldModels)
        mind = mind_of(config, env_spec(config.env)).requires_grad_(False)
        mind.memory.head.bias[-1] = -50.0  # the log odds of an end
        candidates = torch.zeros(controllers, mind.controller.numel())
        z, rng = torch.zeros(controllers * rollouts, config.codes.latent), np.random.default_rng(0)

        def dream() -> None:
            imagine(mind, candidates, z, luck_of(rng, rollouts, z.shape[1], z.device), HORIZON, temperature=1.0)

        dream()
        yield lambda: rate(controllers * rollouts * HORIZON, dream, time.process_time)

    return Side(label, start)


def row(rollouts: int, name: str, pairs: int, threads: int) -> Row:
    """By processor time: what one program takes, whoever else computes here."""
    ours = dreaming(f"{POPULATION} controllers at once", POPULATION, rollouts)
    one = dreaming("one at a time", 1, rollouts)
    found = compare(name, "dreamt steps/s", ours, one, pairs, clock=time.process_time)
    return found.expect(">= 20x", found.ratio >= 20)


def writing(label: str, kept: bool) -> Side:
    """A row of the encoder-decoder transformer, greedily, token by token."""

    @contextmanager
    def start() -> Iterator[Trial]:
        network = AttendingTranslator(64, 64, 64, 2, 4, "pre", torch.Generator().manual_seed(0)).requires_grad_(False)
        begun = network.begin(torch.ones(32, ROWS_AT_ONCE, dtype=torch.int64))

        def write() -> None:
            carry, tokens = begun, torch.ones(1, ROWS_AT_ONCE, dtype=torch.int64)
            for _ in range(TOKENS):
                after, outputs = network.decode(carry if kept else begun, tokens[-1:] if kept else tokens)
                carry, tokens = after, torch.cat([tokens, outputs[-1:].argmax(-1)])

        write()
        yield lambda: rate(ROWS_AT_ONCE * TOKENS, write, time.process_time)

    return Side(label, start)


def cached(pairs: int, threads: int) -> Row:
    ours, anew = writing("keys and values are kept", True), writing("all is read anew", False)
    found = compare(f"writing {TOKENS} tokens", "tokens/s", ours, anew, pairs, clock=time.process_time)
    return found.expect("> 1x", found.ratio > 1)


ROWS: dict[str, Callable[[int, int], Row]] = {
    **{f"dream-{rollouts}": partial(row, rollouts, f"dream, {rollouts} rollouts of each") for rollouts in (1, 8)},
    "cached": cached,
}
