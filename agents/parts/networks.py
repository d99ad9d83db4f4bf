"""From a config and a spec to the first layers of a network: normalization and torso."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from agents.config import NetworkOptions, NormalizeOptions
from agents.torsos import CNNOptions, Recalling, spelt_out
from envs.api import Array, Spec
from experiment.config import Config
from supervised.networks.plain import plain
from supervised.networks.torso import Normalize, Pixels, freeze, initialize, torso


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
    options: NetworkOptions, spec: Spec, scheme: str, generator: torch.Generator, extra: int = 0, recalls: bool = False
) -> tuple[nn.Module, int]:
    """The configured torso for observations of this world. extra: more inputs beside the observation. recalls: it may
    be one that remembers steps. Raises ValueError where it is one and may not."""
    chosen = options.torso
    if isinstance(chosen, Recalling) and not recalls:
        raise ValueError(
            f"network.torso={chosen.kind} remembers the steps of an episode, but what is asked for learns from single "
            "ones: use ppo, or another torso"
        )
    shape = (spec.obs_shape[0] + extra,) if extra else spec.obs_shape
    return build(options, shape, scheme, generator)


def build(
    options: NetworkOptions, shape: Sequence[int], scheme: str, generator: torch.Generator
) -> tuple[nn.Module, int]:
    """The configured torso for inputs of a shape, initialized, and the width of its features."""
    chosen = options.torso
    assert isinstance(chosen, Config)  # its kind alone is spelt out when it is read
    layers, features = torso(shape, chosen.kind, options.hidden, options.activation, **options_of(chosen))
    initialize(layers, options.initialization or scheme, generator)
    if options.frozen:
        freeze(layers)
    return layers, features


def options_of(section: Config) -> dict[str, Any]:
    """The options of a kind of torso, by name, as `torso` takes them."""
    found = {name: getattr(section, name) for name in type(section).model_fields if name != "kind"}
    if isinstance(section, CNNOptions):
        found["convolutions"] = [options_of(one) for one in section.convolutions]
    if isinstance(section, Recalling):
        found["encoder"] = {"kind": section.encoder, **options_of(spelt_out(section.encoder))}
    return found


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
