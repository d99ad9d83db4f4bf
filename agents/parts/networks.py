"""From a config and a spec to the first layers of a network: normalization and torso."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from agents.config import NetworkOptions, NormalizeOptions
from envs.api import Array, Spec
from supervised.networks.plain import plain
from supervised.networks.torso import Normalize, Pixels, initialize, torso


def normalize(spec: Spec, options: NormalizeOptions) -> nn.Module:
    """What stands before the torso: Pixels for pictures, running normalization if it is on, else nothing."""
    if spec.obs_dtype == "uint8":
        if options.observations:
            raise ValueError(
                f"normalize.observations is on, but {spec.name} shows uint8 pictures, which are divided by 255 anyway"
            )
        return Pixels()
    return Normalize(spec.obs_shape, options.clip) if options.observations else nn.Identity()


def torso_of(
    options: NetworkOptions, spec: Spec, scheme: str, generator: torch.Generator, extra: int = 0
) -> tuple[nn.Module, int]:
    """The configured torso, initialized, and the width of its features. extra: more inputs beside the observation."""
    shape = (spec.obs_shape[0] + extra,) if extra else spec.obs_shape
    layers, features = torso(shape, options.torso, options.hidden, options.activation)
    initialize(layers, scheme, generator)
    return layers, features


def acting(network: nn.Module, device: torch.device) -> Callable[[Array], Array]:
    """The network as a function of numpy arrays, for acting: obs [B, *obs] -> outputs [B, K].

    network: with parts `normalize`, `torso` and `head`, applied in this order.
    """
    if device.type == "cpu":
        parts = (network.get_submodule(name) for name in ("normalize", "torso", "head"))
        twin = plain(nn.Sequential(*parts))
        if twin is not None:
            return twin

    @torch.inference_mode()
    def forward(obs: Array) -> Array:
        outputs: Array = network(torch.tensor(obs, device=device)).cpu().numpy()
        return outputs

    return forward
