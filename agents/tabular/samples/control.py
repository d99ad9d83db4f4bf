"""Better policies from samples: action values, and acting by them (Sutton & Barto 2018, chapters 5, 6 and 8).

    mdp = make_mdp("cliff_walking")
    learner = Controller(mdp, TabularControl(mdp=mdp.name, method="sarsa", runs=100))
    learner.iterate(500)                                    # episodes, in each run
    learner.told[0]                                         # mean return of each episode
    learner.greedy()                                        # [runs, S, A]

sarsa                    r + gamma Q(s', a'): Rummery & Niranjan 1994
expected_sarsa           r + gamma sum_a pi(a | s') Q(s', a): van Seijen et al. 2009, https://doi.org/10.1109/ADPRL.2009.4927542
q_learning               r + gamma max_a Q(s', a): Watkins & Dayan 1992, https://doi.org/10.1007/BF00992698
double_q_learning        one table chooses the action, the other says what it is worth: van Hasselt 2010
dyna_q                   Q-learning, from what is remembered too: Sutton 1990
monte_carlo              the return after the first visit of a pair, under an epsilon-greedy policy
exploring_starts         the same under a greedy policy, from any pair
off_policy_monte_carlo   returns of the epsilon-greedy policy, weighted, for the greedy one

Logs train/return and train/length of episodes, means over the runs and over the episodes since the last line; evaluates
eval/policy_value of the greedy policies, what they are expected to get at the start within `episode_limit` steps, as a
mean over the runs, and eval/worst_policy_value of any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from agents.api import Algorithm, State
from agents.maths.bellman import improve, sweep
from agents.parts.state import Assembled
from agents.tabular.configs.tabular_control import TabularControl
from agents.tabular.samples.episodes import Episode, act, inner, kernel, room, schedule
from envs.api import Array
from envs.streams import below, seed, uniform
from envs.tabular.make import make_mdp
from envs.tabular.mdp import MDP, Outcomes, begin, step
from experiment.seeding import Seeds

SARSA, EXPECTED_SARSA, Q_LEARNING, DOUBLE_Q_LEARNING, DYNA_Q, MONTE_CARLO, EXPLORING_STARTS, OFF_POLICY = range(8)
METHODS = {
    "sarsa": SARSA,
    "expected_sarsa": EXPECTED_SARSA,
    "q_learning": Q_LEARNING,
    "double_q_learning": DOUBLE_Q_LEARNING,
    "dyna_q": DYNA_Q,
    "monte_carlo": MONTE_CARLO,
    "exploring_starts": EXPLORING_STARTS,
    "off_policy_monte_carlo": OFF_POLICY,
}


class Method(NamedTuple):
    kind: int
    discount: float
    limit: int  # steps of an episode
    planning: int


class StepRates(NamedTuple):
    """In an episode."""

    step: float  # 0: 1 / n
    epsilon: float


class Tables(NamedTuple):
    """What a run knows."""

    q: Array  # [2, S, A]; the second one is double Q-learning's
    counts: Array  # [2, S, A] how often each was learned; off policy the sum of the weights
    next_state: Array  # [S, A] int64: where it led last, with what reward, to the end or not; none without planning
    reward: Array  # [S, A]
    terminated: Array  # [S, A] bool
    tried: Array  # [S * A + 1] int64: how many pairs s * A + a were tried, and which


# Choosing ------------------------------------------------------------------------------------------------------------


@inner
def legal(outcomes: Outcomes, state: int, action: int) -> bool:
    return outcomes.first[state, action] < outcomes.first[state, action + 1]


@inner
def total(tables: Tables, state: int, action: int) -> float:
    """Of both tables: what actions are compared by."""
    return tables.q[0, state, action] + tables.q[1, state, action]


@inner
def greedy(outcomes: Outcomes, tables: Tables, state: int, streams: Array, run: int) -> int:
    """A best action, one of them by chance where there are several."""
    chosen, ties = -1, 1
    for action in range(outcomes.first.shape[1] - 1):
        if legal(outcomes, state, action):
            if chosen < 0 or total(tables, state, action) > total(tables, state, chosen):
                chosen, ties = action, 1
            elif total(tables, state, action) == total(tables, state, chosen):
                ties += 1
                if below(streams, run, ties) == 0:
                    chosen = action
    return chosen


@inner
def anything(outcomes: Outcomes, state: int, streams: Array, run: int) -> int:
    """Any legal action."""
    count = 0
    for action in range(outcomes.first.shape[1] - 1):
        count += legal(outcomes, state, action)
    left = below(streams, run, count)
    for action in range(outcomes.first.shape[1] - 1):
        if legal(outcomes, state, action):
            if left == 0:
                return action
            left -= 1
    return -1


@inner
def choose(
    outcomes: Outcomes, behaviour: Array, tables: Tables, epsilon: float, state: int, streams: Array, run: int
) -> int:
    """By the behaviour policy [S, A], if there is one; otherwise epsilon-greedy."""
    if len(behaviour) > 0:
        return act(behaviour, state, streams, run)
    if epsilon > 0 and uniform(streams, run) < epsilon:
        return anything(outcomes, state, streams, run)
    return greedy(outcomes, tables, state, streams, run)


# Temporal differences ------------------------------------------------------------------------------------------------


@inner
def future(
    outcomes: Outcomes, method: Method, tables: Tables, epsilon: float, judge: int, state: int, action: int
) -> float:
    """What is left to get where `action` comes next, or what the method takes in its place, by the table `judge`."""
    if method.kind == SARSA:
        return tables.q[judge, state, action]
    chooser = 1 - judge if method.kind == DOUBLE_Q_LEARNING else judge
    best, count, mean = -1, 0, 0.0
    for other in range(outcomes.first.shape[1] - 1):
        if legal(outcomes, state, other):
            count += 1
            mean += (tables.q[judge, state, other] - mean) / count
            if best < 0 or tables.q[chooser, state, other] > tables.q[chooser, state, best]:
                best = other
    if method.kind == EXPECTED_SARSA:
        return (1.0 - epsilon) * tables.q[judge, state, best] + epsilon * mean
    return tables.q[judge, state, best]


@inner
def move(tables: Tables, which: int, state: int, action: int, step: float, target: float, weight: float) -> None:
    """value += step * (target - value); with step 0 by the target's share in the weights so far."""
    tables.counts[which, state, action] += weight
    size = step if step > 0 else weight / tables.counts[which, state, action]
    tables.q[which, state, action] += size * (target - tables.q[which, state, action])


