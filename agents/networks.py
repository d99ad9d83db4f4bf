"""From a config and a spec to the first layers of a network: normalization and torso."""

from __future__ import annotations

import torch
from torch import nn

from agents import config
from envs.api import Spec
from supervised.networks.torso import Normalize, Pixels, initialize, torso


def normalize(spec: Spec, options: config.Normalize) -> nn.Module:
    """What stands before the torso: Pixels for pictures, running normalization if it is on, else nothing."""
    if spec.obs_dtype == "uint8":
        if options.observations:
            raise ValueError(
                f"normalize.observations is on, but {spec.name} shows uint8 pictures, which are divided by 255 anyway"
            )
        return Pixels()
    return Normalize(spec.obs_shape, options.clip) if options.observations else nn.Identity()


def torso_of(
    options: config.Network, spec: Spec, scheme: str, generator: torch.Generator, extra: int = 0
) -> tuple[nn.Module, int]:
    """The configured torso, initialized, and the width of its features. extra: more inputs beside the observation."""
    shape = (spec.obs_shape[0] + extra,) if extra else spec.obs_shape
    layers, features = torso(shape, options.torso, options.hidden, options.activation)
    initialize(layers, scheme, generator)
    return layers, features
