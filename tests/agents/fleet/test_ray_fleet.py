"""Local fleets, and Ray fleets that equal them; actors that fail in every way that actors can."""

from __future__ import annotations

import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from agents.config import Runtime
from agents.fleet.local import LocalFleet
from agents.fleet.make import fleet
from agents.fleet.ray_fleet import RayFleet, reach, writable
from agents.fleet.restarts import FleetError, Restarts
from agents.records import Episodes, Experience, arrays
from agents.registry import algorithm, parse
from agents.wiring import parts
from envs.gymnasium_env import episode_seed
from experiment.seeding import Seeds
from tests.runs import ROOT, assert_same_run, call, command, differences, lines, raw, state, train, write

Fleet = LocalFleet | RayFleet


def config(name: str = "dqn", **changes: Any) -> Any:
    return parse(raw(name, **changes))


def faulty(fault: str, **options: Any) -> dict[str, Any]:
    return {"id": "sparring/Faulty-v0", "count": 1, "options": {"fault": fault, **options}}


@contextmanager
def running(settings: Any) -> Iterator[tuple[Fleet, Callable[[], list[Experience]]]]:
    """The config's fleet, and a function that publishes weights of the next version and collects."""
    asked = algorithm(settings.algorithm).load()
    learner = parts(settings, asked, Seeds(settings.seed)).learner
    assert asked.actor is not None
    made: Any = fleet(settings, settings.runtime, asked.actor)
    version = iter(range(10_000))

    def collect() -> list[Experience]:
        made.publish(learner.weights(), next(version))
        delivered: list[Experience] = made.collect()
        return delivered

    with closing(made):
        yield made, collect


def observations(experiences: list[Experience]) -> np.ndarray[Any, Any]:
    return np.concatenate([experience.rows.obs[:-1].reshape(-1, 4) for experience in experiences])


def until(happened: Callable[[], bool], collect: Callable[[], list[Experience]]) -> list[list[Experience]]:
    gone = []
    while not happened():
        gone.append(collect())
    return gone


# Restarts -------------------------------------------------------------------------------------------------------------


def test_restarts_back_off_until_the_budget_is_spent() -> None:
    slept: list[float] = []
    restarts = Restarts(Runtime(actors=3, restarts=3, backoff=0.5), slept.append)
    for index, incarnation in ((0, 1), (2, 1), (0, 2)):
        with pytest.warns(UserWarning, match=f"actor {index} is replaced .* because"):
            assert restarts.replace(index, "because") == incarnation
    assert slept == [0.5, 1.0, 2.0]
    with pytest.raises(FleetError, match=r"actor 1 failed .*3 of runtime.restarts=3 .*: because"):
        restarts.replace(1, "because")
    assert restarts.incarnations == [2, 1, 1]
    resumed = Restarts(Runtime(actors=3, restarts=1, backoff=0.5), slept.append)
    resumed.load_state_dict(restarts.state_dict())
    with pytest.warns(UserWarning, match=r"1 of 1 restarts"):  # the budget is that of a process
        assert resumed.replace(1, "because") == 2
    assert slept[3:] == [0.5]


# In this process ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["raise", "nan_reward", "nan_obs"])
def test_an_actor_whose_world_fails_is_replaced_by_one_with_other_episodes(fault: str) -> None:
    # Two episodes of 8 steps are fine; the third fails at its fifth step.
    settings = config(env=faulty(fault, at=5, episode=2), runtime={"actors": 1, "backoff": 0}, rollout={"steps": 7})
    settings = settings.model_copy(update={"learner": settings.learner.model_copy(update={"n_step": 1})})
    with running(settings) as (local, collect):
        delivered = [collect() for _ in range(2)]
        with pytest.warns(UserWarning, match="actor 0 is replaced") as caught:
            delivered.append(collect())
        (warning,) = caught
        seeds = [Seeds(3).integer("actor", 0, incarnation, "env") for incarnation in (0, 1)]
        assert seeds[0] != seeds[1]
        seed = episode_seed(seeds[0], 0, 2)
        assert f"row 0, episode seed {seed}, step 5, action " in str(warning.message)
        assert ("in _obs" in str(warning.message)) == (fault == "raise")  # the world's own traceback
        assert local.restarts.incarnations == [1]
        assert local.metrics()["fleet/restarts"] == 1
        actor: Any = local.actors[0]
        assert actor.rollout.env._seed == seeds[1]
    (last,) = delivered[-1]
    assert last.version == 2, "current weights"
    assert (last.steps, len(last.rows.reward)) == (7, 7), "what the failed actor had half collected is lost"
    assert last.episodes.lengths == [], "and so is its unfinished episode"


