from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from agents.alphazero.alphazero import Learner, turned
from agents.alphazero.policy_value import PolicyValue, Replica
from agents.alphazero.selfplay import SelfPlay, mixed, moves, tempered
from agents.registry import parse
from agents.search.evaluators import NetworkEvaluator, by_seat, from_side
from agents.solvers.backward_induction import solve
from envs.api import GameSpec
from envs.games.make import make_game
from experiment.config import ConfigError
from experiment.seeding import Seeds
from tests.runs import raw

CPU = torch.device("cpu")
THREE = GameSpec("three", 3, 2, (4,), 9, zero_sum=False, chance=False, perfect_information=True, utility=(-2.0, 4.0))
PIG = "pig(players=2,winscore=8,horizon=20)"


def config(**changes: Any) -> Any:
    return parse(raw("alphazero", **changes))


def flat(network: torch.nn.Module) -> Any:
    return torch.cat([p.detach().reshape(-1) for p in network.parameters()]).numpy()


def actor(weights: int = 0, **changes: Any) -> SelfPlay:
    made = SelfPlay(config(**changes), 0, 0)
    generator = torch.Generator().manual_seed(weights)
    made.load(flat(PolicyValue(made.config.network, made.game.spec, generator)), 0)
    return made


def test_values_turn_with_the_seats() -> None:
    returns = np.array([[1.0, -2.0, 4.0]]).repeat(3, 0)
    seat = np.array([0, 1, 2])
    mine = from_side(returns, seat, THREE)
    np.testing.assert_array_equal(mine, [[1, -2, 4], [-2, 4, 1], [4, 1, -2]])  # the mover's first
    np.testing.assert_array_equal(by_seat(mine, seat, THREE), returns)


def test_one_value_is_enough_for_two_who_play_against_each_other() -> None:
    spec = make_game("tic_tac_toe").spec
    seat = np.array([0, 1])
    np.testing.assert_array_equal(from_side(np.array([[1.0, -1.0], [1.0, -1.0]]), seat, spec), [[1.0], [-1.0]])
    np.testing.assert_array_equal(by_seat(np.array([[0.5], [0.5]]), seat, spec), [[0.5, -0.5], [-0.5, 0.5]])


def test_the_network_is_told_who_moves() -> None:
    network = PolicyValue(config().network, make_game("tic_tac_toe").spec, torch.Generator().manual_seed(0))
    logits, values = network(torch.zeros(2, 3, 3, 3), torch.tensor([0, 1]))
    assert logits.shape == (2, 9) and values.shape == (2, 1)
    assert not torch.equal(logits[0], logits[1]) and not torch.equal(values[0], values[1])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_replica_says_what_the_learner_would(dtype: str) -> None:
    options = config(network={"inference_dtype": dtype, "filters": 16}).network
    game = make_game("connect_four")
    network = PolicyValue(options, game.spec, torch.Generator().manual_seed(1))
    replica = Replica(options, game.spec, CPU)
    speaking = NetworkEvaluator(game, replica)
    replica.load(flat(network))
    positions = game.step(game.initial(7), np.arange(7))
    with torch.inference_mode():
        logits, values = network(torch.from_numpy(game.observe(positions)), torch.ones(7, dtype=torch.int64))
    found = speaking(positions, np.zeros(7, np.uint64))
    tolerance = 1e-5 if dtype == "float32" else 2e-2
    np.testing.assert_allclose(found.logits, logits, atol=tolerance)
    np.testing.assert_allclose(found.values[:, 1], values[:, 0], atol=tolerance)  # seat 1 is to move
    np.testing.assert_array_equal(found.values[:, 0], -found.values[:, 1])
    assert speaking.evaluated == 7


def test_draws_follow_the_policy_and_its_temperature() -> None:
    rng, policy = np.random.default_rng(0), np.array([[0.5, 0.3, 0.2, 0.0]])
    for temperature in (1.0, 0.5):
        counts = np.bincount(tempered(policy.repeat(20_000, 0), temperature, rng), minlength=4) / 20_000
        expected = policy[0] ** (1 / temperature)
        np.testing.assert_allclose(counts, expected / expected.sum(), atol=0.012)
        assert counts[3] == 0


