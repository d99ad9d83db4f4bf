"""A closed step as machine code, kept in the user's own cache, so that only the first run of its kind compiles it.

    step = Program(step)        # `supervised.accelerate` says what a closed step is
    step(state, *inputs)        # the first call with such shapes traces it, and loads its package or compiles one

A package is named after the hash of all that it depends on: the operations that were traced, with their constants; the
shapes of what they are given; torch, the compiler, the processor, and the threads that share a loop. So a cache that is
warm and one that is cold give equal numbers. It is code that gets run: it lies where the user alone can write, and
never in the directory of a run.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import stat
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

Step = Callable[..., Any]
Signature = tuple[Any, ...]
# The compiler's headers are not compiled in advance: that pays from the second package on. Nor does it start workers.
OPTIONS = {"aot_inductor.precompile_headers": False, "compile_threads": 1}


class Program:
    """Arguments are tensors, or None, in tuples, lists and dicts. Those that are traced first stand for all of their
    shapes and strides, and what the step has beside its arguments, such as the statistics of a layer that normalizes,
    must stay the same tensors."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.loaded: dict[Signature, Callable[[list[Tensor]], Any]] = {}

    def __call__(self, *arguments: Any) -> Any:
        given = list(leaves(arguments))
        signature = signature_of(given)
        if signature not in self.loaded:
            self.loaded[signature] = self._load(arguments, given, signature)
        return self.loaded[signature](given)

    def _load(self, arguments: Any, given: list[Tensor], signature: Signature) -> Callable[[list[Tensor]], Any]:
        traced = trace(self.step, arguments, given)
        run = loaded(traced.graph, [*given, *traced.enclosed])

        def call(given: list[Tensor]) -> Any:
            found = iter(run([*given, *traced.enclosed]))
            return pytree.tree_unflatten([next(found) if there else None for there in traced.there], traced.shape)

        return call


class Traced(NamedTuple):
    graph: fx.GraphModule  # of a step's tensors, and then of those that it encloses
    enclosed: list[Tensor]
    there: list[bool]  # which leaves of what it returns are tensors, and not None
    shape: pytree.TreeSpec  # of what it returns


def signature_of(tensors: list[Tensor]) -> Signature:
    return tuple((tensor.shape, tensor.stride(), tensor.dtype) for tensor in tensors)


def leaves(arguments: Any) -> Iterator[Tensor]:
    """The tensors, in order."""
    if isinstance(arguments, Tensor):
        yield arguments
    elif isinstance(arguments, tuple | list):
        for part in arguments:
            yield from leaves(part)
    elif isinstance(arguments, dict):
        for part in arguments.values():
            yield from leaves(part)
    elif arguments is not None:
        raise TypeError(f"a closed step is given tensors, but found {arguments!r}")


def trace(step: Step, arguments: Any, given: list[Tensor]) -> Traced:
    """What a step does to these tensors, which stay as they are."""
    returned: list[Any] = []

    def flat(*tensors: Tensor) -> list[Tensor]:
        rest = iter(tensors)
        found = step(*pytree.tree_map_only(Tensor, lambda _: next(rest), arguments))
        returned[:] = pytree.tree_flatten(found)
        return [leaf for leaf in returned[0] if leaf is not None]

    graph = make_fx(flat)(*(tensor.clone() for tensor in given))
    graph.graph.set_codegen(fx.graph.CodeGen())
    return Traced(graph, enclose(graph), [leaf is not None for leaf in returned[0]], returned[1])


def enclose(module: fx.GraphModule) -> list[Tensor]:
    """Let what is no argument become one, last. A program would keep the values that these tensors have today."""
    graph, found = module.graph, dict[str, Tensor]()
    last = [node for node in graph.nodes if node.op == "placeholder"][-1]
    inputs: dict[str, fx.Node] = {}
    for node in list(graph.nodes):
        if node.op != "get_attr" or not isinstance(tensor := getattr(module, node.target), Tensor):
            continue
        if node.target not in inputs:
            with graph.inserting_after(last):
                last = inputs[node.target] = graph.placeholder(node.target)
            last.meta, found[node.target] = node.meta, tensor
        node.replace_all_uses_with(inputs[node.target])
        graph.erase_node(node)
    module.recompile()
    return list(found.values())


def name(graph: fx.GraphModule, given: list[Tensor]) -> str:
    """A hash of all that the numbers depend on which a program of this graph computes from such tensors."""
    code = [part.code for part in graph.modules() if isinstance(part, fx.GraphModule)]
    return hashlib.sha256("\n".join([*code, str(signature_of(given)), *machine()]).encode()).hexdigest()


def loaded(graph: fx.GraphModule, given: list[Tensor]) -> Callable[[list[Tensor]], list[Tensor]]:
    """What computes the graph: a package from the cache, where it is put if it isn't there."""
    with tempfile.TemporaryDirectory() as temporary:
        try:
            directory = cache()
        except OSError as error:
            warnings.warn(f"the compiled update can't be kept for the next run: {error}", stacklevel=2)
            directory = Path(temporary)
        package = directory / f"{name(graph, given)}.pt2"
        if not package.exists():
            compile_into(package, graph, given)
        loader: Any = torch._C._aoti.AOTIModelPackageLoader(str(package), "model", True, 1, -1)
        return loader.run


def compile_into(package: Path, graph: fx.GraphModule, given: list[Tensor]) -> None:
    import torch._inductor  # here, as a package that is there needs none of it

    print("compiling the update: 10 to 30 seconds, once on this machine", file=sys.stderr, flush=True)
    beside = package.with_name(f".tmp-{os.getpid()}-{package.name}")
    try:
        with warnings.catch_warnings(action="ignore"):  # of torch, about itself
            program = torch.export.export(graph, tuple(given))
            torch._inductor.aoti_compile_and_package(program, package_path=str(beside), inductor_configs={**OPTIONS})
        os.replace(beside, package)
    finally:
        beside.unlink(missing_ok=True)


def cache() -> Path:
    """The user's own directory of packages. Raises OSError where others could write into it, or nobody can."""
    path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sparring" / "programs"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.stat()
    if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o022:
        raise PermissionError(f"{path} must belong to you, and you alone may write there")
    if not os.access(path, os.W_OK):
        raise PermissionError(f"{path} can't be written")
    return path


def compiler() -> str | None:
    """The C++ compiler, where there is one."""
    return shutil.which(os.environ.get("CXX") or "g++")


def machine() -> list[str]:
    """What a program depends on beside what it computes."""
    found = os.path.realpath(compiler() or "")
    size = os.path.getsize(found) if os.path.isfile(found) else 0
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        lines = [platform.processor()]
    processor = [line for line in lines if line.startswith(("model", "flags", "Features", "CPU"))]
    return [
        torch.__version__,
        platform.platform(),
        found,
        str(size),
        str(torch.get_num_threads()),
        str(OPTIONS),
        *processor,
    ]
