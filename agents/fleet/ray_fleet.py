"""Actors as Ray processes, on this machine or on a cluster. The one module that knows Ray, which it loads when used."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from agents.api import Actor, State
from agents.config import Experiment, Runtime
from agents.fleet.pulse import Pulse
from agents.fleet.reaper import watch
from agents.fleet.restarts import FleetError, Restarts
from agents.records import Experience
from envs.api import Array, EnvError
from experiment import extensions
from experiment.form import take_over
from experiment.stop import pause

CONNECT_SECONDS = 5.0
JOIN_SECONDS = 10.0
LOOK_SECONDS = 1.0  # of waiting, after which is looked whether Ray itself still lives
BEGIN_SECONDS = 60.0  # for a new process to load torch and make its world; runtime.timeout where that is longer
OBJECT_STORE_BYTES = 512 * 2**20


class RemoteActor:
    """What runs in an actor's process."""

    actor: Actor

    def begin(
        self, imports: list[str], raw: dict[str, Any], threads: int, index: int, incarnation: int, state: State
    ) -> None:
        """Load the modules that were asked for, build the actor from the config, and let it go on from `state` unless
        that is empty."""
        from agents.registry import algorithm, parse
        from supervised.accelerate import use_cpu

        extensions.load(imports)
        config = parse(raw)
        use_cpu(threads)
        make = algorithm(config.algorithm).load().actor
        assert make is not None, config.algorithm
        self.actor = make(config, index, incarnation)
        if state:
            take_over(self.actor, state)

    def collect(self, weights: Array, version: int) -> Experience:
        self.actor.load(weights, version)
        return self.actor.collect()

    def state_dict(self) -> State:
        return self.actor.state_dict()

    def pid(self) -> int:
        return os.getpid()


class Call(NamedTuple):
    """What an actor is doing: beginning, which results in None, or collecting."""

    actor: int
    deadline: float  # by time.monotonic
    limit: str  # the deadline in words
    begins_from: State | None = None  # of one that is beginning


