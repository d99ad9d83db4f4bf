from __future__ import annotations

import json
from io import StringIO
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from agents.arena.paired import compare, evaluate, film, record, table
from agents.records import Acted, Carry, Episodes
from envs.api import Array, Discrete, Spec, Step


class Fate:
    """B rows whose episodes are settled by (seed, row, episode): one step, or ten. Action 1 pays 1, action 0 nothing.

    An observation is [row, episode, steps since its start, whether it is a long one].
    """

    def __init__(self, count: int, seats: int = 1) -> None:
        self.spec = Spec("Fate", (4,), "float32", Discrete(2), seats=seats)
        self.count, self.resets = count, 0

    def long(self, row: int, episode: int) -> bool:
        return bool(np.random.SeedSequence(self.seed, spawn_key=(row, episode)).generate_state(1)[0] % 2)

    def show(self, reward: Array, ended: Array, final: Array | None) -> Step:
        obs = np.array(
            [[r, self.episode[r], self.time[r], self.long(r, self.episode[r])] for r in range(self.count)], np.float32
        )
        cut = ended & (self.episode % 3 == 0)  # some episodes are cut off, the others end
        seat = np.zeros(self.count, np.int64)
        return Step(obs, None, seat, reward[:, None], ended & ~cut, cut, obs if final is None else final)

    def reset(self, seed: int) -> Step:
        self.seed, self.resets = seed, self.resets + 1
        self.episode, self.time = np.zeros(self.count, int), np.zeros(self.count, int)
        return self.show(np.zeros(self.count), np.zeros(self.count, bool), None)

    def step(self, action: Array) -> Step:
        self.time += 1
        ended = np.array([self.time[r] == (10 if self.long(r, self.episode[r]) else 1) for r in range(self.count)])
        final = self.show(action.astype(float), ended, None).obs
        self.episode[ended] += 1
        self.time[ended] = 0
        return self.show(action.astype(float), ended, final)

    def render(self, row: int = 0) -> Array:
        return np.full((2, 2, 3), self.time[row], np.uint8)

    def state_dict(self) -> dict[str, Any]:
        raise NotImplementedError

    def load_state_dict(self, state: dict[str, Any]) -> Step:
        raise NotImplementedError

    def close(self) -> None: ...


class Always:
    """Always the same action; counts the steps of each episode in its carry and compares with what it is shown."""

    def __init__(self, action: int) -> None:
        self.action, self.explored, self.seen = action, False, set[tuple[int, int]]()

    def initial(self, batch: int) -> Carry:
        return {"steps": np.zeros(batch), "picture": np.zeros((batch, 2, 2))}

    def act(self, carry: Carry, step: Step, rng: Any, explore: bool) -> Acted:
        self.explored |= explore
        assert carry["steps"].tolist() == step.obs[:, 2].tolist()
        assert (carry["picture"] == carry["steps"][:, None, None]).all()
        self.seen |= {(int(row), int(episode)) for row, episode, *_ in step.obs}
        older = {name: age + 1 for name, age in carry.items()}
        return Acted(older, np.full(len(step.obs), self.action), {})

    def load(self, weights: Array) -> None: ...


class Alternating(Always):
    """Action 1 in long episodes only: pays 10 or nothing."""

    def act(self, carry: Carry, step: Step, rng: Any, explore: bool) -> Acted:
        return super().act(carry, step, rng, explore)._replace(action=step.obs[:, 3].astype(np.int64))


def played(policy: Always, count: int, episodes: int, seed: int = 0) -> Episodes:
    return evaluate(policy, Fate(count), episodes, seed, np.random.default_rng(0))


