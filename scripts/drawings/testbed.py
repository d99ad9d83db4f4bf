"""The 10-armed testbed: what rules of exploration get, by the pull."""

from __future__ import annotations

import math
import random
import time
from typing import Any

import numpy as np

from agents.tabular.bandits import play
from agents.tabular.configs.bandit import UCB1, Gradient, Greedy, Rule, Thompson, UCBDeviation
from envs.tabular.bandits import normal_testbed
from scripts.drawings.work import Work, seconds

RULES: dict[str, Rule] = {
    "greedy": Greedy(epsilon=0.0),
    "epsilon 0.01": Greedy(epsilon=0.01),
    "epsilon 0.1": Greedy(epsilon=0.1),
    "optimistic, 5, step 0.1": Greedy(epsilon=0.0, initial=5.0, step_size=0.1),
    "UCB1, c = 2": UCB1(c=2.0),
    "mean + deviation of rewards": UCBDeviation(),
    "gradient, step 0.1": Gradient(),
    "Thompson": Thompson(),
}


def exploration(figure: Any, runs: int = 2000) -> Work:
    """Rewards and shares of the best arm: Sutton & Barto, figures 2.2 to 2.5 in one."""
    worlds = normal_testbed(runs, np.random.default_rng(0))
    play(worlds._replace(means=worlds.means[:1]), Thompson(), 1)  # compiles
    began = time.process_time()
    curves = {name: play(worlds, rule, 1000) for name, rule in RULES.items()}
    took = time.process_time() - began
    left, right = figure.subplots(1, 2)
    for name, curve in curves.items():
        left.plot(smooth(curve.reward), linewidth=1, label=name)
        right.plot(100 * smooth(curve.optimal), linewidth=1)
    left.set(xlabel="pulls", ylabel="mean reward, over 10 pulls")
    right.set(xlabel="pulls", ylabel="best arm, %", ylim=(0, 100))
    left.legend(fontsize=7)
    plain = runs * 1000 * sum(map(plain_pull, RULES.values()))
    return Work(f"{len(RULES)} rules, {runs} runs of 1000 pulls", took, plain)


def smooth(curve: Any, width: int = 10) -> Any:
    return np.convolve(curve, np.ones(width) / width, "valid")


def plain_pull(rule: Rule, pulls: int = 5000) -> float:
    """Seconds of a pull in a loop over lists."""
    means = [random.gauss(0, 1) for _ in range(10)]

    def loop() -> None:
        values, counts, squares, arms = [0.0] * 10, [0] * 10, [0.0] * 10, range(10)
        for pull in range(20, pulls + 20):
            if rule.name == "gradient":
                weights = [math.exp(value) for value in values]
                arm = random.choices(arms, weights)[0]
            elif rule.name == "epsilon_greedy" and random.random() < rule.epsilon:
                arm = random.randrange(10)
            else:
                scores = scored(rule, values, counts, squares, pull)
                best = max(scores)
                arm = random.choice([a for a in arms if scores[a] == best])
            reward = random.gauss(means[arm], 1)
            counts[arm] += 1
            if rule.name == "gradient":
                total = sum(weights)
                for a in arms:
                    values[a] += 0.1 * reward * ((a == arm) - weights[a] / total)
            else:
                before = reward - values[arm]
                values[arm] += before / counts[arm]
                squares[arm] += before * (reward - values[arm])

    return seconds(loop) / pulls


def scored(rule: Rule, values: list[float], counts: list[int], squares: list[float], pull: int) -> list[float]:
    if rule.name == "ucb1":
        log = math.log(pull)
        return [q + 2 * math.sqrt(log / n) if n else math.inf for q, n in zip(values, counts)]
    if rule.name == "ucb_deviation":
        return [q + math.sqrt(s / (n - 1)) if n > 1 else math.inf for q, n, s in zip(values, counts, squares)]
    if rule.name == "thompson":
        return [random.gauss(n * q / (n + 1), 1 / math.sqrt(n + 1)) for q, n in zip(values, counts)]
    return values


FIGURES = {"testbed": (exploration, (9, 3.6))}
