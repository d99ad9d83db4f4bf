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
    """Rebinds the parameters of `module`, and behind them its buffers, to views of one float32 vector.

    `parameters` [N] is the front of that vector, in the order of `named_parameters()`: changing it in place changes the
    module. `weights(n)` is its first n parameters and all buffers; `load` takes such an array back.
    """

    def __init__(self, module: nn.Module) -> None:
        parameters, buffers = dict(module.named_parameters()), dict(module.named_buffers())
        if not parameters:
            raise ValueError(f"{type(module).__name__} has no parameters to flatten")
        self.module = module
        self.names = list(parameters)
        self.shapes = [p.shape for p in parameters.values()]
        self.sizes = [p.numel() for p in parameters.values()]
        tensors = [*parameters.values(), *buffers.values()]
        self.vector = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
        for tensor, part in zip(tensors, self.vector.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.data = part.view(tensor.shape)
            tensor.requires_grad_(False)
        self.parameters = self.vector[: sum(self.sizes)]
        self.buffers = self.vector[sum(self.sizes) :]

    def views(self, vector: Tensor) -> dict[str, Tensor]:
        parts = vector.split(self.sizes)
        return {name: part.view(shape) for name, part, shape in zip(self.names, parts, self.shapes, strict=True)}

    def call(self, vector: Tensor, *args: Any) -> Any:
        """Run the module with `vector` [N] for parameters, differentiably."""
        return functional_call(self.module, self.views(vector), args)

    def weights(self, parameters: int | None = None) -> Any:
        """The first `parameters` of the vector (default: all) and then the buffers: numpy float32, a copy."""
        kept = self.vector if parameters is None else torch.cat([self.parameters[:parameters], self.buffers])
        return kept.cpu().numpy().copy()

    def load(self, weights: Any) -> None:
        """Take over parameters and buffers from `weights()` of a module of the same shape."""
        if weights.shape != self.vector.shape:
            raise ValueError(f"{weights.size} weights were given to a network that has {self.vector.numel()}")
        self.vector.copy_(torch.from_numpy(weights))

    def state_dict(self) -> dict[str, Any]:
        return {"weights": self.weights()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.load(state["weights"])


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
