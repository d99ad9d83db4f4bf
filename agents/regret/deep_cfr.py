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

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.api import Actor, Algorithm, Enter, Parts, Player, State
from agents.explore import draw
from agents.means import Means
from agents.memory.ratio import EveryCollection
from agents.memory.reservoir import Reservoir
from agents.records import Carry, Episodes, Experience, Sample, forgets
from agents.regret.best_response import nash_conv
from agents.regret.config import DeepCFR
from agents.regret.lockstep import Advantages, Strategies, Traversals, regret_matching, traverse
from agents.regret.networks import Acting, Infosets, Network, softmax
from agents.regret.policies import TabularPlayer, table
from agents.regret.tree import MEMORY, Tree, compile_tree
from agents.schedules import value as scheduled
from envs.api import Array, Game, GameSpec, Positions
from envs.games.make import make_game
from experiment.seeding import Seeds
from supervised.accelerate import accelerate, pays_off
from supervised.flat import Adam, Flat, clip_by_norm, differentiate

# Learning ------------------------------------------------------------------------------------------------------------

METRICS = ("loss", "gradient_norm")


class Course:
    """A parameter vector that learns by Adam; `loss(parameters, newest, *columns)` tells from what."""

    def __init__(self, config: DeepCFR, parameters: Tensor, loss: Callable[..., Any], compiled: bool) -> None:
        self.config, self.parameters = config.learner, parameters
        self.adam = Adam.zeros(parameters)
        self.means = Means.zeros(METRICS, parameters.device)
        self.gradient = differentiate(loss, functional=compiled)
        self.step = accelerate(self.learn, parameters.device, compiled)

    def update(self, rows: Advantages | Strategies, learning_rate: float, newest: int) -> None:
        """newest: the iteration with weight 1."""
        device = self.parameters.device
        columns = (torch.from_numpy(column).to(device, non_blocking=True) for column in rows)
        settings = torch.tensor([learning_rate, float(newest)], device=device)
        self.step((self.parameters, self.adam, self.means), settings, *columns)

    def learn(self, state: tuple[Tensor, Adam, Means], settings: Tensor, *columns: Tensor) -> None:
        """The closed step."""
        parameters, adam, means = state
        learning_rate, newest = settings.unbind()
        gradient, metrics = self.gradient(parameters, newest, *columns)
        gradient, norm = clip_by_norm(gradient, self.config.max_gradient_norm)
        parameters.sub_(learning_rate * adam.step(gradient, self.config.adam_epsilon))
        means.add([metrics["loss"], norm])

    def state_dict(self) -> State:
        return {
            "parameters": self.parameters.cpu().numpy().copy(),
            "adam": self.adam.state_dict(),
            "means": self.means.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        self.parameters.copy_(torch.from_numpy(state["parameters"]))
        self.adam.load_state_dict(state["adam"])
        self.means.load_state_dict(state["means"])


class Learner:
    """`networks` [P, N] are the seats' finished advantage networks, `past` [C, N] all there were, one a collection."""

    def __init__(self, config: DeepCFR, game: Game, seeds: Seeds, device: torch.device, compiled: bool) -> None:
        self.config, self.seeds, self.seats = config, seeds, game.spec.seats
        self.network = Network(config, game).to(device)
        self.flat = Flat(self.network)
        self.renew("strategy")
        self.strategy = Course(config, self.flat.parameters.clone(), self.strategy_loss, compiled)
        self.advantage = Course(config, self.flat.parameters, self.advantage_loss, compiled)
        self.networks = np.zeros((self.seats, len(self.flat.parameters)), np.float32)  # all 0: the uniform policy
        self.past: list[Array] = []
        self.collections = self.updates = self.made = self.steps = 0

    def renew(self, *names: str | int) -> None:
        self.network.renew(torch.Generator().manual_seed(self.seeds.integer("learner", *names)))

    @property
    def seat(self) -> int:
        """Whose turn it is."""
        return (self.collections - 1) % self.seats

    @property
    def iteration(self) -> int:
        return (self.collections - 1) // self.seats + 1

    def observe(self, steps: int, moments: list[State]) -> None:
        """A collection is there, and with it the turn of the next seat: its network begins anew."""
        self.collections, self.made, self.steps = self.collections + 1, 0, steps
        self.renew("advantages", self.seat, self.iteration)
        for tensor in self.advantage.adam:
            tensor.zero_()

    def update(self, sample: Sample) -> None:
        config = self.config.learner
        self.updates += 1
        if isinstance(sample.rows, Strategies):
            rate = scheduled(config.strategy_learning_rate, min(self.steps / self.config.steps, 1.0))
            self.strategy.update(sample.rows, rate, self.iteration)
            return
        rate = scheduled(config.learning_rate, self.made / config.updates)
        self.advantage.update(sample.rows, rate, self.iteration)
        self.made += 1
        if self.made == config.updates:
            self.networks[self.seat] = finished = self.advantage.parameters.cpu().numpy()
            if self.config.average == "mixture":
                self.past.append(finished.copy())

    def advantage_loss(
        self, parameters: Tensor, newest: Tensor, known: Tensor, legal: Tensor, advantage: Tensor, iteration: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Squared error of the legal actions, weighted linearly. Algorithm 1 of the paper."""
        error = torch.where(legal, self.flat.call(parameters, known) - advantage, 0.0).square().sum(-1)
        return (linear(iteration, newest) * error).mean(), {}

    def strategy_loss(
        self, parameters: Tensor, newest: Tensor, known: Tensor, legal: Tensor, probability: Tensor, iteration: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy, weighted linearly: least where the network is the weighted mean of what was played."""
        logits = self.flat.call(parameters, known).masked_fill(~legal, -torch.inf)
        surprise = -torch.where(legal, logits.log_softmax(-1), 0.0)
        return (linear(iteration, newest) * (probability * surprise).sum(-1)).mean(), {}

    def metrics(self) -> Mapping[str, float]:
        metrics: dict[str, float] = {"train/iteration": self.iteration, "train/n_updates": self.updates}
        for name, course in (("advantage", self.advantage), ("strategy", self.strategy)):
            metrics |= {f"train/{name}_{key}": mean for key, mean in course.means.drain(METRICS).items()}
        return metrics

    def weights(self) -> Array:
        average = self.past if self.config.average == "mixture" else [self.strategy.parameters.cpu().numpy()]
        return np.concatenate([self.networks.ravel(), *average])

    def state_dict(self) -> State:
        return {
            "networks": self.networks.copy(),
            "past": np.stack(self.past) if self.past else self.networks[:0].copy(),
            "strategy": self.strategy.state_dict(),
            "advantage": self.advantage.state_dict(),
            "collections": self.collections,
            "updates": self.updates,
        }

    def load_state_dict(self, state: State) -> None:
        self.networks[:] = state["networks"]
        self.past = list(state["past"])
        self.strategy.load_state_dict(state["strategy"])
        self.advantage.load_state_dict(state["advantage"])
        self.collections, self.updates = state["collections"], state["updates"]


def linear(iteration: Tensor, newest: Tensor) -> Tensor:
    """The weight of rows [n] from each iteration: t, in units of the newest one's."""
    return iteration / newest


class Memory:
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


# Playing -------------------------------------------------------------------------------------------------------------


class Traverser:
    """An actor. Which seat's turn it is, and at which iteration, the version of the weights tells."""

    def __init__(self, config: DeepCFR, game: Game, index: int, rng: np.random.Generator) -> None:
        self.game, self.index, self.rng = game, index, rng
        self.count = config.traversals // config.runtime.actors
        self.networks = [Acting(config, game) for _ in range(game.spec.seats)]
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
        iteration, seat = divmod(self.version, self.game.spec.seats)
        rows = traverse(self.game, seat, self.count, iteration + 1, self.policy, self.rng)
        measures = {"traversal/nodes": rows.nodes / self.count}
        return Experience(rows, self.count, Episodes([], []), self.version, self.index, measures=measures)

    def state_dict(self) -> State:
        return {"rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: State) -> None:
        self.rng.bit_generator.state = state["rng"]

    def close(self) -> None:
        """Nothing is held."""


class Exploitability:
    """NashConv of the average policy (`agents.api.Evaluation`), by best responses in the whole tree."""

    def __init__(self, config: DeepCFR, game: Game) -> None:
        self.config, self.spec = config, game.spec
        self.infosets: Infosets | None = None
        if config.evaluation.memory_bytes:
            self.infosets = Infosets(_tree(config, game), game)
            self.network = Acting(config, game)

    def __call__(self, weights: Array, steps: int) -> Mapping[str, float]:
        if self.infosets is None:
            return {}
        tree = self.infosets.tree
        conv = nash_conv(tree, self.infosets.average(self.config, self.network, weights))
        metrics = {"game/nash_conv": conv}
        return metrics | {"game/exploitability": conv / 2} if tree.two_player_zero_sum else metrics

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None:
        """Nothing is remembered."""


class StrategyPlayer:
    """Plays as the strategy network says."""

    def __init__(self, game: Game, network: Acting, name: str) -> None:
        self.game, self.network, self.name = game, network, name

    def probabilities(self, positions: Positions) -> Array:
        """[n, A] for whoever is to move."""
        return softmax(self.network(self.game.information_tensor(positions)), self.game.legal(positions))

    begin = staticmethod(forgets)

    def choose(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> tuple[Carry, Array]:
        return carry, draw(self.probabilities(positions), rng.random(len(positions)))


def _tree(config: DeepCFR, game: Game) -> Tree:
    try:
        return compile_tree(game, config.evaluation.memory_bytes)
    except MemoryError as error:
        raise MemoryError(f"{error}; evaluation.memory_bytes=0 does without a tree and exploitability") from None


# As a run ------------------------------------------------------------------------------------------------------------


def make(config: DeepCFR, spec: GameSpec, seeds: Seeds, device: torch.device) -> Parts:
    """Raises ValueError for a game that has no tensor of what is known."""
    updates = config.learner.updates + (config.learner.strategy_updates if config.average == "network" else 0)
    compiled = pays_off(config.compile, config.steps / config.traversals * updates, device)
    learner = Learner(config, make_game(config.game), seeds, device, compiled)
    return Parts(learner, Memory(config, spec.seats, seeds), EveryCollection(updates))


def evaluation(config: DeepCFR, seeds: Seeds, enter: Enter) -> Exploitability:
    """Raises MemoryError where the tree is too large."""
    return Exploitability(config, make_game(config.game))


def actor(config: DeepCFR, index: int, incarnation: int) -> Actor:
    rng = Seeds(config.seed).generator("actor", index, incarnation)
    return Traverser(config, make_game(config.game), index, rng)


def player(config: DeepCFR, game: Game, state: State, name: str) -> Player:
    """The average policy of a checkpoint. A mixture of networks is made a table, which needs the tree."""
    network = Acting(config, game)
    if config.average == "network":
        return StrategyPlayer(game, network.load(network.rows(state["weights"])[game.spec.seats]), name)
    infosets = Infosets(compile_tree(game, config.evaluation.memory_bytes or MEMORY), game)
    return TabularPlayer(name, game, table(infosets.tree, infosets.average(config, network, state["weights"])))


ALGORITHM = Algorithm[DeepCFR](make=make, actor=actor, evaluation=evaluation, player=player)
