"""Sparring from Python: train, look at what was learned, and let it meet the others.

    import sparring

    run = sparring.train("ppo/cartpole", steps=20_000)
    action, _ = run.predict(observation)
    sparring.evaluate(run, "random")

The command-line scripts stand on the same functions. Nothing heavy is loaded before it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparring.neighbours import require_ours

require_ours()  # before anything of these packages is imported

from experiment.config import ConfigError as ConfigError  # noqa: E402
from sparring.meeting import evaluate as evaluate  # noqa: E402
from sparring.meeting import match as match  # noqa: E402
from sparring.training import configured as configured  # noqa: E402
from sparring.training import train as train  # noqa: E402
from sparring.training import use as use  # noqa: E402

if TYPE_CHECKING:
    from envs.check import check_env as check_env
    from sparring.trained_run import TrainedRun as TrainedRun
    from sparring.trained_run import load as load

LATER = ("TrainedRun", "check_env", "load")  # they need numpy, and a command's --help doesn't


def __getattr__(name: str) -> Any:
    if name not in LATER:
        raise AttributeError(f"module 'sparring' has no attribute {name!r}")
    from envs.check import check_env
    from sparring.trained_run import TrainedRun, load

    return {"TrainedRun": TrainedRun, "check_env": check_env, "load": load}[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *LATER})
