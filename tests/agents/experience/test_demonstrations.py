"""Episodes of others: whole ones, those that were asked for, as the world took them, and of this world only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agents.config import Demonstrations, Environment
from agents.contenders import UniformPolicy
from agents.experience.demonstrations import demonstrated, recorded, steps_of
from agents.experience.logged import write
from agents.experience.rollout import Rollout, env_spec, make_env
from agents.records import Unroll, lived
from experiment.seeding import Seeds


def played(world: str, episodes: int, seed: int = 0) -> list[Unroll]:
    env = make_env(Environment(id=world), 1)
    return recorded(UniformPolicy(env.spec.actions), env, episodes, seed, np.random.default_rng(seed), explore=False)


def test_each_unroll_is_an_episode_from_its_beginning_to_its_end() -> None:
    unrolls = played("CartPole-v1", 4)
    for unroll in unrolls:
        assert unroll.first[0, 0] and len(unroll.obs) == len(unroll.action) + 1
        assert unroll.terminated[:, 0].tolist() == [False] * (len(unroll.action) - 1) + [True]
    again = played("CartPole-v1", 2)
    assert all(np.array_equal(one.action, other.action) for one, other in zip(unrolls, again, strict=False))
    assert not np.array_equal(unrolls[0].obs, played("CartPole-v1", 1, seed=1)[0].obs)


def test_the_first_episodes_are_those_that_began_first() -> None:
    """Two rows side by side, in collections that end in the middle of episodes: counted by hand."""
    env = make_env(Environment(id="CartPole-v1"), 2)
    rollout = Rollout(env, UniformPolicy(env.spec.actions), 0, np.random.default_rng(0))
    unrolls = [rollout.collect(30)[0] for _ in range(3)]
    expected, number, begun = [], [0, 0], 0
    for unroll in unrolls:
        for t in range(30):
            for row in range(2):
                if unroll.first[t, row]:
                    begun += 1
                    number[row] = begun
                if number[row] <= 3:
                    expected.append(unroll.obs[t, row])
    shown = steps_of(unrolls, env.spec.actions, 3, "here")
    assert np.array_equal(shown.obs, expected) and 30 < len(expected) < 150
    assert len(steps_of(unrolls, env.spec.actions, None, "here").obs) == 180
    with pytest.raises(ValueError, match=f"here holds {begun} episodes, expected 99"):
        steps_of(unrolls, env.spec.actions, 99, "here")


def test_a_log_gives_what_was_lived_through(tmp_path: Path) -> None:
    unrolls, world = played("sparring/MaskedAction-v0", 3), Environment(id="sparring/MaskedAction-v0")
    write(tmp_path, unrolls, {"policy": "random"})
    shown = demonstrated(Demonstrations(demonstrations=str(tmp_path)), world, env_spec(world), Seeds(0))
    parts = [lived(unroll) for unroll in unrolls]
    for name in ("obs", "action", "next_obs", "terminated"):
        assert np.array_equal(getattr(shown, name), np.concatenate([getattr(part, name) for part in parts]))
    assert shown.mask is not None and shown.mask[np.arange(len(shown.action)), shown.action].all()


def test_continuous_actions_are_those_that_the_world_took() -> None:
    env = make_env(Environment(id="Pendulum-v1"), 1)
    unroll = played("Pendulum-v1", 1)[0]
    shown = steps_of([unroll._replace(action=2 * unroll.action)], env.spec.actions, None, "")
    assert np.array_equal(shown.action, (2 * unroll.action).clip(-2, 2)[:, 0])
    assert np.abs(2 * unroll.action).max() > 2


def test_scripted_episodes_are_those_of_the_run_and_its_seed() -> None:
    world = Environment(id="Acrobot-v1")
    found = [demonstrated(Demonstrations(episodes=2), world, env_spec(world), Seeds(seed)) for seed in (0, 0, 1)]
    assert np.array_equal(found[0].obs, found[1].obs) and not np.array_equal(found[0].obs[:9], found[2].obs[:9])
    assert found[0].terminated.sum() == 2


@pytest.mark.parametrize(
    ("world", "reason"),
    [
        ("Acrobot-v1", r"shows float32 \[4\], not float32 \[6\]"),
        ("Pendulum-v1", r"shows float32 \[4\]"),
        ("sparring/MaskedAction-v0", "shows"),
    ],
)
def test_a_log_of_another_world_is_refused(world: str, reason: str, tmp_path: Path) -> None:
    write(tmp_path, played("CartPole-v1", 1))
    other = Environment(id=world)
    with pytest.raises(ValueError, match=f"does not fit {world}.*{reason}"):
        demonstrated(Demonstrations(demonstrations=str(tmp_path)), other, env_spec(other), Seeds(0))


def test_actions_that_the_world_does_not_know_are_refused(tmp_path: Path) -> None:
    (unroll,) = played("CartPole-v1", 1)
    write(tmp_path, [unroll._replace(action=unroll.action + 1)])
    world = Environment(id="CartPole-v1")
    with pytest.raises(ValueError, match=r"actions that are none of Discrete\(n=2\)"):
        demonstrated(Demonstrations(demonstrations=str(tmp_path)), world, env_spec(world), Seeds(0))
