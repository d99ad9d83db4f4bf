"""A module that learns: its parameters as one vector, a target network, Adam, and the means of what was measured.

    def loss(parameters: Tensor, x: Tensor, y: Tensor) -> Found:
        error = trained.flat.call(parameters, x) - y
        return {"loss": error.square()}, {"error": error.abs()}

    trained = Trained(network, loss, {"loss": 1.0}, ["error"], max_gradient_norm=1.0)
    trained.update(1e-3, x, y)
    trained.drain()  # {"loss": 0.25, "error": 0.5, "gradient_norm": 1.0}

`update` is for what learns alone. Several that learn together (critics and a policy, a generator and its discriminator)
each `descend` within one closed step (`supervised.accelerate`) over their states.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from supervised.accelerate import accelerate
from supervised.flat import Adam, Flat, clip_by_norm, differentiate
from supervised.means import Means

# Terms of a loss and what else is measured, by name: [n, ...] of each sample, or 0-d of all.
Found = tuple[Mapping[str, Tensor], Mapping[str, Tensor]]


class TrainState(NamedTuple):
    """Everything that changes in place while a module learns: the state of a closed step."""

    parameters: Tensor  # [N]
    target: Tensor  # [N] of the target network, [0] where there is none
    adam: Adam
    means: Means

    def follow(self, tau: float) -> None:
        """Move the target network this fraction of the way to the parameters."""
        self.target.lerp_(self.parameters, tau)


class Trained:
    """`loss(parameters, *args)` says what is minimized: the sum of its terms' means, each times its coefficient, and
    `regularization` times the square of the parameters' length.

    The metrics are the terms and measures by name; `loss`, where the terms are several, is the whole; `gradient_norm`,
    where gradients longer than `max_gradient_norm` are scaled down to it, is the length before.
    """

    def __init__(
        self,
        module: nn.Module,
        loss: Callable[..., Found],
        coefficients: Mapping[str, float],
        measures: Sequence[str] = (),
        *,
        target: bool = False,
        regularization: float = 0.0,
        max_gradient_norm: float | None = None,
        adam_epsilon: float = 1e-8,
        adam_decay: tuple[float, float] = (0.9, 0.999),
        compiled: bool = False,
    ) -> None:
        self.loss, self.coefficients, self.measures = loss, dict(coefficients), dict.fromkeys(measures)
        self.regularization, self.limit, self.epsilon = regularization, max_gradient_norm, adam_epsilon
        whole = ["loss"] if len(coefficients) > 1 else []
        norm = [] if max_gradient_norm is None else ["gradient_norm"]
        self.decay = adam_decay
        self.names = [*whole, *coefficients, *measures, *norm]
        self.flat = Flat(module)
        parameters = self.flat.parameters
        self.state = TrainState(
            parameters,
            parameters.clone() if target else parameters[:0].clone(),
            Adam.zeros(parameters),
            Means.zeros(self.names, parameters.device),
        )
        self.gradient = differentiate(self._whole, functional=compiled)
        self.step = accelerate(self._step, parameters.device, compiled)

    def update(self, rate: float, *columns: Any) -> None:
        """One step of Adam down the gradient of `loss(parameters, *columns)`. columns: arrays, tensors, or None."""
        device = self.state.parameters.device
        self.step(self.state, torch.tensor(rate, device=device), *tensors(columns, device))

    # Within a closed step

    def descend(self, state: TrainState, rate: Tensor, *args: Any) -> Mapping[str, Tensor]:
        """One step of Adam down the gradient of `loss(parameters, *args)`. Returns terms and measures by name."""
        gradient, found = self.look(state.parameters, *args)
        self.note(state, found)
        self.move(state, rate, gradient)
        return found

    def look(self, parameters: Tensor, *args: Any) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The gradient [N], no longer than allowed, and what was found on the way, by name."""
        gradient, found = self.gradient(parameters, *args)
        if self.limit is None:
            return gradient, found
        gradient, norm = clip_by_norm(gradient, self.limit)
        return gradient, {**found, "gradient_norm": norm}

    def note(self, state: TrainState, found: Mapping[str, Tensor], weight: Tensor | float = 1.0) -> None:
        """Let what was found count in the metrics."""
        state.means.add([_mean(found[name]) for name in self.names], weight)

    def move(self, state: TrainState, rate: Tensor, gradient: Tensor, active: Tensor | None = None) -> None:
        """Adam's step. active: a 0-d tensor; where it is 0 all stays as it was."""
        moving = (state.parameters, *state.adam)
        before = [] if active is None else [tensor.clone() for tensor in moving]
        state.parameters.sub_(rate * state.adam.step(gradient, self.epsilon, self.decay))
        if active is not None:
            for tensor, old in zip(moving, before, strict=True):
                tensor.copy_(torch.where(active > 0, tensor, old))

    def _step(self, state: TrainState, rate: Tensor, *columns: Any) -> None:
        self.descend(state, rate, *columns)

    def _whole(self, parameters: Tensor, *args: Any) -> tuple[Tensor, Mapping[str, Tensor]]:
        losses, measures = self.loss(parameters, *args)
        assert losses.keys() == self.coefficients.keys(), (list(losses), list(self.coefficients))
        assert measures.keys() == self.measures.keys(), (list(measures), list(self.measures))
        terms = {name: _mean(term) for name, term in losses.items()}
        parts = [terms[name] if c == 1.0 else c * terms[name] for name, c in self.coefficients.items()]
        if self.regularization:
            parts.append(self.regularization * parameters.square().sum())
        return reduce(torch.add, parts), {**terms, **measures}

    # Between updates

    @torch.no_grad()
    def measure(self, *columns: Any) -> dict[str, float]:
        """The loss of these rows and what else is measured, by the names of the metrics, without learning from them."""
        whole, found = self._whole(self.state.parameters, *tensors(columns, self.state.parameters.device))
        every = {"loss": whole, **found}
        return {name: _mean(every[name]).item() for name in self.names if name in every}

    def take_over(self, part: str, source: nn.Module) -> None:
        """Let a part of the module, such as `policy.torso`, begin with the parameters of another one that is made like
        it, and so its target network. Raises ValueError where it isn't, AttributeError where there is no such part."""
        own = self.flat.module.get_submodule(part)
        if str(own) != str(source):
            raise ValueError(f"{part} can't begin as what isn't made like it. It is\n{own}\nand was to be\n{source}")
        targets = [self.state.target] if len(self.state.target) else []
        for views in map(self.flat.views, [self.state.parameters, *targets]):
            for name, parameter in source.named_parameters(part):
                views[name].copy_(parameter.detach())

    def restart(self, fresh: nn.Module) -> None:
        """Go on from the parameters of another module that is made alike, with an Adam that remembers nothing."""
        self.state.parameters.copy_(Flat(fresh).parameters)
        for moment in self.state.adam:
            moment.zero_()

    def drain(self, prefix: str = "") -> dict[str, float]:
        """The metrics' means over the updates since the last call, on the host. Empty if there were none.

        Raises FloatingPointError where a term of the loss is not finite: nothing can be learned from it.
        """
        means = self.state.means.drain(self.names)
        for name in self.coefficients:
            if not math.isfinite(means.get(name, 0.0)):
                raise FloatingPointError(f"{prefix}{name} has become {means[name]}")
        return {prefix + name: mean for name, mean in means.items()}

    def require_finite(self) -> None:
        """Raise FloatingPointError unless every parameter is finite. Waits for the device."""
        if not self.state.parameters.isfinite().all():
            raise FloatingPointError("a parameter is no longer finite")

    def state_dict(self) -> dict[str, Any]:
        return {
            "weights": self.flat.weights(),
            "target": self.state.target.cpu().numpy().copy(),
            "adam": self.state.adam.state_dict(),
            "means": self.state.means.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.flat.load(state["weights"])
        self.state.target.copy_(torch.from_numpy(state["target"]))
        self.state.adam.load_state_dict(state["adam"])
        self.state.means.load_state_dict(state["means"])


def tensors(columns: Iterable[Any], device: torch.device) -> list[Any]:
    """Arrays or tensors, nested or not, or None, on the device."""

    def there(column: Any) -> Any:
        if isinstance(column, tuple | list | dict):  # looked through for these alone: it takes as long as all else
            return pytree.tree_map(there, column)
        given = torch.from_numpy(column) if isinstance(column, np.ndarray) else column
        return None if given is None else given.to(device, non_blocking=True)

    return [there(column) for column in columns]


def _mean(found: Tensor) -> Tensor:
    return found.mean() if found.ndim else found
