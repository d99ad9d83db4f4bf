"""Draws in proportion to priorities, and the tree that makes them quick."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.experience.memory.prioritized import Prioritized, _offsets
from agents.experience.memory.table import Change, Table
from envs.api import Array


def chi_square(found: Array, expected: Array) -> float:
    return float(((found - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("capacity", [1, 15, 16, 17, 255, 256, 257, 4097, 70_000])
def test_tree_of_any_size(capacity: int) -> None:
    offsets, rng = _offsets(capacity), np.random.default_rng(0)
    assert offsets[-1] < 1.1 * capacity + 80
    tree = Prioritized(capacity, alpha=1.0)
    tree.change(Change(np.arange(capacity), np.empty(0, np.int64)))
    assert tree.tree[0] == pytest.approx(capacity)
    priority = rng.random(capacity)
    tree.update(np.arange(capacity), torch.from_numpy(priority))
    assert tree.tree[0] == pytest.approx(priority.sum(), abs=1e-1)
    index, _ = tree.select(64, Table(capacity), rng)
    edges = np.cumsum(tree.leaves)  # share i of the total belongs to draw i
    assert (edges[index] >= np.arange(64) * edges[-1] / 64 - 1e-9).all()
    assert (edges[index] - tree.leaves[index] <= np.arange(1, 65) * edges[-1] / 64 + 1e-9).all()


def test_prioritized_draws_in_proportion() -> None:
    """P(i) ~ p^alpha, chi-square with a fixed seed; the rule without alpha fails the same test."""
    rng, select = np.random.default_rng(0), Prioritized(20, alpha=0.6)
    select.change(Change(np.arange(20), np.empty(0, np.int64)))
    priority = rng.random(20) * 3 + 0.1
    select.update(np.arange(20), torch.from_numpy(priority))
    index = np.concatenate([select.select(1, Table(20), rng)[0] for _ in range(40_000)])  # batch 1: not stratified
    found = np.bincount(index, minlength=20)
    share = (priority + 1e-6) ** 0.6
    assert chi_square(found, 40_000 * share / share.sum()) < 43.8  # 99.9 %, 19 degrees of freedom
    assert chi_square(found, 40_000 * priority / priority.sum()) > 1000
    stratified = np.bincount(select.select(40_000, Table(20), rng)[0], minlength=20)
    assert (abs(stratified - 40_000 * share / share.sum()) <= 2).all()


def test_importance_weights() -> None:
    select, rng = Prioritized(8, alpha=0.7, beta=0.5, beta_end=0.5), np.random.default_rng(0)
    select.change(Change(np.arange(5), np.empty(0, np.int64)))
    select.update(np.arange(5), torch.tensor([0.1, -1.0, 2.0, 3.0, 8.0]))
    index, weight = select.select(200, Table(8), rng)
    share = select.leaves[:5] / select.leaves.sum()
    expected = (5 * share[index]) ** -0.5
    np.testing.assert_allclose(weight, expected / expected.max(), rtol=1e-6)
    assert weight.dtype == np.float32
    assert weight.max() == 1


def test_beta_goes_up_with_the_rows() -> None:
    select = Prioritized(100, beta=0.4, beta_end=1.0, beta_rows=200)
    betas = [select.beta]
    for _ in range(3):
        select.change(Change(np.arange(100), np.empty(0, np.int64)))
        betas.append(select.beta)
    assert betas == pytest.approx([0.4, 0.7, 1.0, 1.0])


def test_root_is_the_sum_after_many_updates() -> None:
    rng, select = np.random.default_rng(0), Prioritized(3000, alpha=1.0)
    select.change(Change(np.arange(3000), np.empty(0, np.int64)))
    leaves = np.ones(3000)
    for _ in range(1000):
        index, priority = rng.integers(0, 3000, 100), rng.normal(size=100) * 10.0 ** rng.integers(-6, 6)
        select.update(index, torch.from_numpy(priority))
        for i, value in zip(index, priority, strict=True):  # of duplicates the last one counts
            leaves[i] = abs(value) + 1e-6
    np.testing.assert_array_equal(select.leaves, leaves)
    assert select.tree[0] == pytest.approx(leaves.sum(), rel=1e-12)


def test_new_rows_come_first_and_old_priorities_go() -> None:
    select, rng = Prioritized(6, alpha=0.5), np.random.default_rng(0)
    select.change(Change(np.arange(4), np.empty(0, np.int64)))
    np.testing.assert_array_equal(select.leaves, [1, 1, 1, 1, 0, 0])
    select.update(np.arange(4), torch.tensor([9.0, 0.25, 0.25, 0.25]) - 1e-6)
    select.change(
        Change(np.array([4, 0]), np.array([0, 1]))
    )  # 0 overwritten and ready, 1 overwritten and not yet ready
    np.testing.assert_allclose(select.leaves, [3, 0, 0.5, 0.5, 3, 0])
    select.update(np.array([1, 5]), torch.tensor([100.0, 100.0]))
    np.testing.assert_allclose(select.leaves, [3, 0, 0.5, 0.5, 3, 0])  # late news of a row that is gone
    assert set(select.select(1000, Table(6), rng)[0].tolist()) == {0, 2, 3, 4}
    with pytest.raises(FloatingPointError, match="1 of 2 priorities are not finite"):
        select.update(np.array([0, 2]), torch.tensor([1.0, torch.nan]))
