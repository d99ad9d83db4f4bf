"""What random play was, as the memory reads it: codes of what was shown, in windows of steps; and pictures of what it
dreams.

rows = windows(unrolls, mind, length=25)                # columns of Window, [n, 25, ...]
shown = strips(vae, network, rows)                      # {"imagined": picture}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from agents.records import Unroll, lived
from agents.world_models.mind import Mind
from envs.api import Array
from generative.mdn import Coming, MixtureDensityRNN
from generative.vae import VariationalAutoencoder
from supervised.pictures import tiled

CHUNK = 1_024  # pictures that are encoded at once
SEEN, DREAMT = 5, 10  # steps of a strip that are shown to the memory, and that it then dreams


@torch.inference_mode()
def encoded(mind: Mind, obs: Array) -> Array:
    """Means and log variances [n, 2 Z] of pictures [n, *obs]."""
    device = mind.controller.device
    parts = [torch.from_numpy(obs[start : start + CHUNK]).to(device) for start in range(0, len(obs), CHUNK)]
    return torch.cat([mind.posterior(part) for part in parts]).cpu().numpy()


def begun(unrolls: Sequence[Unroll], mind: Mind) -> Tensor:
    """Means and log variances [n, 2 Z] of what episodes began with."""
    shown = np.concatenate([unroll.obs[:-1][unroll.first[:-1]] for unroll in unrolls])
    return torch.from_numpy(encoded(mind, shown)).to(mind.controller.device)


class Window(NamedTuple):
    """Steps in a row: [n, L, ...] as rows of a fit, [L, n, ...] as a network reads them."""

    z: Tensor  # [..., Z] of what was shown; as rows of a fit means and log variances [..., 2 Z]
    following: Tensor  # [..., Z] of what was shown next
    action: Tensor  # [..., A] as networks are told it
    reward: Tensor  # [...]
    end: Tensor  # [...] 1 where it terminated
    first: Tensor  # [...] bool


def windows(unrolls: Sequence[Unroll], mind: Mind, length: int) -> list[Array]:
    """The columns of `Window` [n, L, ...] of all steps, but for those that are left at the end of an unroll."""
    parts = [_windows(unroll, mind, length) for unroll in unrolls]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _windows(unroll: Unroll, mind: Mind, length: int) -> list[Array]:
    steps, rows = unroll.reward.shape
    every = lived(unroll)
    columns = (
        encoded(mind, every.obs),
        encoded(mind, every.next_obs),
        mind.manner.told(every.action),
        every.reward,
        every.terminated.astype(np.float32),
        unroll.first[:-1].reshape(-1),
    )
    whole = steps // length

    def cut(column: Array) -> Array:
        apart = column.reshape(steps, rows, *column.shape[1:])[: whole * length]
        apart = apart.reshape(whole, length, rows, *column.shape[1:])
        return np.moveaxis(apart, 2, 1).reshape(whole * rows, length, *column.shape[1:])

    return [cut(column) for column in columns]


@torch.inference_mode()
def along(mind: Mind, rows: Sequence[Array]) -> Array:
    """What a controller sees at each step of the first windows [n, features]."""
    codes, _, action, _, _, first = (torch.from_numpy(column[:CHUNK]).to(mind.controller.device) for column in rows)
    z, carry, seen = codes.chunk(2, -1)[0], mind.memory.initial(len(codes)), list[Tensor]()
    for t in range(z.shape[1]):
        carry = {name: part * ~first[:, t, None, None] for name, part in carry.items()}
        seen.append(mind.seen(z[:, t], carry))
        carry, _ = mind.foresee(carry, z[:, t], action[:, t])
    return torch.cat(seen).cpu().numpy()


def sampled(codes: Array, noise: Array) -> Array:
    """Codes [..., Z] of their means and log variances [..., 2 Z]."""
    mean, log_variance = np.split(codes, 2, -1)
    found: Array = mean + np.exp(0.5 * log_variance) * noise
    return found


def surprises(coming: Coming, steps: Window) -> Mapping[str, Tensor]:
    """Terms of the loss [L, n]: of the codes and the end in nats, of the reward half the squared error."""
    found = {"codes": -coming.codes.log_prob(steps.following).sum(-1)}
    if coming.reward is not None:
        found["reward"] = 0.5 * (coming.reward - steps.reward).square()
    if coming.end is not None:
        found["end"] = binary_cross_entropy_with_logits(coming.end, steps.end, reduction="none")
    return found


@torch.no_grad()
def strips(vae: VariationalAutoencoder, network: MixtureDensityRNN, rows: Sequence[Array]) -> Mapping[str, Array]:
    """What was shown, as its codes have it, above what the memory dreams of the same actions once it has seen the first
    steps: three such pairs, one below the other."""
    device, rng = next(network.parameters()).device, np.random.default_rng(0)
    length = min(SEEN + DREAMT, rows[0].shape[1])
    codes, _, action, _, _, first = (torch.from_numpy(column[:3, :length]).to(device) for column in rows)
    true = codes.chunk(2, -1)[0].transpose(0, 1)
    first, action = first.transpose(0, 1), action.transpose(0, 1)
    seen, carry, z = list[Tensor](), network.initial(true.shape[1]), true[0]
    for t in range(length):
        z = true[t] if t < SEEN else z
        seen.append(z)
        carry, ahead = network(carry, z[None], action[t : t + 1], first[t : t + 1])
        luck = rng.random(z.shape, np.float32), rng.standard_normal(z.shape, np.float32)
        z = ahead.step(0).codes.at(*(torch.from_numpy(drawn).to(device) for drawn in luck))
    both = torch.stack([true, torch.stack(seen)], 1).permute(2, 1, 0, 3).flatten(0, 2)  # by strip, then by time
    return {"imagined": tiled(vae.expected(both).clamp(0, 1).cpu().numpy(), length)}
