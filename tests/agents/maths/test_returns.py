"""Every recursion against its definition, summed the slow way; golden vectors; and what must not leak."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.maths import returns
from envs.api import Array
from tests.agents import two_state

T, B, GAMMA = 23, 4, 0.93


@pytest.fixture(params=range(3))
def world(request: pytest.FixtureRequest) -> dict[str, Array]:
    """Random steps in which episodes terminate and are truncated. value_next is not value[t + 1] where they end."""
    rng = np.random.default_rng(request.param)
    terminated = rng.random((T, B)) < 0.12
    truncated = ~terminated & (rng.random((T, B)) < 0.12)
    value = rng.normal(size=(T, B))
    value_next = np.concatenate([value[1:], rng.normal(size=(1, B))])
    ended = terminated | truncated
    value_next[ended] = rng.normal(size=int(ended.sum()))
    return {
        "reward": rng.normal(size=(T, B)),
        "value": value,
        "value_next": value_next,
        "discount": np.where(terminated, 0.0, GAMMA),
        "ended": ended,
        "terminated": terminated,
        "truncated": truncated,
        "log_rho": rng.normal(size=(T, B)) * 0.7,
    }


def window(ended: Array, t: int, b: int, n: int = T) -> list[int]:
    """The steps from t on that belong together: at most n, up to the end of the episode or of the arrays."""
    steps = []
    for i in range(t, min(t + n, len(ended))):
        steps.append(i)
        if ended[i, b]:
            break
    return steps


def product(values: Array, steps: list[int], b: int) -> float:
    return float(np.prod([values[i, b] for i in steps]))


def slow_n_step(w: dict[str, Array], n: int) -> Array:
    out = np.empty((T, B))
    for t in range(T):
        for b in range(B):
            steps = window(w["ended"], t, b, n)
            total = sum(product(w["discount"], steps[:i], b) * w["reward"][s, b] for i, s in enumerate(steps))
            out[t, b] = total + product(w["discount"], steps, b) * w["value_next"][steps[-1], b]
    return out


def slow_traces(delta: Array, discount: Array, ended: Array, trace: Array, shift: int) -> Array:
    """sum_i prod_{j<i} discount[t+j] * trace[t+j+shift] * delta[t+i]: GAE, V-trace (0) and Retrace (1)."""
    out = np.empty((T, B))
    for t in range(T):
        for b in range(B):
            steps = window(ended, t, b)
            out[t, b] = sum(
                product(discount, steps[:i], b) * product(trace, [j + shift for j in steps[:i]], b) * delta[s, b]
                for i, s in enumerate(steps)
            )
    return out


def delta(w: dict[str, Array]) -> Array:
    return w["reward"] + w["discount"] * w["value_next"] - w["value"]


@pytest.mark.parametrize("n", [1, 2, 3, 7, 100])
def test_n_step_is_its_definition(world: dict[str, Array], n: int) -> None:
    found = returns.n_step(world["reward"], world["discount"], world["ended"], world["value_next"], n)
    np.testing.assert_allclose(found, slow_n_step(world, n), rtol=0, atol=1e-10)


@pytest.mark.parametrize("lambda_", [0.0, 0.6, 1.0])
def test_lambda_returns_are_the_mixture_of_n_step_returns(world: dict[str, Array], lambda_: float) -> None:
    w = world
    found = returns.lambda_returns(w["reward"], w["discount"], w["value_next"], w["ended"], lambda_)
    by_n = [slow_n_step(w, n) for n in range(1, T + 1)]
    for t in range(T):
        for b in range(B):
            longest = len(window(w["ended"], t, b))
            mixed = sum((1 - lambda_) * lambda_ ** (n - 1) * by_n[n - 1][t, b] for n in range(1, longest))
            assert found[t, b] == pytest.approx(mixed + lambda_ ** (longest - 1) * by_n[longest - 1][t, b], abs=1e-10)


@pytest.mark.parametrize("lambda_", [0.0, 0.6, 1.0])
def test_gae_is_its_definition(world: dict[str, Array], lambda_: float) -> None:
    w = world
    found = returns.gae(w["reward"], w["value"], w["value_next"], w["discount"], w["ended"], lambda_)
    expected = slow_traces(delta(w), w["discount"], w["ended"], np.full((T, B), lambda_), 0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
    target = returns.lambda_returns(w["reward"], w["discount"], w["value_next"], w["ended"], lambda_)
    np.testing.assert_allclose(found + w["value"], target, rtol=0, atol=1e-10)


def test_gae_between_td_error_and_monte_carlo(world: dict[str, Array]) -> None:
    w = world
    at = lambda x: returns.gae(w["reward"], w["value"], w["value_next"], w["discount"], w["ended"], x)  # noqa: E731
    np.testing.assert_allclose(at(0.0), delta(w), rtol=0, atol=1e-10)
    np.testing.assert_allclose(at(1.0), slow_n_step(w, T) - w["value"], rtol=0, atol=1e-10)


@pytest.mark.parametrize(("clip_rho", "clip_c", "lambda_"), [(1.0, 1.0, 1.0), (2.0, 0.8, 0.9), (np.inf, np.inf, 0.5)])
def test_vtrace_is_its_definition(world: dict[str, Array], clip_rho: float, clip_c: float, lambda_: float) -> None:
    w = world
    rho, c = (np.minimum(np.exp(w["log_rho"]), clip) for clip in (clip_rho, clip_c))
    vs, advantage = returns.vtrace(
        w["log_rho"], w["reward"], w["value"], w["value_next"], w["discount"], w["ended"], clip_rho, clip_c, lambda_
    )
    expected = w["value"] + slow_traces(rho * delta(w), w["discount"], w["ended"], lambda_ * c, 0)
    np.testing.assert_allclose(vs, expected, rtol=0, atol=1e-10)
    vs_next = w["value_next"].copy()  # v of the next observation, improved where the window knows more
    vs_next[:-1] += np.where(w["ended"][:-1], 0.0, lambda_ * (expected - w["value"])[1:])
    better = rho * (w["reward"] + w["discount"] * vs_next - w["value"])
    np.testing.assert_allclose(advantage, better, rtol=0, atol=1e-10)


def test_vtrace_on_policy_is_the_lambda_return(world: dict[str, Array]) -> None:
    w, inf = world, np.inf
    same = np.zeros((T, B))
    for lambda_ in (0.7, 1.0):
        vs, advantage = returns.vtrace(
            same, w["reward"], w["value"], w["value_next"], w["discount"], w["ended"], inf, inf, lambda_
        )
        target = returns.lambda_returns(w["reward"], w["discount"], w["value_next"], w["ended"], lambda_)
        np.testing.assert_allclose(vs, target, rtol=0, atol=1e-10)
        np.testing.assert_allclose(advantage, target - w["value"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(vs, slow_n_step(w, T), rtol=0, atol=1e-10)


def test_vtrace_golden_vectors() -> None:
    r, v, rho = column(1, 0, -1, 2), column(0.5, 0.25, -0.5, 1), np.log(column(2, 0.5, 1.5, 0.8))
    after, discount = column(0.25, -0.5, 1, 2), column(0.9, 0.9, 0, 0.9)
    ended = discount == 0
    vs, advantage = returns.vtrace(rho, r, v, after, discount, ended)
    np.testing.assert_allclose(vs, column(0.7075, -0.325, -1, 3.24), atol=1e-12)
    np.testing.assert_allclose(advantage, column(0.2075, -0.575, -0.5, 2.24), atol=1e-12)
    vs, advantage = returns.vtrace(rho, r, v, after, discount, ended, 1.5, 1.0, 0.9)
    np.testing.assert_allclose(vs, column(1.0579625, -0.40375, -1.25, 3.24), atol=1e-12)
    # Two advantages go with these targets. The paper's: r + discount * vs_next - v, with a bar of its own, here 1.
    following = np.concatenate([vs[1:], after[-1:]])
    theirs = np.minimum(np.exp(rho), 1.0) * (r + discount * following - v)
    np.testing.assert_allclose(theirs, column(0.136625, -0.6875, -0.5, 2.24), atol=1e-12)
    # rlax's and ours: what follows is mixed with v_next by lambda, so that it is on policy the lambda return less v.
    mixed = np.concatenate([0.9 * vs[1:] + 0.1 * after[:-1], after[-1:]])
    ours = np.minimum(np.exp(rho), 1.5) * (r + discount * mixed - v)
    np.testing.assert_allclose(advantage, ours, atol=1e-12)
    assert np.abs(advantage - theirs).max() > 0.1


@pytest.mark.parametrize("clip_rho", [0.7, 1.0, np.inf])
def test_vtrace_learns_the_values_of_the_policy_between(clip_rho: float) -> None:
    """On two states: its fixed point is the value of pi_rho, which is proportional to min(clip_rho mu, pi)."""
    pi, mu = torch.softmax(two_state.LOGITS, -1), torch.tensor([[0.3, 0.7], [0.9, 0.1]], dtype=torch.float64)
    rho = two_state.of_every_action((pi / mu).log())[None].numpy()
    reward, into = (
        two_state.of_every_action(two_state.REWARD)[None].numpy(),
        two_state.of_every_action(two_state.NEXT).numpy(),
    )
    v = np.zeros(2)
    for _ in range(800):
        now, after, discount = v.repeat(2)[None], v[into][None], np.full((1, 4), two_state.GAMMA)
        vs, _ = returns.vtrace(rho, reward, now, after, discount, np.zeros((1, 4), bool), clip_rho)
        v = (mu.numpy() * vs.reshape(2, 2)).sum(-1)
    between = torch.minimum(clip_rho * mu, pi) if np.isfinite(clip_rho) else pi
    expected = two_state.values((between / between.sum(-1, keepdim=True)).log())
    np.testing.assert_allclose(v, expected, rtol=1e-9)


def test_vtrace_survives_a_huge_ratio() -> None:
    one = np.ones((2, 1))
    vs, advantage = returns.vtrace(1e4 * one, one, one, one, 0.9 * one, one > 2)
    assert np.isfinite(vs).all() and np.isfinite(advantage).all()


@pytest.mark.parametrize("lambda_", [0.0, 0.8, 1.0])
def test_retrace_is_its_definition(world: dict[str, Array], lambda_: float) -> None:
    w = world
    found = returns.retrace(w["log_rho"], w["reward"], w["value"], w["value_next"], w["discount"], w["ended"], lambda_)
    c = lambda_ * np.minimum(np.exp(w["log_rho"]), 1.0)
    expected = w["value"] + slow_traces(delta(w), w["discount"], w["ended"], c, 1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


def test_discounted_is_its_definition(world: dict[str, Array]) -> None:
    w = world
    bootstrap = w["value_next"][-1]
    found = returns.discounted(w["reward"], w["discount"], bootstrap)
    for t in range(T):
        for b in range(B):
            steps = list(range(t, T))  # discount 0 at a termination is what stops the sum
            total = sum(product(w["discount"], steps[:i], b) * w["reward"][s, b] for i, s in enumerate(steps))
            assert found[t, b] == pytest.approx(total + product(w["discount"], steps, b) * bootstrap[b], abs=1e-10)


def column(*values: float) -> Array:
    return np.array(values, np.float64)[:, None]


def test_gae_golden_vector() -> None:
    ended = column(0, 0, 1, 0, 0) > 0
    reward, value = column(1, 0, -1, 2, 0.5), column(0.5, 0.25, -0.5, 1, 0)
    value_next = np.concatenate([value[1:], [[2.0]]])
    found = returns.gae(reward, value, value_next, np.where(ended, 0.0, 0.9), ended, 0.8)
    np.testing.assert_allclose(found[:, 0], [-0.0382, -1.06, -0.5, 2.656, 2.3], atol=1e-12)
    blind = returns.gae(reward, value, value_next, np.full((5, 1), 0.9), ended & False, 0.8)
    assert abs(blind - found)[:3].min() > 0.1  # ignoring the end is another answer


def test_lambda_returns_golden_vector_of_rlax() -> None:
    found = returns.lambda_returns(
        column(1, 0, -1, 0, 1), column(0.5, 0.9, 1, 0.5, 0.8), column(3, 1, 5, -5, 3), np.zeros((5, 1), bool), 0.75
    )
    np.testing.assert_allclose(found[:, 0], [1.6460547, 0.72281253, 0.7375001, 0.6500001, 3.4], atol=1e-6)


def test_truncation_is_not_death() -> None:
    """Constant reward 1, gamma .9, cut at 5 steps: worth 10. Learned as death it would be worth 4.0951."""
    one, cut = np.ones((5, 1)), column(0, 0, 0, 0, 1) > 0
    value = np.zeros((5, 1))
    dead = np.where(cut, 0.0, 0.9)
    for _ in range(100):  # sweeps of V(x) <- first of the episode; one state, so each episode begins where it began
        value[:] = returns.lambda_returns(one, 0.9 * one, value, cut, 0.95)[0]
    assert value[0, 0] == pytest.approx(10.0, abs=1e-9)
    assert returns.lambda_returns(one, dead, value, cut, 1.0)[0, 0] == pytest.approx(4.0951)
    full = returns.gae(one, value, value, 0.9 * one, cut, 1.0)
    np.testing.assert_allclose(full, 0.0, atol=1e-9)


def test_concatenated_episodes_are_separate_ones(world: dict[str, Array]) -> None:
    """Each function, on the whole window and on each episode of it alone."""

    def all_of(w: dict[str, Array]) -> Array:
        r, v, after, d, e, rho = (w[k] for k in ("reward", "value", "value_next", "discount", "ended", "log_rho"))
        return np.stack(
            [
                returns.gae(r, v, after, d, e, 0.9),
                returns.lambda_returns(r, d, after, e, 0.9),
                returns.n_step(r, d, e, after, 3),
                *returns.vtrace(rho, r, v, after, d, e),
                returns.retrace(rho, r, v, after, d, e),
            ]
        )

    together = all_of(world)
    for b in range(B):
        start = 0
        for t in range(T):
            if world["ended"][t, b] or t == T - 1:
                alone = all_of({k: x[start : t + 1, b : b + 1] for k, x in world.items()})
                np.testing.assert_allclose(together[:, start : t + 1, b : b + 1], alone, rtol=0, atol=1e-10)
                start = t + 1


def test_a_broken_episode_does_not_spoil_its_neighbour() -> None:
    reward = column(1, 2, np.nan, 1)
    ended = column(0, 1, 0, 0) > 0
    found = returns.gae(reward, column(0, 0, 0, 0), column(0, 0, 0, 0), np.full((4, 1), 0.9), ended, 0.9)
    assert np.isfinite(found[:2]).all() and np.isnan(found[2])


def test_dtype_of_the_reward_and_sums_in_float64() -> None:
    reward = np.full((4000, 1), 0.1, np.float32)
    one, never = np.ones_like(reward), np.zeros(reward.shape, bool)
    found = returns.gae(reward, 0 * one, 0 * one, one, never, 1.0)
    assert found.dtype == np.float32
    assert found[0, 0] == np.float32(4000 * np.float64(np.float32(0.1)))
    assert abs(np.cumsum(reward[::-1], axis=0, dtype=np.float32)[-1, 0] - found[0, 0]) > 1e-4  # float32 sums drift


def test_shapes_are_checked() -> None:
    one = np.ones((3, 2))
    with pytest.raises(ValueError, match=r"\[T, B\], time first, but found .*\(3, 2\), \(2, 3\)"):
        returns.gae(one, one.T, one, one, one > 0, 0.9)
    with pytest.raises(ValueError, match="n must be at least 1"):
        returns.n_step(one, one, one > 0, one, 0)


@pytest.mark.parametrize("n", [1, 3, 5])
@pytest.mark.parametrize("starts", [T, T - 4, 1, 0])
def test_transitions_are_their_definition(world: dict[str, Array], n: int, starts: int) -> None:
    w = world
    reward = w["reward"].astype(np.float32)
    found = returns.transitions(reward, w["terminated"], w["truncated"], GAMMA, n, starts)
    assert found.reward.shape == found.discount.shape == found.last.shape == (starts, B)
    assert found.reward.dtype == found.discount.dtype == np.float32 and found.last.dtype == np.int64
    for t in range(starts):
        for b in range(B):
            steps = window(w["ended"], t, b, n)
            k, last = len(steps), steps[-1]
            assert found.last[t, b] == last
            assert found.discount[t, b] == np.float32(0.0 if w["terminated"][last, b] else GAMMA**k)
            summed = sum(GAMMA**i * float(reward[s, b]) for i, s in enumerate(steps))
            assert found.reward[t, b] == pytest.approx(summed, abs=1e-6)


def test_transitions_refuse_more_starts_than_steps() -> None:
    one = np.ones((3, 1))
    with pytest.raises(ValueError, match="3 steps can't give 4 starts"):
        returns.transitions(one, one > 2, one > 2, 0.9, 1, 4)
