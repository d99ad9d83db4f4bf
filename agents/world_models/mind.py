"""V, M and C as one network: what a picture means, what comes next, and what is done.

    mind = mind_of(config, spec)
    z = mind.codes(obs)                                             # [B, Z], means
    action = mind.choose(controllers, z, carry)                     # of each row its own controller [B, P]: [B, A]
    carry, coming = mind.foresee(carry, z, action)                  # h after the action, and what may follow

As in the paper the controller sees z and h of now: h knows of all steps before, and not what is shown now.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from agents import records
from agents.config import CoderOptions
from agents.parts.coding import coders
from agents.records import Acted
from agents.world_models.configs.world_models import LinearOptions, WorldModels
from envs.api import Actions, Array, Discrete, MultiDiscrete, Spec, Step
from experiment.seeding import Seeds
from generative.mdn import Coming, MixtureDensityRNN
from generative.vae import VariationalAutoencoder
from supervised.flat import Flat
from supervised.networks.sequence import Carry

FLOOR = 1e-3  # of the largest variance


class Manner:
    """How actions are told to networks, [B, width]: in [-1, 1] between their bounds, or one-hot."""

    def __init__(self, actions: Actions) -> None:
        assert not isinstance(actions, MultiDiscrete)  # admission has refused them
        self.actions = actions
        self.width = actions.n if isinstance(actions, Discrete) else len(actions.low)

    def told(self, action: Array) -> Array:
        """float32 [..., width] of actions [...] or [..., D]."""
        if isinstance(self.actions, Discrete):
            return np.eye(self.width, dtype=np.float32)[action]
        low, high = (np.array(bound, np.float32) for bound in (self.actions.low, self.actions.high))
        return (2 * (action.clip(low, high) - low) / (high - low) - 1).astype(np.float32)

    def chosen(self, output: Tensor) -> Tensor:
        """As told, of a controller's output [..., width]: its tanh, or the largest."""
        if isinstance(self.actions, Discrete):
            return nn.functional.one_hot(output.argmax(-1), self.width).to(output.dtype)
        return output.tanh()

    def done(self, told: Array) -> Array:
        """The action itself."""
        if isinstance(self.actions, Discrete):
            return told.argmax(-1)
        low, high = (np.array(bound, np.float32) for bound in (self.actions.low, self.actions.high))
        return low + (told + 1) * (high - low) / 2


class Mind(nn.Module):
    """encoder: pictures to [B, 2 Z], means and log variances."""

    center: Tensor  # [features], and
    turn: Tensor  # [features, features]: what the controller sees is (features - center) @ turn

    def __init__(
        self,
        encoder: nn.Module,
        memory: MixtureDensityRNN,
        manner: Manner,
        sees: str = "z_h",
        bias: bool = True,
        whiten: bool = False,
    ) -> None:
        super().__init__()
        self.sees, self.bias, self.manner = sees, bias, manner
        self.features = memory.codes + memory.model.features * (len(sees.split("_")) - 1)
        self.controller = nn.Parameter(torch.zeros(manner.width * (self.features + bias)))
        self.encoder, self.memory, self.whiten = encoder, memory, whiten
        if whiten:
            self.register_buffer("center", torch.zeros(self.features))
            self.register_buffer("turn", torch.eye(self.features))

    def codes(self, obs: Tensor) -> Tensor:
        """Their means [B, Z]."""
        return self.posterior(obs).chunk(2, -1)[0]

    def posterior(self, obs: Tensor) -> Tensor:
        """Means and log variances [B, 2 Z]; pictures are uint8."""
        found: Tensor = self.encoder(floats(obs))
        return found

    def seen(self, z: Tensor, carry: Carry) -> Tensor:
        """What the controller sees, [B, features]."""
        parts = ("hidden", "cell")[: len(self.sees.split("_")) - 1]
        features = torch.cat([z, *(carry[name][:, -1] for name in parts)], -1)
        return (features - self.center) @ self.turn if self.whiten else features

    def turn_by(self, seen: Array) -> None:
        """Let what the controller sees be of mean 0 and variance 1, uncorrelated, where it was so [n, features]. What
        hardly varied is not blown up to that: FLOOR."""
        seen = seen.astype(np.float64)
        variances, axes = np.linalg.eigh(np.cov(seen, rowvar=False))
        scales = 1 / np.sqrt(np.maximum(variances, FLOOR * variances[-1]))
        self.center.copy_(torch.from_numpy(seen.mean(0)))
        self.turn.copy_(torch.from_numpy(axes * scales))

    def choose(self, controllers: Tensor, z: Tensor, carry: Carry) -> Tensor:
        """controllers [N, P] of R rows each, z [N R, Z] -> actions as networks are told them [N R, A]."""
        features = self.seen(z, carry).view(len(controllers), -1, self.features)
        weight = controllers[:, : self.manner.width * self.features].view(-1, self.features, self.manner.width)
        output = features @ weight
        if self.bias:
            output = output + controllers[:, None, -self.manner.width :]
        return self.manner.chosen(output).flatten(0, 1)

    def foresee(self, carry: Carry, z: Tensor, action: Tensor) -> tuple[Carry, Coming]:
        """One step of B rows: what is remembered, and what is thought to come [B, ...]."""
        going_on = torch.zeros(1, len(z), dtype=torch.bool, device=z.device)
        carry, coming = self.memory(carry, z.unsqueeze(0), action.unsqueeze(0), going_on)
        return carry, coming.step(0)


