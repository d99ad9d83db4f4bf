"""Play episodes and keep them, for others to learn from.

    python scripts/record.py scripted --env CartPole-v1 --episodes 5 --out logs/cartpole
    python scripts/record.py runs/cartpole --episodes 100 --explore --out logs/explored

AGENT is a run directory, a checkpoint directory, random, scripted (where a rule is known), or sb3:FILE.zip. The log
holds an unroll for each episode, as safetensors and JSON under their sha256: data only (`agents/experience/logged.py`).
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from pathlib import Path

from experiment import extensions
from experiment.run import command


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("agents", nargs=1, metavar="AGENT")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="where the log will lie; nothing yet")
    parser.add_argument("--env", metavar="ID", help="Gymnasium id (default: what the agent was trained on)")
    parser.add_argument("--env-options", metavar="JSON", type=json.loads, help="its keyword arguments, as an object")
    parser.add_argument("--episodes", metavar="N", type=int, default=5, help="how many (5)")
    parser.add_argument(
        "--max-episode-steps", metavar="T", type=int, default=27_000, help="where nothing else ends one (27000)"
    )
    parser.add_argument("--explore", action="store_true", help="act as in training, not as well as it can")
    parser.add_argument("--seed", metavar="S", type=int, default=0, help="decides episodes and luck (0)")
    parser.add_argument("--trust", action="store_true", help="load SB3 archives, which runs code that is in them")
    extensions.offer(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    asked = arguments(argv)
    from envs.api import EnvError
    from experiment.checkpoint import CheckpointError

    try:
        extensions.load(asked.imports)
        print(record(asked))
    except (ValueError, OSError, EnvError, CheckpointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def record(asked: argparse.Namespace) -> str:
    """Play and write. Returns what was done. Raises ValueError where that can't be."""
    from agents.contenders import contender
    from agents.experience.demonstrations import recorded
    from agents.experience.logged import write
    from experiment.seeding import Seeds
    from sparring.meeting import stage

    if asked.episodes < 1 or asked.max_episode_steps < 1:
        raise ValueError(
            f"--episodes is {asked.episodes}, --max-episode-steps {asked.max_episode_steps}: expected >= 1"
        )
    if asked.out.exists():
        raise ValueError(f"--out: {asked.out} exists already, and a log is written once: choose another name")
    (name,), seeds = asked.agents, Seeds(asked.seed)
    with closing(stage(name, asked.env, asked.env_options, 1, asked.max_episode_steps)) as env:
        policy = contender(name, env.spec, asked.trust)
        unrolls = recorded(policy, env, asked.episodes, asked.seed, seeds.generator("act", name), asked.explore)
        about = {"env": env.spec.name, "policy": name, "episodes": asked.episodes, "seed": asked.seed}
    steps, paid = sum(len(unroll.reward) for unroll in unrolls), sum(float(unroll.reward.sum()) for unroll in unrolls)
    told = f"{asked.episodes} episodes of {env.spec.name} by {name}, {steps} steps"
    if env.spec.seats == 1:  # with two, each step is paid to who moved
        about["mean_return"] = paid / asked.episodes
        told += f", mean return {about['mean_return']:.2f}"
    return f"{told}: {write(asked.out, unrolls, about)}"


if __name__ == "__main__":
    command(main)
