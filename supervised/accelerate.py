"""Speed as an outer layer: wrap a closed step at wiring time, leave its mathematics alone.

A closed step is `step(state, *inputs) -> outputs`: tensors of fixed shapes throughout; `state`, a (nested) tuple, is
changed in place, `inputs` (tensors or None) are only read.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from supervised.programs import Program, compiler

Step = Callable[..., Any]
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # <malloc.h>


def accelerate(step: Step, device: torch.device, compiled: bool) -> Step:
    """Return `step` itself, compiled (CPU), or compiled and captured as a CUDA graph (GPU)."""
    if not compiled:
        return step
    if device.type == "cuda":
        return CudaGraph(torch.compile(step, fullgraph=True, dynamic=False))
    return Program(step)


def use_cpu(threads: int) -> None:
    """Let torch compute with so many threads, and keep the memory that it is done with.

    glibc may hand large blocks back to the system as soon as they are free, and get them back a page fault at a time:
    forward passes of a residual network of 4 blocks, one after another, are a quarter faster without. Other C libraries
    are left alone.
    """
    torch.set_num_threads(threads)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for parameter, size in ((M_MMAP_THRESHOLD, 2**30), (M_TRIM_THRESHOLD, 2**31 - 1)):
            mallopt(parameter, size)


def device_of(name: str) -> torch.device:
    """The device that a config names; "auto" is the GPU when there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device={name}: this machine has no CUDA GPU that torch can use; set device=cpu or auto")
    return torch.device(name)


def pays_off(choice: str, updates: float, device: torch.device) -> bool:
    """Whether to compile a run of so many updates: `choice` is "on", "off" or "auto". A matter of the config and of
    what this machine can do, never of what its cache holds. Raises ValueError for "on" where there is no C++ compiler.

    Compiling takes 10 to 30 seconds, on a CPU once for all runs of a kind, and saves 0.3 to 1.2 milliseconds of each
    update of a small network.
    """
    if choice == "off" or (choice == "auto" and updates < (10_000 if device.type == "cuda" else 5_000)):
        return False
    if compiler() is None and device.type == "cpu":
        if choice == "on":
            raise ValueError(
                "compile=on: no C++ compiler (g++, or what CXX names) was found; install it or set compile=off"
            )
        return False
    return True


class CudaGraph:
    """Record `step` at its first call and replay the recording at the next ones.

    Every call must bring the same state tensors and inputs of the same shapes. Inputs are copied into the recording's
    own tensors; outputs are cloned, so that they outlive the next replay.
    """

    def __init__(self, step: Step, warmup: int = 3) -> None:
        self.step, self.warmup = step, warmup
        self.graph: torch.cuda.CUDAGraph | None = None
        self.inputs: tuple[Tensor | None, ...] = ()
        self.outputs: Any = None

    def __call__(self, state: Any, *inputs: Tensor | None) -> Any:
        if self.graph is None:
            self.graph = self._record(state, inputs)
        for static, given in zip(self.inputs, inputs, strict=True):
            if static is not None and given is not None:
                static.copy_(given, non_blocking=True)
        self.graph.replay()
        return pytree.tree_map_only(Tensor, Tensor.clone, self.outputs)

    def _record(self, state: Any, inputs: tuple[Tensor | None, ...]) -> torch.cuda.CUDAGraph:
        """Warm up on a side stream (allocator, compiler, cuBLAS), undo what that did to the state, then capture."""
        self.inputs = tuple(None if i is None else i.clone() for i in inputs)
        tensors = [leaf for leaf in pytree.tree_leaves(state) if isinstance(leaf, Tensor)]
        before = [tensor.clone() for tensor in tensors]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(self.warmup):
                self.step(state, *self.inputs)
        torch.cuda.current_stream().wait_stream(side)
        for tensor, saved in zip(tensors, before, strict=True):
            tensor.copy_(saved)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):  # capturing records, it doesn't run: the state stays as it was
            self.outputs = self.step(state, *self.inputs)
        return graph
