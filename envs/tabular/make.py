"""Finite MDPs by name: `make_mdp("cliff_walking(columns=6)")`.

A name is that of a function in WORLDS, its parameters those of the function; or it is the id of a Gymnasium environment
that has a table `P`, such as "FrozenLake-v1(is_slippery=false)" and "Taxi-v4".
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from envs.names import Parameters, parameters, split
from envs.tabular import blackjack, chains, grids, pomdp, robots
from envs.tabular.mdp import MDP

WORLDS: dict[str, Callable[..., MDP]] = {
    world.__name__: world
    for world in (
        robots.recycling_robot,
        robots.walking_robot,
        grids.gridworld,
        grids.jumping_gridworld,
        grids.windy_gridworld,
        grids.cliff_walking,
        chains.two_state,
        chains.random_walk,
        chains.river_swim,
        chains.gambler,
        chains.ab_example,
        chains.driving_home,
        chains.baird,
        chains.maximization_bias,
        chains.garnet,
        blackjack.blackjack,
        pomdp.tiger_beliefs,
    )
}


def make_mdp(name: str) -> MDP:
    """Raises ValueError for an unknown name (with the nearest ones), and for unknown or impossible parameters."""
    name = name.strip()
    short, text = split(name, "an MDP, such as 'gridworld' or 'cliff_walking(columns=6)'")
    given = parameters(name, text)
    if short in WORLDS:
        return replace(WORLDS[short](**_arguments(name, WORLDS[short], given)), name=name)
    import gymnasium

    if short in gymnasium.registry:
        return _of_gymnasium(name, short, dict(given))
    near = difflib.get_close_matches(short, [*WORLDS, *gymnasium.registry], 3, 0.6)
    known = f"known are {', '.join(WORLDS)}, and Gymnasium's environments that have a table P"
    advice = f"did you mean {' or '.join(near)}?" if near else known
    raise ValueError(f"no MDP {short!r}: {advice}")


def _arguments(name: str, world: Callable[..., MDP], given: Parameters) -> dict[str, Any]:
    """The given parameters, each of the type of its default; a whole number will do for another one."""
    known = {key: type(found.default) for key, found in inspect.signature(world).parameters.items()}
    for key, value in given.items():
        if key not in known:
            raise ValueError(f"{name}: unknown parameter {key!r}, known are {', '.join(known) or 'none'}")
        if type(value) is not known[key] and (type(value), known[key]) != (int, float):
            raise ValueError(f"{name}: {key} is {value!r}, expected {known[key].__name__}")
    return {key: known[key](value) for key, value in given.items()}


def _of_gymnasium(name: str, id: str, options: dict[str, Any]) -> MDP:
    import gymnasium

    try:
        world: Any = gymnasium.make(id, **options).unwrapped
    except (gymnasium.error.Error, TypeError, ValueError, KeyError) as error:
        raise ValueError(f"{name} cannot be made: {error}") from error
    if not hasattr(world, "P") or not hasattr(world, "initial_state_distrib"):
        raise ValueError(f"{name} is no MDP: it has no table P, as FrozenLake-v1, CliffWalking-v1 and Taxi-v4 have")
    return MDP.of_table(name, world.P, world.initial_state_distrib)
