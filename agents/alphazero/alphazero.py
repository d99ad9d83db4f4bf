"""AlphaZero (Silver et al. 2018, https://doi.org/10.1126/science.aar6404): self-play with search, and a network that
learns what the search found and how games ended.

With gumbel selection it is Gumbel AlphaZero (Danihelka et al. 2022, https://openreview.net/forum?id=bERaNdoegnO), which
learns from a handful of simulations. Playout cap randomization and pooling over the board are KataGo's (Wu 2019,
https://arxiv.org/abs/1902.10565).

Differs from the paper: Adam instead of momentum; no batch normalization (`supervised.networks.resnet`); one set of
weights that is always the newest, as in the paper, but games may span several versions of it.

Logs, as means over updates: train/loss, train/policy_loss (cross-entropy to the search's policy), train/policy_kl (the
same less the entropy of that policy: 0 would be perfect), train/value_loss (squared error of fractions of the largest
return), train/value_accuracy (how often the sign is right where a game was decided), train/gradient_norm; and
train/learning_rate, train/n_updates. `selfplay/*`, `search/*` come from the actors, `arena/*` and
`solver/*` from the examination.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.alphazero.config import AlphaZero
from agents.alphazero.examination import Examination
from agents.alphazero.policy_value import PolicyValue, Replica, scale_of
from agents.alphazero.selfplay import Moves, SelfPlay
from agents.api import Actor, Algorithm, Enter, Evaluation, Parts, Player, State
from agents.experience.memory.ratio import PerInsert
from agents.experience.memory.replay import Replay
from agents.experience.memory.table import Table
from agents.experience.memory.uniform import Uniform
from agents.maths.schedules import value as scheduled
from agents.parts.state import Assembled
from agents.records import Round, Sample
from agents.search.evaluators import NetworkEvaluator
from agents.search.players import SearchPlayer
from envs.api import Array, Game, GameSpec
from envs.games.make import make_game
from envs.games.native import NativeGame
from experiment.seeding import Seeds
from supervised.accelerate import pays_off
from supervised.trained import Found, Trained


class Learner(Assembled):
    STATE = ("trained", "rng", "updates")

    def __init__(self, config: AlphaZero, game: Game, seeds: Seeds, device: torch.device, compiled: bool) -> None:
        self.config, self.device, options = config, device, config.learner
        generator = torch.Generator().manual_seed(seeds.integer("learner", "network"))
        network = PolicyValue(config.network, game.spec, generator).to(device)
        self.board = network.board
        self.trained = Trained(
            network,
            self.loss,
            {"policy_loss": 1.0, "value_loss": options.value_coefficient},
            ["policy_kl", "value_accuracy"],
            regularization=options.regularization,
            max_gradient_norm=options.max_gradient_norm,
            adam_epsilon=options.adam_epsilon,
            compiled=compiled,
        )
        self.symmetries = game.symmetries() if options.symmetries else []
        self.rng = seeds.generator("learner", "symmetries")
        self.updates, self.progress = 0, 0.0

    def begin_round(self, round: Round) -> None:
        self.progress = round.progress(self.config.steps)

    @property
    def rate(self) -> float:
        return scheduled(self.config.learner.learning_rate, self.progress)

    def update(self, sample: Sample) -> None:
        self.updates += 1
        self.trained.update(self.rate, *turned(sample.rows, self.symmetries, self.rng))

    def loss(self, parameters: Tensor, *columns: Tensor) -> Found:
        """-pi log p and (z - v)^2 of the paper's equation 1, 0-d, of the columns of `Moves`."""
        obs, seat, legal, policy, value = columns
        obs = obs.float()
        if self.board:
            obs = obs.contiguous(memory_format=torch.channels_last)
        dtype = getattr(torch, self.config.network.training_dtype)
        with torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32):
            outputs = self.trained.flat.call(parameters, obs, seat.long())
        logits, expected = (output.float() for output in outputs)
        log_prob = torch.where(legal, logits, torch.finfo(logits.dtype).min).log_softmax(-1)
        cross = -(policy * log_prob).sum(-1).mean()
        entropy = -torch.xlogy(policy, policy).sum(-1).mean()
        error = (value - expected).square().sum(-1).mean()
        decided = value[:, 0] != 0
        right = (decided & (value[:, 0] * expected[:, 0] > 0)).sum() / decided.sum().clamp(min=1)
        return {"policy_loss": cross, "value_loss": error}, {"policy_kl": cross - entropy, "value_accuracy": right}

    def metrics(self) -> Mapping[str, float]:
        return self.trained.drain("train/") | {"train/learning_rate": self.rate, "train/n_updates": self.updates}

    def weights(self) -> Array:
        weights: Array = self.trained.flat.weights()
        return weights


def turned(rows: Moves, symmetries: list[Any], rng: np.random.Generator) -> Moves:
    """Each row under a random symmetry of the game."""
    if len(symmetries) < 2:
        return rows
    cells, actions = np.stack([s.cells for s in symmetries]), np.stack([s.actions for s in symmetries])
    chosen = rng.integers(len(symmetries), size=len(rows.obs))
    flat = rows.obs.reshape(len(rows.obs), -1, cells.shape[1])
    obs = np.take_along_axis(flat, cells[chosen][:, None], 2).reshape(rows.obs.shape)
    moved = actions[chosen]
    return rows._replace(
        obs=obs, legal=np.take_along_axis(rows.legal, moved, 1), policy=np.take_along_axis(rows.policy, moved, 1)
    )


def make(config: AlphaZero, spec: GameSpec, seeds: Seeds, device: torch.device) -> Parts:
    scale_of(spec)
    game = make_game(config.game)
    if config.selfplay.cache and not isinstance(game, NativeGame):
        raise ValueError(
            f"selfplay.cache is {config.selfplay.cache}, but positions of {spec.name} can't be compared: set it to 0"
        )
    options = config.learner
    updates_per_row = options.samples_per_row / options.batch_size
    compiled = pays_off(config.compile, config.steps * config.selfplay.full_fraction * updates_per_row, device)
    learner = Learner(config, game, seeds, device, compiled)
    table = Table(config.memory.capacity, Moves)
    memory = Replay(table, Uniform(), options.batch_size, seeds.generator("memory"))
    return Parts(learner, memory, PerInsert(table, updates_per_row, config.memory.start))


def actor(config: AlphaZero, index: int, incarnation: int) -> Actor:
    return SelfPlay(config, index, incarnation)


def evaluation(config: AlphaZero, seeds: Seeds, enter: Enter) -> Evaluation:
    game, options = make_game(config.game), config.evaluation

    def examined(name: str, weights: Array) -> Player:
        return searcher(config, game, {"weights": weights}, name, options.simulations)

    opponents = [enter(name, game) for name in options.opponents]
    return Examination(game, options, opponents, seeds, examined)


def player(config: AlphaZero, game: Game, state: State, name: str) -> Player:
    """What was learned, by its policy alone."""
    return searcher(config, game, state, name, 0)


def searcher(config: AlphaZero, game: Game, state: State, name: str, simulations: int) -> Player:
    """What was learned, with so many simulations of the search that trained it."""
    replica = Replica(config.network, game.spec, torch.device("cpu"))
    replica.load(state["weights"])
    return SearchPlayer(
        name, game, NetworkEvaluator(game, replica), config.search.model_copy(update={"simulations": simulations})
    )


ALGORITHM = Algorithm[AlphaZero](make=make, actor=actor, evaluation=evaluation, player=player, searcher=searcher)
