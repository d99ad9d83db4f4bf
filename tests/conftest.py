from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In several processes the tests of a file stay together, since they share what is dear to make, and all files that
    need Ray share one."""
    ray = {item.path for item in items if item.get_closest_marker("ray")}
    for item in items:
        group = "ray" if item.path in ray else f"{item.path.parent.name}/{item.path.stem}"
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def ray_here() -> Iterator[None]:
    """One Ray for all tests that don't mind sharing it: starting it takes seconds."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed")
    from agents.config import Runtime
    from agents.fleet.ray_fleet import connect

    connect(Runtime(kind="ray", actors=4))  # before anything imports ray
    import ray

    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("there is no Chromium with its chromedriver here: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    arguments = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1150,1250"]
    for argument in arguments + ["--no-sandbox"] * (os.geteuid() == 0):  # root has no sandbox to be in
        options.add_argument(argument)
    chrome = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


@pytest.fixture(scope="module")
def extensible(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What modules register that these tests `--import` is forgotten behind them, and so are the modules."""
    import gymnasium

    from agents.entrants import PLAYERS
    from agents.registry import ALGORITHMS
    from envs.games.make import OTHERS
    from envs.tabular.make import WORLDS
    from experiment import extensions

    tables: list[dict[str, Any]] = [ALGORITHMS, PLAYERS, OTHERS, WORLDS, gymnasium.registry]
    before, path = [dict(table) for table in tables], list(sys.path)
    yield
    extensions.load([])
    for table, known in zip(tables, before, strict=True):
        for name in table.keys() - known.keys():
            del table[name]
    sys.path[:] = path
    ours = str(tmp_path_factory.getbasetemp())
    for name, module in list(sys.modules.items()):
        if name == "tests.recurrent" or str(getattr(module, "__file__", None)).startswith(ours):
            del sys.modules[name]
