"""Actors as Ray processes, on this machine or on a cluster. The one module that knows Ray, which it loads when used."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.api import Actor, Experience, State
from agents.config import Experiment
from agents.fleet.restarts import Restarts
from envs.api import Array, EnvError

CONNECT_SECONDS = 5.0
OBJECT_STORE_BYTES = 512 * 2**20


class RemoteActor:
    """What runs in an actor's process: builds its actor from the config, then passes calls on."""

    def __init__(self, raw: dict[str, Any], index: int, incarnation: int) -> None:
        import torch

        from agents.registry import algorithm, parse

        config = parse(raw)
        torch.set_num_threads(config.runtime.threads)
        self.actor: Actor = algorithm(config.algorithm).load().actor(config, index, incarnation)

    def load(self, weights: Array, version: int) -> None:
        self.actor.load(weights, version)

    def collect(self) -> Experience:
        return self.actor.collect()

    def state_dict(self) -> State:
        return self.actor.state_dict()

    def load_state_dict(self, state: State) -> None:
        self.actor.load_state_dict(state)

    def pid(self) -> int:
        return os.getpid()


class RayFleet:
    """Synchronous: every `collect` waits for all actors, in order. Asynchronous: it returns whoever has finished.

    An actor that dies, takes longer than `runtime.timeout`, or whose world fails is replaced: new process, new
    episodes, current weights. What it had not delivered is lost; nothing is delivered twice. Raises FleetError
    past the budget.
    """

    def __init__(self, config: Experiment) -> None:
        import ray

        self.ray, self.runtime = ray, config.runtime
        self.raw = config.model_dump(mode="json")
        connect(config)
        self.remote = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(RemoteActor)
        self.restarts = Restarts(config.runtime)
        self.actors: list[Any] = [self._build(index) for index in range(config.runtime.actors)]
        self.weights: tuple[Any, int] | None = None  # in the object store: one copy for all actors of a machine
        self.running: dict[Any, tuple[int, float]] = {}  # collection in flight -> actor, when it must be done
        self.waited = 0.0
        self.since = time.perf_counter()

    def publish(self, weights: Array, version: int) -> None:
        self.weights = self.ray.put(weights), version
        busy = {index for index, _ in self.running.values()}
        for index, actor in enumerate(self.actors):
            # Calls of one actor are carried out in order. One that is busy gets the weights when it is next started.
            if index not in busy:
                actor.load.remote(*self.weights)

    def collect(self) -> list[Experience]:
        begin = time.perf_counter()
        busy = {index for index, _ in self.running.values()}
        for index in range(len(self.actors)):
            if index not in busy:
                self._start(index)
        experiences = self._ready() if self.runtime.mode == "asynchronous" else self._all()
        self.waited += time.perf_counter() - begin
        return experiences

    def _all(self) -> list[Experience]:
        """Everyone's, in the order of the actors."""
        done: dict[int, Experience] = {}
        while self.running:
            for experience in self._ready():
                done[experience.actor] = experience
        return [done[index] for index in sorted(done)]

    def _ready(self) -> list[Experience]:
        """At least one, as soon as there is one."""
        while True:
            soonest = min(deadline for _, deadline in self.running.values())
            ready, _ = self.ray.wait(list(self.running), num_returns=1, timeout=max(0.0, soonest - time.monotonic()))
            experiences = []
            for task in ready:
                index, _ = self.running.pop(task)
                try:
                    experiences.append(writable(self.ray.get(task)))
                except self.ray.exceptions.RayTaskError as error:
                    if not isinstance(error.cause, EnvError):
                        raise
                    self._replace(index, str(error.cause))
                except self.ray.exceptions.RayActorError as error:
                    self._replace(index, f"its process died: {str(error).splitlines()[0]}")
            for task, (index, deadline) in list(self.running.items()):
                if time.monotonic() > deadline:
                    del self.running[task]
                    self._replace(index, f"it did not answer within runtime.timeout={self.runtime.timeout:g} seconds")
            if experiences:
                return experiences

    def _start(self, index: int) -> None:
        task = self.actors[index].collect.remote()
        self.running[task] = index, time.monotonic() + self.runtime.timeout

    def _replace(self, index: int, reason: str) -> None:
        self.ray.kill(self.actors[index])
        self.actors[index] = None
        self.restarts.replace(index, reason)
        self.actors[index] = self._build(index)
        if self.weights is not None:
            self.actors[index].load.remote(*self.weights)
        self._start(index)

    def _build(self, index: int) -> Any:
        return self.remote.remote(self.raw, index, self.restarts.incarnations[index])

    def metrics(self) -> Mapping[str, float]:
        """fleet/waiting: fraction of the time since the last call that the driver waited for experience."""
        now = time.perf_counter()
        waiting = self.waited / max(now - self.since, 1e-9)
        self.waited, self.since = 0.0, now
        return {"fleet/restarts": self.restarts.used, "fleet/waiting": min(waiting, 1.0)}

    def state_dict(self) -> State:
        """What is being collected in asynchronous mode is not part of it: its steps haven't been counted yet."""
        tasks = [None if actor is None else actor.state_dict.remote() for actor in self.actors]
        states: dict[str, State] = {}
        for index, task in enumerate(tasks):
            try:
                states[str(index)] = {} if task is None else self.ray.get(task, timeout=self.runtime.timeout)
            except (self.ray.exceptions.RayError, TimeoutError):
                states[str(index)] = {}  # it will begin anew
        return {"actors": states, "restarts": self.restarts.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.restarts.load_state_dict(state["restarts"])
        for actor in self.actors:
            self.ray.kill(actor)
        self.actors = [self._build(index) for index in range(len(self.actors))]
        tasks = [
            actor.load_state_dict.remote(state["actors"][str(index)])
            for index, actor in enumerate(self.actors)
            if state["actors"][str(index)]
        ]
        self.ray.get(tasks, timeout=self.runtime.timeout)

    def close(self) -> None:
        self.ray.shutdown()


def connect(config: Experiment) -> None:
    """Start Ray on loopback, or join the cluster at `runtime.address`. Raises ConnectionError in under 10 seconds."""
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": "error", "include_dashboard": False}
    address = config.runtime.address
    if address is None:
        ray.init(
            **common | {"include_dashboard": config.runtime.dashboard},
            dashboard_host="127.0.0.1",
            _node_ip_address="127.0.0.1",
            num_cpus=max(config.runtime.actors, os.cpu_count() or 1),
            num_gpus=0,
            object_store_memory=OBJECT_STORE_BYTES,
        )
        return
    if address != "auto":
        reach(address)
    del common["include_dashboard"]
    ray.init(address=address, **common)


def reach(address: str) -> None:
    """Raise ConnectionError unless something answers at host:port."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    way_out = "check that `ray start --head --port=PORT` runs there, or leave runtime.address out to start Ray here"
    if not host or not port.isdigit():
        raise ConnectionError(f"runtime.address={address}: expected host:port; {way_out}")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise ConnectionError(
            f"runtime.address={address}: no Ray cluster answers there ({error}); {way_out}"
        ) from error


def writable(experience: Experience) -> Experience:
    """Arrays from Ray's object store are read-only views of it: copy them, so that the store is free again."""
    rows = experience.rows
    copied = (np.array(field) if isinstance(field, np.ndarray) else field for field in rows)
    return experience._replace(rows=type(rows)(*copied))
