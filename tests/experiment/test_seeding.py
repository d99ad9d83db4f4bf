from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from experiment.seeding import Seeds

GOLDEN_INTEGER = 306004250758355388
GOLDEN_WORD = 4745382522177101904


def first(*names: str | int, seed: int = 7) -> int:
    return int(Seeds(seed).generator(*names).bit_generator.random_raw())


def test_same_names_same_stream_whatever_was_asked_before() -> None:
    seeds = Seeds(7)
    early = seeds.generator("actor", 0, "policy").random(5)
    seeds.generator("learner").random(100)
    seeds.integer("env", 3)
    np.testing.assert_array_equal(seeds.generator("actor", 0, "policy").random(5), early)
    np.testing.assert_array_equal(Seeds(7).generator("actor", 0, "policy").random(5), early)


def test_different_names_different_streams() -> None:
    names: list[tuple[str | int, ...]] = [
        (), ("a",), ("b",), ("a", "b"), ("b", "a"), ("ab",), ("a", ""), ("", "a"), ('a", "b',), ("a,b",),
        (1,), ("1",), (0,), (-1,), (1, 2), (12,), (2**70,), ("Ω",),
    ]  # fmt: skip
    assert len({first(*name) for name in names}) == len(names)
    assert len({Seeds(7).integer(*name) for name in names}) == len(names)
    assert first("a", seed=7) != first("a", seed=8)


def test_streams_are_uncorrelated() -> None:
    draws = np.stack([Seeds(0).generator("env", row).standard_normal(4000) for row in range(20)])
    correlation = np.asarray(np.corrcoef(draws))[~np.eye(20, dtype=bool)]
    assert np.abs(correlation).max() < 5 / np.sqrt(4000)
    shared = np.stack([np.random.Generator(np.random.PCG64(0)).standard_normal(4000) for _ in range(2)])
    assert np.asarray(np.corrcoef(shared))[0, 1] > 0.99  # the test would see streams that are one


def test_integers_are_spread_over_their_range() -> None:
    numbers = [Seeds(0).integer("env", row) for row in range(2000)]
    assert len(set(numbers)) == 2000 and min(numbers) >= 0 and max(numbers) < 2**63
    assert abs(np.mean(numbers) / 2**63 - 0.5) < 0.03


def test_values_do_not_change_between_versions() -> None:
    assert Seeds(7).integer("env", 3) == GOLDEN_INTEGER
    assert first("actor", 0, "policy") == GOLDEN_WORD


def test_values_do_not_change_between_processes() -> None:
    code = "from experiment.seeding import Seeds; print(Seeds(7).integer('env', 3))"
    environment = {"PYTHONHASHSEED": "12345", "PYTHONPATH": "."}
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True, text=True)
    assert int(printed.stdout) == GOLDEN_INTEGER


@pytest.mark.parametrize("seed", [-1, 1.5, True, "7", None])
def test_a_seed_is_a_natural_number(seed: object) -> None:
    with pytest.raises(ValueError, match="non-negative integer"):
        Seeds(seed)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [1.0, True, None, ("a",), b"a"])
def test_names_are_text_and_integers(name: object) -> None:
    with pytest.raises(TypeError, match="named by str and int"):
        Seeds(7).generator(name)  # type: ignore[arg-type]
