"""A module's parameters as one flat vector, so that an optimizer is a handful of vector operations.

    flat = Flat(network)
    def loss(parameters: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return (flat.call(parameters, x) - y).square().mean(), {}
    gradient, metrics = differentiate(loss, functional=False)(flat.parameters, x, y)
    flat.parameters -= learning_rate * adam.step(gradient, epsilon=1e-8)

Everything changes in place, so a compiled step or a CUDA graph finds its tensors where they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value

Loss = Callable[..., tuple[Tensor, Mapping[str, Tensor]]]


class Flat:
    """Rebinds the parameters of `module` to views of one vector; they keep the order of `named_parameters()`.

    `parameters` is that vector, float32 [N]: changing it in place changes the module. The module's buffers stay where
    they are; `weights(n)` appends them to the first n parameters, and `load` takes such an array back.
    """

    def __init__(self, module: nn.Module) -> None:
        named = dict(module.named_parameters())
        if not named:
            raise ValueError(f"{type(module).__name__} has no parameters to flatten")
        self.module = module
        self.names = list(named)
        self.shapes = [p.shape for p in named.values()]
        self.sizes = [p.numel() for p in named.values()]
        self.parameters = torch.cat([p.detach().reshape(-1) for p in named.values()])
        self.buffers = dict(module.named_buffers())
        for parameter, view in zip(named.values(), self.views(self.parameters).values(), strict=True):
            parameter.data = view
            parameter.requires_grad_(False)

    def views(self, vector: Tensor) -> dict[str, Tensor]:
        parts = vector.split(self.sizes)
        return {name: part.view(shape) for name, part, shape in zip(self.names, parts, self.shapes, strict=True)}

    def call(self, vector: Tensor, *args: Any) -> Any:
        """Run the module with `vector` for parameters, differentiably."""
        return functional_call(self.module, self.views(vector), args)

    def weights(self, parameters: int | None = None) -> Any:
        """The first `parameters` of the vector (default: all) and then the buffers: numpy float32."""
        buffers = [buffer.reshape(-1) for buffer in self.buffers.values()]
        return torch.cat([self.parameters[:parameters], *buffers]).cpu().numpy()

    def state_dict(self) -> dict[str, Any]:
        """Parameters and buffers by name, copied to numpy."""
        buffers = {name: buffer.cpu().numpy().copy() for name, buffer in self.buffers.items()}
        return {"parameters": self.parameters.cpu().numpy().copy(), "buffers": buffers}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.parameters.copy_(torch.from_numpy(state["parameters"]))
        for name, buffer in self.buffers.items():
            buffer.copy_(torch.from_numpy(state["buffers"][name]))

    def load(self, weights: Any) -> None:
        """Take over parameters and buffers from `weights()` of a module of the same shape."""
        source = torch.from_numpy(weights)
        buffers = self.buffers.values()
        sizes = [self.parameters.numel(), *(buffer.numel() for buffer in buffers)]
        if source.numel() != sum(sizes):
            raise ValueError(f"{source.numel()} weights were given to a network that has {sum(sizes)}")
        parts = source.split(sizes)
        self.parameters.copy_(parts[0])
        for buffer, part in zip(buffers, parts[1:], strict=True):
            buffer.copy_(part.view(buffer.shape))


def differentiate(loss: Loss, functional: bool) -> Callable[..., tuple[Tensor, Mapping[str, Tensor]]]:
    """`loss(parameters, *args) -> (0-d loss, metrics)` becomes `(parameters, *args) -> (gradient, metrics)`.

    The metrics gain `loss`. functional: by torch.func, which torch.compile can trace; otherwise by the autograd tape,
    which is three times faster when nothing is compiled.
    """
    if functional:
        traced = grad_and_value(loss, has_aux=True)

        def gradient(parameters: Tensor, *args: Any) -> tuple[Tensor, Mapping[str, Tensor]]:
            grad, (value, metrics) = traced(parameters, *args)
            return grad, {"loss": value.detach(), **{k: v.detach() for k, v in metrics.items()}}

        return gradient

    def by_tape(parameters: Tensor, *args: Any) -> tuple[Tensor, Mapping[str, Tensor]]:
        leaf = parameters.detach().requires_grad_()
        value, metrics = loss(leaf, *args)
        (grad,) = torch.autograd.grad(value, leaf)
        return grad, {"loss": value.detach(), **{k: v.detach() for k, v in metrics.items()}}

    return by_tape


class Adam(NamedTuple):
    """Moments of Adam (Kingma and Ba 2015, https://arxiv.org/abs/1412.6980) over one parameter vector."""

    mean: Tensor  # [N]
    square: Tensor  # [N]
    updates: Tensor  # 0-d, so far

    @staticmethod
    def zeros(parameters: Tensor) -> Adam:
        zero = torch.zeros_like(parameters)
        return Adam(zero, zero.clone(), torch.zeros((), device=parameters.device))

    def step(self, gradient: Tensor, epsilon: float, decay: tuple[float, float] = (0.9, 0.999)) -> Tensor:
        """Fold `gradient` in and return what to subtract, times the learning rate. Algorithm 1 of the paper."""
        self.updates.add_(1)
        self.mean.lerp_(gradient, 1 - decay[0])
        self.square.mul_(decay[1]).addcmul_(gradient, gradient, value=1 - decay[1])
        mean = self.mean / (1 - decay[0] ** self.updates)
        square = self.square / (1 - decay[1] ** self.updates)
        return mean / (square.sqrt() + epsilon)

    def state_dict(self) -> dict[str, Any]:
        return {name: tensor.cpu().numpy().copy() for name, tensor in self._asdict().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, tensor in self._asdict().items():
            tensor.copy_(torch.from_numpy(state[name]))


def clip_by_norm(gradient: Tensor, limit: float) -> tuple[Tensor, Tensor]:
    """Scale `gradient` so that its Euclidean norm is at most `limit`. Returns it with the norm before."""
    norm = gradient.norm()
    return gradient * (limit / (norm + 1e-6)).clamp(max=1.0), norm
