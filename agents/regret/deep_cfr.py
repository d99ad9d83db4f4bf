"""Deep counterfactual regret minimization (Brown et al. 2019, https://arxiv.org/abs/1811.00164).

Seats take turns. At its turn a seat traverses the game `traversals` times by external sampling; what its actions
brought, and how the others played, goes into reservoirs. Then a new network learns the seat's advantages from all
iterations so far, iteration t with weight t, and plays by regret matching from then on. The average policy, which goes
to equilibrium in zero-sum games of two, is learned by another network from how was played; or it is all past advantage
networks, mixed in proportion to their iteration (Steinberger 2019, https://arxiv.org/abs/1901.07621).

Differs from the paper: the strategy network goes on learning after each collection and is never begun anew; it learns
by cross-entropy, which has the same minimum; the step size of an advantage network falls to 0 while it learns; networks
are plain perceptrons of OpenSpiel's tensors; where several actions are equally the best of those that nothing speaks
for, they share.

Logs, as means over updates: train/advantage_loss, train/advantage_gradient_norm, train/strategy_loss,
train/strategy_gradient_norm; and train/iteration, train/n_updates.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from agents.api import Actor, Algorithm, Enter, Parts, Player, State
from agents.experience.memory.ratio import EveryCollection
from agents.experience.memory.reservoir import Reservoir
from agents.maths.schedules import value as scheduled
from agents.parts.state import Assembled
from agents.records import Episodes, Experience, Round, Sample
from agents.regret.configs.deep_cfr import DeepCFR
from agents.regret.lockstep import Advantages, Strategies, Traversals, regret_matching, traverse, turn
from agents.regret.networks import HostNetwork, InfosetNetwork, Infosets, NetworkExploitability, StrategyPlayer
from agents.regret.policies import TabularPlayer, table
from agents.regret.tree import MEMORY, compile_tree
from envs.api import Array, Game, GameSpec
from envs.games.make import make_game
from experiment.seeding import Seeds
from supervised.accelerate import pays_off
from supervised.trained import Found, Trained

# Learning ------------------------------------------------------------------------------------------------------------


class Learner(Assembled):
    """`networks` [P, N] are the seats' finished advantage networks, `past` [C, N] all there were, one a round."""

    STATE = ("strategy", "advantage", "networks", "past", "updates")

    def __init__(self, config: DeepCFR, game: Game, seeds: Seeds, device: torch.device, compiled: bool) -> None:
        self.config, self.seeds, self.seats = config, seeds, game.spec.seats
        strategy, self.network = (InfosetNetwork(config, game).to(device) for _ in range(2))
        for network in (strategy, self.network):
            self.renew(network, "strategy")
        learned = partial(
            Trained,
            coefficients={"loss": 1.0},
            max_gradient_norm=config.learner.max_gradient_norm,
            adam_epsilon=config.learner.adam_epsilon,
            compiled=compiled,
        )
        self.strategy = learned(strategy, self.strategy_loss)
        self.advantage = learned(self.network, self.advantage_loss)
        size = len(self.strategy.state.parameters)
        self.networks = np.zeros((self.seats, size), np.float32)  # all 0: the uniform policy
        self.past = np.zeros((0, size), np.float32)
        self.iteration = self.updates = 0

    def renew(self, network: InfosetNetwork, *names: str | int) -> None:
        network.renew(torch.Generator().manual_seed(self.seeds.integer("learner", *names)))

    def begin_round(self, round: Round) -> None:
        """With a collection comes the turn of the next seat: its network begins anew."""
        self.iteration, self.seat = turn(round.number, self.seats)
        self.made, self.progress = 0, round.progress(self.config.steps)
        self.renew(self.network, "advantages", self.seat, self.iteration)
        for tensor in self.advantage.state.adam:
            tensor.zero_()

    def update(self, sample: Sample) -> None:
        options, newest = self.config.learner, np.array(self.iteration, np.float32)
        self.updates += 1
        if isinstance(sample.rows, Strategies):
            rate = scheduled(options.strategy_learning_rate, self.progress)
            self.strategy.update(rate, newest, *sample.rows)
            return
        rate = scheduled(options.learning_rate, self.made / options.updates)
        self.advantage.update(rate, newest, *sample.rows)
        self.made += 1
        if self.made == options.updates:
            self.networks[self.seat] = finished = self.advantage.flat.weights()
            if self.config.average == "mixture":
                self.past = np.concatenate([self.past, finished[None]])

    def advantage_loss(self, parameters: Tensor, newest: Tensor, *columns: Tensor) -> Found:
        """Squared error of the legal actions, weighted linearly, [n]. Algorithm 1 of the paper; columns: `Advantages`,
        newest: the iteration with weight 1."""
        known, legal, advantage, iteration = columns
        error = torch.where(legal, self.advantage.flat.call(parameters, known) - advantage, 0.0).square().sum(-1)
        return {"loss": linear(iteration, newest) * error}, {}

    def strategy_loss(self, parameters: Tensor, newest: Tensor, *columns: Tensor) -> Found:
        """Cross-entropy, weighted linearly, [n]: least where the network is the weighted mean of what was played.
        columns: `Strategies`."""
        known, legal, probability, iteration = columns
        logits = self.strategy.flat.call(parameters, known).masked_fill(~legal, -torch.inf)
        surprise = -torch.where(legal, logits.log_softmax(-1), 0.0)
        return {"loss": linear(iteration, newest) * (probability * surprise).sum(-1)}, {}

    def metrics(self) -> Mapping[str, float]:
        means = self.advantage.drain("train/advantage_") | self.strategy.drain("train/strategy_")
        return means | {"train/iteration": self.iteration, "train/n_updates": self.updates}

    def weights(self) -> Array:
        average = self.past if self.config.average == "mixture" else self.strategy.flat.weights()
        return np.concatenate([self.networks.ravel(), average.ravel()])