def test_value_targets_mix_what_searches_found_later_with_the_result() -> None:
    values, returns = np.array([[0.0, 0.0], [0.5, -0.5], [1.0, -1.0]]), np.array([-1.0, 1.0])
    np.testing.assert_array_equal(mixed(values, returns, 1.0), [returns] * 3)
    np.testing.assert_array_equal(mixed(values, returns, 0.0), values)
    # by hand, backwards: (1 - 1) / 2 = 0, (0.5 + 0) / 2 = 0.25, (0 + 0.25) / 2 = 0.125
    np.testing.assert_array_equal(mixed(values, returns, 0.5)[:, 0], [0.125, 0.25, 0.0])


def test_rows_get_the_target_of_their_own_search() -> None:
    """With lambda 0 a row's value is its search's, also where fast searches without a row came between."""
    options = {"full_fraction": 0.5, "resign": None, "cache": 0, "plies": 12, "random_plies": 2}
    player = actor(selfplay=options, learner={"value_lambda": 0.0})
    experience, row = player.collect(), 0
    assert any(len(game.values) > len(game.records) for game, _ in player.ended)
    for game, _ in player.ended:
        assert len(game.values) <= len(game.actions)
        for record in game.records:
            expected = game.values[record.number][record.ply % 2]
            assert experience.rows.value[row, 0] == pytest.approx(expected, abs=1e-6)
            row += 1
    assert row == len(experience.rows.value)


def test_games_are_delivered_whole_and_pay_what_they_paid() -> None:
    """Every row's value is the result from its mover's side; rows of a game are in the order they were played in."""
    player = actor(
        selfplay={"full_fraction": 1.0, "resign": None, "cache": 0, "plies": 5, "random_plies": 0},
        learner={"value_lambda": 1.0},
    )
    delivered, steps, results = 0, 0, []
    for _ in range(4):
        experience = player.collect()
        rows, start = experience.rows, 0
        for result, length in zip(*experience.episodes, strict=True):
            game = slice(start, start + length)
            np.testing.assert_array_equal(rows.seat[game], np.arange(length) % 2)
            np.testing.assert_array_equal(rows.value[game, 0], result * np.where(np.arange(length) % 2, -1, 1))
            np.testing.assert_array_equal(rows.legal[game].sum(1), 9 - np.arange(length))
            results.append(result)
            start += length
        assert start == len(rows.obs)
        assert (rows.policy[~rows.legal] == 0).all()
        np.testing.assert_allclose(rows.policy.sum(1), 1, atol=1e-6)
        delivered, steps = delivered + start, steps + experience.steps
    assert steps == 4 * 5 * player.count
    assert delivered + sum(len(game.actions) for game in player.games) == steps, "no move is lost or counted twice"
    assert {-1.0, 1.0} <= set(results)


def test_fast_moves_bring_games_on_but_are_not_learned_from() -> None:
    experience = actor(selfplay={"full_fraction": 0.3, "resign": None, "plies": 30, "random_plies": 0}).collect()
    share = len(experience.rows.obs) / sum(experience.episodes.lengths)
    assert 0.1 < share < 0.6


def test_random_openings_are_not_learned_from() -> None:
    options = {"full_fraction": 1.0, "resign": None, "plies": 30}
    experience = actor(selfplay=options | {"random_plies": 3}).collect()
    missing = sum(experience.episodes.lengths) - len(experience.rows.obs)
    assert 1 < missing / len(experience.episodes.lengths) < 2, "0 to 3 random moves, 1.5 on average"
    stones = experience.rows.obs[:, 1:].sum((1, 2, 3))
    assert {0, 1, 2, 3} <= set(stones.tolist())
    plain = actor(selfplay=options | {"random_plies": 0}).collect()
    assert sum(plain.episodes.lengths) == len(plain.rows.obs)


