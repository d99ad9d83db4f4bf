"""Measure agents on the same episodes of one environment, without exploration.

    python scripts/evaluate.py runs/cartpole random --episodes 100

AGENT is a run directory, a checkpoint directory, random, or sb3:FILE.zip. Differences are to the first agent.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envs.api import VectorEnv


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("agents", nargs="+", metavar="AGENT")
    parser.add_argument("--env", metavar="ID", help="Gymnasium id (default: what the first agent was trained on)")
    parser.add_argument("--env-options", metavar="JSON", type=json.loads, help="its keyword arguments, as an object")
    parser.add_argument("--episodes", metavar="N", type=int, default=100, help="episodes of each agent (100)")
    parser.add_argument("--seed", metavar="S", type=int, default=0, help="decides the episodes (0)")
    parser.add_argument("--rows", metavar="B", type=int, default=8, help="environments stepped at once (8)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results to this file too")
    parser.add_argument("--gif", metavar="FILE", type=Path, help="film the first agent's first episode")
    parser.add_argument("--trust", action="store_true", help="load SB3 archives, which runs code that is in them")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    asked = arguments(argv)
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # films need no screen
    from rich.console import Console

    from agents.arena.contenders import contender
    from agents.arena.paired import compare, evaluate, film, record, table
    from experiment.seeding import Seeds

    try:
        if min(asked.episodes, asked.rows) < 1:
            raise ValueError("--episodes and --rows are at least 1")
        if len(set(asked.agents)) < len(asked.agents):
            raise ValueError("an agent is named twice")
        for file in filter(None, (asked.json, asked.gif)):
            if not file.parent.is_dir():
                raise ValueError(f"{file} cannot be written: {file.parent} is no directory")
        seeds, env = Seeds(asked.seed), world(asked, min(asked.rows, asked.episodes))
        policies = {name: contender(name, env.spec, asked.trust) for name in asked.agents}
        stage = world(asked, 1, render=True) if asked.gif else None
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        console, results = Console(markup=False), {}
        for name, policy in policies.items():
            with console.status(f"{name}: {asked.episodes} episodes of {env.spec.name}"):
                results[name] = evaluate(policy, env, asked.episodes, asked.seed, seeds.generator("act", name))
        standings = compare(results, seeds.generator("bootstrap"))
        console.print(table(standings, f"{env.spec.name}, {asked.episodes} episodes, seed {asked.seed}"))
        if asked.json:
            played = {"env": env.spec.name, "episodes": asked.episodes, "seed": asked.seed, "rows": env.count}
            text = json.dumps(played | {"contenders": record(standings)}, indent=2, allow_nan=False)
            asked.json.write_text(text + "\n")
        if stage is not None:
            import imageio.v3

            name, policy = next(iter(policies.items()))
            pictures = film(policy, stage, asked.seed, seeds.generator("act", name))
            imageio.v3.imwrite(asked.gif, pictures, extension=".gif", duration=1000 / 30, loop=0)
    except KeyboardInterrupt:
        return 130
    return 0


def world(asked: argparse.Namespace, count: int, render: bool = False) -> VectorEnv:
    """The environment asked for: as the first agent's run has it, or the bare id where that is another one."""
    from agents.arena.contenders import home
    from agents.config import Atari, Environment
    from agents.rollout import make_env
    from experiment.config import check

    env = home(asked.agents[0])
    if asked.env is not None and (env is None or env.id != asked.env):
        env = Environment(id=asked.env, atari=Atari() if asked.env.startswith("ALE/") else None)
    if env is None:
        raise ValueError(f"--env is needed: {asked.agents[0]} is no run directory that says where it was trained")
    if asked.env_options is not None:
        env = check(Environment, env.model_dump(mode="json") | {"options": asked.env_options})
    return make_env(env, count, render)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
