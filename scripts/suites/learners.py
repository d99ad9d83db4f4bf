"""Training, environment steps per second: ours against Stable-Baselines3 and RLlib, with their default settings.

Both sides run their whole loop (acting, environment, storage, learning) with the same networks, batches and numbers of
updates. Ours goes through `Training.iterate`; logging, evaluation and checkpoints are off, as is the peer's logging.
Rates are of the steady state: burn-in and compiling come before, and are the start-up cost. Each algorithm has
a row with the compiled update and one without (`-eager`).

The floor of a row is the environment alone, plus the matrix products of the updates alone, each called one by one: a
loop that spends nothing else would run at that rate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch

from agents.config import Control, Environment
from agents.experience.rollout import make_env
from agents.registry import parse
from agents.wiring import build
from envs.api import Array, Continuous
from scripts.suites.pairs import Absent, Floor, Row, Side, Trial, compare, rate

NEVER = 10**9  # environment steps: longer than any benchmark, so that our schedules stand still and nothing is due
QUIET = {"steps": NEVER, "device": "cpu", "checkpoint": {"every": 0}, "logging": {"every": NEVER}}
Shape = tuple[int, int, int]  # of a matrix product [m, k] x [k, n]


class Work(NamedTuple):
    config: dict[str, Any]  # ours, of one algorithm
    peer: str  # the algorithm's name at Stable-Baselines3
    settings: dict[str, Any]  # the peer's, where they aren't its defaults
    burn_in: int  # environment steps before the first trial
    steps: int  # environment steps of a trial
    products: list[Shape]  # the matrix products of one update
    updates: float  # per environment step
    package: str = "stable_baselines3"  # where the peer is: this, or sb3_contrib


def products(batch: int, widths: list[int], forward: int = 0, weights: int = 0, inputs: int = 0) -> list[Shape]:
    """Products in so many forward passes and gradients by weights and by inputs; the first layer's inputs need none."""
    layers = list(pairwise(widths))
    return (
        [(batch, fan_in, fan_out) for fan_in, fan_out in layers] * forward
        + [(fan_in, batch, fan_out) for fan_in, fan_out in layers] * weights
        + [(batch, fan_out, fan_in) for fan_in, fan_out in layers[1:]] * inputs
    )


WORKS = {
    "ppo": Work(
        config={
            "algorithm": "ppo",
            "env": {"id": "CartPole-v1", "count": 8},
            "rollout": {"steps": 2048},
            "network": {"hidden": [64, 64], "activation": "tanh"},
            "learner": {"batch_size": 64, "epochs": 10, "learning_rate": 3e-4, "value_coefficient": 1.0, "clip": 0.2},
        },
        peer="PPO",
        settings={},
        burn_in=16_384,
        steps=16_384,
        products=products(64, [4, 64, 64, 2], 1, 1, 1) + products(64, [4, 64, 64, 1], 1, 1, 1),
        updates=10 / 64,
    ),
    "a2c": Work(
        config={
            "algorithm": "a2c",
            "env": {"id": "CartPole-v1", "count": 8},
            "rollout": {"steps": 5},
            "network": {"hidden": [64, 64], "activation": "tanh"},
            "learner": {"learning_rate": 7e-4, "value_coefficient": 1.0, "gae_lambda": 1.0, "max_gradient_norm": 0.5},
        },
        peer="A2C",
        settings={"use_rms_prop": False},  # Adam with epsilon 1e-5, as ours
        burn_in=4_000,
        steps=12_000,
        # The values of six observations for each row, then one gradient.
        products=products(48, [4, 64, 64, 1], 1)
        + products(40, [4, 64, 64, 2], 1, 1, 1)
        + products(40, [4, 64, 64, 1], 1, 1, 1),
        updates=1 / 40,
    ),
    "trpo": Work(
        config={
            "algorithm": "trpo",
            "env": {"id": "CartPole-v1", "count": 8},
            "rollout": {"steps": 256},
            "network": {"hidden": [64, 64], "activation": "tanh"},
            "learner": {"radius": 0.01, "iterations": 15, "damping": 0.1, "shrink": 0.8, "attempts": 10},
            "baseline": {"learning_rate": 1e-3, "batch_size": 128, "epochs": 10},
        },
        peer="TRPO",
        settings={"n_steps": 256},
        burn_in=4_096,
        steps=8_192,
        # Policy: a gradient, and a pass forward and back for each of 16 products with the Fisher matrix. Values: fits.
        products=products(2048, [4, 64, 64, 2], 17, 17, 17) + products(128, [4, 64, 64, 1], 160, 160, 160),
        updates=1 / 2048,
        package="sb3_contrib",
    ),
    "dqn": Work(
        config={
            "algorithm": "dqn",
            "env": {"id": "CartPole-v1", "count": 1},
            "rollout": {"steps": 4},
            "network": {"hidden": [64, 64], "activation": "relu"},
            # As the peer's first `learn` leaves it: 0.05 from a tenth of the burn-in on.
            "epsilon": {"kind": "linear", "start": 1.0, "end": 0.05, "until": 200 / NEVER},
            "learner": {"batch_size": 32, "learning_rate": 1e-4, "updates_per_step": 0.25, "target_interval": 10_000},
            "memory": {"capacity": 100_000, "start": 100},
        },
        peer="DQN",
        settings={"buffer_size": 100_000},
        burn_in=2_000,
        steps=4_000,
        products=products(32, [4, 64, 64, 2], 2, 1, 1),
        updates=1 / 4,
    ),
    "ddpg": Work(
        config={
            "algorithm": "ddpg",
            "env": {"id": "Pendulum-v1", "count": 1},
            "rollout": {"steps": 1},
            "network": {"hidden": [400, 300], "activation": "relu"},
            "noise": {"sigma": 0.0},  # the peer's default is no noise
            "learner": {"batch_size": 256, "learning_rate": 1e-3, "policy_learning_rate": 1e-3, "tau": 0.005},
            "memory": {"capacity": 100_000, "start": 256},
        },
        peer="DDPG",
        settings={"buffer_size": 100_000, "learning_starts": 256},
        burn_in=300,
        steps=300,
        # Policy and critic: target, then the critic's gradient, then the policy's through the critic.
        products=products(256, [3, 400, 300, 1], 2, 1, 1) + products(256, [4, 400, 300, 1], 3, 1, 2),
        updates=1.0,
    ),
}


