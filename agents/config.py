"""The keys that every algorithm's config shares. Torch-free, so that a wrong config is refused at once."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from agents.footprint import Footprint, Shown, layer_bytes, shown_bytes
from agents.torsos import PlainTorsoOptions, Torso
from envs.names import parameters, split
from experiment import extensions
from experiment.config import (
    Config,
    Count,
    Fixed,
    Fraction,
    Natural,
    Positive,
    PositiveFloat,
    Rows,
    Seconds,
    Seed,
    Several,
)

Activation = Literal["tanh", "relu", "silu", "elu", "sigmoid", "gelu"]
ENVIRONMENT = 4096  # bytes of one, at the least
Threads = Annotated[int, Field(gt=0, le=1024)]


class Atari(Config):
    """Preprocessing of Atari screens (Mnih et al. 2015; Machado et al. 2018 for sticky actions)."""

    frame_skip: Count = 4
    """emulator frames per action; the observation is the maximum of the last two"""
    screen: Annotated[int, Field(gt=0, le=1024)] = 84
    """side of the square grey picture, in pixels"""
    stack: Annotated[int, Field(gt=0, le=64)] = 4
    """pictures in one observation, newest last"""
    noop_max: Annotated[int, Field(ge=0, le=2**16)] = 30
    """an episode starts with up to this many no-op actions"""
    sticky: Fraction = 0.25
    """probability that the emulator repeats the previous action"""
    episodic_life: bool = False
    """a lost life ends the episode for learning; episode statistics are then per life"""
    fire_reset: bool = False
    """press FIRE after a reset, for games that wait for it"""


class Scene(Config):
    """A world, however many of it there are."""

    id: str
    """Gymnasium environment id, such as CartPole-v1; or game:NAME, such as game:tic_tac_toe, played against oneself"""
    options: dict[str, JsonValue] = Field(default_factory=dict)
    """keyword arguments of the environment"""
    wrappers: tuple[dict[str, JsonValue], ...] = ()
    """Gymnasium's wrappers, innermost first, each with its arguments: {name: TimeLimit, max_episode_steps: 200}"""
    max_episode_steps: Positive | None = None
    """time limit in place of the environment's own"""
    atari: Atari | None = None
    """Atari preprocessing; null for every other environment"""

    @field_validator("id")
    @classmethod
    def _known_by_its_own_name(cls, id: str) -> str:
        """MODULE:ID, as Gymnasium has it, is ID where the person at the keyboard has imported the module."""
        module, _, own = id.rpartition(":")
        if not module or module == "game":
            return id
        if module not in extensions.loaded():
            raise ValueError(f"a config imports nothing: say --import {module}; then {id} and {own} are the same")
        return own

    @model_validator(mode="after")
    def _atari_needs_the_emulator(self) -> Self:
        if self.atari is not None and not self.id.startswith("ALE/"):
            raise ValueError(f"env.atari is set, but {self.id} is not an Atari environment (ALE/...)")
        if self.atari is not None and self.wrappers:
            raise ValueError("env.atari and env.wrappers exclude each other: AtariPreprocessing is a wrapper too")
        return self

    @model_validator(mode="after")
    def _a_game_brings_its_rules(self) -> Self:
        if self.game is not None and (self.options or self.wrappers or self.max_episode_steps or self.atari):
            raise ValueError(
                f"env.options, env.wrappers, env.max_episode_steps and env.atari are not for games such as {self.id}"
            )
        return self

    @property
    def game(self) -> str | None:
        """The name of the game that is played against oneself; None in an environment."""
        return self.id.removeprefix("game:") if self.id.startswith("game:") else None

    def whole_games(self) -> Self:
        """The same world for evaluation: an episode is a whole game, even where training ends one with each life."""
        return self.model_copy(update={"atari": self.atari and self.atari.model_copy(update={"episodic_life": False})})


class Environment(Scene):
    count: Count = 8
    """environments stepped at once, over all actors together"""
    reward_clip: PositiveFloat | None = None
    """learn from rewards clipped to [-x, x]; episode statistics stay raw"""

    def footprint(self, run: Any, world: Shown) -> Footprint:
        return {"count": self.count * (ENVIRONMENT + shown_bytes(world))}


class Demonstrations(Config):
    """Somebody else's steps: `agents.experience.demonstrations`."""

    demonstrations: Fixed[str] = "scripted"
    """whose steps: the directory of a log (scripts/record.py), or scripted, a rule that is known for some worlds"""
    episodes: Fixed[Positive | None] = None
    """how many of them, those that began first; null is all of a log, or 5 that are scripted"""


