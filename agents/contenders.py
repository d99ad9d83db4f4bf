"""Who may meet in the arena: "random", "scripted", our own runs and checkpoints, and Stable-Baselines3 archives."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from agents.api import Policy
from agents.config import Scene
from agents.experience.scripted import Scripted
from agents.records import Acted, Carry
from agents.registry import parse
from agents.restore import load_policy
from envs.api import Actions, Array, Continuous, Discrete, MultiDiscrete, Spec, Step
from experiment import extensions
from experiment.checkpoint import CheckpointError
from experiment.config import read

# What only this algorithm stores in its archive, the more special first. DDPG is TD3 with one critic: the same actor.
SB3_SIGNS = {
    "PPO": "clip_range",
    "DQN": "exploration_fraction",
    "SAC": "target_entropy",
    "TD3": "target_policy_noise",
    "A2C": "gae_lambda",
}
SB3_NAMES = ("A2C", "DDPG", "DQN", "PPO", "SAC", "TD3")


def contender(name: str, spec: Spec, trust: bool = False) -> Policy:
    """The policy that `name` stands for, checked against the world it is to act in.

    name: "random", "scripted", "sb3:FILE.zip", "sb3:ALGORITHM:FILE.zip", or the path of a run or checkpoint directory.
    trust: allow archives whose loading runs code in them. Raises ValueError if there is no such contender, if it
    is not trusted, or if it does not fit.
    """
    if name == "random":
        return UniformPolicy(spec.actions)
    if name == "scripted":
        return Scripted(spec)
    if name.startswith("sb3:"):
        return _sb3(name, spec, trust)
    path = directory(name)
    try:
        policy, trained = load_policy(path)
    except CheckpointError as error:
        raise ValueError(f"contender {name!r}: {error}") from error
    differences = [
        f"{what}: {ours} trained, {theirs} here"
        for what, ours, theirs in (
            ("observations", (trained.obs_shape, trained.obs_dtype), (spec.obs_shape, spec.obs_dtype)),
            ("actions", trained.actions, spec.actions),
        )
        if ours != theirs
    ]
    if differences:
        raise ValueError(f"{name} was trained on {trained.name} and does not fit {spec.name}: {'; '.join(differences)}")
    return policy


def directory(name: str) -> Path:
    """Where a run or checkpoint lies. Raises ValueError where there is nothing."""
    path = Path(name)
    if not is_directory(path):
        raise ValueError(
            f"contender {name!r}: no such directory; expected a run or checkpoint directory, random, scripted, or "
            "sb3:FILE.zip"
        )
    return path


def is_directory(path: Path) -> bool:
    return is_there(path.is_dir)


def is_there(asked: Callable[[], bool]) -> bool:
    """What `is_dir` or `is_file` says; a name that no file system takes, as one of 300 letters, stands for nothing."""
    try:
        return asked()
    except OSError:
        return False


def run_of(path: Path) -> Path | None:
    """The directory of the run whose checkpoints lie here, or one of them; None where there is none."""
    if not is_directory(path):
        return None
    return next((place for place in (path, *path.resolve().parents[:2]) if (place / "config.yaml").is_file()), None)


def home(name: str) -> Scene | None:
    """The environment that a run or checkpoint directory was trained on; None if `name` is another contender.

    An episode is a whole game here, even where training ended one with each life.
    """
    path = Path(name)
    run = run_of(path)
    if run is None:
        return None
    extensions.require(path)
    config = parse(read(run / "config.yaml"))
    if config.environment is None and config.world.kind != "game":
        raise ValueError(f"contender {name!r}: {config.algorithm} learns {config.world.name}, and acts nowhere")
    return config.environment and config.environment.whole_games()


class UniformPolicy:
    """Every legal action with the same probability, explore or not: the contender that everyone should beat."""

    def __init__(self, actions: Actions) -> None:
        if isinstance(actions, Continuous) and not np.isfinite([actions.low, actions.high]).all():
            raise ValueError("random needs bounds to be uniform between, and these actions have none")
        self.actions = actions

    def initial(self, batch: int) -> Carry:
        return {}

    def act(self, carry: Carry, step: Step, rng: np.random.Generator, explore: bool) -> Acted:
        rows, actions = len(step.obs), self.actions
        if isinstance(actions, Continuous):
            return Acted({}, rng.uniform(actions.low, actions.high, (rows, len(actions.low))).astype(np.float32), {})
        sizes = (actions.n,) if isinstance(actions, Discrete) else actions.sizes
        # The largest of independent uniform numbers is equally likely to be any of the legal ones.
        number = rng.random((rows, sum(sizes)))
        if step.mask is not None:
            number[~step.mask] = -1
        chosen = np.stack([part.argmax(axis=1) for part in np.split(number, np.cumsum(sizes)[:-1], axis=1)], axis=1)
        return Acted({}, chosen[:, 0] if isinstance(actions, Discrete) else chosen, {})

    def load(self, weights: Array) -> None:
        raise ValueError("a random policy has no weights to load")


class Sb3:
    """A model of Stable-Baselines3: anything with its `predict`. Observations are handed over as they are, so a model
    that was trained behind VecNormalize, which lies in a second file, is not supported: it would see other numbers
    than it was trained on.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def initial(self, batch: int) -> Carry:
        return {}

    def act(self, carry: Carry, step: Step, rng: np.random.Generator, explore: bool) -> Acted:
        """With explore=False what the model thinks best; its sampling otherwise draws from torch's own generator."""
        action, _ = self.model.predict(step.obs, deterministic=not explore)
        return Acted({}, np.asarray(action), {})

    def load(self, weights: Array) -> None:
        raise ValueError("an SB3 model brings its own weights")


