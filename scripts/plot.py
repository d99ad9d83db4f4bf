"""Draw learning curves of runs: python scripts/plot.py RUN [RUN ...] --out curve.png [--metric NAME [NAME ...]]

Runs whose directories differ only in a trailing -NUMBER (seeds) are drawn as one line, their median, in a band from the
lowest to the highest.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiment.extras import require

Curve = NDArray[np.float64]  # [2, n]: steps and values


def curve(run: Path, metric: str) -> Curve:
    """A metric of a run. Raises ValueError where there is none."""
    file = run / "metrics.jsonl"
    if not file.is_file():
        raise ValueError(f"{run} is no run directory: it has no metrics.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    points = [(line["step"], line[metric]) for line in lines if metric in line]
    if not points:
        known = sorted({name for line in lines for name in line} - {"step"})
        raise ValueError(f"{run} has no values of {metric}; it has {', '.join(known)}")
    return np.array(points, float).T


def grouped(runs: list[Path]) -> dict[str, list[Path]]:
    """Runs by name without their seed."""
    groups: dict[str, list[Path]] = {}
    for run in runs:
        groups.setdefault(re.sub(r"-\d+$", "", run.resolve().name), []).append(run)
    return groups


def band(curves: list[Curve]) -> tuple[Curve, Curve]:
    """Steps [n], and lowest, median and highest value [3, n] where all curves have begun and none has ended."""
    start, end = max(c[0, 0] for c in curves), min(c[0, -1] for c in curves)
    steps = np.unique(np.concatenate([c[0] for c in curves]))
    steps = steps[(steps >= start) & (steps <= end)]
    values = np.stack([np.interp(steps, *c) for c in curves])
    return steps, np.stack([values.min(0), np.median(values, 0), values.max(0)])


def shared(metrics: list[str]) -> str:
    """What the names of metrics begin with, in whole parts; of a single one its name."""
    return metrics[0] if len(metrics) == 1 else os.path.commonpath(metrics)


def label(run: str, metric: str, seeds: int, metrics: list[str]) -> str:
    """What is written beside a line."""
    of_seeds = f", median and range of {seeds} seeds" if seeds > 1 else ""
    part = metric.removeprefix(shared(metrics)).lstrip("/")
    return f"{run}{', ' if part else ''}{part}{of_seeds}"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument(
        "--metric",
        nargs="+",
        default=["rollout/ep_rew_mean"],
        metavar="NAME",
        help="what to draw, in one picture (rollout/ep_rew_mean)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the picture: .png, .svg, .pdf")
    parser.add_argument("--log", action="store_true", help="a logarithmic axis for the metric")
    parser.add_argument("--title", default="", help="above the picture")
    asked = parser.parse_args(argv)
    try:
        require("matplotlib", "plot", "a picture")
        curves = {
            label(name, metric, len(runs), asked.metric): [curve(run, metric) for run in runs]
            for name, runs in grouped(asked.runs).items()
            for metric in asked.metric
        }
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3.6), layout="constrained")
    for name, lines in curves.items():
        steps, (low, middle, high) = band(lines)
        axes.plot(steps, middle, marker="o" if len(steps) == 1 else None, label=name)
        axes.fill_between(steps, low, high, alpha=0.2)
    axes.set(xlabel="steps", ylabel=shared(asked.metric), title=asked.title, yscale="log" if asked.log else "linear")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(asked.out, dpi=120)
    print(asked.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