def test_an_opening_that_ends_the_game_is_drawn_again() -> None:
    """Nine random moves always end a game of tic-tac-toe, and five may: yet every game has a move to learn from."""
    options = {"full_fraction": 1.0, "resign": None, "plies": 1, "temperature_plies": 0, "random_plies": 9}
    starts = np.array([len(game.actions) for seed in range(8) for game in actor(seed=seed, selfplay=options).games])
    assert {0, 4, 7, 8} <= set(starts.tolist()) and starts.max() == 8
    player = actor(selfplay=options)
    ended = 0
    for _ in range(9):
        opened = [len(game.actions) for game in player.games]
        experience = player.collect()
        lengths = [len(game.actions) for game in player.games]
        ended += len(experience.episodes.lengths)
        going = sum(length == before + 1 for length, before in zip(lengths, opened, strict=True))
        assert going + len(experience.episodes.lengths) >= player.count
        assert experience.steps == player.count, "random moves are not counted"
    assert ended > player.count


def test_who_resigns_has_lost() -> None:
    """At a threshold that a fresh network's values reach, games end early; those that are checked don't."""
    played = actor(selfplay={"full_fraction": 1.0, "resign": None, "plies": 30}).collect()
    resigning = actor(selfplay={"full_fraction": 1.0, "resign": -0.01, "resign_checked": 0.0, "plies": 30}).collect()
    assert min(played.episodes.lengths) >= 5 > min(resigning.episodes.lengths), "no one wins in four moves"
    assert set(resigning.episodes.returns) <= {-1.0, 0.0, 1.0}
    checked = actor(selfplay={"full_fraction": 1.0, "resign": -0.01, "resign_checked": 1.0, "plies": 30}).collect()
    assert checked.measures is not None and 0 < checked.measures["selfplay/resigned_wrongly"] < 1
    assert min(checked.episodes.lengths) >= 5, "a game that is checked is played to its end"


def test_an_actor_goes_on_where_it_was() -> None:
    one, other = actor(), actor()
    one.collect()
    other.load_state_dict(one.state_dict())
    for a, b in zip(one.collect().rows, other.collect().rows, strict=True):
        np.testing.assert_array_equal(a, b)


def test_chance_moves_by_itself() -> None:
    pytest.importorskip("pyspiel")
    options: Any = {"game": PIG, "network": {"blocks": 1}, "selfplay": {"cache": 0, "plies": 40, "resign": None}}
    one, other = actor(**options), actor(**options)
    rows = one.collect().rows
    assert len(rows.obs) and (rows.legal.sum(1) >= 1).all()
    other.load_state_dict(one.state_dict())
    np.testing.assert_array_equal(other.collect().rows.value, one.collect().rows.value)


def test_symmetries_move_the_board_and_the_policy_alike() -> None:
    """The policy of a row points at its second stone, and must still do so on the turned board."""
    game, rng = make_game("tic_tac_toe"), np.random.default_rng(0)
    first, second = np.arange(9), (np.arange(9) + 4) % 9
    positions = game.step(game.step(game.initial(9), first), second)
    rows = moves(game, positions, np.eye(9)[second], np.zeros((9, 2)))
    different = 0
    for _ in range(20):
        new = turned(rows, game.symmetries(), rng)
        planes = new.obs.reshape(9, 3, 9)
        empty = planes[planes.sum(2) == 7].reshape(9, 9) > 0
        np.testing.assert_array_equal(new.legal, empty)
        assert not empty[np.arange(9), new.policy.argmax(1)].any()
        different += int((new.obs != rows.obs).any())
    assert different > 10


def test_proven_results_end_a_game_and_are_right() -> None:
    """Every row of such a game gets what best play brings after its last position, by backward induction."""
    options: dict[str, Any] = {"full_fraction": 1.0, "resign": None, "plies": 20, "random_plies": 6, "cache": 0}
    search = {"simulations": 60, "proven": True}
    played = actor(selfplay=options, search=search).collect()
    player = actor(selfplay=options | {"adjudicate": True}, search=search, learner={"value_lambda": 1.0})
    solution, results = solve(player.game), list[float]()
    for _ in range(3):
        experience = player.collect()
        for game, returns in player.ended:
            np.testing.assert_array_equal(returns, solution.lookup(game.records[-1].position)[0])
            results.append(returns[0])
    assert np.mean(experience.episodes.lengths) < np.mean(played.episodes.lengths)
    assert set(results) == {-1.0, 0.0, 1.0}
    with pytest.raises(ConfigError, match="search.proven"):
        config(selfplay={"adjudicate": True}, search={"proven": False})