@inner
def remember(tables: Tables, state: int, action: int, next_state: int, reward: float, terminated: bool) -> None:
    """What a pair led to, the last time that it was tried."""
    if tables.counts[0, state, action] == 1:
        tables.tried[0] += 1
        tables.tried[tables.tried[0]] = state * tables.reward.shape[1] + action
    tables.next_state[state, action] = next_state
    tables.reward[state, action] = reward
    tables.terminated[state, action] = terminated


@inner
def plan(outcomes: Outcomes, method: Method, tables: Tables, rates: StepRates, streams: Array, run: int) -> None:
    """Learn again from pairs that were tried. Sutton & Barto, section 8.2."""
    for _ in range(method.planning):
        pair = tables.tried[1 + below(streams, run, tables.tried[0])]
        state, action = pair // tables.reward.shape[1], pair % tables.reward.shape[1]
        target = tables.reward[state, action]
        if not tables.terminated[state, action]:
            after = tables.next_state[state, action]
            target += method.discount * future(outcomes, method, tables, 0.0, 0, after, 0)
        move(tables, 0, state, action, rates.step, target, 1.0)


@inner
def td_episode(
    outcomes: Outcomes, behaviour: Array, method: Method, rates: StepRates, tables: Tables, streams: Array, run: int
) -> tuple[float, int]:
    """Learn from each step of an episode; its return and its length. Where it is cut off, its last state goes on."""
    state, returned = begin(outcomes, uniform(streams, run)), 0.0
    action = choose(outcomes, behaviour, tables, rates.epsilon, state, streams, run)
    for t in range(method.limit):
        after, reward, terminated = step(outcomes, state, action, uniform(streams, run))
        returned += reward
        following, worth = -1, 0.0
        which = below(streams, run, 2) if method.kind == DOUBLE_Q_LEARNING else 0
        if not terminated:
            if method.kind == SARSA:
                following = choose(outcomes, behaviour, tables, rates.epsilon, after, streams, run)
            judge = 1 - which if method.kind == DOUBLE_Q_LEARNING else 0
            worth = future(outcomes, method, tables, rates.epsilon, judge, after, following)
        move(tables, which, state, action, rates.step, reward + method.discount * worth, 1.0)
        if method.kind == DYNA_Q:
            remember(tables, state, action, after, reward, terminated)
            plan(outcomes, method, tables, rates, streams, run)
        if terminated:
            return returned, t + 1
        if method.kind != SARSA:
            following = choose(outcomes, behaviour, tables, rates.epsilon, after, streams, run)
        state, action = after, following
    return returned, method.limit