def test_past_the_budget_the_run_is_saved_and_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = raw("dqn", env=faulty("raise", at=3, episode=5), runtime={"actors": 1, "restarts": 1, "backoff": 0})
    run["checkpoint"] = {"every": 0}
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        assert train(run, tmp_path / "run") == 1
    told = capsys.readouterr().err
    assert "error: actor 0 failed and was not replaced (1 of runtime.restarts=1 are used up)" in told
    assert "RuntimeError: the fault that was asked for, at step 3" in told
    assert "in _obs" in told
    saved = state(tmp_path / "run")
    assert saved["loop"]["steps"] == 80  # two actors that played 5 episodes of 8 steps, 5 steps at a time
    assert saved["fleet"] == {"actors": {"0": {}}, "restarts": {"incarnations": [2]}}
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        assert train(run, tmp_path / "run", "--resume") == 1
    assert state(tmp_path / "run")["loop"]["steps"] == 160
    assert state(tmp_path / "run")["fleet"]["restarts"]["incarnations"] == [4]


def test_a_world_that_fails_at_once_is_a_wrong_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = raw("dqn", env=faulty("raise", at=0), runtime={"actors": 1})
    assert train(run, tmp_path / "run") == 2
    assert "step 0, action none (reset)" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_an_evaluation_that_fails_is_left_out(tmp_path: Path) -> None:
    run = raw("dqn", env=faulty("raise", at=3, episode=28), evaluation={"episodes": 240}, runtime={"actors": 1})
    # 25 episodes of training, and 30 in each row of the evaluation
    with pytest.warns(UserWarning, match="the evaluation at step 200 is left out"):
        assert train(run, tmp_path / "run", "steps=200") == 0
    assert "eval/" not in (tmp_path / "run" / "metrics.jsonl").read_text()


# On Ray ---------------------------------------------------------------------------------------------------------------


@pytest.mark.ray
@pytest.mark.parametrize("name", ["ppo", "ddpg", "dqn_game", "alphazero"])  # dqn: test_resume.py
def test_synchronous_ray_actors_do_what_local_actors_do(name: str, tmp_path: Path, ray_here: None) -> None:
    assert train(raw(name), tmp_path / "local") == 0
    assert train(raw(name), tmp_path / "ray", "runtime.kind=ray") == 0
    assert_same_run(tmp_path / "local", tmp_path / "ray")


@pytest.mark.ray
def test_nothing_is_counted_twice_asynchronously_even_when_an_actor_is_killed(ray_here: None) -> None:
    settings = config(runtime={"actors": 2, "kind": "ray", "mode": "asynchronous", "backoff": 0})
    settings = settings.model_copy(update={"learner": settings.learner.model_copy(update={"n_step": 1})})
    with running(settings) as (remote, collect):
        assert isinstance(remote, RayFleet)
        gone = [collect() for _ in range(20)]
        assert all(len(experiences) == 1 for experiences in gone)
        assert all(array.flags.writeable for _, array in arrays("rows", gone[-1][0].rows)), "not those of Ray's store"
        victim = remote.ray.get(remote.actors[1].pid.remote())
        os.kill(victim, signal.SIGKILL)
        with pytest.warns(UserWarning, match="actor 1 is replaced .*its process died"):
            gone += until(lambda: remote.restarts.used > 0, collect)
        replaced_at = len(gone)
        while not any(e.actor == 1 for experiences in gone[replaced_at + 1 :] for e in experiences):
            gone.append(collect())
        assert remote.ray.get(remote.actors[1].pid.remote()) != victim
    experiences = [experience for experiences in gone for experience in experiences]
    # CartPole's states are real numbers: no two steps of any episodes show the same one.
    shown = observations(experiences)
    assert len(np.unique(shown, axis=0)) == len(shown) == sum(experience.steps for experience in experiences)
    versions = [(turn - experience.version) for turn, experiences in enumerate(gone) for experience in experiences]
    assert min(versions) >= 0
    last = experiences[-1]
    assert last.actor == 1
    assert last.version >= replaced_at - 1, "it had the weights of when it began, not those of its predecessor"


