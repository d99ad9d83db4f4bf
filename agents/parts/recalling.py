"""Networks that remember the steps of an episode, among those that don't: what they are shown, how they act, and what
they think of states along an unroll.

seen = recalled(unroll, device)                         # in the place of observations [n, *obs]
outputs, value = network(seen.pick(torch.tensor([2, 5])))  # of rows 2 and 5 over all T steps, [2 T, K] and [2 T]
value, cut = values_along(network.recall, unroll, device)

A learner whose losses are of rows [n], n = t * B + b, needs no more than to take `Recalled` for observations, and to
cut minibatches along B alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from agents import records
from agents.config import NetworkOptions
from agents.records import Unroll
from agents.torsos import Recalling
from envs.api import Array
from supervised.accelerate import pays_off
from supervised.networks.sequence import Carry

AGE = "age"  # what a policy that counts steps remembers beside


class Recalled(NamedTuple):
    """What a network that remembers is shown of T steps of B rows."""

    obs: Tensor  # [T, B, *obs]
    first: Tensor  # [T, B] bool, where it remembers nothing
    carry: Carry  # [B, ...] what it remembers at t = 0, unless that is a first step

    def pick(self, rows: Tensor) -> Recalled:
        """Some of the rows, all of their steps."""
        return Recalled(self.obs[:, rows], self.first[:, rows], {name: part[rows] for name, part in self.carry.items()})

    def part(self, begin: int, end: int, carry: Carry) -> Recalled:
        """Some of the steps, with what was remembered at the first of them."""
        return Recalled(self.obs[begin:end], self.first[begin:end], carry)


Recall = Callable[[Recalled], tuple[Carry, Tensor]]  # what is remembered after all steps, and [T, B, ...] of each


def recalled(unroll: Unroll, device: torch.device, behind: bool = False) -> Recalled:
    """The T steps of an unroll; behind: and what is shown behind the last, T + 1."""
    end = len(unroll.obs) if behind else len(unroll.reward)
    carry = {name: torch.from_numpy(part).to(device) for name, part in unroll.carry.items() if name != AGE}
    return Recalled(
        torch.from_numpy(unroll.obs[:end]).to(device), torch.from_numpy(unroll.first[:end]).to(device), carry
    )


@torch.no_grad()
def values_along(value: Recall, unroll: Unroll, device: torch.device) -> tuple[Array, Array]:
    """Values [T + 1, B] of what is shown, and [C] of what truncated steps led to. Those are seen with what was
    remembered there, so the unroll is read in parts that end where an episode was cut off."""
    seen, count = recalled(unroll, device, behind=True), unroll.reward.shape[1]
    at, shown = unroll.cut()
    step, row = np.divmod(at, count)
    carry, begin, found, cut = seen.carry, 0, list[Tensor](), np.empty(len(at), np.float32)
    for last in [*np.unique(step).tolist(), len(unroll.reward)]:
        carry, part = value(seen.part(begin, last + 1, carry))
        found.append(part)
        here, begin = step == last, last + 1
        if here.any():
            rows = torch.from_numpy(row[here]).to(device)
            obs = torch.from_numpy(shown[here]).to(device).unsqueeze(0)
            going_on = torch.zeros(obs.shape[:2], dtype=torch.bool, device=device)
            kept = {name: part[rows] for name, part in carry.items()}
            cut[here] = value(Recalled(obs, going_on, kept))[1][0].cpu().numpy()
    return torch.cat(found).cpu().numpy(), cut


def worth_compiling(choice: str, options: NetworkOptions, updates: float, device: torch.device) -> bool:
    """Whether to compile a run of so many updates, as `pays_off` says, but for networks that remember only where it is
    asked for: their steps are compiled one by one, which takes minutes."""
    auto = "off" if isinstance(options.torso, Recalling) else choice
    return pays_off(auto if choice == "auto" else choice, updates, device)


def remembering(recall: Recall, device: torch.device) -> Callable[[records.Carry, Array], tuple[records.Carry, Array]]:
    """A network as a function of numpy arrays, for acting: carry and obs [B, *obs] -> carry and outputs [B, K]."""

    @torch.inference_mode()
    def forward(carry: records.Carry, obs: Array) -> tuple[records.Carry, Array]:
        going_on = torch.zeros(1, len(obs), dtype=torch.bool, device=device)
        held = {name: torch.tensor(part, device=device) for name, part in carry.items() if name != AGE}
        kept, outputs = recall(Recalled(torch.tensor(obs, device=device).unsqueeze(0), going_on, held))
        return {**carry, **{name: part.cpu().numpy() for name, part in kept.items()}}, outputs[0].cpu().numpy()

    return forward