# Whole returns -------------------------------------------------------------------------------------------------------


@inner
def probability(outcomes: Outcomes, tables: Tables, epsilon: float, state: int, action: int) -> float:
    """Of an action when epsilon-greedy chooses."""
    count, ties, best = 0, 0, -np.inf
    for other in range(outcomes.first.shape[1] - 1):
        if legal(outcomes, state, other):
            count += 1
            ties = ties + 1 if total(tables, state, other) == best else ties
            if total(tables, state, other) > best:
                ties, best = 1, total(tables, state, other)
    return epsilon / count + ((1.0 - epsilon) / ties if total(tables, state, action) == best else 0.0)


@inner
def first_best(outcomes: Outcomes, tables: Tables, state: int) -> int:
    """The best action with the lowest number: a greedy policy that is the same whenever it is asked."""
    chosen = -1
    for action in range(outcomes.first.shape[1] - 1):
        if legal(outcomes, state, action) and (
            chosen < 0 or total(tables, state, action) > total(tables, state, chosen)
        ):
            chosen = action
    return chosen


@inner
def live(
    outcomes: Outcomes,
    behaviour: Array,
    method: Method,
    epsilon: float,
    tables: Tables,
    space: Episode,
    streams: Array,
    run: int,
) -> tuple[int, bool]:
    """An episode into `space`, each ratio the probability of its action; its length, and whether it has terminated."""
    state = begin(outcomes, uniform(streams, run))
    if method.kind == EXPLORING_STARTS:
        state, action = below(streams, run, len(outcomes.first)), -1
        while action < 0:
            state = below(streams, run, len(outcomes.first))
            action = anything(outcomes, state, streams, run)
    else:
        action = choose(outcomes, behaviour, tables, epsilon, state, streams, run)
    for t in range(method.limit):
        space.state[t], space.action[t] = state, action
        if len(behaviour) > 0:
            space.ratio[t] = behaviour[state, action]
        elif method.kind == OFF_POLICY:
            space.ratio[t] = probability(outcomes, tables, epsilon, state, action)
        state, space.reward[t], terminated = step(outcomes, state, action, uniform(streams, run))
        if terminated:
            return t + 1, True
        action = choose(outcomes, behaviour, tables, epsilon, state, streams, run)
    space.state[method.limit] = state
    return method.limit, False


@inner
def mc_episode(
    outcomes: Outcomes,
    behaviour: Array,
    method: Method,
    rates: StepRates,
    tables: Tables,
    space: Episode,
    first: Array,
    streams: Array,
    run: int,
) -> tuple[float, int]:
    """Learn from an episode when it is over; its return and its length. first: scratch [S, A] int64."""
    epsilon = 0.0 if method.kind == EXPLORING_STARTS else rates.epsilon
    length, terminated = live(outcomes, behaviour, method, epsilon, tables, space, streams, run)
    for t in range(length - 1, -1, -1):
        first[space.state[t], space.action[t]] = t
    target, returned, weight = 0.0, 0.0, 1.0
    if not terminated:
        target = future(outcomes, method, tables, epsilon, 0, space.state[length], 0)
    for t in range(length - 1, -1, -1):
        state, action = space.state[t], space.action[t]
        target = space.reward[t] + method.discount * target
        returned += space.reward[t]
        if method.kind == OFF_POLICY:
            if weight > 0:
                move(tables, 0, state, action, 0.0, target, weight)
                likely = 1.0 if action == first_best(outcomes, tables, state) else 0.0
                weight *= likely / space.ratio[t]
        elif first[state, action] == t:
            move(tables, 0, state, action, rates.step, target, 1.0)
    return returned, length


# Many episodes -------------------------------------------------------------------------------------------------------


@kernel
def control(
    outcomes: Outcomes,
    behaviour: Array,
    method: Method,
    steps: Array,
    epsilons: Array,
    tables: Tables,
    streams: Array,
    told: Array,
) -> None:
    """In each run an episode for each of the rates; `tables` have the runs as their first axis; told [2, episodes] adds
    up mean returns and lengths."""
    runs = len(streams)
    space, first = room(method.limit), np.zeros(tables.q.shape[2:], np.int64)
    for run in range(runs):
        own = Tables(
            tables.q[run],
            tables.counts[run],
            tables.next_state[run],
            tables.reward[run],
            tables.terminated[run],
            tables.tried[run],
        )
        for number in range(len(steps)):
            rates = StepRates(steps[number], epsilons[number])
            if method.kind >= MONTE_CARLO:
                found = mc_episode(outcomes, behaviour, method, rates, own, space, first, streams, run)
            else:
                found = td_episode(outcomes, behaviour, method, rates, own, streams, run)
            told[0, number] += found[0] / runs
            told[1, number] += found[1] / runs