@pytest.mark.ray
def test_an_asynchronous_run_learns_from_every_step_once(tmp_path: Path, ray_here: None) -> None:
    asynchronous = {"actors": 2, "kind": "ray", "mode": "asynchronous"}
    run = raw("dqn", runtime=asynchronous, learner={"n_step": 1}, memory={"capacity": 1000, "prioritized": None})
    assert train(run, tmp_path / "run") == 0
    saved = state(tmp_path / "run")
    assert saved["loop"]["steps"] == saved["memory"]["table"]["made"] == 600
    shown = saved["memory"]["table"]["rings"]["obs"]
    assert len(np.unique(shown, axis=0)) == 600
    assert saved["learner"]["updates"] == (600 - 50) * 0.3
    assert saved["loop"]["version"] == 120  # one experience of 5 steps of 1 row each at a time
    assert any(line.get("fleet/staleness", 0) > 0 for line in lines(tmp_path / "run"))


def test_a_sample_that_is_counted_twice_would_be_noticed() -> None:
    with running(config(learner={"n_step": 1})) as (_, collect):
        shown = observations(collect() + collect())
        assert len(np.unique(shown, axis=0)) == len(shown)
        assert len(np.unique(np.concatenate([shown, shown[:1]]), axis=0)) == len(shown)


@pytest.mark.ray
@pytest.mark.parametrize("fault", ["raise", "leave"])
def test_a_world_that_fails_in_an_actor_shows_its_own_traceback(
    fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], ray_here: None
) -> None:
    run = raw("dqn", env=faulty(fault, at=3, episode=5), runtime={"actors": 1, "restarts": 1, "backoff": 0})
    run["checkpoint"] = {"every": 0}
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        assert train(run, tmp_path / "local") == 1
        local = capsys.readouterr().err
        assert train(run, tmp_path / "ray", "runtime.kind=ray") == 1
    assert capsys.readouterr().err == local.replace("/local", "/ray")
    assert list(differences(state(tmp_path / "local"), state(tmp_path / "ray"))) == []


@pytest.mark.ray
def test_an_actor_that_hangs_is_replaced_and_one_that_begins_is_given_time(ray_here: None) -> None:
    runtime = {"actors": 1, "kind": "ray", "restarts": 1, "backoff": 0, "timeout": 0.5}
    with running(config(env=faulty("hang", at=2, episode=1), runtime=runtime)) as (_, collect):
        assert [e.steps for e in collect()] == [5]
        with pytest.warns(UserWarning, match=r"actor 0 is replaced .*within runtime.timeout=0.5 seconds"):
            assert [e.steps for e in collect()] == [5]
        with pytest.raises(FleetError, match="actor 0 failed and was not replaced"):
            collect()


@pytest.mark.ray
def test_an_error_that_a_replacement_would_repeat_ends_the_run_at_once(ray_here: None) -> None:
    with running(config(runtime={"actors": 1, "kind": "ray"})) as (remote, collect):
        assert isinstance(remote, RayFleet)
        remote.raw["env"]["id"] = "Nowhere-v0"  # as if the actor's machine lacked the environment
        with pytest.raises(FleetError, match="actor 0 failed .*repeat(.|\n)*no environment 'Nowhere-v0' is registered"):
            collect()
        assert remote.restarts.used == 0
        assert remote.state_dict()["actors"] == {"0": {}}


