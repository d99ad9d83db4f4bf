"""Dynamic programming: policy iteration on a grid, and the gambler's sweeps."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.maths.bellman import action_values, improve, sweep
from agents.tabular.configs.dynamic_programming import DynamicProgramming
from agents.tabular.dynamic_programming import Planner
from envs.api import Array
from envs.tabular.grids import MOVES
from envs.tabular.make import make_mdp
from envs.tabular.mdp import MDP
from scripts.drawings.work import Work, seconds


def policy_iteration(figure: Any) -> Work:
    """Values and greedy moves after each improvement, on the 5 x 5 grid of Sutton & Barto, example 3.5."""
    planner = planned()
    panels = []
    while not planner.converged:
        planner.iterate(1)
        panels.append((planner.values, planner.policy))
    panels.pop()  # it only confirmed
    for number, (place, (values, policy)) in enumerate(zip(figure.subplots(1, len(panels), squeeze=False)[0], panels)):
        after = f"{number} improvement{'s' * (number != 1)}" if number else "uniform policy"
        _grid(place, planner.mdp, values, policy, after)
    sweeps = sweep(planner.mdp, 0.9, tolerance=1e-9).sweeps
    ours = seconds(lambda: sweep(planner.mdp, 0.9, tolerance=1e-9))
    return Work(f"value iteration in {sweeps} sweeps", ours, sweeps * plain_sweep(planner.mdp, 0.9))


def gambler(figure: Any) -> Work:
    """Value estimates of some sweeps, and how much to stake in the end: Sutton & Barto, figure 4.3."""
    mdp = make_mdp("gambler")
    left, right = figure.subplots(1, 2)
    capital = np.arange(1, 100)
    for sweeps in (1, 2, 3, 32):
        values = sweep(mdp, 1.0, limit=sweeps, in_place=False).values
        left.plot(capital, values[1:100], label=f"sweep {sweeps}")
    left.set(xlabel="capital", ylabel="probability of reaching 100")
    left.legend()
    found = sweep(mdp, 1.0, tolerance=1e-12)
    policy = improve(mdp, action_values(mdp, found.values, 1.0))
    state, stake = np.nonzero(policy)
    right.plot(state, stake + 1, ".", markersize=3, alpha=0.4, label="all best stakes")
    right.step(capital, (policy > 0).argmax(1)[1:100] + 1, where="mid", label="the smallest")
    right.set(xlabel="capital", ylabel="stake")
    right.legend()
    ours = seconds(lambda: sweep(mdp, 1.0, tolerance=1e-12))
    return Work(f"{found.sweeps} sweeps of 99 capitals", ours, found.sweeps * plain_sweep(mdp, 1.0))


FIGURES = {"policy_iteration": (policy_iteration, (11, 3.2)), "gambler": (gambler, (9, 3.4))}


def planned() -> Planner:
    options = DynamicProgramming(mdp="jumping_gridworld", method="policy_iteration")
    return Planner(make_mdp(options.mdp), options)


def plain_sweep(mdp: MDP, discount: float) -> float:
    """Seconds of one sweep of value iteration, as loops over dictionaries and lists."""
    k, pairs = mdp.outcomes, mdp.pair.tolist()
    table: dict[int, dict[int, list[tuple[float, int, float, bool]]]] = {}
    following = zip(k.probability.tolist(), k.next_state.tolist(), k.reward.tolist(), k.terminated.tolist())
    for pair, outcome in zip(pairs, following):
        state, action = divmod(pair, len(mdp.actions))
        table.setdefault(state, {}).setdefault(action, []).append(outcome)
    values = [0.0] * len(mdp.states)

    def once() -> None:
        for state, choices in table.items():
            values[state] = max(
                sum(p * (r + (0.0 if over else discount * values[t])) for p, t, r, over in outcomes)
                for outcomes in choices.values()
            )

    return seconds(once)


def _grid(place: Any, mdp: MDP, values: Array, policy: Array, title: str) -> None:
    cells: Any = mdp.states
    rows, columns = (int(last) + 1 for last in cells[-1])
    place.imshow(values.reshape(rows, columns), cmap="viridis", vmin=-2, vmax=25)
    for state, (row, column) in enumerate(cells):
        place.text(column, row - 0.28, f"{values[state]:.1f}", ha="center", va="center", color="white", fontsize=7)
        for action, (down, right) in enumerate(MOVES.values()):
            if policy[state, action] > 0:
                place.arrow(column, row + 0.15, 0.2 * right, 0.2 * down, head_width=0.12, color="white", linewidth=0.6)
    place.set(xticks=[], yticks=[], title=title)
