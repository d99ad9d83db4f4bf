"""Writing token by token: what was written is remembered in a carry, and so read once.

    carry = model.initial(n)
    written = sample(step, carry, begin, length=80, generator=generator)   # [n, 80]
    found = beam(step, carry, begin, end=2, longest=80, width=4)           # found.tokens [n, 80], found.score [n]

`step(carry, tokens [n]) -> carry, outputs [n, K]` reads one more token of n rows; outputs are unnormalized
log-probabilities of the one behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from supervised.networks.sequence import Carry

Step = Callable[[Carry, Tensor], tuple[Carry, Tensor]]


@torch.no_grad()
def sample(step: Step, carry: Carry, begin: Tensor, length: int, generator: torch.Generator) -> Tensor:
    """What the model may write behind `begin` [n] int64, [n, length], drawn by a generator on the CPU."""
    written, tokens = [], begin
    for _ in range(length):
        carry, outputs = step(carry, tokens)
        chances = outputs.softmax(-1).cpu()
        tokens = torch.multinomial(chances, 1, generator=generator)[:, 0].to(begin.device)
        written.append(tokens)
    return torch.stack(written, 1)


class Written(NamedTuple):
    tokens: Tensor  # [n, L] int64, filled up with `end`
    log_probability: Tensor  # [n], of the tokens up to the first `end`
    score: Tensor  # [n]: the same over the length, `end` among it, to the power that was asked for


@torch.no_grad()
def greedy(step: Step, carry: Carry, begin: Tensor, end: int, longest: int, power: float = 1.0) -> Written:
    """The likeliest token at each step, until it is `end`. begin: [n] int64."""
    tokens, written, going = begin, list[Tensor](), torch.ones_like(begin, dtype=torch.bool)
    total, length = torch.zeros(len(begin), device=begin.device), torch.zeros_like(begin)
    while len(written) < longest and going.any():
        carry, outputs = step(carry, tokens)
        chance, tokens = outputs.log_softmax(-1).max(-1)
        tokens = torch.where(going, tokens, end)
        total, length = total + chance * going, length + going
        written.append(tokens)
        going = going & (tokens != end)
    return Written(torch.stack(written, 1), total, total / length**power)


@torch.no_grad()
def beam(step: Step, carry: Carry, begin: Tensor, end: int, longest: int, width: int, power: float = 1.0) -> Written:
    """The best of what a beam search finds for each row of `begin` [n]: `width` beginnings are kept at each step, those
    with the greatest log-probability; one that ends leaves, and is scored by its log-probability over its length to the
    power `power` (Wu et al. 2016, https://arxiv.org/abs/1609.08144, with 0 in place of 5 in equation 14). What greedy
    writing finds competes, so that nothing worse is returned; a beam alone may lose it.
    """
    first, n, device = greedy(step, carry, begin, end, longest, power), len(begin), begin.device
    best = torch.full((n, longest), end, device=device)
    best[:, : first.tokens.shape[1]] = first.tokens
    chance, score = first.log_probability, first.score
    carry = {name: part.repeat_interleave(width, 0) for name, part in carry.items()}
    total = torch.full((n, width), -torch.inf, device=device)
    total[:, 0] = 0  # all are alike in the beginning
    written, tokens = torch.full((n, width, longest), end, device=device), begin.repeat_interleave(width)
    rows = torch.arange(n, device=device)
    for length in range(1, longest + 1):
        carry, outputs = step(carry, tokens)
        reached = total[:, :, None] + outputs.log_softmax(-1).view(n, width, -1)  # [n, width, K]
        size = reached.shape[2]
        over = reached.clone()
        if length < longest:
            over[:, :, torch.arange(size, device=device) != end] = -torch.inf
        value, at = over.flatten(1).max(1)
        better = value / length**power > score
        new = written[rows, at // size]
        new[:, length - 1] = at % size
        best = torch.where(better[:, None], new, best)
        chance, score = torch.where(better, value, chance), torch.where(better, value / length**power, score)
        reached[:, :, end] = -torch.inf
        total, at = reached.flatten(1).topk(width)
        origin, tokens = at // size, (at % size).flatten()
        if (total[:, 0] / longest**power <= score).all():  # no more can be reached
            break
        written = written[rows[:, None], origin]
        written[:, :, length - 1] = tokens.view(n, width)
        carry = {name: part[(rows[:, None] * width + origin).flatten()] for name, part in carry.items()}
    return Written(best, chance, score)