def test_training_in_bfloat16_points_the_same_way() -> None:
    """Nearly the same gradient, in float32; not exactly, or the option did nothing."""
    game, rng = make_game("connect_four"), np.random.default_rng(0)
    positions = game.step(game.initial(7), np.arange(7))
    rows = moves(game, positions, rng.dirichlet(np.ones(7), 7), rng.choice([-1.0, 1.0], (7, 1)) * np.array([1.0, -1.0]))
    columns = [torch.from_numpy(column) for column in rows]
    gradients = list[torch.Tensor]()
    for dtype in ("float32", "bfloat16"):
        options = config(game="connect_four", network={"filters": 16, "training_dtype": dtype})
        learner = Learner(options, game, Seeds(0), CPU, compiled=False)
        gradient, metrics = learner.trained.gradient(learner.trained.state.parameters, *columns)
        assert gradient.dtype == metrics["loss"].dtype == torch.float32
        gradients.append(gradient)
    single, half = gradients
    assert torch.nn.functional.cosine_similarity(single, half, 0) > 0.99 and not torch.equal(single, half)


@pytest.mark.parametrize(("value", "regularization"), [(1.0, 0.0), (2.5, 0.0), (1.0, 0.03), (0.5, 0.01)])
def test_each_term_of_the_loss_has_its_sign_and_size(value: float, regularization: float) -> None:
    """-pi log p + c_v (z - v)^2 + c |theta|^2: its gradient, with those of the terms by themselves."""
    game, rng = make_game("tic_tac_toe"), np.random.default_rng(0)
    positions = game.step(game.initial(5), np.arange(5))
    searched = rng.dirichlet(np.ones(9), 5) * game.legal(positions)
    rows = moves(game, positions, searched, rng.choice([-1.0, 1.0], (5, 1)) * np.array([1.0, -1.0]))
    obs, seat, legal, policy, result = columns = [torch.from_numpy(column) for column in rows]
    options = config(learner={"value_coefficient": value, "regularization": regularization})
    learner = Learner(options, game, Seeds(0), CPU, compiled=False)
    gradient, found = learner.trained.gradient(learner.trained.state.parameters, *columns)
    parameters = learner.trained.state.parameters.clone().requires_grad_()
    logits, expected = learner.trained.flat.call(parameters, obs.float(), seat.long())
    cross = -(policy * logits.masked_fill(~legal, -1e9).log_softmax(-1)).sum(-1).mean()
    error = (result - expected).square().sum(-1).mean()
    alone = [torch.autograd.grad(term, parameters, retain_graph=True)[0] for term in (cross, error)]
    assert all(part.norm() > 0.1 for part in alone) and parameters.norm() > 1
    whole = alone[0] + value * alone[1] + 2 * regularization * parameters.detach()
    torch.testing.assert_close(gradient, whole, rtol=1e-4, atol=1e-5)
    length = parameters.square().sum()
    torch.testing.assert_close(found["loss"], (cross + value * error + regularization * length).detach())


def test_the_learner_fits_what_it_is_shown_and_leaves_the_illegal_out() -> None:
    game = make_game("tic_tac_toe")
    learner = Learner(config(learner={"regularization": 0.0}), game, Seeds(0), CPU, compiled=False)
    policy = np.zeros((1, 9))
    policy[0, [0, 8]] = 0.25, 0.75
    columns = [
        torch.from_numpy(c)
        for c in moves(game, game.step(game.initial(1), np.array([4])), policy, np.array([[1.0, -1.0]]))
    ]
    losses = []
    for _ in range(300):
        gradient, metrics = learner.trained.gradient(learner.trained.state.parameters, *columns)
        losses.append(metrics["policy_kl"].item() + metrics["value_loss"].item())
        learner.trained.move(learner.trained.state, torch.tensor(0.01), gradient)
    assert losses[-1] < 0.01 < 0.5 < losses[0]
    logits, value = learner.trained.flat.module(columns[0].float(), columns[1].long())
    found = torch.where(columns[2], logits, -torch.inf).softmax(-1)
    np.testing.assert_allclose(found.numpy(), policy, atol=0.05)
    assert found[0, 4] == 0 and value.item() < -0.9
