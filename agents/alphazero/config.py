"""Config of AlphaZero. Torch-free and numba-free, so that a wrong config is refused at once."""

from __future__ import annotations

from math import prod
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from agents.config import EvaluationOptions, Learning, OfGame
from agents.experience.memory.config import holds_a_start
from agents.footprint import PARAMETER, Footprint, Shown, layer_bytes, shown_bytes
from agents.maths.schedules import Schedule
from agents.search.config import SIMULATIONS, SearchOptions, tree_bytes
from envs.api import GameSpec
from experiment.config import (
    Config,
    Count,
    Fixed,
    Fraction,
    Natural,
    NonNegative,
    Positive,
    PositiveFloat,
    Ratio,
    Rows,
    Several,
)


class BoardNetwork(Config):
    blocks: Fixed[Annotated[int, Field(gt=0, le=1000)]] = 4
    """residual blocks; layers, where a game shows no board"""
    filters: Fixed[Count] = 64
    """planes of every convolution"""
    pooled_every: Fixed[Natural] = 2
    """every so many blocks one pools over the whole board; 0: none does"""
    head_planes: Fixed[Count] = 4
    """planes that a head sees"""
    hidden: Fixed[Count] = 64
    """width of the value head's hidden layer; of every layer, where a game shows no board"""
    inference_dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """number format of the networks that play"""
    training_dtype: Literal["float32", "bfloat16"] = "float32"
    """number format of the learner's convolutions and products; its parameters and its loss are always float32"""

    def footprint(self, run: Any, world: GameSpec) -> Footprint:
        if len(world.obs_shape) != 3:
            return {"hidden": layer_bytes(world, [self.hidden] * self.blocks)}
        head = self.head_planes * prod(world.obs_shape[1:]) * self.hidden
        return {
            "filters": PARAMETER * 9 * self.filters * (2 * self.filters * self.blocks + world.obs_shape[0]),
            "head_planes": PARAMETER * (self.filters * self.head_planes + head),
        }


class SelfPlaySearch(SearchOptions):
    selection: Literal["ucb1", "puct", "gumbel"] = "gumbel"
    """what is tried next: ucb1 knows no priors, puct is AlphaZero's rule, gumbel is sequential halving at the root"""
    simulations: Annotated[int, Field(gt=0, le=SIMULATIONS)] = 32
    """descents from the root, for each move"""


class SelfPlayOptions(Config):
    games: Fixed[Count] = 256
    """games played at once, over all actors together"""
    plies: Positive = 8
    """moves in each game between updates"""
    temperature: PositiveFloat = 1.0
    """early moves are drawn in proportion to search probability ** (1 / temperature)"""
    temperature_plies: Natural = 10
    """moves of a game, random ones included, that are drawn so; later ones are the search's choice"""
    random_plies: Natural = 0
    """a game begins with up to so many random moves, which cost no search and are neither counted nor learned from"""
    full_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """playout cap randomization: fraction of moves that are searched in full, with noise, and learned from"""
    fast_simulations: Annotated[int, Field(gt=0, le=SIMULATIONS)] = 8
    """simulations of the other moves, which only bring games on"""
    cache: Annotated[int, Field(ge=0, le=2**30)] = 0
    """positions whose evaluation each actor keeps until the weights change; 0 keeps none"""
    adjudicate: bool = False
    """a game ends as soon as its result is proven, which search.proven finds out"""
    resign: Annotated[float, Field(gt=-1, lt=0)] | None = None
    """a seat resigns when its search value is below this fraction of a loss; null: games are played to their end"""
    resign_checked: Fraction = 0.1
    """fraction of games played to their end even so, which tell how often a resigned game would not have been lost"""

    def footprint(self, run: Any, world: GameSpec) -> Footprint:
        tree = tree_bytes(max(run.search.simulations, self.fast_simulations), world.actions)
        return {"games": self.games * tree, "cache": self.cache * 4 * world.actions}


