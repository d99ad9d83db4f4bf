"""Learning from samples: the random walk, the cliff, blackjack, and noise that looks like a good arm."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from agents.tabular.configs.tabular_control import TabularControl
from agents.tabular.configs.tabular_prediction import MonteCarloReturns, NStepReturns, TabularPrediction, Target, Traces
from agents.tabular.samples.control import Controller
from agents.tabular.samples.prediction import Predictor
from envs.tabular.make import make_mdp
from envs.tabular.mdp import MDP
from scripts.drawings.work import Work, seconds


class Clock:
    """What learning took, without compilation, and would have taken; plain: seconds of a step in plain Python."""

    def __init__(self, plain: float) -> None:
        self.plain, self.seconds, self.steps, self.without = plain, 0.0, 0.0, 0.0

    def learn(self, runs: Predictor | Controller, episodes: int) -> None:
        """Forgets what was told before."""
        runs.metrics()
        began = time.process_time()
        runs.iterate(episodes)
        self.seconds += time.process_time() - began
        steps = runs.told[1].sum() * len(runs.streams)
        self.steps += steps
        self.without += steps * self.plain

    def work(self, what: str) -> Work:
        return Work(f"{what}, {self.steps:.3g} steps,", self.seconds, self.without)


def predictor(name: str, method: Target, step: float, runs: int, **options: Any) -> Predictor:
    asked = TabularPrediction(mdp=name, method=method, step_size=step, runs=runs, **options)
    return Predictor(make_mdp(name), asked)


def controller(name: str, method: str, runs: int, **options: Any) -> Controller:
    asked = TabularControl.model_validate({"mdp": name, "method": method, "runs": runs} | options)
    return Controller(make_mdp(name), asked)


# Prediction ----------------------------------------------------------------------------------------------------------


def random_walk(figure: Any, runs: int = 100) -> Work:
    """TD(0) and Monte-Carlo on five states: Sutton & Barto, example 6.2."""
    clock, place = Clock(plain_prediction(make_mdp("random_walk"))), figure.subplots()
    predictor("random_walk", NStepReturns(), 0.1, 1).iterate(1)  # compiles
    settings: Iterable[tuple[str, Target, float]] = [
        *(("TD(0)", NStepReturns(), step) for step in (0.05, 0.1, 0.15)),
        *(("Monte-Carlo", MonteCarloReturns(visits="every"), step) for step in (0.01, 0.02, 0.03, 0.04)),
    ]
    for name, method, step in settings:
        learner = predictor("random_walk", method, step, runs, initial=0.5)
        errors = [learner.errors().mean()]
        for _ in range(100):
            clock.learn(learner, 1)
            errors.append(learner.errors().mean())
        place.plot(errors, "--" if name == "Monte-Carlo" else "-", linewidth=1, label=f"{name}, step {step}")
    place.set(xlabel="episodes", ylabel=f"RMS error, mean of {runs} runs", ylim=(0, 0.26))
    place.legend(fontsize=7)
    return clock.work(f"7 settings, {runs} runs of 100 episodes")


WALK = "random_walk(states=19,left=-1.0)"


def mean_error(clock: Clock, method: Target, step: float, runs: int) -> float:
    """Over the first ten episodes."""
    learner, errors = predictor(WALK, method, step, runs), list[float]()
    for _ in range(10):
        clock.learn(learner, 1)
        with np.errstate(over="ignore", invalid="ignore"):  # too large a step
            errors.append(float(learner.errors().mean()))
    return float(np.mean(errors))


def nineteen_states(figure: Any, runs: int = 100, points: int = 26) -> Work:
    """n-step TD and three views of TD(lambda): Sutton & Barto, figures 7.2, 12.3, 12.6 and 12.8."""
    clock, steps = Clock(0.0), np.linspace(0, 1, points)[1:]
    mean_error(clock, NStepReturns(), 0.1, 1)  # compiles
    clock = Clock(0.0)
    with_traces, without = (plain_prediction(make_mdp(WALK), traces) for traces in (True, False))
    decays = (0.0, 0.4, 0.8, 0.9, 0.95, 0.975, 0.99, 1.0)
    panels: dict[str, list[tuple[str, Target]]] = {
        "n-step TD": [(f"n = {2**k}", NStepReturns(n=2**k)) for k in range(10)],
        "lambda-return, offline": [(f"{decay:g}", Traces(decay=decay, view="forward")) for decay in decays],
        "TD(lambda)": [(f"{decay:g}", Traces(decay=decay)) for decay in decays],
        "true online TD(lambda)": [(f"{decay:g}", Traces(decay=decay, view="dutch")) for decay in decays],
    }
    for place, (title, methods) in zip(figure.subplots(1, 4, sharey=True), panels.items()):
        clock.plain = with_traces if "TD(lambda)" in title else without
        for label, method in methods:
            errors = [mean_error(clock, method, step, runs) for step in steps.tolist()]
            place.plot(steps, errors, linewidth=1, label=label)
        place.set(title=title, xlabel="step size", ylim=(0.2, 0.56))
        place.legend(fontsize=6, title=None if title.startswith("n") else "lambda", title_fontsize=6)
    settings = sum(len(methods) for methods in panels.values()) * len(steps)
    return clock.work(f"{settings} settings, {runs} runs of 10 episodes")


# Control -------------------------------------------------------------------------------------------------------------

CLIFF = "cliff_walking"


def cliff(figure: Any, runs: int = 1000) -> Work:
    """Returns while learning: Sutton & Barto, example 6.6, with the exact levels."""
    clock, place = Clock(plain_control(make_mdp(CLIFF))), figure.subplots()
    controller(CLIFF, "sarsa", 1).iterate(1)  # compiles
    for method, title in (("sarsa", "Sarsa"), ("expected_sarsa", "expected Sarsa"), ("q_learning", "Q-learning")):
        learner = controller(CLIFF, method, runs)
        clock.learn(learner, 500)
        place.plot(learner.told[0], linewidth=1, label=title)
    place.axhline(-20.7077, color="grey", linestyle=":", linewidth=1)
    place.axhline(-51.81, color="grey", linestyle=":", linewidth=1)
    place.text(505, -20.7, "best that explores", fontsize=7, va="center")
    place.text(505, -51.8, "along the edge", fontsize=7, va="center")
    place.set(xlabel="episodes", ylabel=f"return, mean of {runs} runs", ylim=(-100, -10), xlim=(0, 620))
    place.legend(fontsize=7, loc="lower right")
    return clock.work(f"3 methods, {runs} runs of 500 episodes")


def step_sizes(figure: Any, runs: int = 10_000, long_runs: int = 10, episodes: int = 100_000) -> Work:
    """Interim and asymptotic performance on the cliff: van Seijen et al. 2009; Sutton & Barto, figure 6.3."""
    clock, place = Clock(plain_control(make_mdp(CLIFF))), figure.subplots()
    steps = [round(0.1 * k, 1) for k in range(1, 11)]
    controller(CLIFF, "sarsa", 1).iterate(1)  # compiles
    for method, colour in (("sarsa", "C0"), ("q_learning", "C1"), ("expected_sarsa", "C2")):
        for count, length, style in ((runs, 100, "--"), (long_runs, episodes, "-")):
            means = []
            for step in steps:
                learner = controller(CLIFF, method, count, step_size=step)
                clock.learn(learner, length)
                means.append(learner.told[0].mean())
            kind = "interim" if length == 100 else "asymptotic"
            place.plot(steps, means, style, color=colour, marker=".", label=f"{method.replace('_', ' ')}, {kind}")
    place.set(xlabel="step size", ylabel="return per episode", ylim=(-160, 0))
    place.legend(fontsize=7)
    return clock.work(f"30 settings, {runs} runs of 100 episodes and {long_runs} of {episodes}")


def double_learning(figure: Any, runs: int = 10_000) -> Work:
    """How often left is chosen, which is worth -0.1: Sutton & Barto, figure 6.5."""
    clock, place = Clock(plain_control(make_mdp("maximization_bias"))), figure.subplots()
    controller("maximization_bias", "q_learning", 1).iterate(1)  # compiles
    for method in ("q_learning", "double_q_learning"):
        learner = controller("maximization_bias", method, runs, step_size=0.1)
        clock.learn(learner, 300)
        share = learner.told[1] - 1  # who goes left makes two steps
        place.plot(100 * share, linewidth=1, label=method.replace("_", " "))
    place.axhline(5, color="grey", linestyle=":", linewidth=1)
    place.set(xlabel="episodes", ylabel="left, % of episodes", ylim=(0, 100))
    place.legend(fontsize=7)
    return clock.work(f"2 methods, {runs} runs of 300 episodes")


def blackjack(figure: Any, episodes: int = 500_000) -> Work:
    """Values and the policy after Monte-Carlo with exploring starts: Sutton & Barto, figure 5.2."""
    learner = controller("blackjack", "exploring_starts", 1, step_size=None)
    clock = Clock(plain_control(learner.mdp))
    controller("blackjack", "exploring_starts", 1, step_size=None).iterate(1)  # compiles
    clock.learn(learner, episodes)
    q, cards, counts = learner.action_values()[0], np.arange(1, 11), np.arange(12, 22)
    for column, usable in enumerate((True, False)):
        hands = np.array([[learner.mdp.state((int(n), int(card), usable)) for card in cards] for n in counts])
        surface = figure.add_subplot(1, 4, 1 + column, projection="3d")
        surface.plot_surface(*np.meshgrid(cards, counts), q[hands].max(2), cmap="viridis", vmin=-1, vmax=1)
        title = f"{'usable' if usable else 'no usable'} ace"
        surface.set(title=f"value, {title}", zlim=(-1, 1), xlabel="dealer", ylabel="sum")
        place = figure.add_subplot(1, 4, 3 + column)
        place.imshow(q[hands].argmax(2), origin="lower", extent=(0.5, 10.5, 11.5, 21.5), cmap="Greys", alpha=0.6)
        place.set(title=f"hit where dark, {title}", xlabel="dealer shows", ylabel="sum", xticks=cards, yticks=counts)
    return clock.work(f"{episodes} hands")


FIGURES = {
    "random_walk": (random_walk, (5, 3.4)),
    "nineteen_states": (nineteen_states, (12, 3.4)),
    "cliff": (cliff, (5.5, 3.4)),
    "step_sizes": (step_sizes, (5.5, 3.8)),
    "double_learning": (double_learning, (5, 3.2)),
    "blackjack": (blackjack, (12, 3.2)),
}


# In plain Python -----------------------------------------------------------------------------------------------------

Table = dict[int, list[list[tuple[float, int, float, bool]]]]  # by state and action: bound, next state, reward, over


def listed(mdp: MDP) -> tuple[Table, dict[int, list[int]], list[int]]:
    """What may follow, what is legal, and where episodes may begin."""
    k, actions, table = mdp.outcomes, len(mdp.actions), Table()
    for pair, *outcome in zip(*(a.tolist() for a in (mdp.pair, k.bound, k.next_state, k.reward, k.terminated))):
        state, action = divmod(pair, actions)
        table.setdefault(state, [[] for _ in range(actions)])[action].append(tuple(outcome))
    legal = {state: [a for a in range(actions) if following[a]] for state, following in table.items()}
    return table, legal, np.flatnonzero(mdp.start).tolist()


def plain_control(mdp: MDP, steps: int = 3000) -> float:
    """Seconds of a step of Q-learning, as a loop over lists."""
    table, legal, starts = listed(mdp)

    def loop() -> None:
        q, state = [[0.0] * len(mdp.actions) for _ in mdp.states], random.choice(starts)
        for _ in range(steps):
            best = max(q[state][a] for a in legal[state])
            choices = legal[state] if random.random() < 0.1 else [a for a in legal[state] if q[state][a] == best]
            action, u = random.choice(choices), random.random()
            _, after, reward, over = next(outcome for outcome in table[state][action] if outcome[0] > u)
            target = reward if over else reward + max(q[after][a] for a in legal[after])
            q[state][action] += 0.5 * (target - q[state][action])
            state = random.choice(starts) if over else after

    return seconds(loop) / steps


def plain_prediction(mdp: MDP, traces: bool = False, steps: int = 3000) -> float:
    """Seconds of a step of TD(0), or of TD(lambda), under the uniform policy, as a loop over lists."""
    table, legal, starts = listed(mdp)

    def loop() -> None:
        values, trace, state = [0.0] * len(mdp.states), [0.0] * len(mdp.states), random.choice(starts)
        for _ in range(steps):
            action, u = random.choice(legal[state]), random.random()
            _, after, reward, over = next(outcome for outcome in table[state][action] if outcome[0] > u)
            error = reward - values[state] if over else reward + values[after] - values[state]
            if traces:
                trace[state] += 1.0
                for k in range(len(trace)):
                    values[k] += 0.1 * error * trace[k]
                    trace[k] = 0.0 if over else 0.8 * trace[k]
            else:
                values[state] += 0.1 * error
            state = random.choice(starts) if over else after

    return seconds(loop) / steps
