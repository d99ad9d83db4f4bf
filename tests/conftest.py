from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest


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