class AlphaZeroLearner(Config):
    learning_rate: PositiveFloat | Schedule = 1e-3
    """step size of Adam; a number or a schedule"""
    batch_size: Fixed[Rows] = 256  # updates are counted from the beginning of the run, by rows and this
    """positions of one update"""
    samples_per_row: Fixed[Ratio] = 4.0  # and by this
    """positions sampled for each position that memory is given: the samples-per-insert ratio"""
    value_coefficient: NonNegative = 1.0
    """weight of the value error"""
    regularization: NonNegative = 1e-4
    """weight of the sum of squared parameters"""
    value_lambda: Fraction = 1.0
    """value targets are lambda-returns over the searches' values from a position on; 1 is the game's result alone"""
    max_gradient_norm: PositiveFloat = 10.0
    """longer gradients are scaled down to this Euclidean norm"""
    adam_epsilon: PositiveFloat = 1e-8
    """added to Adam's denominator"""
    symmetries: bool = True
    """show the learner a random one of the game's symmetries of each position"""


class Positions(Config):
    capacity: Fixed[Rows] = 200_000
    """positions kept; the oldest are overwritten"""
    start: Fixed[Natural] = 2_000  # updates are counted from the beginning of the run
    """positions collected before the first update"""

    def footprint(self, run: Any, world: GameSpec) -> Footprint:
        return {"capacity": self.capacity * (shown_bytes(world) + 4 * world.actions)}


class Ladder(EvaluationOptions):
    games: Positive = 40
    """games against each opponent"""
    simulations: Annotated[int, Field(ge=0, le=SIMULATIONS)] = 0
    """search of the player that is measured; 0 plays by the policy alone"""
    opponents: Several[str] = ("random", "mcts:50", "mcts:200")
    """who stands on the ladder, by the names of the arena"""
    past: bool = True
    """meet the player of the last evaluation as well"""
    graded: Several[str] = ()
    """sets of positions with known values that come with the package, such as connect_four_middle: how often it errs"""
    every_line: bool = False
    """play both seats against every move of the other: for games as small as tic-tac-toe"""


class AlphaZero(Learning, OfGame):
    algorithm: Literal["alphazero"] = "alphazero"
    """self-play with search, learned from by a network"""
    steps: Positive = 1_000_000
    """moves of self-play, over all games together"""
    network: BoardNetwork = BoardNetwork()
    """policy and value"""
    search: SelfPlaySearch = SelfPlaySearch()
    """the search of self-play"""
    selfplay: SelfPlayOptions = SelfPlayOptions()
    """how games are played"""
    learner: AlphaZeroLearner = AlphaZeroLearner()
    """the update"""
    memory: Positions = Positions()
    """positions kept"""
    evaluation: Ladder = Ladder()
    """matches against a fixed ladder"""

    def require_world(self, world: Shown) -> None:
        assert isinstance(world, GameSpec)
        if not world.perfect_information:
            raise ValueError(
                f"{world.name} hides something from those who play it, and the search of alphazero would see it: "
                "cfr, mccfr and deep_cfr are for such games"
            )

    @model_validator(mode="after")
    def _search_is_repeatable(self) -> Self:
        if self.search.seconds is not None:
            raise ValueError("search.seconds is for playing: self-play must not depend on how fast the machine is")
        return self

    @model_validator(mode="after")
    def _proofs_are_sought(self) -> Self:
        if self.selfplay.adjudicate and not self.search.proven:
            raise ValueError("selfplay.adjudicate=true ends games whose result is proven: it needs search.proven=true")
        return self

    @model_validator(mode="after")
    def _positions_are_enough(self) -> Self:
        holds_a_start(self.memory.start, self.memory.capacity, self.learner.batch_size)
        return self

    @model_validator(mode="after")
    def _fast_is_less(self) -> Self:
        fast, full = self.selfplay.fast_simulations, self.search.simulations
        if self.selfplay.full_fraction < 1 and fast > full:
            raise ValueError(
                f"selfplay.fast_simulations ({fast}) is above search.simulations ({full}), those of a full search"
            )
        return self

    @model_validator(mode="after")
    def _games_divide(self) -> Self:
        if self.selfplay.games % self.runtime.actors:
            raise ValueError(
                f"selfplay.games ({self.selfplay.games}) is not divisible by runtime.actors ({self.runtime.actors}): "
                "each actor plays the same number of games"
            )
        return self
