from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from agents.contenders import SB3_NAMES, SB3_SIGNS, contender, home
from envs.api import Actions, Array, Continuous, Discrete, MultiDiscrete, Spec, Step
from experiment.checkpoint import CheckpointError

CARTPOLE = Spec("CartPole-v1", (4,), "float32", Discrete(2))
PENDULUM = Spec("Pendulum-v1", (3,), "float32", Continuous((-2.0,), (2.0,)))


def world(actions: Actions) -> Spec:
    return Spec("World", (1,), "float32", actions)


def shown(obs: Array, mask: Array | None = None) -> Step:
    rows = len(obs)
    flags = np.zeros(rows, bool)
    return Step(obs, mask, np.zeros(rows, np.int64), np.zeros((rows, 1)), flags, flags, obs)


def draw(actions: Actions, mask: Array | None = None, rows: int = 30_000) -> Array:
    rng = np.random.default_rng(0)
    masks = None if mask is None else np.tile(mask, (rows, 1))
    return contender("random", world(actions)).act({}, shown(np.zeros((rows, 1)), masks), rng, False).action


def test_random_is_uniform_over_the_legal_actions() -> None:
    free = np.bincount(draw(Discrete(4)), minlength=4) / 30_000
    assert free == pytest.approx([0.25] * 4, abs=0.01)
    masked = np.bincount(draw(Discrete(4), np.array([True, False, True, True])), minlength=4) / 30_000
    assert masked == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3], abs=0.01)
    assert masked[1] == 0


def test_random_chooses_each_part_of_a_multi_discrete_action_by_itself() -> None:
    chosen = draw(MultiDiscrete((2, 3)), np.array([True, True, False, True, True]))
    assert chosen.shape == (30_000, 2)
    cells = np.zeros((2, 3))
    np.add.at(cells, (chosen[:, 0], chosen[:, 1]), 1 / 30_000)
    assert cells.ravel() == pytest.approx([0, 0.25, 0.25] * 2, abs=0.01)


def test_random_is_uniform_between_the_bounds() -> None:
    chosen = draw(Continuous((-1.0, 2.0), (1.0, 6.0)))
    assert chosen.dtype == np.float32 and chosen.shape == (30_000, 2)
    assert chosen.mean(axis=0) == pytest.approx([0, 4], abs=0.05)
    assert chosen.std(axis=0) == pytest.approx([2 / 12**0.5, 4 / 12**0.5], abs=0.05)
    with pytest.raises(ValueError, match="bounds"):
        contender("random", world(Continuous((-np.inf,), (1.0,))))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("runs/nowhere", "no such directory"),
        ("sb3:nowhere.zip", "no such file"),
        ("sb3:nope:file.zip", "'nope' is none of a2c, ddpg, dqn, ppo, sac, td3"),
    ],
)
def test_unknown_contenders_are_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        contender(name, CARTPOLE, trust=True)