def expected(count: int, episodes: int, seed: int) -> list[int]:
    """Lengths in (row, number) order, from the rule itself."""
    env = Fate(count)
    env.seed = seed
    quota = [episodes // count + (row < episodes % count) for row in range(count)]
    return [10 if env.long(row, number) else 1 for row in range(count) for number in range(quota[row])]


@pytest.mark.parametrize(("count", "episodes"), [(1, 1), (1, 7), (4, 8), (4, 10), (8, 3)])
def test_each_row_plays_its_quota_in_order(count: int, episodes: int) -> None:
    found = played(Always(1), count, episodes, seed=5)
    assert found.lengths == expected(count, episodes, 5)
    assert found.returns == found.lengths  # action 1 pays 1 a step
    assert len(found.returns) == episodes


def test_no_exploration_and_a_fresh_carry_for_each_episode() -> None:
    policy = Always(1)
    played(policy, 4, 40)  # Always.act asserts that its carry began anew where an episode did
    assert not policy.explored
    assert len({episode for _, episode in policy.seen}) > 3


def test_the_episodes_of_two_contenders_pair_up() -> None:
    env = Fate(4)
    rng = np.random.default_rng(0)
    always, alternating = (evaluate(policy, env, 30, 7, rng) for policy in (Always(1), Alternating(1)))
    assert env.resets == 2
    assert always.lengths == alternating.lengths
    assert alternating.returns == [length if length == 10 else 0 for length in always.lengths]
    assert played(Always(1), 4, 30, seed=8).lengths != always.lengths


def first_finished(count: int, episodes: int, seed: int) -> list[float]:
    """The broken variant: whichever episodes end first, over all rows."""
    env = Fate(count)
    env.reset(seed)
    total, returns = np.zeros(count), list[float]()
    while len(returns) < episodes:
        step = env.step(np.ones(count))
        total += step.reward[:, 0]
        ended = step.terminated | step.truncated
        returns += total[ended].tolist()
        total[ended] = 0
    return returns[:episodes]


def test_quotas_do_not_prefer_short_episodes_and_taking_the_first_does() -> None:
    quota = np.array([np.mean(played(Always(1), 8, 16, seed).returns) for seed in range(60)])
    first = np.array([np.mean(first_finished(8, 16, seed)) for seed in range(60)])
    error = quota.std() / len(quota) ** 0.5
    assert abs(quota.mean() - 5.5) < 3 * error  # one step or ten, evenly
    assert first.mean() < 5.5 - 6 * error


def test_compare_takes_differences_in_pairs() -> None:
    luck = np.random.default_rng(1).normal(0, 100, 50)
    results = {
        "first": Episodes(luck.tolist(), [10] * 50),
        "better": Episodes((luck + np.tile([1.0, 2.0], 25)).tolist(), [20] * 50),
    }
    first, better = compare(results, np.random.default_rng(0))
    assert (first.difference, first.difference_interval) == (None, None)
    assert better.difference == pytest.approx(1.5)
    assert better.difference_interval is not None and first.interval is not None
    assert 1.3 < better.difference_interval.low < 1.5 < better.difference_interval.high < 1.7
    assert first.interval.high - first.interval.low > 20  # the same comparison from two intervals would say nothing
    assert (first.mean, first.std, first.length) == pytest.approx((luck.mean(), luck.std(), 10))

    shuffled = {**results, "better": Episodes(results["better"].returns[::-1], [20] * 50)}
    unpaired = compare(shuffled, np.random.default_rng(0))[1].difference_interval
    assert unpaired is not None and unpaired.high - unpaired.low > 20


def test_one_episode_has_no_interval_and_json_has_no_nan() -> None:
    standings = compare({"a": Episodes([1.0], [3]), "b": Episodes([2.0], [4])}, np.random.default_rng(0))
    values = json.loads(json.dumps(record(standings), allow_nan=False))
    assert values[1] == {
        "name": "b",
        "episodes": 1,
        "mean": 2.0,
        "std": 0.0,
        "iqm": 2.0,
        "interval": None,
        "length": 4.0,
        "difference": 1.0,
        "difference_interval": None,
    }
    several = record(compare({"a": Episodes([1.0, 2.0], [3, 3])}, np.random.default_rng(0)))
    assert several[0]["interval"] == [1.0, 2.0]


def test_the_table_names_everyone() -> None:
    results = {name: played(policy, 2, 6) for name, policy in (("[b]idle", Always(0)), ("busy", Alternating(1)))}
    console = Console(width=140, record=True, file=StringIO())
    console.print(table(compare(results, np.random.default_rng(0)), "Fate"))
    text = console.export_text()
    assert all(word in text for word in ("Fate", "[b]idle", "busy", "IQM", "difference"))
    assert "nan" not in text


def test_a_film_is_the_first_episode_from_its_reset() -> None:
    seed = next(seed for seed in range(20) if expected(1, 1, seed) == [10])
    frames = film(Always(1), Fate(1), seed, np.random.default_rng(0))
    assert [int(frame[0, 0, 0]) for frame in frames] == list(range(10))


def test_refusals() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="at least one episode"):
        played(Always(1), 2, 0)
    with pytest.raises(ValueError, match="2 seats"):
        evaluate(Always(1), Fate(2, seats=2), 4, 0, rng)
    with pytest.raises(ValueError, match="b played 1 episodes, the first contender 2"):
        compare({"a": Episodes([1.0, 2.0], [1, 1]), "b": Episodes([1.0], [1])}, rng)
