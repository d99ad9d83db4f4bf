"""AlphaZero's self-play as it is done in JAX: pgx's rules, mctx's Gumbel search, and our network's sizes and weights.

JAX, mctx and pgx are only imported inside functions, as they may not be installed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from agents.alphazero.policy_value import PolicyValue
from envs.api import Array
from scripts.suites.pairs import Trial, rate

FORMATS = ("float32", "bfloat16")
LAYOUT = ("NHWC", "HWIO", "NHWC")  # the fastest here of those that JAX knows


def jax_of(threads: int) -> Any:
    """JAX with so many threads, if this process has not begun to compute with it before."""
    parallel = "true" if threads > 1 else "false"
    os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={parallel} " + os.environ.get("XLA_FLAGS", "")
    os.environ["NPROC"] = str(threads)  # the size of its pool of threads
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax

    return jax


def weights_of(network: Any, dtype: str) -> dict[str, Any]:
    """The weights of a `PolicyValue` without pooling as JAX wants them: kernels [H, W, in, out], matrices [in, out]."""
    import jax.numpy as jnp

    def convolution(layer: Any) -> tuple[Any, Any]:
        return tuple(jnp.asarray(x, dtype) for x in (layer.weight.detach().permute(2, 3, 1, 0).numpy(), bias(layer)))

    def matrix(layer: Any, planes: int = 1) -> tuple[Any, Any]:
        """`planes`: its input is so many of them, one after another; in JAX channels come last."""
        weight = layer.weight.detach().numpy().T  # [planes x cells, out]
        weight = weight.reshape(planes, -1, weight.shape[1]).swapaxes(0, 1).reshape(weight.shape)
        return jnp.asarray(weight, dtype), jnp.asarray(bias(layer), dtype)

    def bias(layer: Any) -> Array:
        return np.asarray(layer.bias.detach().numpy())

    stem, _, *blocks = network.body
    policy, value = network.policy, network.value
    planes = policy.planes.out_channels
    return {
        "stem": convolution(stem),
        "blocks": [(convolution(block.first), convolution(block.second)) for block in blocks],
        "policy": (convolution(policy.planes), matrix(policy.output, planes)),
        "value": (convolution(value.planes), matrix(value.hidden, planes), matrix(value.output)),
    }


def forward_of(jax: Any, dtype: Any) -> Callable[[Any, Any], tuple[Any, Any]]:
    """`PolicyValue` in JAX: weights and planes [B, H, W, C] -> logits [B, A] and values [B] in float32."""
    jnp, relu = jax.numpy, jax.nn.relu

    def convolve(x: Any, layer: Any) -> Any:
        weight, bias = layer
        return jax.lax.conv_general_dilated(x, weight, (1, 1), "SAME", dimension_numbers=LAYOUT) + bias

    def dense(x: Any, layer: Any) -> Any:
        weight, bias = layer
        return x @ weight + bias

    def forward(weights: Any, obs: Any) -> tuple[Any, Any]:
        x = relu(convolve(obs.astype(dtype), weights["stem"]))
        for first, second in weights["blocks"]:
            x = relu(x + convolve(relu(convolve(x, first)), second))
        planes, output = weights["policy"]
        logits = dense(relu(convolve(x, planes)).reshape(len(x), -1), output)
        planes, hidden, output = weights["value"]
        value = dense(relu(dense(relu(convolve(x, planes)).reshape(len(x), -1), hidden)), output)
        return logits.astype(jnp.float32), jnp.tanh(value[:, 0].astype(jnp.float32))

    return forward


def faster_format(jax: Any, network: PolicyValue, obs: Array) -> str:
    """The number format in which JAX computes the network faster here, for observations [B, C, H, W]."""
    images, rates = jax.numpy.asarray(obs.transpose(0, 2, 3, 1)), {}
    for dtype in FORMATS:
        forward = partial(jax.jit(forward_of(jax, dtype)), weights_of(network, dtype), images)
        jax.block_until_ready(forward())
        rates[dtype] = max(rate(1, partial(compute, jax, forward)) for _ in range(10))
    return max(rates, key=lambda dtype: rates[dtype])


def compute(jax: Any, work: Callable[[], Any]) -> Any:
    return jax.block_until_ready(work())


@contextmanager
def moved(
    jax: Any, name: str, network: PolicyValue, planes: int, dtype: str, games: int, simulations: int, plies: int
) -> Iterator[Trial]:
    """Moves/s of mctx's Gumbel search in so many of pgx's games, `plies` in each at a time, after pgx's example.

    The network is shown `planes` planes, of which pgx fills the first.
    """
    import mctx
    import pgx
    from pgx.experimental import auto_reset

    jnp, env, rows = jax.numpy, pgx.make(name), jax.numpy.arange(games)
    forward, weights = forward_of(jax, dtype), weights_of(network, dtype)

    def evaluate(weights: Any, state: Any) -> tuple[Any, Any]:
        shown = state.observation
        obs = jnp.pad(shown, ((0, 0), (0, 0), (0, 0), (0, planes - shown.shape[3])))
        logits, value = forward(weights, obs)
        return jnp.where(state.legal_action_mask, logits, jnp.finfo(logits.dtype).min), value

    def follow(weights: Any, key: Any, action: Any, state: Any) -> tuple[Any, Any]:
        mover, state = state.current_player, jax.vmap(env.step)(state, action)
        logits, value = evaluate(weights, state)
        return mctx.RecurrentFnOutput(
            reward=state.rewards[rows, mover],
            discount=jnp.where(state.terminated, 0.0, -1.0),
            prior_logits=logits,
            value=jnp.where(state.terminated, 0.0, value),
        ), state

    def move(weights: Any, state: Any, key: Any) -> tuple[Any, Any]:
        searching, resetting = jax.random.split(key)
        logits, value = evaluate(weights, state)
        found = mctx.gumbel_muzero_policy(
            weights,
            searching,
            mctx.RootFnOutput(prior_logits=logits, value=value, embedding=state),
            follow,
            simulations,
            invalid_actions=~state.legal_action_mask,
        )
        step = jax.vmap(auto_reset(env.step, env.init))
        after = step(state, found.action, jax.random.split(resetting, games))
        reward = after.rewards[rows, state.current_player]
        return after, (state.observation, found.action_weights, reward, after.terminated)

    @jax.jit
    def moves(weights: Any, state: Any, key: Any) -> tuple[Any, Any]:
        return jax.lax.scan(partial(move, weights), state, jax.random.split(key, plies))

    key, begin = jax.random.split(jax.random.PRNGKey(0))
    state = jax.jit(jax.vmap(env.init))(jax.random.split(begin, games))

    def run() -> None:
        nonlocal key, state
        key, now = jax.random.split(key)
        state, records = moves(weights, state, now)
        jax.tree.map(np.asarray, records)  # what is learned from, on the host
        jax.block_until_ready(state)

    run()
    yield lambda: rate(games * plies, run)
