"""A module that learns, against torch's own gradients and Adam."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from supervised.accelerate import accelerate
from supervised.trained import Found, Trained, TrainState

CPU = torch.device("cpu")
GENERATOR = torch.Generator().manual_seed(0)
X, Y = torch.randn(7, 3, generator=GENERATOR), torch.randn(7, generator=GENERATOR)


def network(seed: int = 0, inputs: int = 3, outputs: int = 1) -> nn.Module:
    layers = nn.Sequential(nn.Linear(inputs, 5), nn.Tanh(), nn.Linear(5, outputs), nn.Flatten(-2))
    generator = torch.Generator().manual_seed(seed)
    for parameter in layers.parameters():
        nn.init.normal_(parameter, generator=generator)
    return layers


def trained(coefficients: dict[str, float] | None = None, module: nn.Module | None = None, **options: Any) -> Trained:
    """Learns y by its square and its absolute error, and measures its predictions."""
    chosen = {"square": 1.0} if coefficients is None else coefficients

    def loss(parameters: Tensor, x: Tensor, y: Tensor, weight: Tensor | None = None) -> Found:
        prediction = found.flat.call(parameters, x)
        error = y - prediction if weight is None else weight * (y - prediction)
        terms = {"square": error.square(), "absolute": error.abs().mean()}
        return {name: terms[name] for name in chosen}, {"prediction": prediction}

    found = Trained(network() if module is None else module, loss, chosen, ["prediction"], **options)
    return found


def flat(module: nn.Module, loss: Tensor) -> Tensor:
    return torch.cat([part.reshape(-1) for part in torch.autograd.grad(loss, list(module.parameters()))])


@pytest.mark.parametrize("compiled", [False, True])
def test_the_gradient_is_that_of_the_weighted_sum(compiled: bool) -> None:
    """Each coefficient's sign and size, and the regularization's."""
    learner = trained({"square": 0.5, "absolute": -2.0}, regularization=0.1, compiled=compiled)
    gradient, found = learner.gradient(learner.state.parameters, X, Y)
    plain = network()
    error = Y - plain(X)
    lengths = sum(parameter.square().sum() for parameter in plain.parameters())
    whole = 0.5 * error.square().mean() - 2 * error.abs().mean() + 0.1 * lengths
    torch.testing.assert_close(gradient, flat(plain, whole))
    torch.testing.assert_close(found["loss"], whole.detach())
    torch.testing.assert_close(found["square"], error.square().mean().detach())
    torch.testing.assert_close(found["prediction"], plain(X).detach())


@pytest.mark.parametrize(
    ("coefficients", "options", "names"),
    [
        ({"square": 1.0}, {}, ["square", "prediction"]),
        ({"square": 1.0}, {"max_gradient_norm": 1.0}, ["square", "prediction", "gradient_norm"]),
        ({"square": 1.0, "absolute": 0.0}, {}, ["loss", "square", "absolute", "prediction"]),
    ],
)
def test_metrics_are_named_by_the_loss(
    coefficients: dict[str, float], options: dict[str, Any], names: list[str]
) -> None:
    learner = trained(coefficients, **options)
    assert learner.drain() == {}
    prediction = network()(X).mean().item()
    learner.update(0.0, X, Y)
    learner.update(0.0, X, Y)
    metrics = learner.drain("train/")
    assert list(metrics) == [f"train/{name}" for name in names]
    assert metrics["train/prediction"] == pytest.approx(prediction, rel=1e-5)
    assert learner.drain() == {}


@pytest.mark.parametrize(
    ("losses", "measures"), [([], ["b"]), (["a", "c"], ["b"]), (["a"], []), (["a"], ["b", "c"]), (["b"], ["a"])]
)
def test_a_term_or_measure_that_nobody_expects_or_finds_is_refused(losses: list[str], measures: list[str]) -> None:
    def loss(parameters: Tensor) -> Found:
        return {name: parameters.sum() for name in losses}, {name: parameters.sum() for name in measures}

    learner = Trained(network(), loss, {"a": 1.0}, ["b"])
    with pytest.raises(AssertionError):
        learner.update(0.1)


def test_updates_are_torchs_adam_with_clipping() -> None:
    learner, plain = trained(max_gradient_norm=0.5, adam_epsilon=1e-5), network()
    adam = torch.optim.Adam(plain.parameters(), lr=0.01, eps=1e-5)
    for _ in range(5):
        learner.update(0.01, X.numpy(), Y.numpy(), None)
        adam.zero_grad()
        (Y - plain(X)).square().mean().backward()
        nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
        adam.step()
    expected = torch.cat([parameter.detach().reshape(-1) for parameter in plain.parameters()])
    torch.testing.assert_close(learner.state.parameters, expected, rtol=1e-4, atol=1e-6)
    assert learner.drain()["gradient_norm"] > 0.5


def test_without_a_limit_nothing_is_clipped() -> None:
    learner = trained()
    gradient, _ = learner.look(learner.state.parameters, 100 * X, 100 * Y)
    torch.testing.assert_close(gradient, learner.gradient(learner.state.parameters, 100 * X, 100 * Y)[0])
    assert gradient.norm() > 100


def test_the_target_moves_when_told_to() -> None:
    learner = trained(target=True)
    before = learner.state.target.clone()
    torch.testing.assert_close(before, learner.state.parameters, rtol=0, atol=0)
    learner.update(0.1, X, Y)
    torch.testing.assert_close(learner.state.target, before, rtol=0, atol=0)
    assert not torch.equal(learner.state.parameters, before)
    learner.state.follow(0.25)
    torch.testing.assert_close(learner.state.target, 0.75 * before + 0.25 * learner.state.parameters)
    learner.state.follow(1.0)
    torch.testing.assert_close(learner.state.target, learner.state.parameters, rtol=0, atol=0)
    assert not len(trained().state.target)


@pytest.mark.parametrize("active", [0.0, 1.0])
def test_what_is_not_active_does_not_move(active: float) -> None:
    learner, other = trained(), trained()
    for each in (learner, other):
        each.update(0.1, X, Y)
    before = [tensor.clone() for tensor in (learner.state.parameters, *learner.state.adam)]
    gradient, _ = learner.look(learner.state.parameters, X, Y)
    learner.move(learner.state, torch.tensor(0.1), gradient, torch.tensor(active))
    other.move(other.state, torch.tensor(0.1), gradient)
    expected = (other.state.parameters, *other.state.adam) if active else before
    for found, wanted in zip((learner.state.parameters, *learner.state.adam), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)


class Pair:
    """A generator of numbers and its discriminator, in one closed step; the generator meets the new discriminator."""

    def __init__(self, compiled: bool) -> None:
        self.judge = Trained(network(1, 1), self.judge_loss, {"real": 1.0, "fake": 1.0}, compiled=compiled)
        self.maker = Trained(network(2, 3), self.maker_loss, {"caught": 1.0}, compiled=compiled)
        self.step = accelerate(self.learn, CPU, compiled)

    def made(self, parameters: Tensor, noise: Tensor) -> Tensor:
        made: Tensor = self.maker.flat.call(parameters, noise).unsqueeze(-1)
        return made

    def judge_loss(self, parameters: Tensor, real: Tensor, fake: Tensor) -> Found:
        call = self.judge.flat.call
        return {"real": -nn.functional.logsigmoid(call(parameters, real)),
                "fake": -nn.functional.logsigmoid(-call(parameters, fake))}, {}  # fmt: skip

    def maker_loss(self, parameters: Tensor, judge: Tensor, noise: Tensor) -> Found:
        return {"caught": -nn.functional.logsigmoid(self.judge.flat.call(judge, self.made(parameters, noise)))}, {}

    def learn(self, state: tuple[TrainState, TrainState], rate: Tensor, real: Tensor, noise: Tensor) -> None:
        judge, maker = state
        self.judge.descend(judge, rate, real, self.made(maker.parameters, noise))
        self.maker.descend(maker, rate, judge.parameters, noise)

    def update(self) -> None:
        self.step((self.judge.state, self.maker.state), torch.tensor(0.01), Y.unsqueeze(-1), X)


def test_two_that_learn_together() -> None:
    pair, judge, maker = Pair(compiled=False), network(1, 1), network(2, 3)
    optimizers = [torch.optim.Adam(module.parameters(), lr=0.01) for module in (judge, maker)]
    for _ in range(3):
        pair.update()
        fake = maker(X).detach().unsqueeze(-1)
        optimizers[0].zero_grad()
        real_loss = -nn.functional.logsigmoid(judge(Y.unsqueeze(-1))).mean()
        (real_loss - nn.functional.logsigmoid(-judge(fake)).mean()).backward()
        optimizers[0].step()
        optimizers[1].zero_grad()
        (-nn.functional.logsigmoid(judge(maker(X).unsqueeze(-1)))).mean().backward()
        optimizers[1].step()
    for found, plain in ((pair.judge, judge), (pair.maker, maker)):
        expected = torch.cat([parameter.detach().reshape(-1) for parameter in plain.parameters()])
        torch.testing.assert_close(found.state.parameters, expected, rtol=1e-4, atol=1e-6)
    assert list(pair.judge.drain()) == ["loss", "real", "fake"] and list(pair.maker.drain()) == ["caught"]


@pytest.mark.slow
def test_compiled_is_plain() -> None:
    pairs, alone = [Pair(compiled) for compiled in (False, True)], [trained(compiled=c) for c in (False, True)]
    for _ in range(5):
        for pair in pairs:
            pair.update()
        for learner in alone:
            learner.update(0.01, X, Y)
    for one, other in ((pairs[0].judge, pairs[1].judge), (pairs[0].maker, pairs[1].maker), alone):
        torch.testing.assert_close(one.state.parameters, other.state.parameters, rtol=0, atol=1e-5)
        assert one.drain() == pytest.approx(other.drain(), rel=1e-4)


@pytest.mark.parametrize("lost", [None, "weights", "target", "adam", "means"])
def test_a_copy_goes_on_alike(lost: str | None) -> None:
    """And not where a part of the state is lost."""
    learner, copy = trained(target=True), trained(target=True)
    for _ in range(3):
        learner.update(0.1, X, Y)
    learner.state.follow(0.5)
    copy.load_state_dict(learner.state_dict() | ({} if lost is None else {lost: copy.state_dict()[lost]}))
    for each in (learner, copy):
        each.update(0.1, X, Y)
    alike = (
        torch.equal(learner.state.parameters, copy.state.parameters)
        and torch.equal(learner.state.target, copy.state.target)
        and learner.drain() == copy.drain()
    )
    assert alike == (lost is None)


def test_a_state_is_a_copy() -> None:
    learner = trained(target=True)
    state = learner.state_dict()
    before = {name: state[name].copy() for name in ("weights", "target")}
    learner.update(0.1, X, Y)
    learner.state.follow(0.5)
    for name, array in before.items():
        np.testing.assert_array_equal(state[name], array)


def test_measuring_tells_what_an_update_would_and_learns_nothing() -> None:
    learner = trained({"square": 0.5, "absolute": 2.0}, max_gradient_norm=1.0)
    before = learner.state_dict()
    measured = learner.measure(X.numpy(), Y.numpy())
    np.testing.assert_array_equal(learner.state_dict()["weights"], before["weights"])
    assert learner.drain() == {}
    learner.update(0.0, X, Y)
    found = learner.drain()
    del found["gradient_norm"]
    assert measured == pytest.approx(found)


@pytest.mark.parametrize("target", [False, True])
def test_a_part_begins_as_another_module_and_nothing_else_changes(target: bool) -> None:
    learner, source = trained(target=target), network(seed=1)
    kept = learner.flat.module.get_parameter("2.weight").clone()
    learner.take_over("0", source.get_submodule("0"))
    vectors = [learner.state.parameters] + [learner.state.target] * target
    for vector in vectors:
        views = learner.flat.views(vector)
        torch.testing.assert_close(views["0.weight"], source.get_parameter("0.weight"), rtol=0, atol=0)
        torch.testing.assert_close(views["0.bias"], source.get_parameter("0.bias"), rtol=0, atol=0)
        torch.testing.assert_close(views["2.weight"], kept, rtol=0, atol=0)
    assert not any(tensor.requires_grad for tensor in vectors)
    own = learner.flat.module.get_parameter("0.weight")
    assert own.data_ptr() == learner.flat.views(learner.state.parameters)["0.weight"].data_ptr(), "still a view"


@pytest.mark.parametrize(
    "source", [nn.Linear(3, 6), nn.Sequential(nn.Linear(3, 5)), nn.Linear(3, 5, bias=False), nn.Tanh()]
)
def test_a_part_that_is_made_otherwise_is_refused(source: nn.Module) -> None:
    learner = trained()
    before = learner.flat.weights()
    with pytest.raises(ValueError, match="0 can't begin as what isn't made like it"):
        learner.take_over("0", source)
    np.testing.assert_array_equal(learner.flat.weights(), before)
