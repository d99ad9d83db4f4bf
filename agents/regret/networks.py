"""The networks of Deep CFR, the average policies that they make on a tree or in play, and how good these are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from agents.api import State
from agents.maths.explore import draw
from agents.parts.networks import acting
from agents.records import Carry, forgets
from agents.regret.best_response import nash_conv
from agents.regret.configs.deep_cfr import DeepCFR
from agents.regret.lockstep import regret_matching, turn
from agents.regret.policies import normalized, of_function, realization_plan
from agents.regret.tree import GameTree, compile_tree
from envs.api import Array, Game, Positions
from experiment.stop import unless_stopped
from supervised.flat import Flat
from supervised.networks.torso import initialize, mlp


class InfosetNetwork(nn.Module):
    """What is known [B, F] -> a number for each action [B, A]: advantages, or logits of the average policy."""

    def __init__(self, config: DeepCFR, game: Game) -> None:
        super().__init__()
        features = game.information_tensor(game.initial(1), np.zeros(1, np.int64)).shape[1]
        hidden = config.network.hidden
        self.normalize = nn.Identity()
        self.torso = mlp(features, hidden, config.network.activation)
        self.head = nn.Linear(hidden[-1] if hidden else features, game.spec.actions)

    def forward(self, known: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.torso(known))
        return outputs

    def renew(self, generator: torch.Generator) -> None:
        """Forget everything: 0 for all inputs, from hidden layers that are drawn anew."""
        initialize(self, "orthogonal", generator)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)


class HostNetwork:
    """A network on the processor, as a function of arrays: known [n, F] -> [n, A]."""

    def __init__(self, config: DeepCFR, game: Game) -> None:
        network = InfosetNetwork(config, game)
        self.flat = Flat(network)
        self.forward = acting(network, torch.device("cpu"))

    def load(self, weights: Array) -> HostNetwork:
        self.flat.load(weights)
        return self

    def __call__(self, known: Array) -> Array:
        return self.forward(known)

    def rows(self, weights: Array) -> Array:
        """A learner's weights, one network a row: the advantages of each seat, then what the average is made of."""
        return weights.reshape(-1, self.flat.vector.numel())


def softmax(logits: Array, legal: Array) -> Array:
    """[n, A] float64, 0 where not legal."""
    logits = np.where(legal, logits.astype(np.float64), -np.inf)
    weight = np.exp(logits - logits.max(1, keepdims=True))
    policy: Array = weight / weight.sum(1, keepdims=True)
    return policy


class Infosets:
    """What the networks are told at each infoset of a tree."""

    def __init__(self, tree: GameTree, game: Game) -> None:
        self.tree = tree
        self.legal = np.zeros((tree.infosets, game.spec.actions), bool)
        found: dict[tuple[int, str], Array] = {}

        def note(positions: Positions) -> Array:
            seats, keys = game.seat(positions), game.information_state(positions)
            found.update(zip(zip(seats.tolist(), keys, strict=True), game.information_tensor(positions), strict=True))
            return game.legal(positions)

        of_function(tree, game, note)
        grown = tree.sequence_infoset >= 0
        self.legal[tree.sequence_infoset[grown], tree.sequence_action[grown]] = True
        names = zip(tree.infoset_seat.tolist(), map(tree.key, range(tree.infosets)), strict=True)
        self.known = np.stack([found[name] for name in names])

    def policy(self, probability: Array) -> Array:
        """From a row for each infoset, [I, A], to sequences [S]."""
        return normalized(self.tree, probability[self.tree.sequence_infoset, self.tree.sequence_action])

    def average(self, config: DeepCFR, network: HostNetwork, weights: Array) -> Array:
        """The average policy [S] in a learner's weights. Raises Stopped where a run is told to stop."""
        tree, rows = self.tree, network.rows(weights)[self.tree.seats :]
        if config.average == "network":
            return self.policy(softmax(network.load(rows[0])(self.known), self.legal))
        plan = np.zeros(tree.sequences)
        for number, row in enumerate(rows):
            unless_stopped()
            iteration, seat = turn(number, tree.seats)
            own = slice(tree.sequence_start[seat], tree.sequence_start[seat + 1])
            policy = self.policy(regret_matching(network.load(row)(self.known), self.legal))
            plan[own] += iteration * realization_plan(tree, policy)[own]
        return normalized(tree, plan)


class NetworkExploitability:
    """NashConv of the average policy (`agents.api.Evaluation`), by best responses in the whole tree."""

    def __init__(self, config: DeepCFR, game: Game) -> None:
        self.config, self.spec = config, game.spec
        self.infosets: Infosets | None = None
        if config.evaluation.memory_bytes:
            self.infosets = Infosets(_tree(config, game), game)
            self.network = HostNetwork(config, game)

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

    def __init__(self, game: Game, network: HostNetwork, name: str) -> None:
        self.game, self.network, self.name = game, network, name

    def probabilities(self, positions: Positions) -> Array:
        """[n, A] for whoever is to move."""
        return softmax(self.network(self.game.information_tensor(positions)), self.game.legal(positions))

    begin = staticmethod(forgets)

    def choose(self, carry: Carry, positions: Positions, rng: np.random.Generator) -> tuple[Carry, Array]:
        return carry, draw(self.probabilities(positions), rng.random(len(positions)))


def _tree(config: DeepCFR, game: Game) -> GameTree:
    try:
        return compile_tree(game, config.evaluation.memory_bytes)
    except MemoryError as error:
        raise MemoryError(f"{error}; evaluation.memory_bytes=0 does without a tree and exploitability") from None
