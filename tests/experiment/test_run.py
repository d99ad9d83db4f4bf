from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from experiment.run import Progress, Run, RunError, command, exit_code, new_directory


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, env={"PYTHONPATH": "."})


HOLD = """
import sys
from pathlib import Path
from experiment.run import Run
with Run(Path(sys.argv[1]), "a: 1\\n", resume=False, console="nothing"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(directory: Path) -> Iterator[subprocess.Popen[str]]:
    process = start(HOLD, directory)
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_run_makes_its_directory(tmp_path: Path) -> None:
    directory = tmp_path / "runs" / "one"
    with Run(directory, "a: ä\n", resume=False, console="nothing") as run:
        run.metrics.write(1, {"a": 1.0})
        assert run.checkpoints == directory / "checkpoints"
        assert (directory / "LOCK").read_text() == f"{os.getpid()}\n"
    assert (directory / "config.yaml").read_text(encoding="utf-8") == "a: ä\n"
    assert exit_code(run) == 0
    assert not list(directory.glob(".tmp*"))
    with Run(directory, "a: 2\n", resume=True, console="nothing"):
        assert (directory / "config.yaml").read_text() == "a: 2\n"


@pytest.mark.parametrize("kept", ["config.yaml", "metrics.jsonl", "checkpoints"])
def test_a_fresh_run_does_not_touch_another(tmp_path: Path, kept: str) -> None:
    (tmp_path / kept).mkdir()
    with pytest.raises(RunError, match=f"already holds a run .{kept}"), Run(tmp_path, "", resume=False):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [kept]


def test_there_must_be_something_to_resume(tmp_path: Path) -> None:
    for directory in (tmp_path / "absent", tmp_path):
        with pytest.raises(RunError, match="holds no run to resume"), Run(directory, "", resume=True):
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="no run can be kept here"), Run(tmp_path / "file" / "run", "", resume=False):
        pass


def test_a_directory_in_use_is_refused_until_its_process_dies(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with holder(tmp_path) as process:
        with pytest.raises(RunError, match=f"in use by process {process.pid}"), Run(tmp_path, "b: 2\n", resume=True):
            pass
        assert (tmp_path / "config.yaml").read_text() == "a: 1\n"
    with Run(tmp_path, "b: 2\n", resume=True, console="nothing"):  # the holder was killed, and so its lock is gone
        pass
    assert signal.getsignal(signal.SIGTERM) is before


# Signals -----------------------------------------------------------------------------------------------------------

STOP = """
import os, signal, sys
from pathlib import Path
from experiment.run import Run, exit_code
number, times = int(sys.argv[2]), int(sys.argv[3])
with Run(Path(sys.argv[1]), "", resume=False, console="nothing") as run:
    run.metrics.write(1, {"a": 1.0})
    for _ in range(times):
        os.kill(os.getpid(), number)
    print("saved", run.stop_signal, flush=True)
sys.exit(exit_code(run))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_asks_and_two_end(tmp_path: Path, number: int) -> None:
    once = start(STOP, tmp_path / "once", int(number), 1)
    twice = start(STOP, tmp_path / "twice", int(number), 2)
    assert once.communicate()[0] == f"saved {int(number)}\n"
    assert twice.communicate()[0] == ""
    assert once.returncode == twice.returncode == 128 + number
    assert (tmp_path / "twice" / "metrics.jsonl").read_text() == '{"step": 1, "a": 1.0}\n'


def test_former_handlers_come_back_even_after_an_error(tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    run = Run(tmp_path, "", resume=False, console="nothing")

    def fail() -> None:
        with run:
            os.kill(os.getpid(), signal.SIGINT)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (run.stop_signal, exit_code(run)) == (signal.SIGINT, 130)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    with Run(tmp_path, "", resume=True, console="nothing"):  # and the lock was given back
        pass


def test_another_thread_leaves_signals_alone(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[object] = []

    def enter() -> None:
        with Run(tmp_path, "", resume=False, console="nothing"):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [before]


# The bar -----------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_shows_speed_and_return_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 10**6))
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("rich._console", None)
    with monkeypatch.context() as patch, Progress(1000, start=500) as progress:
        patch.setattr(time, "monotonic", lambda: next(now))
        for steps in (510, 520, 530):
            progress.update(steps, 21.5)
        progress.update(1000)
    assert "530/1,000" in terminal.getvalue() and "steps/s" in terminal.getvalue()
    assert "return 21.5" in terminal.getvalue().split("1,000/1,000")[-1]  # stays until there is another


def test_progress_is_silent_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(1000) as progress:  # captured, so not a terminal
        progress.update(500, 1.0)
    assert capsys.readouterr() == ("", "")


def test_progress_costs_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr("rich._console", None)
    with Progress(10**9) as progress:
        begin = time.process_time()
        for steps in range(20_000):
            progress.update(steps, 1.0)
        assert time.process_time() - begin < 20_000 * 20e-6


def test_new_directories_are_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "strftime", lambda form: "20260101-120000")
    names = []
    for _ in range(3):
        path = new_directory("dqn", tmp_path / "runs")
        path.mkdir(parents=True)
        names.append(path.name)
    assert names == ["dqn-20260101-120000", "dqn-20260101-120000-2", "dqn-20260101-120000-3"]


@pytest.mark.parametrize(("raised", "code"), [(None, 3), (KeyboardInterrupt, 130), (BrokenPipeError, 0)])
def test_a_command_leaves_with_a_code(
    raised: type[BaseException] | None, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    def main() -> int:
        if raised is not None:
            raise raised
        return 3

    with pytest.raises(SystemExit) as left:
        command(main)
    assert left.value.code == code


def test_a_reader_that_leaves_early_is_no_error() -> None:
    endless = "from experiment.run import command\ndef main():\n    while True: print('y' * 1000)\ncommand(main)"
    writer = subprocess.Popen([sys.executable, "-c", endless], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert writer.stdout is not None and writer.stderr is not None
    writer.stdout.readline()
    writer.stdout.close()
    assert writer.stderr.read() == b""
    assert writer.wait(30) == 0
