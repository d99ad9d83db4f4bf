"""Head to head where one plays alone: every contender meets the same episodes, and differences are taken in pairs.

    results = {name: evaluate(policy, env, episodes=100, seed=0, rng=rng) for name, policy in contenders.items()}
    table = compare(results, rng)

An episode is known by its row and number, from which its seed derives. Each row plays a quota that is fixed
before the first step: taking the first N episodes to finish instead would prefer the short ones.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.table import Table
from rich.text import Text

from agents.api import Policy, State
from agents.arena.estimates import Interval, bootstrap_difference, bootstrap_mean, iqm
from agents.config import OfEnvironment
from agents.experience.rollout import make_env, restart
from agents.records import Episodes
from envs.api import Array, Step, VectorEnv
from experiment.seeding import Seeds
from experiment.stop import unless_stopped


class Results(NamedTuple):
    """One contender's results. Intervals are 95 % bootstrap intervals of the mean; None after a single episode."""

    name: str
    episodes: int
    mean: float
    std: float  # of the episodes' returns (numpy's, as Stable-Baselines3 reports it), not of the mean
    iqm: float
    interval: Interval | None
    length: float  # mean steps of an episode
    difference: float | None  # mean return minus the first contender's; None for the first itself
    difference_interval: Interval | None


def evaluate(policy: Policy, env: VectorEnv, episodes: int, seed: int, rng: np.random.Generator) -> Episodes:
    """Play `episodes` episodes without exploration, episodes // B in each of B rows, one more in the first rows.

    The same env, episodes and seed give the same episodes in the same order, by row and then by number, so that the
    results of two policies pair up index by index. Raises ValueError for worlds with more than one seat.
    """
    if episodes < 1:
        raise ValueError(f"expected at least one episode, got {episodes}")
    if env.spec.seats != 1:
        raise ValueError(f"{env.spec.name} has {env.spec.seats} seats: paired evaluation is for one")
    quota = np.array([episodes // env.count + (row < episodes % env.count) for row in range(env.count)])
    returns: list[list[float]] = [[] for _ in range(env.count)]
    lengths: list[list[int]] = [[] for _ in range(env.count)]
    total, length, played = np.zeros(env.count), np.zeros(env.count, np.int64), np.zeros(env.count, np.int64)
    steps = play(policy, env, seed, rng)
    next(steps)  # the reset: nothing is paid for it
    for step in steps:
        total += step.reward[:, 0]
        length += 1
        ended = step.terminated | step.truncated
        for row in np.flatnonzero(ended & (played < quota)):
            returns[row].append(float(total[row]))
            lengths[row].append(int(length[row]))
        played += ended
        total[ended], length[ended] = 0, 0
        if (played >= quota).all():
            break
    return Episodes(list(chain.from_iterable(returns)), list(chain.from_iterable(lengths)))


class Episodic:
    """What training in an environment is measured by (`agents.api.Evaluation`): always the same episodes.

    policy(config, spec, device) makes the policy that plays them, as a greedy one.
    """

    def __init__(self, config: OfEnvironment, policy: Callable[..., Policy], seeds: Seeds) -> None:
        self.episodes, self.limit = config.evaluation.episodes, config.evaluation.max_episode_steps
        self.env = make_env(config.env.whole_games(), min(self.episodes, 8), at_most=self.limit)
        self.policy = policy(config, self.env.spec, torch.device("cpu"))
        self.seeds = seeds

    def __call__(self, weights: Array, steps: int) -> dict[str, float]:
        """Raises EnvError where the world fails."""
        self.policy.load(weights)
        seed, rng = self.seeds.integer("evaluation"), self.seeds.generator("evaluation", "policy")
        played = evaluate(self.policy, self.env, self.episodes, seed, rng)
        if self.env.spec.max_steps == self.limit and (cut := played.lengths.count(self.limit)):
            warnings.warn(
                f"{self.env.spec.name}: {cut} of {self.episodes} episodes were cut off after "
                f"evaluation.max_episode_steps={self.limit} steps, as nothing else ended them",
                stacklevel=2,
            )
        return {
            "eval/mean_reward": float(np.mean(played.returns)),
            "eval/std_reward": float(np.std(played.returns)),
            "eval/mean_ep_length": float(np.mean(played.lengths)),
        }

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None:
        pass


def film(policy: Policy, env: VectorEnv, seed: int, rng: np.random.Generator) -> list[Array]:
    """Pictures of row 0's first episode without exploration, each uint8 [H, W, 3], from the reset to the last action.

    The picture after the last action is not among them: by then the row shows the next episode.
    """
    frames = []
    for step in play(policy, env, seed, rng):
        if step.terminated[0] or step.truncated[0]:
            break
        frames.append(env.render(0))
    return frames


def play(policy: Policy, env: VectorEnv, seed: int, rng: np.random.Generator) -> Iterator[Step]:
    """What every row shows from a fresh start on, the reset included, without exploration and without end. Raises
    Stopped where a run is told to stop."""
    carry, step = policy.initial(env.count), env.reset(seed)
    while True:
        unless_stopped()
        yield step
        acted = policy.act(carry, step, rng, explore=False)
        carry, step = acted.carry, env.step(acted.action)
        ended = step.terminated | step.truncated
        if ended.any():
            carry = restart(carry, policy.initial(env.count), ended)


def compare(results: Mapping[str, Episodes], rng: np.random.Generator) -> list[Results]:
    """A line for each contender, in the order given; differences are to the first. Episodes pair by index."""
    reference = next(iter(results.values())).returns
    standings = []
    for place, (name, played) in enumerate(results.items()):
        if len(played.returns) != len(reference):
            raise ValueError(f"{name} played {len(played.returns)} episodes, the first contender {len(reference)}")
        several, ours = len(played.returns) > 1, np.asarray(played.returns)
        standings.append(
            Results(
                name=name,
                episodes=len(ours),
                mean=float(ours.mean()),
                std=float(ours.std()),
                iqm=iqm(ours),
                interval=bootstrap_mean(ours, rng) if several else None,
                length=float(np.mean(played.lengths)),
                difference=float((ours - reference).mean()) if place else None,
                difference_interval=bootstrap_difference(ours, reference, rng) if place and several else None,
            )
        )
    return standings


def table(standings: list[Results], title: str) -> Table:
    """The standings as a terminal shows them: intervals stand under what they are of."""
    shown = Table(title=title)
    shown.add_column("contender", overflow="fold")
    several = len(standings) > 1
    for heading in ("mean\n95 % interval", "std", "IQM", "length", *["difference\n95 % interval"] * several):
        shown.add_column(heading, justify="right", no_wrap=True)
    for s in standings:
        cells = [_cell(s.mean, s.interval), _cell(s.std), _cell(s.iqm), _cell(s.length)]
        shown.add_row(Text(s.name), *cells, *[_cell(s.difference, s.difference_interval)] * several)
    return shown


def record(standings: list[Results]) -> list[dict[str, Any]]:
    """The standings as JSON values: intervals are [low, high], what is not known is null."""
    return [
        {key: list(value) if isinstance(value, Interval) else value for key, value in s._asdict().items()}
        for s in standings
    ]


def _cell(number: float | None, interval: Interval | None = None) -> str:
    if number is None:
        return "-"
    return f"{number:.2f}" + (f"\n[{interval.low:.2f}, {interval.high:.2f}]" if interval else "")