class Trained:
    """What a run directory is loaded as."""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose loading is replaced: it was trained on CartPole."""
    monkeypatch.setattr("agents.contenders.load_policy", lambda path: (Trained(), CARTPOLE))
    return tmp_path


def test_a_run_plays_where_it_fits(run: Path) -> None:
    assert isinstance(contender(str(run), CARTPOLE), Trained)
    with pytest.raises(
        ValueError, match=r"was trained on CartPole-v1 and does not fit Pendulum-v1: observations: .*\(3,\)"
    ):
        contender(str(run), PENDULUM)
    with pytest.raises(ValueError, match="actions: "):
        contender(str(run), CARTPOLE.__class__("Three", (4,), "float32", Discrete(3)))


def test_a_damaged_checkpoint_is_a_wrong_request(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(path: Path) -> Any:
        raise CheckpointError("sha256 differs")

    monkeypatch.setattr("agents.contenders.load_policy", damaged)
    with pytest.raises(ValueError, match="sha256 differs"):
        contender(str(run), CARTPOLE)


def test_home_is_where_a_run_was_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = "algorithm: dqn\nenv: {id: ALE/Pong-v5, atari: {episodic_life: true, stack: 2}}\n"
    (tmp_path / "config.yaml").write_text(config)
    checkpoint = tmp_path / "checkpoints" / "step_000000100"
    checkpoint.mkdir(parents=True)
    for place in (tmp_path, checkpoint):
        env = home(str(place))
        assert env is not None and env.atari is not None
        assert (env.id, env.atari.stack, env.atari.episodic_life) == ("ALE/Pong-v5", 2, False)
    monkeypatch.chdir(checkpoint)
    assert home("random") is None  # a name, even within a run
    assert home(str(tmp_path.parent)) is None


def test_an_archive_is_not_opened_without_trust(tmp_path: Path) -> None:
    file = tmp_path / "model.zip"
    file.write_bytes(b"not even an archive")
    with pytest.raises(ValueError, match="runs code that is in it; pass --trust"):
        contender(f"sb3:{file}", CARTPOLE)
    with pytest.raises(ValueError, match="is no SB3 archive"):
        contender(f"sb3:{file}", CARTPOLE, trust=True)


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("data", json.dumps({"policy_class": "?"}))
    with pytest.raises(ValueError, match="name it, as in sb3:ppo:"):
        contender(f"sb3:{file}", CARTPOLE, trust=True)
    with pytest.raises(ValueError, match="does not load as PPO"):
        contender(f"sb3:ppo:{file}", CARTPOLE, trust=True)


@pytest.mark.parametrize("algorithm", SB3_NAMES)
def test_a_model_acts_as_it_does_at_home(algorithm: str, tmp_path: Path) -> None:
    sb3 = pytest.importorskip("stable_baselines3")
    spec = CARTPOLE if algorithm in ("PPO", "A2C", "DQN") else PENDULUM
    model = getattr(sb3, algorithm)("MlpPolicy", spec.name, policy_kwargs={"net_arch": [8]}, device="cpu", seed=1)
    model.save(tmp_path / "model")
    obs = gymnasium.make(spec.name).observation_space.sample()[None].repeat(5, 0)
    obs += np.random.default_rng(0).normal(size=obs.shape).astype(np.float32)
    for name in (f"sb3:{tmp_path}/model.zip", f"sb3:{algorithm.lower()}:{tmp_path}/model.zip"):
        action = contender(name, spec, trust=True).act({}, shown(obs), np.random.default_rng(0), explore=False).action
        assert action.tolist() == model.predict(obs, deterministic=True)[0].tolist()
    other = PENDULUM if spec is CARTPOLE else CARTPOLE
    with pytest.raises(ValueError, match=rf"does not fit {other.name}: it observes Box"):
        contender(f"sb3:{tmp_path}/model.zip", other, trust=True)
    wrong = Spec("Other", spec.obs_shape, "float32", Discrete(7))
    with pytest.raises(ValueError, match=r"it chooses from .* here actions are Discrete\(n=7\)"):
        contender(f"sb3:{tmp_path}/model.zip", wrong, trust=True)


def test_an_archive_is_told_by_its_settings_alone(tmp_path: Path) -> None:
    """Every sign is stored by its own algorithm and by none that is tried after it, DDPG passing for TD3."""
    sb3 = pytest.importorskip("stable_baselines3")
    kinds = {
        "PPO": "CartPole-v1",
        "DQN": "CartPole-v1",
        "SAC": "Pendulum-v1",
        "TD3": "Pendulum-v1",
        "A2C": "CartPole-v1",
    }
    assert list(kinds) == list(SB3_SIGNS)
    for place, (kind, env) in enumerate(kinds.items()):
        model = getattr(sb3, kind)("MlpPolicy", env, policy_kwargs={"net_arch": [8]}, device="cpu")
        found = [other for other, sign in SB3_SIGNS.items() if hasattr(model, sign)]
        assert found[0] == kind == list(SB3_SIGNS)[place]
