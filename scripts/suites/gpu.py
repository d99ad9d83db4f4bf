"""PPO's update on a GPU, minibatch updates per second: ours against the update as CleanRL writes it.

One `update` of ours takes what 8 environments brought home in 2048 steps (Stable-Baselines3's defaults: batches of 64,
10 epochs, 64x64 networks) and makes 2560 minibatch updates of it; values, advantages and the copy to the device are
included. The peer gets its rows ready on the device, so its part is the minibatches alone: a module, its loss,
`backward`, `clip_grad_norm_` and fused Adam. Each level of acceleration meets the peer's nearest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.actor_critic.configs.ppo import PPO
from agents.actor_critic.ppo import make
from agents.records import Sample, Unroll
from agents.registry import parse
from envs.api import Discrete, Spec
from experiment.seeding import Seeds
from scripts.suites.learners import QUIET, WORKS
from scripts.suites.pairs import Absent, Row, Side, Trial, compare, rate
from supervised.accelerate import CudaGraph

STEPS, COUNT, BATCH, EPOCHS = 2048, 8, 64, 10
UPDATES = STEPS * COUNT // BATCH * EPOCHS
SPEC = Spec("CartPole-v1", (4,), "float32", Discrete(2))


def unroll(rng: np.random.Generator) -> Unroll:
    """Made up, of CartPole's shapes: what an update costs doesn't depend on the numbers."""
    shape = (STEPS, COUNT)
    return Unroll(
        obs=rng.standard_normal((STEPS + 1, COUNT, 4), np.float32),
        mask=None,
        first=np.zeros((STEPS + 1, COUNT), bool),
        action=rng.integers(0, 2, shape),
        extras={"log_prob": np.full(shape, np.log(0.5), np.float32)},
        reward=np.ones(shape, np.float32),
        terminated=rng.random(shape) < 0.05,
        truncated=np.zeros(shape, bool),
        final_obs=np.empty((0, 4), np.float32),
        final_at=np.empty(0, np.int64),
    )


@contextmanager
def ours(level: str, device: str) -> Iterator[Trial]:
    """level: eager, compiled, or graph (compiled and captured)."""
    config = parse(QUIET | WORKS["ppo"].config | {"device": device, "compile": "off" if level == "eager" else "on"})
    assert isinstance(config, PPO)
    learner: Any = make(config, SPEC, Seeds(0), torch.device(device)).learner
    if level == "compiled" and isinstance(learner.step, CudaGraph):
        learner.step = learner.step.step
    sample = Sample(unroll(np.random.default_rng(0)))

    def update() -> None:
        learner.update(sample)
        synchronize(device)

    update()
    yield lambda: rate(UPDATES, update)


class Agent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.policy, self.value = (
            nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, width))
            for width in (2, 1)
        )

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        return self.policy(obs), self.value(obs).squeeze(-1)


def loss_of(agent: Agent, obs: Tensor, action: Tensor, log_prob: Tensor, advantage: Tensor, target: Tensor) -> Tensor:
    logits, value = agent(obs)
    chosen = logits.log_softmax(-1).gather(-1, action.unsqueeze(-1)).squeeze(-1)
    ratio = (chosen - log_prob).exp()
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    policy_loss = -torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()
    return policy_loss + 0.5 * (target - value).square().mean()


@contextmanager
def cleanrl(compiled: bool, device: str) -> Iterator[Trial]:
    agent = Agent().to(device)
    adam = torch.optim.Adam(agent.parameters(), lr=3e-4, eps=1e-5, fused=True)
    collected = unroll(np.random.default_rng(0))
    obs = torch.from_numpy(collected.obs[:-1]).flatten(0, 1).to(device)
    action, log_prob = (
        torch.from_numpy(x).flatten().to(device) for x in (collected.action, collected.extras["log_prob"])
    )
    advantage, target = torch.randn(2, len(obs), device=device)
    loss = torch.compile(loss_of, fullgraph=True, dynamic=False) if compiled else loss_of

    def update() -> None:
        for _ in range(EPOCHS):
            for index in torch.randperm(len(obs), device=device).view(-1, BATCH):
                value = loss(agent, obs[index], action[index], log_prob[index], advantage[index], target[index])
                adam.zero_grad()
                value.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
                adam.step()
        synchronize(device)

    update()
    yield lambda: rate(UPDATES, update)


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def row(level: str) -> Callable[[int, int], Row]:
    """ours at this level against the peer, compiled unless ours is eager."""

    def measure(pairs: int, threads: int, device: str = "cuda") -> Row:
        if device == "cuda" and not torch.cuda.is_available():
            raise Absent("torch finds no CUDA GPU here")
        compiled = level != "eager"
        return compare(
            f"ppo-{level}",
            "updates/s",
            Side(f"ours, {level}", lambda: ours(level, device)),
            Side(f"as CleanRL writes it, {'compiled' if compiled else 'eager'}", lambda: cleanrl(compiled, device)),
            pairs,
        )

    return measure


ROWS: dict[str, Callable[[int, int], Row]] = {f"ppo-{level}": row(level) for level in ("eager", "compiled", "graph")}
