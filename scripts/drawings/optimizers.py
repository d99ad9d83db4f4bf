"""Optimizers on their way through Rosenbrock's valley, and what a population needs beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from supervised.optimize.evolution import CMAES, CrossEntropy, Evolution, Gaussian, NaturalEvolution
from supervised.optimize.first_order import Adam, Momentum, RMSProp, Rule, SteepestDescent, descend
from supervised.optimize.objectives import Array, rosenbrock
from supervised.optimize.second_order import bfgs, l_bfgs, newton, quasi_newton

VALLEY, START, STEPS = rosenbrock(), np.array([-1.2, 1.0]), 4000
RULES: dict[str, tuple[Rule, float]] = {  # the rate of 1, 2 and 5 times a power of ten by which it is there first
    "gradient descent": (SteepestDescent(), 0.002),
    "momentum .9": (Momentum(), 0.002),
    "Nesterov": (Momentum(nesterov=True), 0.001),
    "RMSProp": (RMSProp(), 0.001),
    "Adam": (Adam(), 0.5),
}
SECOND: dict[str, Callable[[], Iterable[Array]]] = {
    "Newton": lambda: newton(VALLEY, START, 30),
    "BFGS": lambda: quasi_newton(VALLEY, START, bfgs, steps=100),
    "L-BFGS": lambda: l_bfgs(VALLEY, START, steps=100),
}
STRATEGIES: dict[str, Callable[..., Evolution]] = {
    "simple Gaussian": Gaussian,
    "cross-entropy": CrossEntropy,
    "natural evolution": NaturalEvolution,
    "CMA-ES": CMAES,
}


def ways() -> dict[str, Array]:
    """Of each optimizer the points [t, 2] that it came to, the start first."""
    found = {name: list(descend(VALLEY.gradient, START, rule, rate, STEPS)) for name, (rule, rate) in RULES.items()}
    found |= {name: list(way()) for name, way in SECOND.items()}
    for name, strategy in STRATEGIES.items():
        method, means = strategy(START, 0.3, np.random.default_rng(0)), []
        for _ in range(300):
            method.tell([VALLEY.value(x) for x in method.ask()])
            means.append(method.mean)
        found[name] = means
    return {name: np.array([START, *way]) for name, way in found.items()}


def valley(figure: Any) -> str:
    paths = ways()
    maps, curves = figure.subplots(1, 2, width_ratios=(1.1, 1))
    x, y = np.meshgrid(np.linspace(-1.6, 1.6, 200), np.linspace(-0.7, 1.8, 200))
    height = 100 * (y - x**2) ** 2 + (1 - x) ** 2
    maps.contour(x, y, np.log10(height + 1e-3), 14, colors="0.85")
    reached = []
    for number, (name, path) in enumerate(paths.items()):
        colour, style = f"C{number % 10}", "--" if name in STRATEGIES else "-"
        maps.plot(*path.T, style, color=colour, linewidth=1)
        values = np.array([VALLEY.value(point) for point in path])
        curves.loglog(np.arange(1, len(values) + 1), values + 1e-20, style, color=colour, linewidth=1, label=name)
        below = np.flatnonzero(values < 1e-3)
        reached.append(f"{name} {below[0] if len(below) else f'not in {len(values) - 1}'}")
    maps.set(xlim=(-1.6, 1.6), ylim=(-0.7, 1.8), title="Rosenbrock's valley")
    curves.set(xlabel="steps, or generations", ylabel="value", ylim=(1e-12, 1e3), title="value by step")
    curves.legend(fontsize=7)
    return "steps, or generations, to a value of .001: " + ", ".join(reached)


FIGURES = {"valley": (valley, (10, 4.2))}
