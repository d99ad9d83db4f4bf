"""What befalls runs: signals, disks, directories, forged states, Ray's own deaths. Each is tried on a real run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from experiment.checkpoint import CheckpointError, load, newest, save
from scripts.faults.trial import (
    CARTPOLE,
    ROOT,
    SMALL,
    Absent,
    Ended,
    Trial,
    begun,
    ended,
    judge,
    packaged,
    refused,
    require,
    run,
    script,
    train,
    wait_for,
)

DQN = str(ROOT / "configs" / "dqn" / "cartpole.yaml")
LONG = (*SMALL, "steps=10_000_000", "checkpoint.every=512", "logging.every=256", "compile=off")
RESUMED = ("train", "--resume", "--run-dir", "run", "--quiet")


def saved(place: Path, directory: str = "run") -> int:
    """Steps of the newest checkpoint that is valid; -1 where there is none."""
    try:
        return int(newest(place / directory / "checkpoints")[2]["steps"])
    except CheckpointError:
        return -1


def goes_on(place: Path, *changes: str, directory: str = "run") -> str:
    steps = saved(place, directory)
    more = ("train", "--resume", "--run-dir", directory, "--quiet", f"steps={steps + 256}", *changes)
    judge(run(place, script(*more)), 0, f"of {steps + 256} steps are saved")
    return f"; goes on from step {steps}"


# Learning -------------------------------------------------------------------------------------------------------------


def diverges(place: Path) -> str:
    done = run(place, train(*SMALL, "steps=4096", "checkpoint.every=512", "learner.learning_rate=1e30"))
    seen = judge(done, 1, "of which nothing is saved", "the run can go on from step")
    require(list((place / "run").glob("diverged_*.safetensors")), f"{seen}; no batch beside it")
    return seen + goes_on(place, "learner.learning_rate=1e-3")


def units_are_learned(place: Path) -> str:
    changes = ("env.id=fault/Asymmetric-v0", "steps=16384", "evaluation.episodes=20", "evaluation.every=0")
    judge(run(place, train("--import", "worlds", *changes)), 0)
    found = [json.loads(line) for line in (place / "run" / "metrics.jsonl").read_text().splitlines()]
    reward = [line["eval/mean_reward"] for line in found if "eval/mean_reward" in line][-1]
    require(reward > -2, f"a mean return of {reward:.2f}")
    return f"exit 0: a mean return of {reward:.2f}"


def large_config(place: Path) -> str:
    file = place.parent / f"{place.name}.yaml"
    try:
        file.write_text("algorithm: ppo\nsteps: [" + "1, " * 3_500_000 + "1]\n")
        return refused(train(config=str(file)), "is longer than 100000 bytes")(place)
    finally:
        file.unlink()


# Signals --------------------------------------------------------------------------------------------------------------


def stopped(name: str, code: int) -> Trial:
    return partial(_stopped, signal.Signals[name], code)


def _stopped(number: signal.Signals, code: int, place: Path) -> str:
    with begun(place, train(*LONG)) as process:
        wait_for(lambda: saved(place) >= 512, process, place)
        process.send_signal(number)
        seen = judge(ended(place, process), code, "steps are saved in")
    return seen + goes_on(place)


def _in_evaluation(place: Path, request: list[str], steps: int, number: signal.Signals, code: int) -> str:
    with begun(place, request) as process:
        wait_for(lambda: saved(place) == steps, process, place)
        time.sleep(0.5)  # into its evaluation
        told = time.monotonic()
        process.send_signal(number)
        seen = judge(ended(place, process), code)
    took = time.monotonic() - told
    require(took < 10, f"{seen} after {took:.1f} s")
    require(saved(place) == steps, f"{seen}, with {saved(place)} steps saved")
    return f"{seen} ({took:.1f} s after the signal)"


def evaluation_of_the_endless(place: Path) -> str:
    request = train("--import", "worlds", "env.id=fault/Endless-v0", *SMALL, "evaluation.max_episode_steps=100_000_000")
    return _in_evaluation(place, request, 256, signal.SIGTERM, 143)


def last_evaluation(place: Path) -> str:
    request = train("env.id=Acrobot-v1", *SMALL, "evaluation.episodes=3000")
    seen = _in_evaluation(place, request, 256, signal.SIGINT, 130)
    judge(run(place, script(*RESUMED, "evaluation.episodes=1")), 0)
    metrics = (place / "run" / "metrics.jsonl").read_text()
    require("eval/mean_reward" in metrics, f"{seen}; not measured when it went on")
    return seen


# Storage --------------------------------------------------------------------------------------------------------------


def within(kibibytes: int, request: list[str]) -> list[str]:
    """The request where no file may be larger."""
    return ["bash", "-c", f'ulimit -f {kibibytes}; trap "" XFSZ; exec "$@"', "-", *request]


def no_first_checkpoint(place: Path) -> str:
    seen = judge(run(place, within(10, train(*SMALL))), 2, "a run can't begin")
    require(not (place / "run").exists(), f"{seen}; a run directory is left")
    return seen


def disk_fills_up(place: Path) -> str:
    request = train("network.hidden=[32]", "checkpoint.every=1000", "compile=off", "evaluation.every=0", config=DQN)
    done = run(place, within(300, request))
    seen = judge(done, 1, "1 of 3 failures in a row", "2 of 3 failures in a row", "is lost")
    require(saved(place) > 0, f"{seen}; nothing is saved")
    return seen + goes_on(place)


def _vanishes(place: Path, how: Any) -> str:
    with begun(place, train(*LONG)) as process:
        wait_for(lambda: saved(place) >= 512, process, place)
        how(place / "run")
        return judge(ended(place, process), 1, "was deleted, moved or replaced", "is lost")


def directory_deleted(place: Path) -> str:
    def delete(directory: Path) -> None:
        os.rename(directory, place / "gone")  # at once, or the run writes on while it is deleted
        shutil.rmtree(place / "gone")

    seen = _vanishes(place, delete)
    require(not (place / "run").exists(), f"{seen}; it was made anew")
    return seen


def directory_moved(place: Path) -> str:
    seen = _vanishes(place, lambda directory: os.rename(directory, place / "moved"))
    require(not (place / "run").exists(), f"{seen}; it was made anew")
    return seen + goes_on(place, directory="moved")


# Forged states --------------------------------------------------------------------------------------------------------


def finished(place: Path, *more: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The state of a short run of DQN, and what its checkpoint says of itself, both to be changed; none is left."""
    few = ("steps=256", "rollout.steps=64", "memory.start=64", "network.hidden=[8]", "evaluation.episodes=1")
    judge(run(place, train(*few, "evaluation.every=0", *more, config=DQN)), 0)
    path, state, about = newest(place / "run" / "checkpoints")
    for other in path.parent.iterdir():
        shutil.rmtree(other)
    return state, about