@contextmanager
def trained(raw: dict[str, Any], burn_in: int, steps: int) -> Iterator[Trial]:
    """Our loop: each trial makes `steps` environment steps."""

    def advance(steps: int) -> None:
        until = course.steps + steps
        while course.steps < until:
            course.advance(until)

    with closing(build(parse(QUIET | raw))) as course:
        course.begin()
        advance(burn_in)
        yield lambda: rate(steps, lambda: advance(steps))


@contextmanager
def stable_baselines(
    name: str,
    settings: dict[str, Any],
    env: Environment,
    burn_in: int,
    steps: int,
    package: str = "stable_baselines3",
) -> Iterator[Trial]:
    """The peer's `learn`, carried on from trial to trial."""
    from stable_baselines3.common.env_util import make_vec_env

    algorithm = getattr(import_module(package), name)
    model = algorithm("MlpPolicy", make_vec_env(env.id, env.count, seed=0), seed=0, device="cpu", **settings)
    try:
        model.learn(burn_in, log_interval=None)
        yield lambda: rate(steps, lambda: model.learn(steps, log_interval=None, reset_num_timesteps=False))
    finally:
        model.env.close()


@contextmanager
def rllib(work: Work) -> Iterator[Trial]:
    """RLlib's PPO with two environment runners, in the Ray that our side has started."""
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig

    ours = parse(QUIET | work.config)
    assert isinstance(ours, Control)
    learner: Any = ours.learner  # type: ignore[attr-defined]  # it is PPO's
    rows = work.steps
    config = (
        PPOConfig()
        .environment(ours.env.id)
        .resources(num_cpus_for_main_process=0)
        .env_runners(
            num_env_runners=2,
            num_envs_per_env_runner=ours.env.count // 2,
            num_cpus_per_env_runner=0,  # our actors, idle meanwhile, have reserved the processors
            rollout_fragment_length=ours.rollout.steps,
        )
        .learners(num_learners=0)
        .rl_module(
            model_config=DefaultModelConfig(fcnet_hiddens=[64, 64], fcnet_activation="tanh", vf_share_layers=False)
        )
        .training(
            train_batch_size_per_learner=rows,
            minibatch_size=learner.batch_size,
            num_epochs=learner.epochs,
            lr=learner.learning_rate,
            gamma=learner.discount,
            lambda_=learner.gae_lambda,
            clip_param=learner.clip,
            vf_loss_coeff=learner.value_coefficient / 2,
            vf_clip_param=float("inf"),
            entropy_coeff=learner.entropy_coefficient,
            use_kl_loss=False,
            grad_clip=learner.max_gradient_norm,
            grad_clip_by="global_norm",
        )
        .debugging(seed=0, log_level="ERROR")
    )
    algorithm = config.build_algo()
    try:
        for _ in range(work.burn_in // rows):
            algorithm.train()
        yield lambda: rate(rows, algorithm.train)
    finally:
        algorithm.stop()


def against_stable_baselines(name: str, compiled: bool, pairs: int, threads: int) -> Row:
    work = WORKS[name]
    label = peer(work.package.replace("_", "-"), work.package)
    env = Environment(**work.config["env"])
    raw = work.config | {"compile": "on" if compiled else "off", "runtime": {"threads": threads}}
    row = compare(
        name if compiled else f"{name}-eager",
        "steps/s",
        Side(f"ours, {'compiled' if compiled else 'eager'}", lambda: trained(raw, work.burn_in, work.steps)),
        Side(label, lambda: stable_baselines(work.peer, work.settings, env, work.burn_in, work.steps, work.package)),
        pairs,
    )
    return row._replace(floor=floor(work))


def against_rllib(pairs: int, threads: int) -> Row:
    """Both sides with two remote actors of four environments each; ours is started first, and brings Ray up."""
    label = peer("ray[rllib]", "ray", "tree", "ormsgpack", "pyarrow", "pandas", "lz4", "tensorboardX")
    work = WORKS["ppo"]
    raw = work.config | {"compile": "on", "runtime": {"kind": "ray", "actors": 2, "threads": threads}}
    row = compare(
        "ppo-rllib",
        "steps/s",
        Side("ours, compiled, 2 actors", lambda: trained(raw, work.burn_in, work.steps)),
        Side(f"{label}, 2 env runners", lambda: rllib(work)),
        pairs,
    )
    return row


def peer(distribution: str, *modules: str) -> str:
    """Name and version of a peer. Raises Absent unless it, and what it needs, is installed.

    Nothing is imported: Ray must not be before a fleet is made.
    """
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise Absent(f"{distribution} is not installed (no module {', '.join(missing)}); see requirements-peers.txt")
    return f"{distribution} {version(distribution.partition('[')[0])}"


def floor(work: Work) -> Floor:
    """Steps per second of a loop that only steps the environment and multiplies the matrices of its updates."""
    per_step = 1 / environment_rate(Environment(**work.config["env"])) + work.updates * seconds(work.products)
    return Floor("environment + products", 1 / per_step)


def environment_rate(config: Environment, calls: int = 2_000) -> float:
    """Steps per second of our vector environment under one fixed random sequence of actions."""
    env = make_env(config, config.count)
    rng = np.random.default_rng(0)
    actions = env.spec.actions
    if isinstance(actions, Continuous):
        chosen: Array = rng.uniform(actions.low, actions.high, (calls, env.count, len(actions.low))).astype(np.float32)
    else:
        chosen = rng.integers(0, 2, (calls, env.count))
    env.reset(0)
    begin = time.perf_counter()
    for action in chosen:
        env.step(action)
    elapsed = time.perf_counter() - begin
    env.close()
    return calls * env.count / elapsed


def seconds(shapes: list[Shape], calls: int = 100, repeats: int = 5) -> float:
    """What these products take one after the other, written into place: the best of some repeats for each shape."""
    best: dict[Shape, float] = {}
    for m, k, n in set(shapes):
        a, b, out = torch.randn(m, k), torch.randn(k, n), torch.empty(m, n)

        def multiply(a: torch.Tensor = a, b: torch.Tensor = b, out: torch.Tensor = out) -> None:
            for _ in range(calls):
                torch.mm(a, b, out=out)

        best[m, k, n] = 1 / max(rate(calls, multiply) for _ in range(repeats))
    return sum(best[shape] for shape in shapes)


def row(name: str, compiled: bool) -> Callable[[int, int], Row]:
    return lambda pairs, threads: against_stable_baselines(name, compiled, pairs, threads)


ROWS: dict[str, Callable[[int, int], Row]] = {
    **{name + suffix: row(name, not suffix) for name in WORKS for suffix in ("", "-eager")},
    "ppo-rllib": against_rllib,
}
