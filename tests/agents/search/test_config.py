from __future__ import annotations

import ast
from pathlib import Path

import agents.search
from agents.search import config
from experiment.config import table

HERE = Path(agents.search.__file__).parent


def test_every_option_of_a_search_is_read() -> None:
    read = {
        node.attr
        for name in ("search", "selection", "players")
        for node in ast.walk(ast.parse((HERE / f"{name}.py").read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
        if ast.unparse(node.value) in ("options", "self.options")
    }
    assert set(config.SearchOptions.model_fields) <= read


def test_the_page_about_search_lists_its_options() -> None:
    page = (HERE.parents[1] / "docs" / "search.md").read_text()
    assert table(config.SearchOptions) in page
