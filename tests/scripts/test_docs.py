"""The tables of options in the documentation are what the configs say."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from agents.registry import ALGORITHMS
from experiment.config import describe
from scripts.docs import main

ROOT = Path(__file__).resolve().parents[2]


def test_the_documentation_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_has_a_page_with_its_options(name: str) -> None:
    page = (ROOT / "docs" / f"{name}.md").read_text()
    for option in describe(ALGORITHMS[name].config):
        assert f"| `{option.key}` |" in page


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_metric_that_is_logged_is_explained(name: str) -> None:
    """The module's docstring lists them; the page has a line for each."""
    page = (ROOT / "docs" / f"{name}.md").read_text()
    metrics = set(re.findall(r"(?:train|game)/\w+", importlib.import_module(ALGORITHMS[name].module).__doc__ or ""))
    assert metrics
    assert not [metric for metric in metrics if f"`{metric}`" not in page]


def test_configs_that_pages_name_exist() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for config in re.findall(r"(?<![\w/])configs/[\w/]+\.yaml", page.read_text()):
            assert (ROOT / config).exists() or "mine" in config, f"{page.name} names {config}"


def test_a_stale_table_is_found_and_mended(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- options: dqn -->\nstale\n<!-- end -->\nafter\n")
    assert main([str(page), "--check"]) == 1
    assert "stale" in page.read_text()
    assert main([str(page)]) == 0
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("<!-- end -->\nafter\n") and "stale" not in text
    assert "| `learner.huber` |" in text
    assert main([str(page), "--check"]) == 0


def test_an_unknown_algorithm_is_a_wrong_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- options: pqo -->\n<!-- end -->\n")
    assert main([str(page)]) == 2
    assert "did you mean 'ppo'" in capsys.readouterr().err