def linear(iteration: Tensor, newest: Tensor) -> Tensor:
    """The weight of rows [n] from each iteration: t, in units of the newest one's."""
    return iteration / newest


class Reservoirs:
    """A reservoir for each seat's advantages and one for the strategy. First the advantages of whose turn it is are
    sampled, as often as a new network needs, then the strategy."""

    def __init__(self, config: DeepCFR, seats: int, seeds: Seeds) -> None:
        self.config, capacity = config, config.memory.capacity
        self.advantages = [
            Reservoir(capacity, Advantages, seeds.generator("memory", "advantages", seat)) for seat in range(seats)
        ]
        self.strategies = Reservoir(capacity, Strategies, seeds.generator("memory", "strategies"))
        self.turn = self.drawn = 0

    def add(self, experience: Experience) -> None:
        rows: Traversals = experience.rows
        self.turn, self.drawn = rows.traverser, 0
        self.advantages[self.turn].add(rows.advantages)
        if self.config.average == "network":
            self.strategies.add(rows.strategies)

    def sample(self) -> Sample:
        config = self.config.learner
        self.drawn += 1
        reservoir = self.advantages[self.turn] if self.drawn <= config.updates else self.strategies
        return Sample(reservoir.sample(config.batch_size))

    def update(self, sample: Sample, priority: Tensor | None) -> None:
        """There are no priorities."""

    def state_dict(self) -> State:
        return {name: reservoir.state_dict() for name, reservoir in self._reservoirs().items()}

    def load_state_dict(self, state: State) -> None:
        for name, reservoir in self._reservoirs().items():
            reservoir.load_state_dict(state[name])

    def _reservoirs(self) -> dict[str, Reservoir]:
        seats = {f"advantages_{seat}": reservoir for seat, reservoir in enumerate(self.advantages)}
        return seats | {"strategies": self.strategies}


# Collecting ----------------------------------------------------------------------------------------------------------


class Traverser:
    """An actor. Which seat's turn it is, and at which iteration, the version of the weights tells."""

    def __init__(self, config: DeepCFR, game: Game, index: int, rng: np.random.Generator) -> None:
        self.game, self.index, self.rng = game, index, rng
        self.count = config.traversals // config.runtime.actors
        self.networks = [HostNetwork(config, game) for _ in range(game.spec.seats)]
        self.version = 0

    def load(self, weights: Array, version: int) -> None:
        self.version = version
        for network, row in zip(self.networks, self.networks[0].rows(weights), strict=False):
            network.load(row)

    def policy(self, known: Array, legal: Array, seat: Array) -> Array:
        chosen = np.empty(legal.shape)
        for p, network in enumerate(self.networks):
            own = np.flatnonzero(seat == p)
            if len(own):
                chosen[own] = regret_matching(network(known[own]), legal[own])
        return chosen

    def collect(self) -> Experience:
        iteration, seat = turn(self.version, self.game.spec.seats)
        rows = traverse(self.game, seat, self.count, iteration, self.policy, self.rng)
        measures = {"traversal/nodes": rows.nodes / self.count}
        return Experience(rows, self.count, Episodes([], []), self.version, self.index, measures=measures)

    def state_dict(self) -> State:
        return {"rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: State) -> None:
        self.rng.bit_generator.state = state["rng"]

    def close(self) -> None:
        """Nothing is held."""


# As a run ------------------------------------------------------------------------------------------------------------


def make(config: DeepCFR, spec: GameSpec, seeds: Seeds, device: torch.device) -> Parts:
    """Raises ValueError for a game that has no tensor of what is known."""
    updates = config.learner.updates + (config.learner.strategy_updates if config.average == "network" else 0)
    compiled = pays_off(config.compile, config.steps / config.traversals * updates, device)
    learner = Learner(config, make_game(config.game), seeds, device, compiled)
    return Parts(learner, Reservoirs(config, spec.seats, seeds), EveryCollection(updates))


def evaluation(config: DeepCFR, seeds: Seeds, enter: Enter) -> NetworkExploitability:
    """Raises MemoryError where the tree is too large."""
    return NetworkExploitability(config, make_game(config.game))


def actor(config: DeepCFR, index: int, incarnation: int) -> Actor:
    rng = Seeds(config.seed).generator("actor", index, incarnation)
    return Traverser(config, make_game(config.game), index, rng)


def player(config: DeepCFR, game: Game, state: State, name: str) -> Player:
    """The average policy of a checkpoint. A mixture of networks is made a table, which needs the tree."""
    network = HostNetwork(config, game)
    if config.average == "network":
        return StrategyPlayer(game, network.load(network.rows(state["weights"])[game.spec.seats]), name)
    infosets = Infosets(compile_tree(game, config.evaluation.memory_bytes or MEMORY), game)
    return TabularPlayer(name, game, table(infosets.tree, infosets.average(config, network, state["weights"])))


ALGORITHM = Algorithm[DeepCFR](make=make, actor=actor, evaluation=evaluation, player=player)