class Nested(NamedTuple):
    obs: Any
    extras: Any
    mask: None = None


def test_what_comes_out_of_the_object_store_is_copied_however_deep_it_lies() -> None:
    """Ray hands on arrays that can't be written to, and that keep the store full as long as anybody holds them."""

    def frozen(value: float) -> np.ndarray[Any, Any]:
        array = np.full(3, value)
        array.flags.writeable = False
        return array

    rows = Nested(frozen(1), {"log_prob": frozen(2), "carry": (frozen(3), Nested(frozen(4), {}))})
    kept = writable(Experience(rows, 3, Episodes([], []), 0, 0))
    found, before = dict(arrays("rows", kept.rows)), dict(arrays("rows", rows))
    assert kept.rows.mask is None and found.keys() == before.keys()
    for name, array in found.items():
        array += 1
        np.testing.assert_array_equal(array, before[name] + 1)
    deepest = kept.rows.extras["carry"][1].obs
    deepest += 1
    np.testing.assert_array_equal(deepest, np.full(3, 5.0))


# Clusters -------------------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def refused(tmp_path: Path, address: str, capsys: pytest.CaptureFixture[str]) -> str:
    begin = time.monotonic()
    assert train(raw("ppo"), tmp_path / "run", "runtime.kind=ray", f"runtime.address={address}") == 2
    assert time.monotonic() - begin < 10
    assert not (tmp_path / "run").exists()
    told = capsys.readouterr().err
    assert f"runtime.address={address}" in told
    assert "`ray start --head --port=PORT`" in told
    return told


def test_a_closed_port_is_refused_with_advice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Connection refused" in refused(tmp_path, f"127.0.0.1:{free_port()}", capsys)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_a_port_that_is_not_rays_is_refused(tmp_path: Path, answer: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(answer)
                connection.recv(1024)

        threading.Thread(target=serve, daemon=True).start()
        told = refused(tmp_path, f"127.0.0.1:{server.getsockname()[1]}", capsys)
        assert "not Ray" in told or "timed out" in told or "reset" in told


@pytest.mark.parametrize("address", ["somewhere", "host:", "ray://127.0.0.1:10001", "127.0.0.1:99999"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ConnectionError, match="runtime.address="):
        reach(address)


def test_a_config_cannot_choose_a_runtime_environment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(raw("ppo", runtime={"kind": "ray", "runtime_env": {"pip": ["x"]}}), tmp_path / "run") == 2
    assert "unknown key runtime.runtime_env" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("missing", "setting"), [("ray", "runtime.kind=ray"), ("aiohttp_cors", "runtime.dashboard=true")]
)
def test_a_missing_package_is_a_wrong_request(
    missing: str, setting: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else True)
    assert train(raw("ppo"), tmp_path / "run", "runtime.kind=ray", setting) == 2
    assert "pip install" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.ray