class Controller(Assembled):
    """A solver (`agents.api.Solver`): an iteration is an episode in each run.

    behaviour [S, A]: who acts in the place of the epsilon-greedy policy, and takes any action; not for methods that
    learn from whole returns of what they do themselves.
    """

    STATE = ("q", "counts", "remembered", "streams", "episodes", "told")

    def __init__(
        self, mdp: MDP, options: TabularControl, behaviour: Array | None = None, seed_of_runs: int = 0
    ) -> None:
        if behaviour is not None and options.method in ("monte_carlo", "exploring_starts"):
            raise ValueError(f"{options.method} learns from what it does itself, off_policy_monte_carlo from others")
        kind, (states, actions) = METHODS[options.method], mdp.legal.shape
        self.mdp, self.options = mdp, options
        self.method = Method(kind, options.discount, options.episode_limit, options.planning)
        self.behaviour = np.zeros((0, 0)) if behaviour is None else np.ascontiguousarray(behaviour, np.float64)
        self.q, self.counts = np.zeros((2, options.runs, 2, states, actions))
        self.q[:, : 2 if kind == DOUBLE_Q_LEARNING else 1] = options.initial
        pairs = (options.runs, states, actions) if kind == DYNA_Q else (options.runs, 0, 0)
        self.remembered = {
            "next_state": np.zeros(pairs, np.int64),
            "reward": np.zeros(pairs),
            "terminated": np.zeros(pairs, bool),
            "tried": np.zeros((options.runs, pairs[1] * pairs[2] + 1), np.int64),
        }
        self.streams = np.empty(options.runs, np.uint64)
        seed(np.arange(options.runs, dtype=np.uint64) + np.uint64(seed_of_runs), self.streams)
        self.episodes, self.told = 0, np.zeros((2, 0))  # told: returns and lengths since they were last asked for

    def iterate(self, n: int) -> None:
        """n more episodes in each run. n calls of 1 give the same as 1 call of n."""
        options, told = self.options, np.zeros((2, n))
        steps = schedule(options.step_size, self.episodes, n, options.steps)
        epsilons = schedule(options.epsilon, self.episodes, n, options.steps)
        tables = Tables(self.q, self.counts, **self.remembered)
        control(self.mdp.outcomes, self.behaviour, self.method, steps, epsilons, tables, self.streams, told)
        self.episodes += n
        self.told = np.concatenate([self.told, told], axis=1)

    def action_values(self) -> Array:
        """[runs, S, A]; -inf where an action is not legal."""
        tables = 2 if self.method.kind == DOUBLE_Q_LEARNING else 1
        return np.where(self.mdp.legal, self.q.sum(1) / tables, -np.inf)

    def greedy(self) -> Array:
        """The policies [runs, S, A] that are best by what was learned; equals share."""
        return np.stack([improve(self.mdp, q) for q in self.action_values()])

    def metrics(self) -> Mapping[str, float]:
        (returns, lengths), self.told = self.told, np.zeros((2, 0))
        return {"train/return": float(returns.mean()), "train/length": float(lengths.mean())} if len(returns) else {}

    def evaluate(self) -> Mapping[str, float]:
        """Exactly, by as many sweeps as an episode may have steps."""
        discount, limit = self.options.discount, self.options.episode_limit
        worth = [
            self.mdp.start @ sweep(self.mdp, discount, policy, limit=limit, in_place=False).values
            for policy in self.greedy()
        ]
        return {"eval/policy_value": float(np.mean(worth)), "eval/worst_policy_value": float(np.min(worth))}


def make(config: TabularControl, seeds: Seeds) -> Controller:
    """Raises ValueError where there is no such MDP."""
    return Controller(make_mdp(config.mdp), config, seed_of_runs=seeds.integer("runs"))


def table(config: TabularControl, state: State) -> Array:
    """The greedy policy [S, A] of the first run."""
    mdp = make_mdp(config.mdp)
    q = state["solver"]["q"][0].sum(0)
    return improve(mdp, np.where(mdp.legal, q, -np.inf))


ALGORITHM = Algorithm[TabularControl](solver=make, table=table)