def _sb3(name: str, spec: Spec, trust: bool) -> Policy:
    *algorithm, file = name.split(":", 2)[1:]
    if algorithm and algorithm[0].upper() not in SB3_NAMES:
        raise ValueError(f"contender {name!r}: {algorithm[0]!r} is none of {', '.join(SB3_NAMES).lower()}")
    path = Path(file)
    if not is_there(path.is_file):
        raise ValueError(f"contender {name!r}: no such file: {file}")
    if not trust:
        raise ValueError(
            f"contender {name!r}: loading an SB3 archive runs code that is in it; pass --trust if you trust its origin"
        )
    kind = algorithm[0].upper() if algorithm else _sb3_algorithm(path)
    try:
        import stable_baselines3
    except ImportError as error:
        raise ValueError(f"contender {name!r} needs stable-baselines3: pip install 'sparring[peers]'") from error
    try:
        # without a replay buffer, which takes up to 56 GB for pictures and is of no use here
        model = getattr(stable_baselines3, kind).load(path, device="cpu", custom_objects={"buffer_size": 1})
    except Exception as error:
        raise ValueError(f"contender {name!r} does not load as {kind}: {type(error).__name__}: {error}") from error
    if misfit := _misfit(model.observation_space, model.action_space, spec):
        raise ValueError(f"contender {name!r} does not fit {spec.name}: {misfit}")
    return Sb3(model)


def _sb3_algorithm(path: Path) -> str:
    """Which algorithm's archive this is, told from the names of its settings, which are read as JSON."""
    try:
        with zipfile.ZipFile(path) as archive:
            settings = json.loads(archive.read("data"))
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ValueError(f"{path} is no SB3 archive: {error}") from error
    found = next((kind for kind, sign in SB3_SIGNS.items() if sign in settings), None)
    if found is None:
        raise ValueError(f"{path}: the algorithm cannot be told from the archive; name it, as in sb3:ppo:{path}")
    return found


def _misfit(observations: Any, actions: Any, spec: Spec) -> str | None:
    """How an SB3 model's Gymnasium spaces differ from ours; None if it can act here."""
    from gymnasium import spaces

    kind = "uint8" if isinstance(observations, spaces.Box) and observations.dtype == np.uint8 else "float32"
    if not isinstance(observations, spaces.Box) or (observations.shape, kind) != (spec.obs_shape, spec.obs_dtype):
        return f"it observes {observations}, here observations are {spec.obs_dtype} {list(spec.obs_shape)}"
    fits = (
        (isinstance(actions, spaces.Discrete) and spec.actions == Discrete(int(actions.n)) and actions.start == 0)
        or (isinstance(actions, spaces.MultiDiscrete) and spec.actions == MultiDiscrete(tuple(actions.nvec.tolist())))
        or (
            isinstance(actions, spaces.Box)
            and spec.actions == Continuous(tuple(actions.low.tolist()), tuple(actions.high.tolist()))
        )
    )
    return None if fits else f"it chooses from {actions}, here actions are {spec.actions}"