def floats(obs: Tensor) -> Tensor:
    """Pictures in [0, 1]."""
    return obs / 255 if obs.dtype == torch.uint8 else obs


def autoencoder(config: WorldModels, spec: Spec, seeds: Seeds) -> VariationalAutoencoder:
    """V, as it begins."""
    options: CoderOptions = config.codes.network
    latent = config.codes.latent
    return VariationalAutoencoder(*coders(options, spec.obs_shape, 2 * latent, latent, seeds), "gaussian")


def mind_of(config: WorldModels, spec: Spec, encoder: nn.Module | None = None) -> Mind:
    """As it begins; encoder: that of V. Raises ValueError where it can't act in such a world."""
    seeds = Seeds(config.seed)
    manner, memory = Manner(spec.actions), config.memory
    generator = torch.Generator().manual_seed(seeds.integer("memory", "network"))
    network = MixtureDensityRNN(
        memory.kind,
        config.codes.latent,
        manner.width,
        memory.width,
        memory.mixtures,
        generator,
        memory.reward,
        memory.end,
    )
    options: LinearOptions = config.controller
    begun = encoder or autoencoder(config, spec, seeds).encoder
    return Mind(begun, network, manner, options.sees, options.bias, options.whiten)


class MindPolicy:
    """Acts by what is shown and what is remembered (`agents.api.Policy`), and never explores."""

    def __init__(self, mind: Mind, device: torch.device) -> None:
        self.mind, self.device = mind.to(device), device
        self.flat = Flat(mind)

    def initial(self, batch: int) -> records.Carry:
        return {name: part.cpu().numpy() for name, part in self.mind.memory.initial(batch).items()}

    def act(self, carry: records.Carry, step: Step, rng: np.random.Generator, explore: bool) -> Acted:
        return self.act_each(self.mind.controller[None], carry, step.obs)

    @torch.inference_mode()
    def act_each(self, controllers: Tensor, carry: records.Carry, obs: Array) -> Acted:
        """By controllers [N, P], each in so many of the rows, one behind the other."""
        held = {name: torch.tensor(part, device=self.device) for name, part in carry.items()}
        z = self.mind.codes(torch.tensor(obs, device=self.device))
        action = self.mind.choose(controllers, z, held)
        kept, _ = self.mind.foresee(held, z, action)
        remembered = {name: part.cpu().numpy() for name, part in kept.items()}
        return Acted(remembered, self.mind.manner.done(action.cpu().numpy()), {})

    def load(self, weights: Array) -> None:
        """Raises ValueError for the weights of a phase that has nothing to act by yet."""
        size = len(self.flat.vector)
        if len(weights) < size:
            raise ValueError(
                f"{len(weights)} weights are not those of a controller, which has {size} with its codes and memory: "
                "the run is still in a phase before"
            )
        self.flat.load(weights[:size])
