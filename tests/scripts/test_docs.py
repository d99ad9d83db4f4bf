"""The documentation's tables are what the code says, its index leads to every page, and its links lead somewhere."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from agents.registry import ALGORITHMS
from experiment.config import describe
from scripts.docs import APART, main, pages, paper

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def links(page: Path) -> list[str]:
    """The relative ones, outside of code."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"\]\((?!https?://)([^)\s]+)\)", text)


def anchors(page: Path) -> set[str]:
    """What headings can be linked as."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    """The links of a page that lead nowhere."""

    def resolves(link: str) -> bool:
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        return target.exists() and (not anchor or anchor in anchors(target))

    return [link for link in links(page) if not resolves(link)]


def test_the_documentation_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_has_a_page_with_its_options(name: str) -> None:
    for option in describe(ALGORITHMS[name].config):
        elsewhere = [ROOT / "docs" / page for key, page in APART.items() if option.key.startswith(key)]
        assert f"| `{option.key}` |" in (elsewhere or [pages()[name]])[0].read_text()


def test_the_index_leads_to_every_page_and_algorithm() -> None:
    index = ROOT / "docs" / "index.md"
    assert {*links(index)} == {page.name for page in PAGES[1:] if page != index}
    assert [f"[{name}](" in index.read_text() for name in ALGORITHMS] == [True] * len(ALGORITHMS)
    assert "docs/index.md" in links(ROOT / "README.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_a_link_to_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# There\n## Here, and now\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md) [b](gone.md) [c](there.md#here-and-now) [d](there.md#then) [e](https://x.org/y) [f](#g)"
    )
    assert broken(page) == ["gone.md", "there.md#then", "#g"]


def test_a_paper_is_the_first_that_is_cited() -> None:
    cited = (
        "A rule (Watkins & Dayan 1992, https://doi.org/10.1007/BF00992698), double: van Hasselt 2010, https://x.org."
    )
    assert paper(cited) == "[Watkins & Dayan 1992](https://doi.org/10.1007/BF00992698)"
    assert paper(cited[cited.index("double") :]) == "[van Hasselt 2010](https://x.org)"
    assert paper("Nobody's rule, see https://x.org.") == ""


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_metric_that_is_logged_is_explained(name: str) -> None:
    """The module's docstring lists them; the page has a line for each."""
    page = pages()[name].read_text()
    metrics = set(re.findall(r"(?:train|game)/\w+", importlib.import_module(ALGORITHMS[name].module).__doc__ or ""))
    assert metrics
    assert not [metric for metric in metrics if f"`{metric}`" not in page]


def test_configs_that_pages_name_exist() -> None:
    for page in PAGES:
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
