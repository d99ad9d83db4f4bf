"""Rollouts in a world whose every observation says where it belongs: [row, episode, time]."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from agents.experience import rollout
from agents.experience.memory.steps import Steps
from agents.experience.rollout import Rollout, RolloutActor, restart
from agents.records import Acted, Carry, Episodes, Experience, Transition, Unroll, head, in_turn
from envs.api import Array, Discrete, Spec, Step
from envs.games.make import make_game
from envs.normalize import Moments, ReturnMoments
from envs.turn_env import TurnEnv


class Anything:
    """A policy that plays any legal action."""

    def initial(self, batch: int) -> Carry:
        return {}

    def act(self, carry: Carry, step: Step, rng: np.random.Generator, explore: bool) -> Acted:
        assert step.mask is not None
        return Acted({}, np.where(step.mask, rng.random(step.mask.shape), -1).argmax(1), {})

    def load(self, weights: Array) -> None: ...


class Scripted:
    """Ends where `terminated` and `truncated` [T, B] say; reward is unique to each step; masks are, too, nearly."""

    def __init__(self, terminated: Array, truncated: Array, masked: bool = False) -> None:
        self.terminated, self.truncated, self.masked = terminated, truncated & ~terminated, masked
        self.count = terminated.shape[1]
        self.spec = Spec("scripted", (3,), "float32", Discrete(4), masked)
        self.seen: list[Array] = []

    def reset(self, seed: int) -> Step:
        self.now, self.episode, self.time = 0, np.zeros(self.count), np.zeros(self.count)
        none = np.zeros(self.count, bool)
        return self.show(np.zeros((self.count, 1)), none, none, self.obs(), self.mask())

    def obs(self) -> Array:
        return np.stack([np.arange(self.count), self.episode, self.time], 1).astype(np.float32)

    def mask(self) -> Array | None:
        if not self.masked:
            return None
        code = 1 + (7 * np.arange(self.count) + 3 * self.episode + self.time).astype(int) % 15
        return (code[:, None] >> np.arange(4) & 1).astype(bool)

    def show(self, reward: Array, terminated: Array, truncated: Array, final: Array, final_mask: Array | None) -> Step:
        seat = np.zeros(self.count, int)
        return Step(self.obs(), self.mask(), seat, reward, terminated, truncated, final, final_mask)

    def step(self, action: Array) -> Step:
        self.seen.append(action)
        reward = self.now + np.arange(self.count) / 16 + 1
        terminated, truncated = self.terminated[self.now], self.truncated[self.now]
        self.now += 1
        self.time += 1
        final, final_mask, ended = self.obs(), self.mask(), terminated | truncated
        self.episode[ended] += 1
        self.time[ended] = 0
        return self.show(reward[:, None], terminated, truncated, final, final_mask)

    def state_dict(self) -> dict[str, Any]:
        return {"now": self.now, "episode": self.episode.copy(), "time": self.time.copy()}

    def load_state_dict(self, state: dict[str, Any]) -> Step:
        self.now, self.episode, self.time = state["now"], state["episode"].copy(), state["time"].copy()
        none = np.zeros(self.count, bool)
        return self.show(np.zeros((self.count, 1)), none, none, self.obs(), self.mask())

    def render(self, row: int = 0) -> Array:
        raise NotImplementedError

    def close(self) -> None: ...


class Drawing:
    """Draws one of the legal actions; its log-probability is -action; its carry counts steps since a restart."""

    def initial(self, batch: int) -> Carry:
        return {"age": np.zeros(batch, int)}

    def act(self, carry: Carry, step: Step, rng: np.random.Generator, explore: bool) -> Acted:
        assert explore
        assert np.array_equal(carry["age"], step.obs[:, 2]), "the carry is as old as the episode"
        action = rng.integers(4, size=len(step.obs))
        return Acted({"age": carry["age"] + 1}, action, {"log_prob": -action.astype(np.float32)})

    def load(self, weights: Array) -> None: ...


class Plain:
    """No carry, nothing beside the actions."""

    def initial(self, batch: int) -> Carry:
        return {}

    def act(self, carry: Carry, step: Step, rng: np.random.Generator, explore: bool) -> Acted:
        return Acted({}, rng.integers(4, size=len(step.obs)), {})

    def load(self, weights: Array) -> None: ...


def world(steps: int, rows: int, seed: int, masked: bool = False) -> Scripted:
    rng = np.random.default_rng(seed)
    return Scripted(rng.random((steps, rows)) < 0.15, rng.random((steps, rows)) < 0.15, masked)


def begin(env: Scripted, policy: Any = None, seed: int = 0) -> Rollout:
    return Rollout(env, policy or Drawing(), seed, np.random.default_rng(5))


def same(a: Any, b: Any) -> None:
    np.testing.assert_equal(a, b)


def test_every_step_is_where_it_belongs() -> None:
    env = world(60, 3, 1, masked=True)
    roll = begin(env)
    reference = world(60, 3, 1, masked=True)
    expected = reference.reset(0)
    for length in (1, 7, 20, 32):
        unroll, _ = roll.collect(length)
        assert unroll.mask is not None and expected.mask is not None
        start = reference.now
        finals = []
        for t in range(length):
            np.testing.assert_array_equal(unroll.obs[t], expected.obs)
            np.testing.assert_array_equal(unroll.mask[t], expected.mask)
            np.testing.assert_array_equal(unroll.action[t], env.seen[start + t])
            expected = reference.step(unroll.action[t])
            np.testing.assert_array_equal(unroll.reward[t], expected.reward[:, 0].astype(np.float32))
            np.testing.assert_array_equal(unroll.terminated[t], expected.terminated)
            np.testing.assert_array_equal(unroll.truncated[t], expected.truncated)
            assert expected.final_mask is not None
            ended = np.flatnonzero(expected.terminated | expected.truncated)
            finals += [(t * 3 + b, expected.final_obs[b], expected.final_mask[b]) for b in ended]
        np.testing.assert_array_equal(unroll.obs[length], expected.obs)
        np.testing.assert_array_equal(unroll.mask[length], expected.mask)
        np.testing.assert_array_equal(unroll.extras["log_prob"], -unroll.action.astype(np.float32))
        np.testing.assert_array_equal(unroll.first, unroll.obs[:, :, 2] == 0)
        np.testing.assert_array_equal(unroll.carry["age"], unroll.obs[0, :, 2])
        assert unroll.final_at.tolist() == [at for at, _, _ in finals]
        assert unroll.final_mask is not None
        for got, legal, (_, final, final_mask) in zip(unroll.final_obs, unroll.final_mask, finals, strict=True):
            np.testing.assert_array_equal(got, final)
            np.testing.assert_array_equal(legal, final_mask)
    assert env.terminated.any() and env.truncated.any()


def test_episodes_are_accounted_to_the_row_that_finished_them_across_collections() -> None:
    env = world(100, 4, 2)
    roll = begin(env)
    returns, lengths = [], []
    for length in (3, 1, 40, 56):
        _, episodes = roll.collect(length)
        returns += episodes.returns
        lengths += episodes.lengths
    expected = []
    begun = [0] * 4
    for t in range(100):
        for b in range(4):
            if env.terminated[t, b] or env.truncated[t, b]:
                expected.append((sum(i + b / 16 + 1 for i in range(begun[b], t + 1)), t + 1 - begun[b]))
                begun[b] = t + 1
    assert list(zip(returns, lengths, strict=True)) == expected
    assert len(expected) > 40


def test_without_masks_extras_and_carry_there_are_none() -> None:
    unroll, _ = begin(world(5, 2, 0), Plain()).collect(5)
    assert unroll.mask is None
    assert unroll.extras == unroll.carry == {}


def test_a_carry_that_is_not_restarted_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    begin(world(30, 3, 1)).collect(30)  # Drawing checks the age of its carry
    monkeypatch.setattr(rollout, "restart", lambda carry, fresh, ended: carry)
    with pytest.raises(AssertionError, match="as old as the episode"):
        begin(world(30, 3, 1)).collect(30)


def test_restart_touches_the_rows_that_ended_only() -> None:
    carry = {"a": np.arange(3.0), "b": np.arange(12.0).reshape(3, 2, 2)}
    fresh = {"a": np.full(3, -1.0), "b": np.full((3, 2, 2), -1.0)}
    restarted = restart(carry, fresh, np.array([False, True, False]))
    assert restarted["a"].tolist() == [0, -1, 2]
    np.testing.assert_array_equal(restarted["b"], [carry["b"][0], fresh["b"][1], carry["b"][2]])
    assert restart({}, {}, np.array([True])) == {}


# n-step transitions ---------------------------------------------------------------------------------------------------


def transitions(unrolls: list[Unroll], n: int, gamma: float) -> Transition:
    """All that a memory of these unrolls can sample."""
    memory = Steps(10_000, unrolls[0].reward.shape[1], gamma, n)
    for unroll in unrolls:
        memory.add(Experience(unroll, unroll.reward.size, Episodes([], []), 0, 0))
    return memory.gather(np.arange(memory.size))


def whole(steps: int, rows: int, seed: int, masked: bool) -> Unroll:
    """All the steps as one Unroll."""
    return begin(world(steps, rows, seed, masked)).collect(steps)[0]


def walked(unroll: Unroll, n: int, gamma: float) -> list[Transition]:
    """The n-step transitions of every start that is complete, one by one: rows of time, then row."""
    steps, rows = unroll.reward.shape
    last = dict(zip(unroll.final_at.tolist(), unroll.final_obs, strict=True))
    last_mask = {} if unroll.final_mask is None else dict(zip(unroll.final_at.tolist(), unroll.final_mask, strict=True))
    found = []
    for t in range(steps - n + 1):
        for b in range(rows):
            total, factor, i = 0.0, 1.0, t
            while True:
                total += factor * float(unroll.reward[i, b])
                factor *= gamma
                if unroll.terminated[i, b] or unroll.truncated[i, b] or i == t + n - 1:
                    break
                i += 1
            dead = unroll.terminated[i, b]
            after = last.get(i * rows + b, unroll.obs[i + 1, b])
            mask = None if unroll.mask is None else unroll.mask[i + 1, b]
            if not dead:
                mask = last_mask.get(i * rows + b, mask)
            row = Transition(
                unroll.obs[t, b],
                unroll.action[t, b],
                np.float32(total),  # type: ignore[arg-type]
                np.float32(0 if dead else factor),  # type: ignore[arg-type]
                after,
                mask,
                None if unroll.mask is None else unroll.mask[t, b],
            )
            found.append(row)
    return found


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("chunks", [[50], [1] * 50, [2, 1, 3, 1, 1, 7, 20, 15]])
@pytest.mark.parametrize("masked", [False, True])
def test_n_step_transitions_do_not_depend_on_how_steps_were_collected(n: int, chunks: list[int], masked: bool) -> None:
    expected = walked(whole(50, 3, 7, masked), n, 0.9)
    roll = begin(world(50, 3, 7, masked))
    found = transitions([roll.collect(chunk)[0] for chunk in chunks], n, 0.9)
    for name in Transition._fields:
        if "mask" in name and not masked:
            assert getattr(found, name) is None
            continue
        np.testing.assert_array_equal(getattr(found, name), np.stack([getattr(row, name) for row in expected]))


def test_no_transition_leads_into_another_episode() -> None:
    roll = begin(world(200, 3, 3))
    made = transitions([roll.collect(5)[0] for _ in range(40)], 3, 0.99)
    np.testing.assert_array_equal(made.next_obs[:, :2], made.obs[:, :2])  # row and episode
    steps = made.next_obs[:, 2] - made.obs[:, 2]
    assert ((steps >= 1) | (made.discount == 0)).all()
    assert (steps <= 3).all()
    naive = whole(200, 3, 3, False)  # what obs[t + 1] would show
    assert (naive.obs[1:, :, 1] != naive.obs[:-1, :, 1]).any()


# Exact state ----------------------------------------------------------------------------------------------------------


def actor(env: Scripted) -> RolloutActor:
    parts = {"observations": Moments((3,)), "returns": ReturnMoments(env.count, 0.9)}
    return RolloutActor(begin(env), 5, 2, reward_clip=20.0, **parts)  # type: ignore[arg-type]


def test_an_actor_goes_on_exactly_where_its_state_was_taken() -> None:
    one, other = actor(world(90, 3, 4)), actor(world(90, 3, 4))
    for _ in range(4):
        one.collect()
    state = one.state_dict()
    before = {"rollout": {"carry": state["rollout"]["carry"]["age"].copy()}}
    expected = [one.collect() for _ in range(8)]
    np.testing.assert_array_equal(state["rollout"]["carry"]["age"], before["rollout"]["carry"])  # a copy
    other.load_state_dict(state)
    for experience in expected:
        got = other.collect()
        same(got.rows._asdict(), experience.rows._asdict())
        same(got.moments or {}, experience.moments or {})
        assert got.episodes == experience.episodes
        assert (got.steps, got.actor) == (15, 2)
    same(other.state_dict(), one.state_dict())


@pytest.mark.parametrize("lost", ["rng", "carry", "returns", "first", "env"])
def test_a_state_that_lacks_something_goes_on_differently(lost: str) -> None:
    one, other = actor(world(90, 3, 4)), actor(world(90, 3, 4))
    for _ in range(4):
        one.collect()
    state, fresh = one.state_dict(), other.state_dict()
    state["rollout"][lost] = fresh["rollout"][lost]
    other.load_state_dict(state)
    with pytest.raises(AssertionError):  # of the numbers, or of the policy, whose carry is too old
        both_collect(one, other)


def both_collect(one: RolloutActor, other: RolloutActor) -> None:
    for _ in range(3):
        expected, got = one.collect(), other.collect()
        same(got.rows._asdict(), expected.rows._asdict())
        assert got.episodes == expected.episodes


def test_a_rollout_ends_with_the_episode_that_is_enough() -> None:
    """And what it brings is the beginning of what it would have brought otherwise."""
    full, ended = begin(world(40, 1, 3)).collect(40)
    unroll, episodes = begin(world(40, 1, 3)).collect(40, enough=3)
    assert episodes.lengths == ended.lengths[:3]
    assert unroll.reward.shape == (sum(episodes.lengths), 1)
    same(unroll, head(full, sum(episodes.lengths)))


def test_an_actor_plays_whole_episodes_however_long_they_are() -> None:
    """Whatever room was made at a time, and however many are collected together."""
    lengths = begin(world(80, 1, 3)).collect(80)[1].lengths[:6]
    assert len(lengths) == 6
    for room, count in ((3, 1), (3, 2), (100, 3)):
        hand, played, unrolls = RolloutActor(begin(world(80, 1, 3)), room, 0, episodes=count), [], []
        for _ in range(6 // count):
            experience = hand.collect()
            assert experience.rows.first[0].all() and experience.rows.first[-1].all()
            assert experience.steps == sum(experience.episodes.lengths)
            assert len(experience.episodes.lengths) == count
            played += experience.episodes.lengths
            unrolls.append(experience.rows)
        assert played == lengths
        same(in_turn(unrolls), begin(world(80, 1, 3)).collect(sum(lengths))[0])


def test_an_actor_clips_what_is_learned_and_not_what_is_reported() -> None:
    env = world(5, 2, 0)
    env.terminated[:], env.truncated[:] = False, False
    env.terminated[4] = True
    experience = RolloutActor(begin(env), 5, 0, reward_clip=2.0).collect()
    np.testing.assert_array_equal(experience.rows.reward[:, 0], [1, 2, 2, 2, 2])
    assert experience.episodes.returns == [15.0, 15 + 5 / 16]


@pytest.mark.parametrize("opposed", [True, False])
def test_what_a_seat_is_paid_until_its_next_move_sums_to_its_return(opposed: bool) -> None:
    """In tic-tac-toe a seat's next move comes two steps later; without the opposite signs the sums are wrong."""
    world = Rollout(TurnEnv(make_game("tic_tac_toe"), 3), Anything(), 5, np.random.default_rng(0))
    unroll, episodes = world.collect(60)
    if not opposed:
        unroll = unroll._replace(turn=None)
    reward = transitions([unroll], 2, 1.0).reward.reshape(59, 3)
    found, expected = [], []
    for row in range(3):
        ends = [-1, *np.flatnonzero(unroll.terminated[:, row])]
        for start, end in pairwise(ends):
            game = reward[start + 1 : end + 1, row]
            found.append([game[::2].sum(), game[1::2].sum()])
            last = float(unroll.reward[end, row])  # the winner moves last
            expected.append([last, -last] if (end - start) % 2 else [-last, last])
    assert len(found) == len(episodes.returns) > 10
    assert sorted(first for first, _ in expected) == sorted(episodes.returns)
    assert (found == expected) is opposed


def test_worlds_in_which_seats_do_not_just_play_against_each_other_are_refused() -> None:
    env = TurnEnv(make_game("tic_tac_toe"), 1)
    env.spec = replace(env.spec, seats=3)
    with pytest.raises(ValueError, match="3 seats"):
        Rollout(env, Anything(), 0, np.random.default_rng(0))
