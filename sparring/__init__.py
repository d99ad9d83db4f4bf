"""Sparring from Python: train, look at what was learned, and let it meet the others.

    import sparring

    run = sparring.train("ppo/cartpole", steps=20_000)
    action, _ = run.predict(observation)
    sparring.evaluate(run, "random")

The command-line scripts stand on the same functions. Nothing heavy is loaded before it is asked for.
"""

from __future__ import annotations

from sparring.neighbours import require_ours

require_ours()  # before anything of these packages is imported

from envs.check import check_env as check_env  # noqa: E402
from experiment.config import ConfigError as ConfigError  # noqa: E402
from sparring.meeting import evaluate as evaluate  # noqa: E402
from sparring.meeting import match as match  # noqa: E402
from sparring.trained_run import TrainedRun as TrainedRun  # noqa: E402
from sparring.trained_run import load as load  # noqa: E402
from sparring.training import configured as configured  # noqa: E402
from sparring.training import train as train  # noqa: E402
from sparring.training import use as use  # noqa: E402
