"""Atari preprocessing against Gymnasium's own wrappers, and snapshots in the middle of a game with several lives."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest

from envs.api import Discrete, Step
from envs.atari import AtariGame, AtariOptions, register
from envs.gymnasium_env import GymnasiumEnv, episode_seed, make
from envs.spaces import UnsupportedEnv

pytest.importorskip("ale_py")
pytest.importorskip("cv2")
PLAIN = AtariOptions(noop_max=0, sticky=0.0)


def reference(options: AtariOptions) -> Any:
    register()
    env = gymnasium.make("ALE/Pong-v5", frameskip=1, repeat_action_probability=0.0, disable_env_checker=True)
    env = gymnasium.wrappers.AtariPreprocessing(
        env, noop_max=0, frame_skip=options.frame_skip, screen_size=options.screen
    )
    return gymnasium.wrappers.FrameStackObservation(env, options.stack)


@pytest.mark.parametrize("options", [PLAIN, replace(PLAIN, frame_skip=2, screen=42, stack=3)])
def test_pong_looks_as_in_gymnasium(options: AtariOptions) -> None:
    env = make("ALE/Pong-v5", 1, atari=options)
    assert env.spec.frames == options.stack
    assert env.spec.obs_dtype == "uint8"
    theirs = reference(options)
    step, (seen, _) = env.reset(0), theirs.reset(seed=episode_seed(0, 0, 0))
    rng = np.random.default_rng(0)
    total = 0.0
    for _ in range(300):
        np.testing.assert_array_equal(step.obs[0], seen)
        action = rng.integers(0, 6, 1)
        step = env.step(action)
        seen, reward, *_ = theirs.step(action[0])
        total += abs(reward)
        assert step.reward[0, 0] == reward
    assert total >= 2, "points were made"


def test_newest_frame_is_last() -> None:
    env = make("ALE/Pong-v5", 1, atari=PLAIN)
    before = env.reset(0).obs[0]
    for _ in range(6):
        after = env.step(np.array([2])).obs[0]
        np.testing.assert_array_equal(after[:-1], before[1:])
        before = after
    assert not np.array_equal(after[-1], after[-2])


class Tape:
    """Stands in for the emulator: takes down the raw actions. A life is lost at each frame in `losses`."""

    def __init__(self, lives: int = 3, losses: tuple[int, ...] = ()) -> None:
        self.lives_left, self.losses, self.acts = lives, losses, list[int]()

    def act(self, move: int) -> float:
        self.acts.append(move)
        self.lives_left -= len(self.acts) in self.losses
        return 1.0

    def lives(self) -> int:
        return self.lives_left

    def game_over(self, with_truncation: bool = True) -> bool:
        return self.lives_left == 0

    def game_truncated(self) -> bool:
        return False

    def getScreenGrayscale(self, out: Any) -> None:
        out[...] = len(self.acts) % 256

    def cloneState(self, include_rng: bool) -> int:
        return self.lives_left

    def restoreState(self, state: int) -> None:
        self.acts, self.lives_left = [], state


class Console(gymnasium.Env[Any, Any]):
    observation_space = gymnasium.spaces.Box(0, 255, (210, 160), np.uint8)
    action_space = gymnasium.spaces.Discrete(3)
    _action_set = (0, 1, 2)

    def __init__(self, tape: Tape) -> None:
        self.ale = tape

    def get_action_meanings(self) -> list[str]:
        return ["NOOP", "FIRE", "UP"]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return None, {}


def game(options: AtariOptions, **tape: Any) -> tuple[AtariGame, Tape]:
    emulator = Tape(**tape)
    return AtariGame(Console(emulator), options), emulator


def test_sticky_frames_repeat_the_previous_raw_action() -> None:
    """The law of Machado et al.: at each raw frame, with probability 0.25, what was done before goes on."""
    world, tape = game(AtariOptions(noop_max=0))
    world.reset(seed=0)
    for time in range(5000):
        world.step(1 + time % 2)
    wanted = np.repeat(1 + np.arange(5000) % 2, 4)
    acts = np.array(tape.acts)
    late = (acts != wanted).reshape(5000, 4).mean(0)
    # the first frame is late with 1/4, the second if the first was and sticks again, ...
    np.testing.assert_allclose(late, 0.25 ** np.arange(1, 5), atol=4 * np.sqrt(0.25 * 0.75 / 5000))
    world.reset(seed=0)
    for time in range(50):
        world.step(1 + time % 2)
    assert tape.acts == acts[:200].tolist()
    world.reset(seed=1)
    for time in range(50):
        world.step(1 + time % 2)
    assert tape.acts != acts[:200].tolist()


def test_no_sticky_frames() -> None:
    world, tape = game(PLAIN)
    world.reset(seed=0)
    for action in (1, 2):
        world.step(action)
    assert tape.acts == [1] * 4 + [2] * 4


def test_idle_frames_and_fire() -> None:
    counts = set()
    for seed in range(60):
        world, tape = game(AtariOptions(noop_max=5, sticky=0.0, fire_reset=True))
        world.reset(seed=seed)
        assert tape.acts[-4:] == [1] * 4
        assert set(tape.acts[:-4]) == {0}
        counts.add(len(tape.acts) - 4)
    assert counts == {1, 2, 3, 4, 5}


def test_last_two_frames_are_maximised() -> None:
    world, _ = game(replace(PLAIN, screen=4))
    shown, _ = world.reset(seed=0)
    assert np.unique(shown).tolist() == [0]
    shown, reward, *_ = world.step(2)
    assert shown[:, 0, 0].tolist() == [0, 0, 0, 4]
    assert reward == 4.0
    world, _ = game(replace(PLAIN, screen=4), lives=1, losses=(2,))
    world.reset(seed=0)
    shown, reward, terminated, *_ = world.step(2)
    assert shown[-1, 0, 0] == 2, "a game that ends within the skip shows its last screen"
    assert (reward, terminated) == (2.0, True)


def test_lives() -> None:
    """A life lost ends an episode and goes on; the last one ends the game."""
    for episodic in (False, True):
        world, _ = game(replace(PLAIN, episodic_life=episodic), losses=(3, 10, 13))
        world.reset(seed=0)
        ends = []
        for _ in range(4):
            _, _, terminated, truncated, _ = world.step(2)
            ends.append((terminated, world.continues))
            assert not truncated
        life = (True, True) if episodic else (False, False)
        assert ends == [life, (False, False), life, (True, False)]


def test_a_life_lost_goes_on_with_the_same_game() -> None:
    world, tape = game(replace(PLAIN, episodic_life=True, screen=4), losses=(6, 14, 17))
    env = GymnasiumEnv([world], "tape", frames=4)
    env.reset(0)
    ends = [env.step(np.array([2])) for _ in range(4)]
    assert [bool(step.terminated[0]) for step in ends] == [False, True, False, True]
    assert len(tape.acts) == 16
    assert ends[1].final_obs[0, :, 0, 0].tolist() == [0, 0, 4, 8]
    assert ends[1].obs[0, :, 0, 0].tolist() == [8, 8, 8, 8], "a new episode has no past"
    assert env.state_dict()["episodes"].tolist() == [0]
    assert env.state_dict()["lengths"].tolist() == [4], "the actions since the game began"
    step = env.step(np.array([2]))
    assert step.terminated.tolist() == [True]
    assert step.obs[0, :, 0, 0].tolist() == [0, 0, 0, 0], "a new game"
    assert env.state_dict()["episodes"].tolist() == [1]
    assert env.state_dict()["lengths"].tolist() == [0]


def test_the_time_limit_ends_the_game_even_where_a_life_is_lost() -> None:
    world, _ = game(replace(PLAIN, episodic_life=True, screen=4), losses=(6,))
    env = GymnasiumEnv([world], "tape", 2, frames=4)
    env.reset(0)
    env.step(np.array([2]))
    step = env.step(np.array([2]))
    assert step.terminated.tolist() == [True]
    assert step.truncated.tolist() == [False]
    assert env.state_dict()["episodes"].tolist() == [1]


def test_snapshot_between_two_lives() -> None:
    """Breakout with episodic lives: another instance goes on bit for bit, also right after a life and a game."""
    options = AtariOptions(noop_max=4, episodic_life=True, fire_reset=True)
    env, other = make("ALE/Breakout-v5", 2, atari=options), make("ALE/Breakout-v5", 2, atari=options)
    rng = np.random.default_rng(0)
    step: Step = env.reset(1)
    lives, pending = 0, 2
    for _ in range(400):
        step = env.step(rng.integers(0, 4, 2))
        lives += int(step.terminated.sum())
        if lives >= pending:  # after the second and the seventh end, the latter in the second game of a row
            pending += 5
            state = copy.deepcopy(env.state_dict())
            restored = other.load_state_dict(state)
            ahead = np.random.default_rng(lives)
            mine, theirs = [step], [restored]
            for _ in range(15):
                action = ahead.integers(0, 4, 2)
                mine.append(env.step(action))
                theirs.append(other.step(action))
            for one, two in zip(mine, theirs, strict=True):
                for name in ("obs", "final_obs", "reward", "terminated"):
                    np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
            lives += sum(int(one.terminated.sum()) for one in mine[1:])
    assert lives >= 12
    assert max(env.state_dict()["episodes"]) >= 1


def test_requests_that_cannot_be_met() -> None:
    with pytest.raises(UnsupportedEnv, match="ALE/"):
        make("CartPole-v1", 1, atari=AtariOptions())
    with pytest.raises(UnsupportedEnv, match="frameskip"):
        make("ALE/Pong-v5", 1, {"frameskip": 4}, AtariOptions())
    with pytest.raises(UnsupportedEnv, match="did you mean ALE/Pong-v5"):
        make("ALE/Pung-v5", 1)


def test_all_eighteen_actions() -> None:
    assert make("ALE/Pong-v5", 1, {"full_action_space": True}, AtariOptions()).spec.actions == Discrete(18)


def test_raw_ale_without_preprocessing() -> None:
    env = make("ALE/Pong-v5", 1, {"obs_type": "ram"})
    assert env.spec.obs_shape == (128,)
    assert env.spec.frames == 1
