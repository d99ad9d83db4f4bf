from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def ray_here() -> Iterator[None]:
    """One Ray for all tests that don't mind sharing it: starting it takes seconds."""
    ray = pytest.importorskip("ray")
    from agents.config import Runtime
    from agents.fleet.ray_fleet import connect

    connect(Runtime(kind="ray", actors=4))
    yield
    ray.shutdown()
