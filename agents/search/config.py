"""Options of a search. Torch-free and numba-free, so that a wrong config is refused at once."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from experiment.config import Config, Count, Fraction, NonNegative, PositiveFloat, Seconds

SIMULATIONS = 2**30  # of a search, at most: visits are counted in 32 bits
NODE, WIDTH = 40, 16  # bytes of a node of the tree, and actions of a position that get one, about


def tree_bytes(simulations: int, actions: int) -> int:
    """The tree of one position, if nothing is solved before."""
    return NODE * simulations * min(actions, WIDTH)


class SearchOptions(Config):
    """How a tree of positions is grown, and what is read off it in the end."""

    simulations: Annotated[int, Field(ge=0, le=SIMULATIONS)] = 100
    """descents from the root, for each move; 0 leaves the evaluator's own choice"""
    seconds: Seconds | None = None
    """stop after this time even if simulations are left, for all rows of a batch together; null sets no limit"""
    selection: Literal["ucb1", "puct", "gumbel"] = "puct"
    """what is tried next: ucb1 knows no priors, puct is AlphaZero's rule, gumbel is sequential halving at the root"""
    ucb_c: NonNegative = 2.0
    """weight of exploration in ucb1, for returns between -1 and 1"""
    puct_init: NonNegative = 1.25
    """weight of exploration in puct near the leaves"""
    puct_base: PositiveFloat = 19652.0
    """visits at which the weight of exploration in puct has grown by log 2"""
    unvisited: Literal["parent", "zero", "loss"] = "parent"
    """what puct takes for the value of an action not yet tried: its parent's value, a draw, or a loss"""
    considered: Count = 16
    """actions that gumbel considers at the root, at most"""
    visit_scale: NonNegative = 50.0
    """gumbel: values count as much as if the most visited action had been tried so many times more (c_visit)"""
    value_scale: NonNegative = 1.0
    """gumbel: weight of values against the logits of the priors (c_scale), for values between 0 and 1"""
    rescale: bool = False
    """gumbel: stretch the values of a node's actions to [0, 1]; else the range of `bounds` becomes [0, 1]"""
    dirichlet_alpha: PositiveFloat = 0.3
    """concentration of the noise at the root when puct explores; about 10 / legal moves"""
    dirichlet_fraction: Fraction = 0.25
    """share of that noise in the priors of the root; 0 is without"""
    bounds: Literal["known", "observed"] = "known"
    """range that values are scaled by: the game's own, or the least to the highest that the tree has met (MuZero)"""
    chance: Literal["sampled", "enumerated"] = "sampled"
    """outcomes of chance nodes are drawn, or each is visited in proportion to its probability, without luck"""
    proven: bool = False
    """back up proven results as well, and stop where the root is solved (MCTS-Solver)"""

    @model_validator(mode="after")
    def _halving_needs_a_plan(self) -> Self:
        if self.selection == "gumbel" and self.seconds is not None:
            raise ValueError("selection=gumbel divides a known number of simulations: it can't stop after seconds")
        return self
