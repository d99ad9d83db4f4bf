"""What an agent does at each infoset of a small game, and how far that is from equilibrium, or in each state of an MDP.

    python scripts/policy.py runs/leduc --limit 20
    python scripts/policy.py runs/kuhn random --game kuhn_poker --picture family.png
    python scripts/policy.py runs/gridworld

In a game AGENT is a run or checkpoint directory, random, or any player of the arena that always chooses alike; in an
MDP the directory of a run about it. --picture, in Kuhn poker, draws where agents stand in the family of its equilibria.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from experiment import extensions
from experiment.run import command

if TYPE_CHECKING:
    from agents.regret.tree import GameTree
    from envs.api import Array

# What the first seat does in the equilibria of Kuhn poker (Kuhn 1950), over alpha from 0 to 1/3: the probability of
# action 1 at an infoset is start + slope * alpha. The second seat has no choice.
FAMILY = (
    ("bets with the jack", "0", 0.0, 1.0),
    ("calls with the queen, after passing", "1pb", 1 / 3, 1.0),
    ("bets with the king", "2", 0.0, 3.0),
)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("agents", nargs="+", metavar="AGENT", help="whose policy")
    parser.add_argument("--game", metavar="NAME", help="OpenSpiel's name (default: what the first was trained for)")
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="infosets or states shown of each (50)")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw Kuhn's equilibria: .png, .svg, .pdf")
    extensions.offer(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    asked = arguments(argv)
    from agents.entrants import world_of

    try:
        extensions.load(asked.imports)
        world = world_of(asked.agents[0]) if asked.game is None else None
        if world is not None and world.kind == "mdp":
            in_states(asked, world.name)
        else:
            at_infosets(asked, asked.game or (world.name if world is not None and world.kind == "game" else None))
    except (ValueError, MemoryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def in_states(asked: argparse.Namespace, name: str) -> None:
    """Print what each agent does, and what its states are worth. Raises ValueError where one is about another MDP."""
    import numpy as np

    from agents.config import OfMDP
    from agents.entrants import world_of
    from agents.maths.bellman import evaluate, sweep
    from agents.parts.tables import TabularPolicy
    from agents.restore import load_checkpoint, load_policy
    from envs.tabular.make import make_mdp

    if other := [agent for agent in asked.agents if world_of(agent) != ("mdp", name)]:
        raise ValueError(f"{other[0]} is no run about {name}, as {asked.agents[0]} is")
    mdp = make_mdp(name)
    for agent in asked.agents:
        config, policy = load_checkpoint(Path(agent))[0], load_policy(Path(agent))[0]
        assert isinstance(config, OfMDP) and isinstance(policy, TabularPolicy)
        try:
            values = evaluate(mdp, policy.probabilities, config.discount)
        except ValueError as reason:  # what it does is shown all the same
            print(reason)
            values = np.full(len(mdp.states), np.nan)
        print(f"{agent}, {name}, discount {config.discount}: state, value, action:probability")
        for s, state in list(enumerate(mdp.states))[: asked.limit]:
            chances = [f"{a}:{p:.4f}" for a, p in zip(mdp.actions, policy.probabilities[s]) if p > 0]
            print(f"{state!s:<16}  {values[s]:12.6f}  {'  '.join(chances)}")
        best = mdp.start @ sweep(mdp, config.discount, tolerance=1e-9).values
        print(f"expected at the start {mdp.start @ values:.6f}, at best {best:.6f}\n")


def at_infosets(asked: argparse.Namespace, name: str | None) -> None:
    """Print what each agent does, and how far it is from equilibrium. Raises ValueError where that can't be said."""
    from agents.entrants import entrant
    from agents.regret.best_response import expected_returns, nash_conv
    from agents.regret.policies import of_player, text
    from agents.regret.tree import compile_tree
    from envs.games.make import make_game
    from experiment.extras import require

    if name is None:
        raise ValueError(f"--game is missing, and {asked.agents[0]} names none")
    if asked.picture and name != "kuhn_poker":
        raise ValueError(f"--picture draws the equilibria of kuhn_poker, not of {name}")
    if asked.picture:
        require("matplotlib", "plot", "--picture")
    game = make_game(name)
    tree = compile_tree(game)
    policies = {agent: of_player(tree, game, entrant(agent, game)) for agent in asked.agents}
    for agent, policy in policies.items():
        print(f"{agent}, {name}: seat, infoset, action:probability\n{text(tree, policy, asked.limit)}")
        conv = nash_conv(tree, policy)
        print("returns of the seats: " + ", ".join(f"{each:.6f}" for each in expected_returns(tree, policy)))
        halved = f", exploitability {conv / 2:.3g}" if tree.two_player_zero_sum else ""
        print(f"NashConv {conv:.3g}{halved}\n")
    if asked.picture:
        draw(asked.picture, tree, policies)
        print(asked.picture)


def draw(file: Path, tree: GameTree, policies: dict[str, Array]) -> None:
    """What the first seat does in the equilibria, over alpha, and where each policy stands."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    from agents.regret.policies import by_action

    figure, axes = pyplot.subplots(figsize=(7, 3.6), layout="constrained")
    ends = (0.0, 1 / 3)
    for label, infoset, start, slope in FAMILY:
        (line,) = axes.plot(ends, [start + slope * end for end in ends], label=label)
        for policy in policies.values():
            alpha = by_action(tree, policy, "0")[1]
            axes.plot(alpha, by_action(tree, policy, infoset)[1], "o", color=line.get_color())
    for agent, policy in policies.items():
        alpha = by_action(tree, policy, "0")[1]
        axes.axvline(alpha, color="grey", linewidth=0.5)
        axes.annotate(Path(agent).name, (alpha, 1.02), rotation=30, fontsize=7, annotation_clip=False)
    axes.set(xlabel="alpha, the probability of a bet with the jack", ylabel="probability", ylim=(0, 1.05))
    axes.legend(loc="upper left", fontsize=8)
    axes.grid(alpha=0.3)
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    command(main)