def _forged(place: Path, state: dict[str, Any], about: dict[str, Any]) -> Ended:
    save(place / "run" / "checkpoints", 256, state, about)
    return run(place, script(*RESUMED, "steps=512"))


def manifest(**change: Any) -> Trial:
    def trial(place: Path) -> str:
        state, about = finished(place)
        return judge(_forged(place, state, about | change), 2, "its manifest doesn't say by which config")

    return trial


def state_without(name: str) -> Trial:
    def trial(place: Path) -> str:
        state, about = finished(place)
        del state[name]
        return judge(_forged(place, state, about), 2, "its state is not one that this run can go on from", name)

    return trial


def other_world(place: Path) -> str:
    state, about = finished(place)
    about["config"]["env"]["id"] = "Acrobot-v1"
    config = place / "run" / "config.yaml"
    config.write_text(config.read_text().replace("CartPole-v1", "Acrobot-v1"))
    return judge(_forged(place, state, about), 2, "its state is not one that this run can go on from")


def leaves(place: Path) -> str:
    """Every leaf by itself, in one process: how many states of another form would be taken over."""
    packaged("torch")
    from agents.registry import parse
    from agents.restore import go_on
    from agents.wiring import build

    state, about = finished(place)
    config, told, taken, tried = parse(about["config"]), about | {"path": place}, [], 0
    for path, value in _leaves(state):
        tried += 1
        course = build(config)
        try:
            go_on(course, _with(state, path, "many" if not isinstance(value, str) else 7), told)
            taken.append("/".join(path))
        except CheckpointError:
            pass
        finally:
            course.close()
    require(not taken, f"{len(taken)} of {tried} are taken over, such as {', '.join(taken[:3])}")
    return f"{tried} of {tried} are refused by name"