def test_ray_leaves_the_signals_to_us(ray_here: None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        assert "ray" not in getattr(signal.getsignal(number), "__module__", "")


def descendants(pid: int) -> set[int]:
    """Processes that `pid` and its children have started."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def listening(pids: set[int]) -> set[str]:
    """Addresses, as /proc/net writes them, on which these processes listen."""
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                inodes.add(os.readlink(link))
            except OSError:
                continue
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    return {row[1].partition(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes}


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


@pytest.mark.ray
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(("number", "group", "code"), [(signal.SIGTERM, False, 143), (signal.SIGINT, True, 130)])
def test_a_signal_saves_and_leaves_no_process_behind(
    tmp_path: Path, number: signal.Signals, group: bool, code: int
) -> None:
    """SIGINT goes to the whole process group, as Ctrl-C in a terminal does. Meanwhile Ray listens on loopback only.

    An address in the environment is not joined: the config names none.
    """
    endless = raw("ppo", steps=10_000_000, checkpoint={"every": 0}, compile="off")
    file, run = write(tmp_path / "run.yaml", endless), tmp_path / "run"
    request = command(file, "--run-dir", run, "runtime.kind=ray", "runtime.actors=1")
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    surroundings |= {"RAY_ADDRESS": f"127.0.0.1:{free_port()}"}
    with subprocess.Popen(
        request,
        cwd=ROOT,
        env=surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        until = time.monotonic() + 60
        while not (run / "metrics.jsonl").exists():
            assert process.poll() is None and time.monotonic() < until, process.communicate()
            time.sleep(0.1)
        family = descendants(process.pid)
        assert len(family) >= 3
        assert listening(family | {process.pid}) <= LOOPBACK
        os.killpg(process.pid, number) if group else process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert state(run)["loop"]["steps"] > 0
    assert_all_gone(family)


@pytest.mark.ray
@pytest.mark.slow
def test_a_run_joins_a_cluster_and_leaves_it_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # a head on loopback
    # Whether a head asks for a token depends on the machine's past, unless it is said: here it does, for our own.
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    ray, address = str(Path(sys.executable).with_name("ray")), f"127.0.0.1:{free_port()}"
    head = [ray, "start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={address.rpartition(':')[2]}"]
    with subprocess.Popen(
        [*head, "--include-dashboard=false", "--num-cpus=2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            until = time.monotonic() + 60
            while True:
                try:
                    reach(address)
                    break
                except ConnectionError:
                    assert time.monotonic() < until
                    time.sleep(0.2)
            for name in ("one", "two"):
                file = write(tmp_path / f"{name}.yaml", raw("ppo"))
                joined = ["runtime.kind=ray", f"runtime.address={address}"]
                done = call(file, "--run-dir", tmp_path / name, *joined)
                assert done.returncode == 0, done.stderr
                assert process.poll() is None
        finally:
            process.terminate()
            process.wait(30)
            pointer = Path("/tmp/ray/ray_current_cluster")  # which Ray leaves behind, so that it is found no more
            if pointer.exists() and pointer.read_text() == address:
                pointer.unlink()
    assert train(raw("ppo"), tmp_path / "local") == 0
    for name in ("one", "two"):
        assert_same_run(tmp_path / "local", tmp_path / name)


ENDLESS = {"steps": 10_000_000, "checkpoint": {"every": 0}, "evaluation": {"every": 0}, "compile": "off"}


@contextmanager
def under_way(run: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], dict[int, str]]]:
    """An endless run on Ray of its own, once it trains, and the names of the processes that it has started."""
    request = command(
        write(run.with_suffix(".yaml"), raw("ppo", **ENDLESS)), "--run-dir", run, "runtime.kind=ray", *more
    )
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    with subprocess.Popen(request, cwd=ROOT, env=surroundings, stderr=subprocess.PIPE, text=True) as process:
        try:
            until = time.monotonic() + 120
            while not (run / "metrics.jsonl").exists():
                assert process.poll() is None and time.monotonic() < until
                time.sleep(0.1)
            yield process, {pid: name_of(pid) for pid in descendants(process.pid)}
        finally:
            process.kill()


def name_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode().rpartition("/")[2]


def pid_of(name: str, family: dict[int, str]) -> int:
    (pid,) = [pid for pid, known in family.items() if known == name]
    return pid


def assert_all_gone(pids: Iterable[int]) -> None:
    until = time.monotonic() + 10
    while left := [pid for pid in pids if alive(pid)]:
        assert time.monotonic() < until, left
        time.sleep(0.1)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_run_whose_gcs_dies_is_saved_and_says_so(tmp_path: Path) -> None:
    with under_way(tmp_path / "run") as (process, family):
        os.kill(pid_of("gcs_server", family), signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 1, errors
        assert "error: Ray can't go on: its GCS no longer answers" in errors and "is saved in" in errors
        assert_all_gone(family)
    assert state(tmp_path / "run")["loop"]["steps"] > 0


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_run_whose_raylet_dies_ends_and_can_go_on(tmp_path: Path) -> None:
    """It is saved and says so, unless the raylet dies within a call of Ray, which then ends the process itself."""
    with under_way(tmp_path / "run") as (process, family):
        os.kill(pid_of("raylet", family), signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 1, errors
        assert_all_gone(family)
    said = "error: Ray can't go on: its raylet has died" in errors
    assert (state(tmp_path / "run")["loop"]["steps"] > 0) == said


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_run_that_is_killed_leaves_no_process_of_ray(tmp_path: Path) -> None:
    with under_way(tmp_path / "run") as (process, family):
        assert any("ray::" in name for name in family.values())
        process.kill()
        process.communicate(timeout=60)
        assert_all_gone(family)


CLUSTER = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "node_ip_address": "127.0.0.1"})
def join():
    nodes.append(cluster.add_node(num_cpus=int(sys.argv[1]), node_ip_address="127.0.0.1"))
nodes = []
join(), join()
print(cluster.address, flush=True)
for line in sys.stdin:
    if line.strip() == "join":
        join()
    else:
        cluster.remove_node(nodes.pop() if line.strip() == "node" else cluster.head_node, allow_graceful=False)
    print("done", flush=True)
cluster.shutdown()
"""


@contextmanager
def cluster(processors: int) -> Iterator[tuple[str, Callable[[str], None]]]:
    """The address of a cluster of a head without processors and two nodes with so many, all on loopback; and how to let
    a "node" or the "head" die, or one more "join"."""
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    surroundings["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER, str(processors)],
        env=surroundings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def answer() -> str:
            while line := stdout.readline():
                if line.startswith(("127.", "done")):
                    return line.strip()
            raise AssertionError("the cluster has died")

        def let(what: str) -> None:
            stdin.write(f"{what}\n")
            stdin.flush()
            assert answer() == "done"

        yield answer(), let
        stdin.close()
        process.wait(60)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_cluster_on_loopback_is_joined_a_node_that_dies_takes_one_restart_and_a_head_that_dies_ends_the_run(
    tmp_path: Path,
) -> None:
    with cluster(2) as (address, let):
        joining = time.monotonic()
        with under_way(tmp_path / "run", f"runtime.address={address}", "logging.every=500") as (process, _):
            assert time.monotonic() - joining < 60
            let("node")
            until = time.monotonic() + 120
            while (used := lines(tmp_path / "run")[-1].get("fleet/restarts", 0)) == 0:
                assert process.poll() is None and time.monotonic() < until
                time.sleep(0.2)
            later = len(lines(tmp_path / "run")) + 3
            while len(lines(tmp_path / "run")) < later:
                assert process.poll() is None and time.monotonic() < until
                time.sleep(0.2)
            used = lines(tmp_path / "run")[-1]["fleet/restarts"]
            assert 1 <= used <= 2, "one for each actor that lived there"
            let("head")
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 1, errors
            assert "error: Ray can't go on: its " in errors
    assert state(tmp_path / "run")["loop"]["steps"] > 0


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_run_over_two_nodes_goes_on_over_one_that_joins_when_one_has_died(tmp_path: Path) -> None:
    """A node has one processor, and so one actor: the run needs both, and waits for another where one has died."""
    run = tmp_path / "run"

    def go_on(process: subprocess.Popen[str], further: int) -> float:
        """Wait for so many lines of metrics; the restarts that the last one counts."""
        until, enough = time.monotonic() + 120, len(lines(run)) + further
        while len(found := lines(run)) < enough:
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.2)
        return float(found[-1]["fleet/restarts"])

    with (
        cluster(1) as (address, let),
        under_way(run, f"runtime.address={address}", "logging.every=500", "runtime.restarts=2") as (process, _),
    ):
        assert go_on(process, 1) == 0
        let("node")
        waiting = len(lines(run)) + 2  # what was under way when the node died
        let("join")
        assert go_on(process, 4) == 1
        assert len(lines(run)) > waiting
        process.terminate()
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 143, errors
    assert state(run)["fleet"]["restarts"]["incarnations"].count(0) == 1, "the other actor is the first one"
