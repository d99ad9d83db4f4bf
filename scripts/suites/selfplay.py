"""Self-play of AlphaZero on connect four, as rows of the suite `games`: 256 games at once, 32 simulations for a move, a
residual network of 4 blocks of 64 filters. Nothing is learned meanwhile. Moves/s, but for the last:

selfplay-pgx              against pgx and mctx (JAX): Gumbel search of as many games, the whole move jitted, games that
                          end begin anew. Its network is ours, in the number format that is faster there.
selfplay-pgx-cached       the same, but ours remembers evaluations until the weights change, after 16 moves of each game
selfplay-open-spiel       against an actor of OpenSpiel's Python AlphaZero as it stands: its bot, its evaluator with its
                          cache, and its residual network of as many blocks and filters, one position at a time
selfplay-open-spiel-torch the same, but its evaluator asks our network, in float32
selfplay-peak             evaluations/s: self-play against the network alone on batches of 256 positions

Ours is the actor that trains, in bfloat16, without playout caps, and without the cache but where it is named.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import torch

from agents.alphazero.config import AlphaZero, BoardNetwork, SelfPlayOptions, SelfPlaySearch
from agents.alphazero.policy_value import PolicyValue, Replica
from agents.alphazero.selfplay import SelfPlay
from agents.search.evaluators import Forward
from envs.api import Array, Game
from envs.games.make import make_game
from scripts.suites import mctx_peer
from scripts.suites.learners import peer
from scripts.suites.pairs import Row, Side, Trial, compare, rate
from supervised.flat import Flat

GAME = "connect_four"
OPEN_SPIEL_NEEDS = {"jax": "jax", "flax": "flax", "optax": "optax", "orbax-checkpoint": "orbax", "chex": "chex"}
SETTINGS = {  # of OpenSpiel's AlphaZero, as its example has them; those of learning play no part
    "game": GAME,
    "path": None,
    "nn_model": "resnet",
    "uct_c": 1.41,
    "policy_alpha": 1.0,
    "policy_epsilon": 0.25,
    "temperature": 1.0,
    "temperature_drop": 10,
    "learning_rate": 1e-3,
    "weight_decay": 1e-4,
    "decouple_weight_decay": False,
    "train_batch_size": 128,
    "replay_buffer_size": 2**16,
    "replay_buffer_reuse": 4,
    "max_steps": 1,
    "checkpoint_freq": 1,
    "actors": 1,
    "evaluators": 0,
    "evaluation_window": 1,
    "eval_levels": 1,
    "verbose": False,
    "quiet": True,
}
CACHE = 262_144  # positions, as in configs/alphazero/connect_four.yaml


class Work(NamedTuple):
    games: int = 256
    simulations: int = 32
    blocks: int = 4
    filters: int = 64
    plies: int = 16  # moves in each of our games in a trial, and between two versions of the weights
    burn_in: int = 2  # such rounds before the first trial: later, games are at all stages
    scanned: int = 2  # moves in each of the games of mctx in a trial
    single: int = 20  # moves of OpenSpiel's bots in a trial, at least: whole games, one at a time


WORK = Work()


def network(work: Work, dtype: Literal["float32", "bfloat16"] = "bfloat16") -> BoardNetwork:
    """Without pooling, so that every peer can have the same."""
    return BoardNetwork(blocks=work.blocks, filters=work.filters, pooled_every=0, inference_dtype=dtype)


def module(game: Game, options: BoardNetwork) -> PolicyValue:
    """Random weights, the same ones for all sides."""
    return PolicyValue(options, game.spec, torch.Generator().manual_seed(0))


def replica(game: Game, options: BoardNetwork) -> Replica:
    made = Replica(options, game.spec, torch.device("cpu"))
    made.load(Flat(module(game, options)).weights())
    return made


# Ours ----------------------------------------------------------------------------------------------------------------


def actor(work: Work, cache: int) -> SelfPlay:
    return SelfPlay(
        AlphaZero(
            game=GAME,
            network=network(work),
            search=SelfPlaySearch(simulations=work.simulations),
            selfplay=SelfPlayOptions(games=work.games, plies=work.plies, cache=cache),
        ),
        0,
        0,
    )


def rounds(work: Work, cache: int = 0) -> Callable[[], int]:
    """A function that plays a round, as after an update, and returns how many positions the network was asked for."""
    made = actor(work, cache)
    weights = Flat(module(made.game, made.config.network)).weights()

    def collect() -> int:
        before = made.network.evaluated
        made.load(weights, 0)  # which empties the cache
        made.collect()
        return made.network.evaluated - before

    return collect


@contextmanager
def played(work: Work, cache: int = 0, evaluations: bool = False) -> Iterator[Trial]:
    """Rounds of self-play: moves/s, or evaluations/s."""
    collect = rounds(work, cache)

    def trial() -> float:
        begin = time.perf_counter()
        evaluated = collect()
        return (evaluated if evaluations else work.games * work.plies) / (time.perf_counter() - begin)

    for _ in range(work.burn_in):
        collect()
    yield trial


def ours(work: Work, cache: int = 0) -> Side:
    label = f"Sparring, bfloat16, {f'cache of {cache:,} positions' if cache else 'no cache'}"
    return Side(label, lambda: played(work, cache))


# pgx and mctx --------------------------------------------------------------------------------------------------------


def against_pgx(name: str, cache: int, pairs: int, threads: int) -> Row:
    label = ", ".join(peer(library, library) for library in ("pgx", "mctx", "jax"))
    jax, game = mctx_peer.jax_of(threads), make_game(GAME)
    made, planes = module(game, network(WORK)), game.spec.obs_shape[0] + 1
    dtype = mctx_peer.faster_format(jax, made, np.zeros((WORK.games, planes, *game.spec.obs_shape[1:]), np.float32))

    def start() -> AbstractContextManager[Trial]:
        return mctx_peer.moved(jax, GAME, made, planes, dtype, WORK.games, WORK.simulations, WORK.scanned)

    row = compare(name, "moves/s", ours(WORK, cache), Side(f"{label}, {dtype}", start), pairs)
    return row if cache else row.expect(">= 4x", row.ratio >= 4)


# OpenSpiel -----------------------------------------------------------------------------------------------------------


class Silent:
    """A logger of OpenSpiel's that says nothing."""

    def print(self, *words: object) -> None:
        pass

    opt_print = print


