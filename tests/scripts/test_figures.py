"""The pictures of the documentation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from scripts.drawings import generalization, optimizers, samples, testbed
from scripts.drawings.planning import FIGURES
from scripts.drawings.work import Work, seconds
from scripts.figures import ROOT, figures, main


@pytest.mark.parametrize("name", FIGURES)
def test_it_is_drawn(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--out", str(tmp_path)]) == 0
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.startswith(f"{name}: ")


SMALL: dict[str, dict[str, int]] = {
    "random_walk": {"runs": 2},
    "nineteen_states": {"runs": 1, "points": 3},
    "cliff": {"runs": 2},
    "step_sizes": {"runs": 2, "long_runs": 1, "episodes": 20},
    "double_learning": {"runs": 10},
    "blackjack": {"episodes": 5000},
}


@pytest.mark.parametrize("name", SMALL)
def test_it_is_computed_in_small(name: str) -> None:
    figure = Figure(layout="constrained")
    work = samples.FIGURES[name][0](figure, **SMALL[name])
    assert figure.axes and all(place.has_data() for place in figure.axes)
    assert work.seconds > 0 and work.plain > 0


def test_the_testbed_is_computed_in_small() -> None:
    figure = Figure(layout="constrained")
    work = testbed.exploration(figure, runs=3)
    assert [len(place.lines) for place in figure.axes] == [len(testbed.RULES)] * 2
    assert work.seconds > 0 and work.plain > 0


def test_every_figure_is_in_the_documentation() -> None:
    pages = "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    assert [name for name in figures() if f"(images/{name}.png)" not in pages] == []
    assert [name for name in figures() if not (ROOT / "docs" / "images" / f"{name}.png").is_file()] == []


def test_an_unknown_figure_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nothing"]) == 2
    assert "no figure nothing; known are policy_iteration" in capsys.readouterr().err


def test_work_is_told_in_words() -> None:
    assert str(Work("3 sweeps", 0.5, 100.0)) == "3 sweeps in 0.5 s; plain Python 100 s, 200x"
    turns: list[int] = []
    assert seconds(lambda: turns.append(1), times=2) >= 0 and len(turns) == 3


def test_who_knows_the_curvature_is_there_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizers, "STEPS", 400)
    figure = Figure(layout="constrained")
    reached = dict(part.rsplit(" ", 1) for part in optimizers.valley(figure).partition(": ")[2].split(", "))
    assert figure.axes and all(place.has_data() for place in figure.axes)
    assert int(reached["Newton"]) < int(reached["BFGS"]) < int(reached["momentum .9"])


def test_the_error_is_largest_where_features_are_as_many_as_rows() -> None:
    """Ten runs: medians, for near the peak one run may be worse than all others together."""
    middle = {width: np.median(generalization.errors(width, 10)[0]) for width in (10, 40, 400)}
    assert middle[40] > 3 * middle[10] and middle[40] > 3 * middle[400]