class Runtime(Config):
    kind: Literal["local", "ray"] = "local"
    """where actors run: in this process, or as Ray actors"""
    actors: Fixed[Count] = 1
    """number of actors; env.count is divided among them"""
    mode: Literal["synchronous", "asynchronous"] = "synchronous"
    """wait for every actor each round (reproducible), or take experience as it arrives"""
    address: str | None = None
    """join the Ray cluster at this address (host:port, or auto); null starts one on this machine"""
    dashboard: bool = False
    """start Ray's dashboard (loopback only) with a cluster of our own"""
    timeout: Seconds = 300.0
    """seconds that an actor may take for one collection before it is replaced"""
    restarts: Natural = 3
    """actors that may be replaced during a run before it stops"""
    backoff: Annotated[float, Field(ge=0, le=10_000)] = 1.0
    """seconds to wait before the first replacement; doubles with each"""
    threads: Threads = 1
    """torch threads of each process; the same everywhere, so that local and Ray runs compute the same"""

    @model_validator(mode="after")
    def _asynchronous_needs_ray(self) -> Self:
        if self.kind == "local" and self.mode == "asynchronous":
            raise ValueError(
                "runtime.mode is asynchronous, but runtime.kind is local: only Ray actors run by themselves"
            )
        if self.kind == "local" and self.address is not None:
            raise ValueError("runtime.address is set, but runtime.kind is local: set runtime.kind=ray")
        if self.dashboard and (self.kind == "local" or self.address is not None):
            raise ValueError("runtime.dashboard is for a cluster of our own: set runtime.kind=ray without an address")
        return self


class NetworkOptions(Config):
    torso: Torso = PlainTorsoOptions()
    """what turns observations into features: a kind, or a section of a kind and its options"""
    hidden: Several[Count] = (64, 64)
    """widths of the hidden layers: of an mlp, or behind the convolutions, or before what remembers"""
    activation: Activation = "tanh"
    """nonlinearity between layers"""
    initialization: Literal["orthogonal", "fan_in", "glorot", "he"] | None = None
    """how the torso's weights are drawn; null is what the algorithm's page says"""
    pretrained: str | None = None
    """begin with the torso of this run or checkpoint, of a fit for example; it must be made like this one"""
    frozen: bool = False
    """leave the torso as it begins: what is behind it learns alone"""

    @property
    def kind(self) -> str:
        """Of the torso."""
        return str(getattr(self.torso, "kind"))  # noqa: B009 (its kind alone is spelt out when it is read)

    def footprint(self, run: Any, world: Shown) -> Footprint:
        behind_convolutions = self.kind != "mlp"
        return {"hidden": layer_bytes(None if behind_convolutions else world, self.hidden)}


class CoderOptions(Config):
    kind: Literal["dense", "convolutional", "unpadded"] = "dense"
    """linear layers; convolutions that halve pictures; or those of World Models, of 64 x 64 pixels, with 4.3 million
    parameters (Ha & Schmidhuber 2018)"""
    hidden: Several[Count] = (64,)
    """widths of the hidden layers from the data to the codes (dense), and back in the opposite order; none: linear"""
    channels: Several[Count] = (32, 64)
    """channels behind each halving (convolutional)"""
    activation: Activation = "relu"
    """nonlinearity between layers"""

    def footprint(self, run: Any, world: Shown) -> Footprint:
        if self.kind == "dense":
            return {"hidden": layer_bytes(None, self.hidden)}
        if self.kind == "unpadded":
            return {}
        return {"channels": 16 * layer_bytes(None, self.channels)}  # of 4 x 4


class NormalizeOptions(Config):
    observations: bool = False
    """subtract the running mean of observations and divide by their running deviation"""
    clip: PositiveFloat = 10.0
    """normalized observations are clipped to [-x, x]"""


class Collection(Config):
    steps: Rows
    """steps of every environment before learning goes on"""

    def footprint(self, run: Any, world: Shown) -> Footprint:
        return {"steps": self.steps * run.env.count * shown_bytes(world)}


class EvaluationOptions(Config):
    every: Natural = 0
    """steps between evaluations without exploration; 0 evaluates at the end only"""


class EpisodeEvaluation(EvaluationOptions):
    episodes: Positive = 20
    """episodes of one evaluation, always on the same episode seeds; in a game those against each opponent"""
    opponents: Several[str] | None = None
    """whom it meets in a game, by the names of the arena; null: random, and one_ply where nothing is hidden"""
    max_episode_steps: Positive = 27_000
    """where the environment has no time limit, an episode is cut off after so many steps (half an hour of Atari)"""


class Checkpoint(Config):
    every: Natural = 100_000
    """steps between checkpoints; 0 saves at the end and on signals only"""
    keep: Positive = 3
    """checkpoints kept; the oldest go first"""


class Logging(Config):
    every: Positive = 5_000
    """steps between lines of metrics"""


