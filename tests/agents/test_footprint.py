"""What a config asks for is known before it is taken, and every number of every config has an end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

import annotated_types
import pytest
from pydantic.fields import FieldInfo

from agents.admission import world
from agents.experience.memory.steps import Steps
from agents.footprint import NotEnoughMemory, available_memory, footprint, require, step_bytes
from agents.registry import ALGORITHMS, algorithm, parse
from agents.wiring import build
from envs.api import Discrete, Spec
from experiment.config import Config
from tests.agents.experience.memory.test_steps import experience, history
from tests.runs import CLONES, DREAMS, FITS, RUNS, SOLVERS, raw

CARTPOLE = Spec("CartPole-v1", (4,), "float32", Discrete(2))


def numbers(annotation: Any, metadata: list[Any]) -> Iterator[list[Any]]:
    """What is said of each whole number that may stand in a field."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        yield from numbers(inner, metadata + more)
    elif annotation is int:
        yield [part for item in metadata for part in (item.metadata if isinstance(item, FieldInfo) else [item])]
    for argument in get_args(annotation) if get_origin(annotation) is not Annotated else ():
        yield from numbers(argument, metadata if get_origin(annotation) is not tuple else [])


def sections(section: type[Config]) -> Iterator[type[Config]]:
    yield section
    pending = [field.annotation for field in section.model_fields.values()]
    while pending:
        annotation = pending.pop()
        pending += get_args(annotation)
        if isinstance(annotation, type) and issubclass(annotation, Config):
            yield from sections(annotation)


def endless(section: type[Config]) -> list[str]:
    """Fields whose whole numbers may be of any size."""
    bounds = (annotated_types.Le, annotated_types.Lt)
    return [
        f"{part.__name__}.{name}"
        for part in sections(section)
        for name, field in part.model_fields.items()
        for marks in numbers(field.annotation, field.metadata)
        if not any(isinstance(mark, bounds) for mark in marks)
    ]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_whole_number_has_an_end(name: str) -> None:
    assert endless(algorithm(name).config) == []


def test_a_number_without_an_end_is_found() -> None:
    class Inner(Config):
        sizes: tuple[int, ...] | None = None
        """sizes"""

    class Outer(Config):
        inner: Inner = Inner()
        """inner"""
        count: int = 1
        """count"""

    assert endless(Outer) == ["Outer.count", "Inner.sizes"]


@pytest.mark.parametrize(
    ("run", "change", "key"),
    [
        ("ppo", {"rollout": {"steps": 2**29}, "learner": {"batch_size": 16}}, "rollout.steps"),
        ("ppo", {"network": {"hidden": [65_536, 65_536]}}, r"network.hidden=\[65536, 65536\]"),
        ("dqn", {"memory": {"capacity": 2**30}}, "memory.capacity"),
        ("dqn_game", {"memory": {"capacity": 2**30}}, "memory.capacity"),
        ("alphazero", {"memory": {"capacity": 2**30}}, "memory.capacity"),
        ("alphazero", {"network": {"filters": 65_536}}, "network.filters"),
        ("alphazero", {"selfplay": {"games": 65_536}, "search": {"simulations": 10**6}}, "selfplay.games"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_key_before_anything_is_made(
    run: str, change: dict[str, Any], key: str
) -> None:
    config = parse(raw(run, **change))
    with pytest.raises(NotEnoughMemory, match=f"^{key}.* bytes, but .* are available: (set|choose)"):
        require(config, world(config), lambda: 10**9)


def test_the_whole_counts_and_the_advice_leaves_room_for_the_rest() -> None:
    config = parse(raw("dqn", memory={"capacity": 10_000_000}))
    sizes = footprint(config, CARTPOLE)
    assert max(sizes, key=lambda key: sizes[key]) == "memory.capacity"
    require(config, CARTPOLE, lambda: sum(sizes.values()))
    with pytest.raises(NotEnoughMemory) as refused:
        require(config, CARTPOLE, lambda: sum(sizes.values()) - 1)
    fits = int(str(refused.value).split("memory.capacity to ")[1].split()[0])
    assert fits == 9_999_999
    small = parse(raw("dqn", memory={"capacity": fits}))
    require(small, CARTPOLE, lambda: sum(sizes.values()) - 1)


def test_a_step_is_told_at_no_more_than_it_takes() -> None:
    steps, unroll = Steps(1000, 2, 0.99), history(10, 2, 0)
    steps.add(experience(unroll))
    taken = sum(ring.nbytes for ring in (*steps.rings.values(), steps.order))
    masked = unroll.mask is not None
    actions = unroll.mask.shape[2] if unroll.mask is not None else 2
    spec = Spec("", unroll.obs.shape[2:], unroll.obs.dtype.name, Discrete(actions), masked)
    assert 0.7 * taken < 1000 * step_bytes(spec) <= taken


def test_building_asks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    config = parse(raw("dqn"))
    monkeypatch.setattr("agents.wiring.parts", lambda *_: pytest.fail("made before it was asked"))
    monkeypatch.setattr("agents.footprint.require.__defaults__", (lambda: 1000,))
    with pytest.raises(NotEnoughMemory):
        build(config)


def test_what_is_available_is_less_than_a_container_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 2**20 < available_memory() < 2**50
    monkeypatch.setattr("agents.footprint._ceiling", lambda: 12_345)
    assert available_memory() == 12_345


@pytest.mark.parametrize("run", [*RUNS, *SOLVERS, *FITS, *DREAMS, *CLONES])
def test_every_tiny_run_tells_little(run: str) -> None:
    config = parse(raw(run))
    if "atari" in run:
        pytest.importorskip("ale_py")
    assert all(0 <= size < 2**31 for size in footprint(config, world(config)).values())
