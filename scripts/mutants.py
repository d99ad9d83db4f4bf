"""Which changes of the mathematics would no test notice? python scripts/mutants.py [FILE.py ...] [--seconds S]

One operator or number of a file is changed at a time: + for -, * for /, < for <=, and for or, a sign dropped, a number
one more. The test that mirrors the file runs in a process of its own, which sees the change; no file is touched. What
no test notices is listed, and the exit code is 1 then. Compiled code runs as plain Python. Without FILE: `FILES`.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import os
import signal
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

from experiment.run import command

ROOT = Path(__file__).resolve().parents[1]
FILES = (
    "agents/maths/*.py",
    "agents/actor_critic/*.py",
    "agents/value/*.py",
    "agents/alphazero/alphazero.py",
    "supervised/losses.py",
    "supervised/trained.py",
)
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.And: ast.Or, ast.Or: ast.And, ast.USub: ast.UAdd,
}  # fmt: skip


class Mutant(NamedTuple):
    line: int
    was: str
    now: str
    code: CodeType


def mutants(source: str, path: str) -> Iterator[Mutant]:
    """Every change of a file, one at a time."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for field, value in _changes(node):
            was, before = ast.unparse(node), getattr(node, field)
            setattr(node, field, value)
            ast.fix_missing_locations(tree)
            yield Mutant(node.lineno, was, ast.unparse(node), compile(tree, path, "exec"))  # type: ignore[attr-defined]
            setattr(node, field, before)


def _changes(node: ast.AST) -> Iterator[tuple[str, Any]]:
    """What can be changed at a node: a field, and its new value."""
    if isinstance(node, (ast.BinOp, ast.AugAssign, ast.BoolOp, ast.UnaryOp)) and type(node.op) in SWAPS:
        yield "op", SWAPS[type(node.op)]()
    elif isinstance(node, ast.Compare):
        for place, op in enumerate(node.ops):
            if type(op) in SWAPS:
                yield "ops", [*node.ops[:place], SWAPS[type(op)](), *node.ops[place + 1 :]]
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        yield "value", node.value + 1


class Altered(SourceFileLoader):
    """Loads a module from other code than that of its file."""

    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self.code = code

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def get_code(self, fullname: str) -> CodeType:
        return self.code


def survives(name: str, path: Path, test: Path, code: CodeType, seconds: int) -> bool:
    """Whether a test passes with this code, in a process of its own that ends after so many seconds of computing."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    import pytest

    signal.setitimer(signal.ITIMER_PROF, seconds)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    finder: Any = Altered(name, str(path), code)
    sys.meta_path.insert(0, finder)
    os._exit(int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", str(test)])))


def examine(path: Path, seconds: int) -> tuple[int, list[Mutant]]:
    """How many mutants of a file there are, and those that its test doesn't notice. Raises ValueError where the test
    fails without any change."""
    file = path.resolve().relative_to(ROOT)
    name, tests = ".".join(file.with_suffix("").parts), ROOT / "tests" / file.parent
    test = next(
        (test for test in sorted(tests.glob(f"test_*{file.name}")) if test.stem.endswith(f"_{file.stem}")), None
    )
    if test is None:
        raise ValueError(f"{file} has no test {tests.relative_to(ROOT)}/test_{file.name}")
    source = path.read_text()
    if not survives(name, path, test, compile(source, str(path), "exec"), seconds):
        raise ValueError(f"{test.relative_to(ROOT)} fails, or computes for more than {seconds} s, without any change")
    found = list(mutants(source, str(path)))
    return len(found), [mutant for mutant in found if survives(name, path, test, mutant.code, seconds)]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE.py")
    parser.add_argument("--seconds", metavar="S", type=int, default=120, help="of computing that a test may take (120)")
    asked = parser.parse_args(argv)
    os.chdir(ROOT)
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    import hypothesis, numba, pytest, torch  # noqa: E401, F401, I001  # once, for all processes that are forked

    torch.set_num_threads(1)
    every = asked.files or [file for some in FILES for file in sorted(ROOT.glob(some)) if file.name != "__init__.py"]
    left = 0
    for path in every:
        try:
            total, survivors = examine(path, asked.seconds)
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        left += len(survivors)
        print(
            f"{path.resolve().relative_to(ROOT)}: {total - len(survivors)} of {total} changes are noticed", flush=True
        )
        for mutant in survivors:
            print(f"  line {mutant.line}: {mutant.was}  ->  {mutant.now}", flush=True)
    return int(left > 0)


if __name__ == "__main__":
    command(main)
