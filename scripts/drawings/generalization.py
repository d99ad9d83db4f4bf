"""What a model does with rows that it hasn't seen, as it grows: bias and variance, and the second descent."""

from __future__ import annotations

from typing import Any

import numpy as np

from supervised.linear import Array, least_squares

ROWS, INPUTS, NOISE = 40, 10, 0.3  # that are learned from; of each; deviation of their targets
WIDTHS = (5, 10, 15, 20, 25, 30, 34, 37, 39, 40, 41, 43, 46, 50, 60, 80, 120, 200, 400, 800)


def errors(width: int, runs: int, seed: int = 0) -> tuple[Array, Array, Array]:
    """Of least squares, the shortest where there are several, on `width` random ReLU features of the inputs. Mean over
    held-out rows of: the squared error of each run, and over runs the squared bias and the variance. [runs], 0-d, 0-d.
    The features differ from run to run, as the rows do; the target does not: the sine of a sum of the inputs."""
    truth = np.random.default_rng(seed).standard_normal(INPUTS) / np.sqrt(INPUTS)
    unseen = np.random.default_rng(seed + 1).standard_normal((500, INPUTS))
    guesses = []
    for run in range(runs):
        rng = np.random.default_rng([seed, width, run])
        into = rng.standard_normal((INPUTS, width)) / np.sqrt(INPUTS)
        rows = rng.standard_normal((ROWS, INPUTS))
        targets = np.sin(2 * rows @ truth) + NOISE * rng.standard_normal(ROWS)
        weights = least_squares(np.maximum(rows @ into, 0), targets)
        guesses.append(np.maximum(unseen @ into, 0) @ weights)
    found, wanted = np.array(guesses), np.sin(2 * unseen @ truth)
    bias = np.square(found.mean(0) - wanted).mean()
    return np.square(found - wanted).mean(1), bias, found.var(0).mean()


def double_descent(figure: Any, runs: int = 100) -> str:
    """Means over runs: near the peak few runs of 100 carry most of it."""
    by_width = [errors(width, runs) for width in WIDTHS]
    error = np.array([found.mean() for found, _, _ in by_width])
    axes = figure.subplots()
    axes.loglog(WIDTHS, error, "o-", markersize=3, label="squared error on held-out rows")
    axes.loglog(WIDTHS, [bias for _, bias, _ in by_width], "--", label="of it bias")
    axes.loglog(WIDTHS, [variance for _, _, variance in by_width], ":", label="of it variance")
    axes.axvline(ROWS, color="0.8")
    axes.set(xlabel=f"random features; {ROWS} rows are learned from", ylim=(0.05, None))
    axes.legend()
    best, peak = int(error[: WIDTHS.index(ROWS)].argmin()), int(error.argmax())
    return "errors: " + ", ".join(f"{error[at]:.3g} with {WIDTHS[at]} features" for at in (best, peak, -1))


FIGURES = {"double_descent": (double_descent, (6, 3.6))}
