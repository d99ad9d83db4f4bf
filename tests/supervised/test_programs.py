"""What a compiled step is made from, under which name it is kept, and that the cache changes no number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, fx

from supervised import programs
from supervised.accelerate import pays_off
from supervised.programs import Program, leaves, name, trace

CPU = torch.device("cpu")


def scaled(scale: Tensor, power: float = 2.0) -> Callable[..., Any]:
    """A closed step with a tensor and a number of its own."""

    def step(state: tuple[Tensor], x: Tensor, weight: Tensor | None) -> dict[str, Any]:
        state[0].add_((x**power * scale).sum())
        return {"weight": weight, "state": state[0] * 2}

    return step


def arguments(n: int = 3) -> tuple[Any, ...]:
    return (torch.zeros(()),), torch.arange(n, dtype=torch.float32), None


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> list[fx.GraphModule]:
    made: list[fx.GraphModule] = []

    def loaded(graph: fx.GraphModule, given: list[Tensor]) -> Callable[[list[Tensor]], Any]:
        made.append(graph)
        return lambda tensors: graph(*tensors)

    monkeypatch.setattr(programs, "loaded", loaded)
    return made


def test_a_program_changes_its_state_and_returns_what_the_step_does(uncompiled: list[fx.GraphModule]) -> None:
    program, given, plain = Program(scaled(torch.ones(()))), arguments(), arguments()
    for _ in range(3):
        found, expected = program(*given), scaled(torch.ones(()))(*plain)
    assert given[0][0] == plain[0][0] == 15
    assert found["state"] == expected["state"] and found["weight"] is None
    assert len(uncompiled) == 1


def test_other_shapes_and_strides_are_traced_anew(uncompiled: list[fx.GraphModule]) -> None:
    program = Program(scaled(torch.ones(())))
    state = (torch.zeros(()),)
    for x in (torch.ones(3), torch.ones(4), torch.ones(3, 2), torch.ones(2, 3).T, torch.ones(3)):
        program(state, x, None)
    assert state[0] == 3 + 4 + 6 + 6 + 3
    assert len(uncompiled) == 4


def test_what_a_step_encloses_is_given_to_the_program() -> None:
    """A compiled one would keep the values of today."""
    scale, given = torch.ones(()), arguments()
    traced = trace(scaled(scale), given, list(leaves(given)))
    assert len(traced.enclosed) == 1 and traced.enclosed[0].data_ptr() == scale.data_ptr()
    assert "get_attr" not in {node.op for node in traced.graph.graph.nodes}
    scale.fill_(10)
    traced.graph(*leaves(given), *traced.enclosed)
    assert given[0][0] == 50


def test_tracing_leaves_the_state_as_it_is() -> None:
    given = arguments()
    trace(scaled(torch.ones(())), given, list(leaves(given)))
    assert given[0][0] == 0


def test_steps_are_given_tensors() -> None:
    with pytest.raises(TypeError, match="found 3"):
        list(leaves((torch.ones(1), {"rate": 3})))


def kept_as(power: float = 2.0, scale: float = 1.0, n: int = 3) -> str:
    given = arguments(n)
    traced = trace(scaled(torch.tensor(scale), power), given, list(leaves(given)))
    return name(traced.graph, [*leaves(given), *traced.enclosed])


def test_the_name_is_of_all_that_the_numbers_depend_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kept_as() == kept_as(scale=3.0)  # which is given to the program
    names = {kept_as(), kept_as(power=3.0), kept_as(n=4)}
    for machine in (["another processor"], ["another torch"]):
        monkeypatch.setattr(programs, "machine", lambda machine=machine: machine)
        names.add(kept_as())
    assert len(names) == 5


def test_the_machine_is_more_than_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    before = programs.machine()
    assert torch.__version__ in before and any(line.startswith(("flags", "Features", "CPU")) for line in before)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 97)
    assert programs.machine() != before


def test_the_cache_is_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = programs.cache()
    assert found == tmp_path / "sparring" / "programs" and found.stat().st_mode & 0o777 == 0o700
    found.chmod(0o770)
    with pytest.raises(PermissionError, match="you alone"):
        programs.cache()


def test_what_pays_off_is_known_from_the_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supervised.accelerate.compiler", lambda: "/usr/bin/g++")
    assert pays_off("on", 1, CPU) and pays_off("auto", 5_000, CPU)
    assert not pays_off("auto", 4_999, CPU) and not pays_off("off", 10**9, CPU)
    monkeypatch.setattr("supervised.accelerate.compiler", lambda: None)
    assert not pays_off("auto", 10**9, CPU)
    with pytest.raises(ValueError, match="compile=off"):
        pays_off("on", 1, CPU)


@pytest.mark.slow
def test_cold_and_warm_caches_give_equal_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second program compiles nothing; one in a directory that others may write to isn't kept, and computes the
    same."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compiled: list[Path] = []
    into = programs.compile_into

    def counted(package: Path, *rest: Any) -> None:
        compiled.append(package)
        into(package, *rest)

    monkeypatch.setattr(programs, "compile_into", counted)
    states = []
    for open_to_others in (False, False, True):
        if open_to_others:
            programs.cache().chmod(0o777)
        scale = torch.tensor(0.1)
        program, given = Program(scaled(scale, 1.7)), arguments()
        if open_to_others:
            with pytest.warns(UserWarning, match="can't be kept"):
                program(*given)
        else:
            program(*given)
        scale.fill_(0.3)
        for _ in range(4):
            program(*given)
        states.append(given[0][0].item())
    plain = arguments()
    for factor in [0.1] + 4 * [0.3]:
        scaled(torch.tensor(factor), 1.7)(*plain)
    assert states[0] == states[1] == states[2] == pytest.approx(plain[0][0].item(), rel=1e-6)
    assert len(compiled) == 2 and compiled[0].parent == tmp_path / "sparring" / "programs"
    assert compiled[1].parent != compiled[0].parent
