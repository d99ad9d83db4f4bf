"""Torsos: observation [B, *obs] -> features [B, F]; what remembers reads steps in order (`Recall`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from supervised.networks.densenet import densenet
from supervised.networks.pictures import LEAST, cnn, lenet, nature_cnn, nips_cnn, vgg
from supervised.networks.residual import resnet
from supervised.networks.sequence import Recall, Recurrent, SequenceModel
from supervised.networks.transformer import CausalTransformer
from supervised.networks.vit import vit

Weighted = nn.Linear | nn.Conv2d | nn.ConvTranspose2d
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
}


def orthogonal(layer: Weighted, gain: float, generator: torch.Generator) -> None:
    """Orthogonal weights and zero bias (Saxe et al. 2014, https://arxiv.org/abs/1312.6120)."""
    nn.init.orthogonal_(layer.weight, gain, generator=generator)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def fan_in_uniform(layer: Weighted, generator: torch.Generator) -> None:
    """Weights and bias uniform in +-1/sqrt(fan in), as in DDPG (Lillicrap et al. 2016) and torch's own layers."""
    bound = 1 / math.sqrt(layer.weight[0].numel())
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    if layer.bias is not None:
        nn.init.uniform_(layer.bias, -bound, bound, generator=generator)


def glorot(layer: Weighted, generator: torch.Generator) -> None:
    """Weights uniform with variance 2 / (fan in + fan out), for tanh; no bias (Glorot and Bengio 2010)."""
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def he(layer: Weighted, generator: torch.Generator) -> None:
    """Weights normal with variance 2 / fan in, for rectifiers; no bias (He et al. 2015)."""
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


SCHEMES: dict[str, Callable[[Any, torch.Generator], None]] = {
    "orthogonal": lambda layer, generator: orthogonal(layer, math.sqrt(2), generator),
    "fan_in": fan_in_uniform,
    "glorot": glorot,
    "he": he,
}


def initialize(module: nn.Module, scheme: str, generator: torch.Generator) -> None:
    """Initialize every linear and convolutional layer by one of SCHEMES. Cells that remember begin as torch's do, or
    under "orthogonal" with orthogonal matrices and no bias; tables (of positions) with a deviation of 0.02."""
    for layer in module.modules():
        if isinstance(layer, Weighted):
            SCHEMES[scheme](layer, generator)
        elif isinstance(layer, nn.RNNCellBase):
            _cell(layer, scheme, generator)
        elif isinstance(layer, nn.Embedding):
            nn.init.normal_(layer.weight, 0.0, 0.02, generator=generator)


def _cell(cell: nn.RNNCellBase, scheme: str, generator: torch.Generator) -> None:
    bound = 1 / math.sqrt(cell.hidden_size)
    for parameter in cell.parameters():
        if scheme != "orthogonal":
            nn.init.uniform_(parameter, -bound, bound, generator=generator)
        elif parameter.ndim == 2:
            nn.init.orthogonal_(parameter, generator=generator)
        else:
            nn.init.zeros_(parameter)


def mlp(inputs: int, hidden: Sequence[int], activation: str) -> nn.Sequential:
    """Linear layers with `activation` after each: [B, inputs] -> [B, hidden[-1]]."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(inputs, width), ACTIVATIONS[activation]()]
        inputs = width
    return nn.Sequential(*layers)


class Normalize(nn.Module):
    """(x - mean) * scale, clipped. The statistics are buffers: they travel with the weights."""

    mean: Tensor
    scale: Tensor

    def __init__(self, shape: Sequence[int], clip: float) -> None:
        super().__init__()
        self.clip = clip
        self.register_buffer("mean", torch.zeros(tuple(shape)))
        self.register_buffer("scale", torch.ones(tuple(shape)))

    def forward(self, obs: Tensor) -> Tensor:  # [B, *shape]
        return ((obs - self.mean) * self.scale).clamp(-self.clip, self.clip)


class Pixels(nn.Module):
    """uint8 [B, C, H, W] -> float32 in [0, 1]."""

    def forward(self, obs: Tensor) -> Tensor:
        return obs.float() * (1 / 255)


Builder = Callable[..., nn.Module]  # (shape [C, H, W], activation, **options) -> [B, C, H, W] to [B, F]
PICTURES: dict[str, Builder] = {
    "nips_cnn": nips_cnn,
    "nature_cnn": nature_cnn,
    "lenet": lenet,
    "cnn": cnn,
    "vgg": vgg,
    "resnet": resnet,
    "densenet": densenet,
    "vit": vit,
}
RECALLING: dict[str, Callable[..., SequenceModel]] = {  # (features, **options)
    **{kind: partial(Recurrent, kind) for kind in ("rnn", "gru", "lstm")},
    "transformer": CausalTransformer,
}


def torso(
    shape: Sequence[int], kind: str, hidden: Sequence[int], activation: str, **options: Any
) -> tuple[nn.Module, int]:
    """Build a torso for observations of `shape` and return it with the width of its features. options: of its kind.

    kind: "mlp" flattens whatever comes; those of PICTURES want pictures [C, H, W]; those of RECALLING remember steps,
    and are a `Recall` of an `encoder`, a mapping with its kind and options. Raises ValueError where observations of
    this shape don't suit it.
    """
    if kind in RECALLING:
        encoder, features = torso(shape, hidden=hidden, activation=activation, **options.pop("encoder"))
        model = RECALLING[kind](features, **options)
        return Recall(encoder, model), model.features
    if kind == "mlp":
        inputs = math.prod(shape)
        flatten = [nn.Flatten()] if len(shape) != 1 else []
        return nn.Sequential(*flatten, mlp(inputs, hidden, activation)), hidden[-1] if hidden else inputs
    front, features = pictures(shape, kind, activation, options)
    return nn.Sequential(front, mlp(features, hidden, activation)), hidden[-1] if hidden else features


def pictures(shape: Sequence[int], kind: str, activation: str, options: Mapping[str, Any]) -> tuple[nn.Module, int]:
    """What reads pictures, and the width of its features."""
    least = LEAST.get(kind, 1)
    if len(shape) != 3 or min(shape[1:]) < least:
        of = f" of at least {least} x {least}" if least > 1 else ""
        raise ValueError(
            f"network.torso={kind} wants pictures{of}, of shape [channels, height, width], but observations have shape "
            f"{list(shape)}; use network.torso=mlp"
        )
    front = PICTURES[kind](shape, ACTIVATIONS[activation], **options)
    try:
        with torch.no_grad():
            features = front(torch.zeros(1, *shape, device=next(front.parameters()).device)).shape[1]
    except RuntimeError as error:
        raise ValueError(f"network.torso={kind}: observations of shape {list(shape)} are too small: {error}") from error
    return front, features


def sequences(torso: nn.Module) -> bool:
    """Whether a torso remembers steps."""
    return isinstance(torso, Recall)


def freeze(layers: nn.Module) -> None:
    """Let no gradient reach the parameters of these layers: they stay what they are."""
    layers.forward = torch.no_grad()(layers.forward)
