"""What a fit sees: python scripts/look.py RUN [--epsilon E ...] [--steps N]

Of a run that has learned classes: how many held-out rows it still recognizes when each of their numbers was changed by
up to E, against it (one step up the gradient of the loss, and N), and how many it takes for the next class, towards
which they were changed. These pictures, and those that each class's output answers most, go to the run's TensorBoard.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from experiment import extensions
from experiment.run import command

if TYPE_CHECKING:
    import torch

    from supervised.fit import Array, Fitting


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN", help="directory of a fit, or a checkpoint of it")
    parser.add_argument("--epsilon", type=float, nargs="+", default=[0.05, 0.1, 0.2], metavar="E", help=".05 .1 .2")
    parser.add_argument("--steps", type=int, default=10, metavar="N", help="of the longer attack (10)")
    extensions.offer(parser)
    asked = parser.parse_args(argv)
    if min(asked.epsilon) < 0 or asked.steps < 1:
        parser.error("--epsilon is 0 or more, --steps 1 or more")
    try:
        extensions.load(asked.imports)
        look(asked.run, asked.epsilon, asked.steps)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def look(run: Path, epsilons: list[float], steps: int) -> None:
    """Print the table and write the pictures. Raises ValueError where nothing has learned classes."""
    import torch

    from experiment.metrics import Metrics

    fit = opened(run)
    network, x, classes = fit.trained.flat.module, *map(torch.from_numpy, fit.held_out)
    print(f"of {len(x)} rows: recognized; after 1 step; after {steps}; taken for the next class after {steps}")
    for epsilon in epsilons:
        rows = changed(network, x, classes, epsilon, steps)
        aims = [classes, classes, classes, (classes + 1) % outputs(network, x)]
        shares = [(network(row).argmax(-1) == aim).float().mean().item() for row, aim in zip(rows, aims)]
        print(f"epsilon {epsilon:g}: " + "; ".join(f"{share:.1%}" for share in shares))
    if x.ndim == 4:
        directory = run.parent.parent if (run / "manifest.json").exists() else run
        metrics = Metrics(directory, console="nothing")
        metrics.write(fit.steps, pictures(network, changed(network, x[:10], classes[:10], epsilons[-1], steps)))
        metrics.close()


def opened(run: Path) -> Fitting:
    """The fit as it was saved."""
    from agents.fitting.configs.fit import Fit
    from agents.restore import go_on, load_checkpoint
    from agents.wiring import begun
    from supervised.fit import Fitting

    config, state, about = load_checkpoint(run)
    if not isinstance(config, Fit):
        raise ValueError(f"{run} is a run of {config.algorithm}: what is looked at is a fit")
    fit = begun(config.model_copy(update={"device": "cpu"}))
    assert isinstance(fit, Fitting)
    go_on(fit, state, about)
    if fit.held_out[1].ndim != 1:
        raise ValueError(f"{run} has learned numbers from {config.data}: what is looked at are classes")
    return fit


def changed(
    network: torch.nn.Module, x: torch.Tensor, classes: torch.Tensor, epsilon: float, steps: int
) -> list[torch.Tensor]:
    """Rows as they are, changed away from their classes in one step and in many, and towards the next class."""
    from supervised.attacks import attacked

    towards = (classes + 1) % outputs(network, x)
    return [
        x,
        attacked(network, x, classes, epsilon),
        attacked(network, x, classes, epsilon, steps=steps),
        attacked(network, x, towards, epsilon, targeted=True, steps=steps),
    ]


def outputs(network: torch.nn.Module, x: torch.Tensor) -> int:
    found: int = network(x[:1]).shape[-1]
    return found


def pictures(network: torch.nn.Module, rows: list[torch.Tensor]) -> dict[str, Array]:
    """Ten inputs above what they were changed into; and what each class's output answers most."""
    import torch

    from supervised.attacks import maximizing
    from supervised.pictures import tiled

    generator = torch.Generator().manual_seed(0)
    count, shape = outputs(network, rows[0]), rows[0].shape[1:]

    def answer(k: int) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda x: network(x)[:, k]

    best = torch.stack([maximizing(answer(k), shape, 100, 0.2, generator) for k in range(count)])
    low, high = best.amin((1, 2, 3), True), best.amax((1, 2, 3), True)
    return {
        "look/attacked": tiled(torch.cat(rows).numpy(), len(rows[0])),
        "look/maximizing": tiled(((best - low) / (high - low)).numpy(), count),
    }


if __name__ == "__main__":
    command(main)