class EpisodeLogging(Logging):
    window: Positive = 100
    """episodes averaged in rollout/ep_rew_mean and rollout/ep_len_mean"""


class World(NamedTuple):
    """What a run is about."""

    kind: Literal["env", "game", "mdp", "data", "bandits"]
    name: str  # a Gymnasium id, a game's name, that of a finite MDP, that of a data set, bandits


class Experiment(Config):
    """Base of every algorithm's config."""

    algorithm: Fixed[str]
    """name of the algorithm"""
    seed: Fixed[Seed] = 0
    """every random stream of the run derives from it"""
    steps: Positive = 100_000
    """environment steps to train for, over all environments together"""
    evaluation: EvaluationOptions = EvaluationOptions()
    """when to measure what was learned"""
    checkpoint: Checkpoint = Checkpoint()
    """when to save"""
    logging: Logging = Logging()
    """when to write metrics"""

    @property
    def world(self) -> World:
        raise NotImplementedError(f"{type(self).__name__} does not say what it is about")

    @property
    def environment(self) -> Scene | None:
        """Where a policy that it finds acts; None where none does."""
        return None

    def require_world(self, world: Shown) -> None:
        """Raise ValueError where nothing can be learned by this in a world of such a spec."""


class OfGame(Experiment):
    """An experiment about one game."""

    game: Fixed[str]
    """name of the game, such as leduc_poker or connect_four(rows=4,columns=4)"""

    @property
    def world(self) -> World:
        return World("game", self.game)


class OfMDP(Experiment):
    """An experiment about one finite MDP."""

    mdp: Fixed[str]
    """name of the MDP, such as gridworld or cliff_walking(columns=6), or Gymnasium's, such as FrozenLake-v1"""
    discount: Fraction = 1.0
    """gamma: what a reward one step later is worth"""

    @property
    def world(self) -> World:
        return World("mdp", self.mdp)

    @property
    def environment(self) -> Scene | None:
        """The MDP as a Gymnasium environment, whose observations are the numbers of its states."""
        name, given = split(self.mdp, "an MDP")
        options: dict[str, JsonValue] = dict(parameters(self.mdp, given))
        return Environment(id=name if "-v" in name else f"tabular/{name}-v0", options=options)


class Gradients(Experiment):
    """What is learned is the parameters of networks."""

    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """where the learner computes: auto (a GPU when there is one), cpu, cuda, or cuda:N"""
    compile: Literal["auto", "off", "on"] = "auto"
    """compile the update (kept in the user's cache; a CUDA graph on a GPU); auto does when a run is long enough"""


class Learning(Gradients):
    """Actors feed a learner: `agents.courses.training.Training` is its course."""

    runtime: Runtime = Runtime()
    """where actors run"""
    logging: EpisodeLogging = EpisodeLogging()
    """when to write metrics"""


class OfEnvironment(Experiment):
    """An experiment about acting in one environment, or in one game against oneself."""

    env: Fixed[Scene]
    """the world to learn"""
    evaluation: EpisodeEvaluation = EpisodeEvaluation()
    """when to measure the policy without exploration"""

    @model_validator(mode="after")
    def _opponents_play(self) -> Self:
        if self.evaluation.opponents is not None and self.env.game is None:
            raise ValueError(f"evaluation.opponents are met in games, but {self.env.id} is an environment")
        return self

    @property
    def world(self) -> World:
        return World("env", self.env.id) if self.env.game is None else World("game", self.env.game)

    @property
    def environment(self) -> Scene:
        return self.env


class Acting(OfEnvironment, Learning):
    """Learning to act by acting."""

    env: Fixed[Environment]
    """the world to learn"""
    logging: EpisodeLogging = EpisodeLogging()  # as Learning has it; OfEnvironment brings that of all experiments
    """when to write metrics"""

    @model_validator(mode="after")
    def _rows_divide(self) -> Self:
        if self.env.count % self.runtime.actors:
            raise ValueError(
                f"env.count ({self.env.count}) is not divisible by runtime.actors ({self.runtime.actors}): "
                "each actor steps the same number of environments"
            )
        return self


class Control(Acting):
    """Learning from what is collected in an environment, a round at a time."""

    rollout: Collection
    """how much is collected between updates"""


class SolverEvaluation(EvaluationOptions):
    doubling: bool = True
    """evaluate after 1, 2, 4, 8, ... iterations too, which draws a curve on a logarithmic axis"""


class Solution(OfGame):
    """A game is solved by iterations, without actors: `agents.courses.solving.Solving` is its course."""

    steps: Positive = 1_000
    """iterations"""
    evaluation: SolverEvaluation = SolverEvaluation()
    """when to measure how far the policy is from equilibrium"""