def _leaves(part: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(part, dict):
        for name, inner in part.items():
            yield from _leaves(inner, (*path, name))
    elif part is not None:
        yield path, part


def _with(state: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    name, *rest = path
    return state | {name: _with(state[name], tuple(rest), value) if rest else value}


def damaged_league(place: Path) -> str:
    request = script("evaluate", "random", "one_ply", "--game", "tic_tac_toe", "--games", "20", "--league", "league.db")
    judge(run(place, request), 0)
    league = place / "league.db"
    content = bytearray(league.read_bytes())
    content[4096:8192] = bytes(np.random.default_rng(0).integers(256, size=len(content[4096:8192]), dtype=np.uint8))
    league.write_bytes(content)
    return judge(run(place, request), 2, "league.db")


# Packages and addresses -----------------------------------------------------------------------------------------------


def without(module: str, name: str, *arguments: str) -> Trial:
    """A script where a module can't be imported."""
    code = f"import runpy, sys; sys.modules[{module!r}] = None; sys.argv = sys.argv[1:]; "
    request = script(name, *arguments)
    hidden = [sys.executable, "-c", code + "runpy.run_path(sys.argv[0], run_name='__main__')", *request[1:]]
    more = ["--out", "curve.png"] if name == "plot" else []
    return refused([*hidden, *more], f"needs {module}, which is not installed: pip install 'sparring[plot]'", moment=4)


def _at(port: int, place: Path) -> str:
    packaged("ray")
    before = time.monotonic()
    seen = judge(run(place, train("runtime.kind=ray", f"runtime.address=127.0.0.1:{port}")), 2, "no Ray cluster")
    require(not (place / "run").exists(), f"{seen}; a run directory is left")
    return f"{seen} ({time.monotonic() - before:.1f} s)"


def closed_port(place: Path) -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return _at(port, place)


def silent_port(place: Path) -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:  # whose backlog takes a connection, and says nothing
        return _at(server.getsockname()[1], place)


# Ray's own processes --------------------------------------------------------------------------------------------------


def family(pid: int) -> dict[int, str]:
    """What a process has started, and what these have: names by number. Linux."""
    parents, names = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            names[int(path.name)] = (path / "cmdline").read_bytes().split(b"\0")[0].decode().rpartition("/")[2]
        except OSError:  # it has ended
            continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {member: names.get(member, "") for member in found - {pid}}


def living(pids: Iterable[int]) -> list[int]:
    def lives(pid: int) -> bool:
        try:
            return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return False

    return [pid for pid in pids if lives(pid)]


@contextmanager
def on_ray(place: Path) -> Iterator[tuple[subprocess.Popen[bytes], dict[int, str]]]:
    """A long run on a Ray of its own, once it has saved what it learned, and whom it has started."""
    packaged("ray")
    if sys.platform != "linux":
        raise Absent("it looks into /proc")
    with begun(place, train(*LONG, "runtime.kind=ray", "runtime.actors=1")) as process:
        wait_for(lambda: saved(place) >= 512, process, place)
        yield process, family(process.pid)


def _all_gone(seen: str, pids: Iterable[int]) -> str:
    until = time.monotonic() + 10
    while left := living(pids):
        require(time.monotonic() < until, f"{seen}; {len(left)} processes are left after 10 s")
        time.sleep(0.1)
    return f"{seen}; nothing left"


def ray_loses(name: str) -> Trial:
    return partial(_ray_loses, name)


def _ray_loses(name: str, place: Path) -> str:
    with on_ray(place) as (process, started):
        os.kill(next(pid for pid, known in started.items() if known == name), signal.SIGKILL)
        done = ended(place, process)
    said = "Ray can't go on" in done.told
    require(done.code == 1, f"exit {done.code}: {done.told[-200:]}")
    seen = judge(done, 1, "is saved in") if said else "exit 1: ended by Ray within a call, saved before"
    return _all_gone(seen, started) + goes_on(place, "runtime.kind=local")


def driver_killed(place: Path) -> str:
    with on_ray(place) as (process, started):
        process.kill()
        done = ended(place, process)
    return _all_gone(f"exit {done.code}", started) + goes_on(place, "runtime.kind=local")


# Death and resurrection -----------------------------------------------------------------------------------------------


def killed_and_resumed(place: Path) -> str:
    request = (*SMALL, "steps=4096", "checkpoint.every=512", "compile=off")
    whole = script("train", CARTPOLE, *request, "--run-dir", "whole", "--quiet")
    judge(run(place, whole), 0)
    with begun(place, train(*request)) as process:
        wait_for(lambda: saved(place) >= 512, process, place)
        process.kill()
        ended(place, process)
    at = saved(place)
    judge(run(place, script(*RESUMED)), 0)
    found, expected = ((place / name / "checkpoints" / "step_000004096") for name in ("run", "whole"))
    same = np.array_equal(load(found)[0]["weights"], load(expected)[0]["weights"])
    require(same, f"killed after step {at}: other weights")
    return f"killed after step {at}, resumed: equal weights"
