"""Running moments against numpy on the concatenated data."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from envs.normalize import Moments, ReturnMoments


def test_batches_of_any_size_equal_the_whole() -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(1e4, 3.0, (500, 2, 3)).astype(np.float32)  # a mean far above the deviation
    moments = Moments((2, 3))
    for batch in np.split(data, [0, 1, 2, 50, 333]):
        moments.update(batch)
    assert moments.count == 500
    np.testing.assert_allclose(moments.mean, data.mean(0, np.float64), rtol=1e-14)
    np.testing.assert_allclose(moments.variance, data.astype(np.float64).var(0), rtol=1e-10)
    # the textbook's E[x^2] - E[x]^2 in float32 fails this
    naive = np.square(data).mean(0) - np.square(data.mean(0))
    assert not np.allclose(naive, data.astype(np.float64).var(0), rtol=1e-2)


def test_merging_does_not_depend_on_the_order() -> None:
    rng = np.random.default_rng(1)
    parts = [rng.normal(size, 1.0, (size, 4)) for size in (3, 50, 7, 400)]
    whole = np.concatenate(parts)
    states = []
    for part in parts:
        moments = Moments((4,))
        moments.update(part)
        states.append(moments.take())
    for order in itertools.permutations(states):
        moments = Moments((4,))
        for state in order:
            moments.merge(state)
        assert moments.count == len(whole)
        np.testing.assert_allclose(moments.mean, whole.mean(0), rtol=1e-12)
        np.testing.assert_allclose(moments.variance, whole.var(0), rtol=1e-12)


def test_take_hands_over_each_number_once() -> None:
    rng = np.random.default_rng(2)
    actor, learner = Moments((2,)), Moments((2,))
    data = rng.normal(size=(90, 2))
    for batch in np.split(data, 9):
        actor.update(batch)
        learner.merge(actor.take())
        learner.merge(actor.take())  # nothing new
    assert actor.count == 0
    np.testing.assert_allclose(learner.variance, data.var(0), rtol=1e-12)


def test_state_is_exact_and_a_copy() -> None:
    moments, other = Moments((2,)), Moments((2,))
    moments.update(np.array([[1.0, 2.0], [3.0, 5.0]]))
    other.update(np.ones((7, 2)))
    other.load_state_dict(moments.state_dict())
    before = moments.state_dict()
    for one in (moments, other):
        one.update(np.array([[0.1, 0.2]]))
    np.testing.assert_array_equal(moments.mean, other.mean)
    np.testing.assert_array_equal(moments.variance, other.variance)
    np.testing.assert_array_equal(before["mean"], [2.0, 3.5])


def test_nothing_seen() -> None:
    moments = Moments((3,))
    moments.update(np.empty((0, 3)))
    moments.merge(Moments((3,)).take())
    assert moments.count == 0
    assert moments.variance.tolist() == [0.0, 0.0, 0.0]


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="rows of shape"):
        Moments((3,)).update(np.zeros((5, 2)))
    with pytest.raises(ValueError, match="cannot join"):
        Moments((3,)).merge(Moments((2,)).take())
    with pytest.raises(ValueError, match="running returns"):
        ReturnMoments(2, 0.9).load_state_dict(ReturnMoments(3, 0.9).state_dict())


def test_returns_restart_with_each_episode() -> None:
    moments = ReturnMoments(2, 0.5)
    moments.update(np.array([1.0, 2.0]), np.array([False, True]))
    moments.update(np.array([1.0, 2.0]), np.array([False, False]))
    moments.update(np.array([1.0, 2.0]), np.array([True, False]))
    expected = np.array([1.0, 2.0, 1.5, 2.0, 1.75, 3.0])  # 2.0 and not 3.0 after row 1 ended
    assert moments.moments.count == 6
    np.testing.assert_allclose(moments.moments.variance, expected.var(), rtol=1e-14)


def test_running_returns_survive_take_and_state() -> None:
    rng = np.random.default_rng(3)
    rewards, ends = rng.normal(size=(40, 3)), rng.random((40, 3)) < 0.2
    whole, pieces, total = ReturnMoments(3, 0.9), ReturnMoments(3, 0.9), Moments(())
    for time, (reward, ended) in enumerate(zip(rewards, ends, strict=True)):
        whole.update(reward, ended)
        pieces.update(reward, ended)
        if time % 7 == 0:
            total.merge(pieces.take())
            restored = ReturnMoments(3, 0.9)
            restored.load_state_dict(pieces.state_dict())
            pieces = restored
    total.merge(pieces.take())
    assert total.count == 120
    np.testing.assert_allclose(total.variance, whole.moments.variance, rtol=1e-12)
