"""Measure the learning claims: train with several seeds, and play each final policy without exploration.

    python scripts/claims.py                                # all claims, seeds 0 to 4
    python scripts/claims.py ppo-cartpole --seeds 1 --json claims.json

A claim holds when the median of its seeds' mean returns reaches the threshold, and at most one seed in five stays below
it. Every seed is reported. Exit code 0 if all claims that were measured hold, 1 if one doesn't.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
EPISODES = 100


class Claim(NamedTuple):
    config: str  # in configs/
    steps: int  # to learn in: of the environment, or updates where nobody acts
    threshold: float  # mean return over EPISODES episodes


CLAIMS = {
    "ppo-cartpole": Claim("ppo/cartpole.yaml", 100_000, 475.0),
    "ppo-cartpole-gru": Claim("ppo/cartpole_gru.yaml", 100_000, 475.0),
    "ppo-acrobot": Claim("ppo/acrobot.yaml", 500_000, -90.0),
    "a2c-cartpole": Claim("a2c/cartpole.yaml", 500_000, 475.0),
    "reinforce-cartpole": Claim("reinforce/cartpole.yaml", 300_000, 475.0),
    "npg-cartpole": Claim("npg/cartpole.yaml", 100_000, 475.0),
    "trpo-cartpole": Claim("trpo/cartpole.yaml", 100_000, 475.0),
    "trpo-acrobot": Claim("trpo/acrobot.yaml", 100_000, -90.0),
    "dqn-cartpole": Claim("dqn/cartpole.yaml", 50_000, 475.0),
    "nfq-cartpole": Claim("nfq/cartpole.yaml", 10_000, 475.0),
    "ddpg-pendulum": Claim("ddpg/pendulum.yaml", 20_000, -200.0),
    "td3-pendulum": Claim("ddpg/pendulum_td3.yaml", 20_000, -200.0),
    "sac-pendulum": Claim("sac/pendulum.yaml", 10_000, -160.0),
    # of the way from random play (-1232) to the scripted expert (-157) 0.85
    "behaviour-cloning-cartpole": Claim("imitation/cartpole_behaviour_cloning.yaml", 2_000, 475.0),
    "behaviour-cloning-pendulum": Claim("imitation/pendulum_behaviour_cloning.yaml", 4_000, -318.0),
    "dagger-cartpole": Claim("imitation/cartpole_dagger.yaml", 2_500, 475.0),
    "dagger-pendulum": Claim("imitation/pendulum_dagger.yaml", 2_000, -318.0),
    "smile-cartpole": Claim("imitation/cartpole_smile.yaml", 2_500, 475.0),
    "smile-pendulum": Claim("imitation/pendulum_smile.yaml", 4_000, -318.0),
}


class Outcome(NamedTuple):
    seed: int
    mean: float  # of the episodes' returns
    std: float
    steps: int  # made: whole collections, so there may be a few more than the claim's
    seconds: float  # of the whole process: start, training, evaluation


def measure(claim: Claim, seed: int, overrides: list[str]) -> Outcome:
    """Train in a process of its own. Raises CalledProcessError, after its output, where that fails."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary) / "run"
        command = [sys.executable, str(ROOT / "scripts/train.py"), str(ROOT / "configs" / claim.config)]
        command += [f"seed={seed}", f"steps={claim.steps}", "evaluation.every=0", f"evaluation.episodes={EPISODES}"]
        command += ["checkpoint.every=0", *overrides, "--quiet", "--run-dir", str(directory)]
        begin = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        seconds = time.perf_counter() - begin
        if done.returncode:
            print(done.stdout + done.stderr, file=sys.stderr)
            done.check_returncode()
        lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    final = next(line for line in reversed(lines) if "eval/mean_reward" in line)
    return Outcome(seed, final["eval/mean_reward"], final["eval/std_reward"], final["step"], seconds)


def holds(claim: Claim, outcomes: list[Outcome]) -> bool:
    """Median at or above the threshold, and at least 4 in 5 seeds."""
    means = [outcome.mean for outcome in outcomes]
    reached = sum(mean >= claim.threshold for mean in means)
    return statistics.median(means) >= claim.threshold and 5 * reached >= 4 * len(means)


def measured(name: str, seeds: range, jobs: int, overrides: list[str]) -> dict[str, Any]:
    """Measure a claim, print a row for each seed, and return all of it as JSON values."""
    claim, outcomes = CLAIMS[name], []
    print(f"{name}: {claim.steps} steps, threshold {claim.threshold:g}", flush=True)
    with ThreadPoolExecutor(jobs) as pool:
        for outcome in pool.map(lambda seed: measure(claim, seed, overrides), seeds):
            outcomes.append(outcome)
            seed, mean, std, _, seconds = outcome
            print(f"  seed {seed}: {mean:8.2f} +- {std:.2f}, {seconds:.0f} s", flush=True)
    median, held = statistics.median(outcome.mean for outcome in outcomes), holds(claim, outcomes)
    print(f"  median {median:.2f}: {'holds' if held else 'DOES NOT HOLD'}", flush=True)
    return {
        "claim": name,
        **claim._asdict(),
        "overrides": overrides,
        "episodes": EPISODES,
        "median": median,
        "holds": held,
        "outcomes": [outcome._asdict() for outcome in outcomes],
    }


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(CLAIMS)} (default: all)")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="how many (5)")
    parser.add_argument("--first", type=int, default=0, metavar="S", help="the first seed (0)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="trainings at a time, one process each (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file too")
    parser.add_argument(
        "--set", action="append", default=[], metavar="key=value", help="change the configs, to try things"
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    asked = arguments(argv)
    unknown = [name for name in asked.names if name not in CLAIMS]
    if unknown or min(asked.seeds, asked.jobs) < 1 or asked.first < 0:
        print(
            f"error: expected claims of {', '.join(CLAIMS)}, and at least 1 seed and 1 job; found {unknown}",
            file=sys.stderr,
        )
        return 2
    reports = []
    for name in asked.names or CLAIMS:
        reports.append(measured(name, range(asked.first, asked.first + asked.seeds), asked.jobs, asked.set))
        if asked.json:
            asked.json.write_text(json.dumps(reports, indent=2, allow_nan=False) + "\n")
    return 0 if all(report["holds"] for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
