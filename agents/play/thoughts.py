"""What a player thinks before it moves, as far as it can tell: visits, values, its line; or its actions' chances."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from agents.api import Player, fresh
from agents.search.players import SearchPlayer
from agents.search.rollouts import Rollouts
from envs.api import Array, Positions

STRONGEST = 4096  # simulations that anybody may ask a search for, or as many as it was made with


@runtime_checkable
class Mixed(Protocol):
    """A player that can tell the chances of its actions."""

    def probabilities(self, positions: Positions) -> Array:
        """[n, A] float64, of the seat to move; 0 for what is not legal."""
        ...


class Thought(NamedTuple):
    """About one position. What a player can't tell is None."""

    action: int
    policy: Array | None = None  # [A]: shares of the visits, what the search makes of them, or chances
    visits: Array | None = None  # [A] int
    q: Array | None = None  # [A]: what the seat to move can expect of an action; 0 where it was not visited
    prior: Array | None = None  # [A]
    value: Array | None = None  # [P]: what each seat can expect
    simulations: int | None = None
    proven: bool = False
    line: tuple[int, ...] = ()  # the moves that it expects, its own first


def think(player: Player, positions: Positions, rng: np.random.Generator, simulations: int | None) -> Thought:
    """About one position [1, W] in which a seat is to move. simulations: of a player that has a `strength`."""
    if not isinstance(player, SearchPlayer):
        policy = player.probabilities(positions)[0] if isinstance(player, Mixed) else None
        return Thought(int(fresh(player, positions, rng)[0]), policy)
    seeds = rng.integers(0, 2**64, 1, np.uint64)
    budgets = None if simulations is None else np.array([simulations])
    found = player.search.run(positions, player.evaluator, seeds, budgets=budgets)
    return Thought(
        action=int(found.action[0]),
        policy=found.policy[0],
        visits=found.visits[0],
        q=found.q[0],
        prior=found.prior[0],
        value=found.value[0],
        simulations=int(found.simulations[0]),
        proven=bool(found.proven[0]),
        line=tuple(player.search.principal_variation(0)),
    )


class Strength(NamedTuple):
    """The numbers of simulations that a player may be asked for."""

    own: int  # what it was made with
    choices: list[int]  # ascending: powers of two, its own number; 0, the policy by itself, where a network has one


def strength(player: Player) -> Strength | None:
    """None where there is nothing to choose."""
    if not isinstance(player, SearchPlayer) or player.search.options.seconds is not None:
        return None
    own = player.search.options.simulations
    powers = {2**power for power in range(max(own, STRONGEST).bit_length())}
    return Strength(own, sorted(powers | {own} | (set() if isinstance(player.evaluator, Rollouts) else {0})))