class RayFleet:
    """Synchronous: every `collect` waits for all actors, in order. Asynchronous: it returns whoever has finished.

    An actor that dies, takes longer than `runtime.timeout`, or whose world fails is replaced: new process, new
    episodes, current weights. What it had not delivered is lost; nothing is delivered twice. Raises FleetError past the
    budget, and at once for an error that a replacement would repeat, and where Ray itself has died: a later call of it
    would end this process without a word.
    """

    def __init__(self, config: Experiment, runtime: Runtime) -> None:
        self.runtime, self.started = runtime, False
        self.raw, self.imports = config.model_dump(mode="json"), extensions.loaded()
        self.restarts = Restarts(runtime)
        self.actors: list[Any] = [None] * runtime.actors
        self.weights: tuple[Any, int] | None = None  # in the object store: one copy for all actors of a machine
        self.calls: dict[Any, Call] = {}  # by the reference to their result
        self.waited = 0.0
        self.since = time.perf_counter()
        self.reaper: subprocess.Popen[bytes] | None = None
        self.pulse: Pulse | None = None
        self.dead = False  # Ray is

    @cached_property
    def ray(self) -> Any:
        """Ray, which starts when it is first needed."""
        self.started = connect(self.runtime)
        import ray

        node: Any = ray._private.worker._global_node
        gcs = ray.get_runtime_context().gcs_address
        self.pulse = Pulse(node.raylet_socket_name, partial(silence, gcs))
        if self.started and self.runtime.address is None:
            self.reaper = watch(node.get_session_dir_path())
        return ray

    @cached_property
    def remote(self) -> Any:
        return self.ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(RemoteActor)

    def publish(self, weights: Array, version: int) -> None:
        """Actors get them when they next begin to collect."""
        self._require_ray()
        self.weights = self.ray.put(weights), version

    def collect(self) -> list[Experience]:
        start = time.perf_counter()
        busy = {call.actor for call in self.calls.values()}
        for index in range(len(self.actors)):
            if index not in busy:
                self._begin(index) if self.actors[index] is None else self._collect(index)
        experiences = [self._next()]
        while self.calls and self.runtime.mode == "synchronous":
            experiences.append(self._next())
        self.waited += time.perf_counter() - start
        return sorted(experiences, key=lambda experience: experience.actor)

    def _next(self) -> Experience:
        """What is delivered next."""
        while True:
            self._require_ray()
            soonest = min(call.deadline for call in self.calls.values())
            seconds = min(max(0.0, soonest - time.monotonic()), LOOK_SECONDS)
            done, _ = self.ray.wait(list(self.calls), num_returns=1, timeout=seconds)
            # Before anything else: an actor that is late must not go on unnoticed because others are always ready.
            self._replace_the_late()
            experience = self._result(done[0]) if done else None
            if experience is not None:
                return experience

    def _result(self, task: Any) -> Experience | None:
        """What a finished call delivered. An actor that has begun starts to collect; one that failed begins anew."""
        call = self.calls.pop(task)
        index = call.actor
        try:
            experience = self.ray.get(task)
        except self.ray.exceptions.RayTaskError as error:
            if not isinstance(error.cause, EnvError):
                self._kill(index)
                raise FleetError(f"actor {index} failed in a way that a replacement would repeat: {error}") from None
            self._replace(index, str(error.cause))
        except self.ray.exceptions.RayError as error:
            if call.begins_from is not None and time.monotonic() < call.deadline and "node" in str(error):
                # Where a machine has died, Ray goes on for seconds to send it what is new: nothing of ours has failed.
                self._kill(index)
                pause(LOOK_SECONDS)
                self._begin(index, call.begins_from, call.deadline)
                return None
            self._replace(index, f"its process died: {' '.join(str(error).split())}")
        else:
            if experience is not None:
                return writable(experience)
            self._collect(index)
        return None

    def _replace_the_late(self) -> None:
        now = time.monotonic()
        late = [task for task, call in self.calls.items() if now > call.deadline]
        if not late:
            return
        _, late = self.ray.wait(late, num_returns=len(late), timeout=0.0)
        for task in late:
            call = self.calls.pop(task)
            self._replace(call.actor, f"it did not {call.limit}")

    def _begin(self, index: int, state: State | None = None, deadline: float | None = None) -> None:
        self._require_ray()
        self.actors[index] = self.remote.remote()
        seconds, state = max(self.runtime.timeout, BEGIN_SECONDS), state or {}
        limit = f"begin within {seconds:g} seconds (is a processor free for it?)"
        incarnation = self.restarts.incarnations[index]
        told = (self.imports, self.raw, self.runtime.threads, index, incarnation, state)
        task = self.actors[index].begin.remote(*told)
        self.calls[task] = Call(index, deadline or time.monotonic() + seconds, limit, state)

    def _collect(self, index: int) -> None:
        if self.weights is None:
            raise RuntimeError("publish weights before collecting")
        limit = f"answer within runtime.timeout={self.runtime.timeout:g} seconds"
        task = self.actors[index].collect.remote(*self.weights)
        self.calls[task] = Call(index, time.monotonic() + self.runtime.timeout, limit)

    def _replace(self, index: int, reason: str) -> None:
        self._require_ray()  # or it is no fault of the actor
        self._kill(index)
        self.restarts.replace(index, reason)
        self._begin(index)

    def _kill(self, index: int) -> None:
        actor, self.actors[index] = self.actors[index], None
        if actor is not None and not self.dead:
            self.ray.kill(actor)

    def _require_ray(self) -> None:
        """Raise FleetError where one of Ray's own processes has died."""
        _ = self.ray
        if self.pulse is not None and (lost := self.pulse.lost()) is not None:
            self.dead = True
            raise FleetError(f"Ray can't go on: {lost}")

    def metrics(self) -> Mapping[str, float]:
        """fleet/restarts: replacements by this process.
        fleet/waiting: fraction of the time since the last call that the driver waited for experience."""
        now = time.perf_counter()
        waiting = self.waited / max(now - self.since, 1e-9)
        self.waited, self.since = 0.0, now
        return {"fleet/restarts": self.restarts.used, "fleet/waiting": min(waiting, 1.0)}

    def state_dict(self) -> State:
        """An actor that is down, or doesn't answer, has no state: it will begin anew. What is being collected in
        asynchronous mode is not part of it: its steps haven't been counted yet."""
        asked = [None] * len(self.actors) if self.dead else self.actors
        tasks = [None if actor is None else actor.state_dict.remote() for actor in asked]
        deadline = time.monotonic() + self.runtime.timeout
        states: dict[str, State] = {}
        for index, task in enumerate(tasks):
            try:
                left = max(0.0, deadline - time.monotonic())
                states[str(index)] = {} if task is None else self.ray.get(task, timeout=left)
            except self.ray.exceptions.RayError:
                states[str(index)] = {}
        return {"actors": states, "restarts": self.restarts.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.restarts.load_state_dict(state["restarts"])
        self.calls.clear()
        for index in range(len(self.actors)):
            self._kill(index)
            self._begin(index, state["actors"][str(index)])

    def close(self) -> None:
        for index in range(len(self.actors)):
            self._kill(index)
        if self.started and not self.dead:
            self.ray.shutdown()
        elif self.started:
            node: Any = self.ray._private.worker._global_node
            node.kill_all_processes(check_alive=False, allow_graceful=False)
        if self.pulse is not None:
            self.pulse.close()
        if self.reaper is not None:
            if not self.dead:
                self.reaper.kill()
            self.reaper.communicate()


def require(runtime: Runtime) -> None:
    """Raise ValueError where a package is missing that these settings need."""
    if importlib.util.find_spec("ray") is None:
        raise ValueError("runtime.kind is ray, which is not installed: pip install 'sparring[ray]'")
    if runtime.dashboard and importlib.util.find_spec("aiohttp_cors") is None:
        raise ValueError("runtime.dashboard is on, but its packages are not installed: pip install 'ray[default]'")


def connect(runtime: Runtime) -> bool:
    """Start Ray on loopback, or join the cluster at `runtime.address`. False, and nothing done, where Ray runs already.

    Raises ConnectionError, in under 10 seconds, where there is no cluster to join.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    address = runtime.address
    if address is None or is_loopback(address):
        # Else Ray, when told to use 127.0.0.1, takes the address of a network card: it would listen on all of them, and
        # look for that address in vain in a cluster on loopback.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    if address is not None and address != "auto":
        reach(address)
    import ray

    if ray.is_initialized():
        return False
    with keeping_signals():
        if address is None:
            ray.init(
                address="local",  # not the one that RAY_ADDRESS, or what a cluster has left behind here, points to
                _node_ip_address="127.0.0.1",
                include_dashboard=runtime.dashboard,
                dashboard_host="127.0.0.1",
                num_cpus=max(runtime.actors, os.cpu_count() or 1),
                num_gpus=0,
                object_store_memory=OBJECT_STORE_BYTES,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
            if not ray.get_runtime_context().gcs_address.startswith("127.0.0.1:"):
                ray.shutdown()
                raise RuntimeError("Ray would listen on the network: was it imported before a fleet was made?")
            return True
        join(ray, address)
    return True


def join(ray: Any, address: str) -> None:
    """Raise ConnectionError, in JOIN_SECONDS, where Ray can't join the cluster. It does so in a thread of its own, so
    that meanwhile signals are heard."""
    failed: list[Exception] = []

    def attempt() -> None:
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # Ray has no name of its own for what can go wrong here
            failed.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(JOIN_SECONDS)
    if failed:
        raise unreachable(address, f"{type(failed[0]).__name__}: {failed[0]}") from failed[0]
    if thread.is_alive():
        raise unreachable(
            address, f"it answers, but hasn't let us in for {JOIN_SECONDS:g} seconds: try its other addresses"
        )


def is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    return host in ("localhost", "::1") or host.startswith("127.")


def reach(address: str) -> None:
    """Raise ConnectionError unless something at host:port speaks gRPC, as Ray does."""
    reason = silence(address)
    if reason is not None:
        raise unreachable(address, reason)


def silence(address: str) -> str | None:
    """Why nothing at host:port speaks gRPC; None if something does."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        return "it is not host:port"
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS) as connection:
            # HTTP/2's greeting with empty SETTINGS (frame type 4), which a server answers with SETTINGS of its own.
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
            speaks = connection.recv(4)[3:] == b"\x04"
    except (OSError, OverflowError) as error:
        return str(error)
    return None if speaks else "what answers there is not Ray"


def unreachable(address: str, reason: str) -> ConnectionError:
    return ConnectionError(
        f"runtime.address={address}: no Ray cluster can be joined there ({reason}); "
        "start one with `ray start --head --port=PORT`, set RAY_AUTH_MODE=token if it asks for one (Ray sends no "
        "token to an address unless told to), or leave runtime.address out to start Ray on this machine"
    )


@contextmanager
def keeping_signals() -> Iterator[None]:
    """Ray puts its own handler on SIGTERM, which ends the process at once. Ours must save first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def writable(experience: Experience) -> Experience:
    """Arrays from Ray's object store are read-only views of it: copy them, so that the store is free again."""
    return experience._replace(rows=owned(experience.rows))


def owned(rows: Any) -> Any:
    """The same with arrays of our own: an array, a tuple or NamedTuple, or a mapping of such."""
    if isinstance(rows, np.ndarray):
        return rows.copy()
    if isinstance(rows, Mapping):
        return {name: owned(part) for name, part in rows.items()}
    if isinstance(rows, tuple):
        parts = map(owned, rows)
        return type(rows)(*parts) if hasattr(rows, "_fields") else tuple(parts)
    return rows
