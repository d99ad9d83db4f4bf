from __future__ import annotations

import importlib.util
from collections.abc import Iterator

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