class OnePosition:
    """A network of ours as a model for OpenSpiel's evaluator: a position's value [1] and policy [A]."""

    def __init__(self, game: Game, forward: Forward) -> None:
        self.shape, self.forward = game.spec.obs_shape, forward

    def inference(self, obs: Array, mask: Array) -> tuple[Array, Array]:
        logits, values = self.forward(np.asarray(obs, np.float32).reshape(1, *self.shape), np.zeros(1, np.int64))
        weight = np.where(mask, np.exp(logits[0] - logits[0].max()), 0.0)
        return values[0], weight / weight.sum()


@contextmanager
def one_by_one(work: Work, own_model: bool) -> Iterator[Trial]:
    """Games of OpenSpiel's AlphaZero, one after another: what its `actor` does, without the process around it."""
    import pyspiel
    from open_spiel.python.algorithms.alpha_zero import alpha_zero, evaluator

    game, plain = pyspiel.load_game(GAME), make_game(GAME)
    config = alpha_zero.Config(
        max_simulations=work.simulations,
        nn_width=work.filters,
        nn_depth=work.blocks,
        observation_shape=game.observation_tensor_shape(),
        output_size=game.num_distinct_actions(),
        **SETTINGS,
    )
    if own_model:
        model = alpha_zero._init_model_from_config(config)
    else:
        model = OnePosition(plain, replica(plain, network(work, "float32")))
    bot = alpha_zero._init_bot(config, game, evaluator.AlphaZeroEvaluator(game, model), False)

    def trial() -> float:
        begin, moves = time.perf_counter(), 0
        while moves < work.single:
            played = alpha_zero._play_game(Silent(), 0, game, [bot, bot], config.temperature, config.temperature_drop)
            moves += len(played.states)
        return moves / (time.perf_counter() - begin)

    bot.mcts_search(game.new_initial_state())
    yield trial


def against_open_spiel(name: str, own_model: bool, pairs: int, threads: int) -> Row:
    label = peer("open_spiel", "pyspiel")
    needs = [peer(library, module) for library, module in OPEN_SPIEL_NEEDS.items()]
    mctx_peer.jax_of(threads)
    label += f" AlphaZero actor, {', '.join(needs) if own_model else 'with our network in torch, float32'}"
    row = compare(name, "moves/s", ours(WORK), Side(label, lambda: one_by_one(WORK, own_model)), pairs)
    return row.expect(">= 50x", row.ratio >= 50) if own_model else row


# The network alone ---------------------------------------------------------------------------------------------------


@contextmanager
def alone(game: Game, forward: Forward, positions: int = 256) -> Iterator[Trial]:
    """Calls of the network and nothing else: evaluations/s."""
    start = game.initial(positions)
    obs, seat = game.observe(start), game.seat(start)
    forward(obs, seat)
    yield lambda: rate(33 * positions, lambda: [forward(obs, seat) for _ in range(33)])


def peak(name: str, pairs: int, threads: int) -> Row:
    game = make_game(GAME)
    forward = replica(game, network(WORK))
    row = compare(
        name,
        "evaluations/s",
        Side("Sparring, self-play, bfloat16", lambda: played(WORK, evaluations=True)),
        Side(f"its network alone, {WORK.games} positions", lambda: alone(game, forward, WORK.games)),
        pairs,
    )
    return row.expect(">= 70 % of the network alone", row.ratio >= 0.7)


ROWS: dict[str, Callable[[int, int], Row]] = {
    "selfplay-pgx": partial(against_pgx, "selfplay-pgx", 0),
    "selfplay-pgx-cached": partial(against_pgx, "selfplay-pgx-cached", CACHE),
    "selfplay-open-spiel": partial(against_open_spiel, "selfplay-open-spiel", True),
    "selfplay-open-spiel-torch": partial(against_open_spiel, "selfplay-open-spiel-torch", False),
    "selfplay-peak": partial(peak, "selfplay-peak"),
}
