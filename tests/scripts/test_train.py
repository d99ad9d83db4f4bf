"""scripts/train.py as its users meet it: help, refusals, exit codes, resuming."""

from __future__ import annotations

import fcntl
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from agents.registry import ALGORITHMS, algorithm, parse
from agents.restore import load_policy
from experiment.checkpoint import load
from experiment.config import describe
from experiment.origin import told
from scripts.train import farewell, main
from tests.runs import ROOT, assert_same_run, command, raw, state, train, write

CARTPOLE = ROOT / "configs" / "ppo" / "cartpole.yaml"
SMALL = raw("ppo", steps=256, evaluation={"every": 0, "episodes": 1}, checkpoint={"every": 64, "keep": 9})


def quickest(request: list[str], code: int, enough: float, runs: int = 3) -> tuple[float, str, str]:
    """Seconds of processor time of the first of some runs that takes less than `enough`, and what it printed."""
    took, out, err = [float("inf")], "", ""
    while len(took) <= runs and min(took) >= enough:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(request, cwd=ROOT, capture_output=True, text=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert done.returncode == code, done.stderr
        out, err = done.stdout, done.stderr
    return min(took), out, err


# Help -----------------------------------------------------------------------------------------------------------------


def test_help_is_quick_and_complete() -> None:
    seconds, out, _ = quickest([*command()[:2], "--help"], 0, enough=1.0)
    assert seconds < 1.0
    for word in ("--run-dir", "--resume", "--dry-run", "--debug", "--quiet", "key=value", *ALGORITHMS):
        assert word in out


def test_a_run_ends_with_its_result_and_what_to_type_next(tmp_path: Path) -> None:
    config, run = parse(SMALL), tmp_path / "run"
    found = farewell(config, run, {"eval/mean_reward": 1234.5, "train/loss": 1.0}, done=True)
    assert found == f"result: eval/mean_reward 1,234\nnext: python scripts/evaluate.py {run}"
    stopped = farewell(config, run, {}, done=False)
    assert stopped == f"no evaluation yet\nnext: python scripts/train.py --resume --run-dir {run}"
    solved = farewell(parse(raw("cfr")), run, {"eval/exploitability": 0.25}, done=True)
    assert solved == f"result: eval/exploitability 0.25\nnext: tensorboard --logdir {run}"


@pytest.mark.parametrize("name", ALGORITHMS)
def test_help_with_a_config_lists_every_key(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(write(tmp_path / "c.yaml", {"algorithm": name})), "--help"]) == 0
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ") and "(" in line}
    options = describe(algorithm(name).config)
    assert {option.key for option in options} <= listed
    assert all(option.help for option in options), "every key is explained"


# Wrong requests -------------------------------------------------------------------------------------------------------


def test_a_wrong_config_is_refused_quickly_with_all_its_problems_and_nothing_is_made(tmp_path: Path) -> None:
    wrong = SMALL | {"stepz": 3, "seed": -1, "env": {"id": "CartPole-v1", "count": "four"}, "learner": {"clip": -1}}
    before = set(tmp_path.iterdir()) | {write(tmp_path / "c.yaml", wrong)}
    runs = set(ROOT.glob("runs/*"))
    request = command(tmp_path / "c.yaml", "--run-dir", tmp_path / "run", "loging.every=3")
    seconds, out, err = quickest(request, 2, enough=1.0)
    assert seconds < 1.0
    assert out == ""
    for problem in ("unknown key stepz; did you mean 'steps'?", "seed: ", "env.count: ", "learner.clip: ", "loging"):
        assert problem in err
    assert set(tmp_path.iterdir()) == before
    assert set(ROOT.glob("runs/*")) == runs


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ([], "CONFIG.yaml is missing"),
        (["{dir}/nowhere.yaml"], "nowhere.yaml"),
        (["{config}", "steps"], "expected key=value"),
        (["{config}", "--resume"], "--resume needs --run-dir"),
        (["--resume"], "CONFIG.yaml is missing"),
        (["{config}", "--resume", "--run-dir", "{dir}/nowhere"], "nowhere"),
        (["--resume", "--run-dir", "{dir}/nowhere"], "nowhere: holds no run to resume (there is no config.yaml)"),
        (["{config}", "--debug", "--resume", "--run-dir", "{dir}/nowhere"], "--debug begins a run of its own"),
        (["{config}", "--debug", "stepz=3"], "unknown key stepz; did you mean 'steps'?"),
        (["{config}", "--debug", "learner.batch_size=17"], "learner.batch_size (17) does not divide"),
        (["{config}", "algorithm=poo"], "did you mean 'ppo'?"),
        (["{config}", "--run-dir", "{dir}/run", "env.id=CartPole-v9"], "CartPole"),
        (["{config}", "--run-dir", "{dir}/run", "env.id=module:World-v0"], "module"),
        (["{config}", "--run-dir", "{dir}/run", "env.count=7"], "divisible"),
        (["{config}", "--run-dir", "{dir}/run", "device=cuda:99"], "device=cuda:99"),
        (["{config}", "--run-dir", "/proc/nowhere"], "/proc/nowhere"),
        (
            ["{config}", "--run-dir", "{dir}/run", "env.count=1000000000"],
            "env.count: found 1000000000, expected int > 0, <=",
        ),
        (["{config}", "--run-dir", "{dir}/run", "rollout.steps=1000000000000"], "rollout.steps: found 1000000000000"),
        (["{config}", "--run-dir", "{dir}/run", "network.hidden=[1000000]"], "less than or equal to 65536"),
        (["{config}", "--run-dir", "{dir}/run", "network.hidden=[65536, 65536]"], "available: choose less"),
        (["{config}", "--run-dir", "{dir}/run", "steps=1" + 400 * "0"], "less than or equal to 1000000000000000"),
        (["{config}", "--run-dir", "{dir}/run", "steps=1" + 5000 * "0"], "steps="),
    ],
)
def test_a_wrong_request_ends_with_2_and_says_why(
    request_: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write(tmp_path / "c.yaml", SMALL)
    assert main([part.format(dir=tmp_path, config=config) for part in request_]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("error: ")
    assert reason in told.err
    assert list(tmp_path.iterdir()) == [config]


@pytest.mark.parametrize(
    ("options", "way_out"),
    [
        (["--seed", "1"], "seed=1"),
        (["--learner.learning-rate=3e-4"], "learner.learning_rate=3e-4"),
        (["--resum", "--what"], "what=VALUE"),
    ],
)
def test_a_wrong_option_ends_with_2(options: list[str], way_out: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([str(CARTPOLE), *options])
    assert end.value.code == 2
    assert f"a key of the config is set as {way_out}\n" in capsys.readouterr().err


def test_steps_beyond_those_asked_for_are_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(SMALL | {"steps": 250, "checkpoint": {"every": 0}}, tmp_path / "run") == 0
    assert "256 steps, as collections are whole, where 250 were asked for, are saved in" in capsys.readouterr().out


def test_a_dry_run_prints_a_config_that_means_the_same_and_makes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = ["learner.discount=0.5", "env.options={sutton_barto_reward: true}", "--dry-run"]
    assert main([str(CARTPOLE), *request, "--run-dir", str(tmp_path / "run")]) == 0
    first = capsys.readouterr().out
    (tmp_path / "again.yaml").write_text(first)
    assert main([str(tmp_path / "again.yaml"), "--dry-run"]) == 0
    assert capsys.readouterr().out == first
    effective = yaml.safe_load(first)
    assert effective["learner"]["discount"] == 0.5
    assert effective["env"]["options"] == {"sutton_barto_reward": True}
    assert not (tmp_path / "run").exists()


# Runs -----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("finished") / "run"
    assert train(SMALL, directory) == 0
    return directory


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A run of its own, finished, with checkpoints at 64, 128, 192 and 256 steps."""
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def resume(run: Path, *more: str) -> int:
    return main(["--run-dir", str(run), "--resume", "--quiet", *more])


def snapshot(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}


def damage(checkpoint: Path) -> None:
    file = checkpoint / "learner.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def checkpoints(run: Path) -> list[Path]:
    return sorted((run / "checkpoints").iterdir())


def test_a_run_without_a_name_gets_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write(tmp_path / "small.yaml", SMALL)
    monkeypatch.chdir(tmp_path)
    assert main([str(config), "--quiet"]) == 0
    (made,) = (tmp_path / "runs").iterdir()
    assert made.name.startswith("ppo-small-")
    assert {"config.yaml", "metrics.jsonl", "checkpoints"} <= {path.name for path in made.iterdir()}


def test_a_debug_run_is_over_in_a_moment_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of every config: tests/agents/test_config_fields.py. What its user overrides as well stays as they want it."""
    monkeypatch.chdir(tmp_path)
    assert main([str(CARTPOLE), "--debug", "--quiet", "steps=192", "learner.discount=0.5"]) == 0
    (made,) = (tmp_path / "runs").iterdir()
    assert made.name.startswith("debug-ppo-cartpole-")
    config = yaml.safe_load((made / "config.yaml").read_text())
    assert (config["steps"], config["env"]["count"], config["learner"]["discount"]) == (192, 2, 0.5)
    out = capsys.readouterr().out
    assert "debug: steps=128 env.count=2 " in out and "192 of 192 steps are saved" in out
    assert main(["--resume", "--run-dir", str(made), "--quiet", "steps=256"]) == 0


def test_a_directory_that_holds_a_run_is_not_written_to(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = snapshot(run)
    assert train(SMALL, run) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert snapshot(run) == before


def test_a_finished_run_says_so(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = snapshot(run)
    assert resume(run) == 0
    assert "has made all 256 steps" in capsys.readouterr().out
    assert snapshot(run) == before


def test_overrides_apply_to_a_resumed_run(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert resume(run, "steps=320", "logging.every=32") == 0
    said = capsys.readouterr().out.splitlines()
    changed = said[said.index("resumed with changes:") + 1 :][:2]
    assert [line.partition(":")[0] for line in changed] == ["steps", "logging.every"]
    assert state(run)["loop"]["steps"] == 320
    assert yaml.safe_load((run / "config.yaml").read_text())["steps"] == 320
    assert resume(run) == 0  # its config is the one that it was resumed with: it is finished


@pytest.mark.parametrize(
    "change", ["env.count=8", "network.hidden=[8]", "seed=4", "normalize.rewards=false", "runtime.actors=1"]
)
def test_a_checkpoint_that_does_not_fit_is_refused(run: Path, change: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = snapshot(run)
    assert resume(run, "steps=320", change) == 2
    key = change.partition("=")[0]
    assert f"error: {key.partition('.')[0]}" in capsys.readouterr().err
    assert snapshot(run) == before


def test_the_best_weights_act(run: Path) -> None:
    about = load(run / "best")[1]
    assert (about["metric"], about["steps"]) == ("eval/mean_reward", 256)
    policy, _ = load_policy(run / "best")
    np.testing.assert_array_equal(load(run / "best")[0]["weights"], state(run)["weights"])
    assert hasattr(policy, "act")


def test_a_resumed_run_says_by_what_it_was_trained_before(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert resume(run, "steps=320") == 0
    assert f"trained before by {told(run).partition(',')[0]}" in capsys.readouterr().out
    assert len((run / "origin.jsonl").read_text().splitlines()) == 2


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(finished: Path, run: Path) -> None:
    damage(checkpoints(run)[-1])
    with pytest.warns(UserWarning, match=r"passing over an invalid checkpoint(.|\n)*learner.safetensors: is damaged"):
        assert resume(run) == 0
    assert [path.name for path in checkpoints(run)][-1] == "step_000000256.1"  # nothing is overwritten
    assert_same_run(finished, run)


def test_without_a_valid_checkpoint_nothing_begins_afresh(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for checkpoint in checkpoints(run):
        damage(checkpoint)
    before = snapshot(run)
    with pytest.warns(UserWarning, match="passing over"):
        assert resume(run, "steps=320") == 2
    told = capsys.readouterr().err
    assert "holds no valid checkpoint" in told
    assert told.count("is damaged") == 5
    assert snapshot(run) == before


def test_a_run_directory_in_use_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = snapshot(run)
    with (run / "LOCK").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert resume(run, "steps=320") == 2
        assert "is in use by process" in capsys.readouterr().err
        assert snapshot(run) == before
    assert resume(run, "steps=320") == 0


def test_a_running_run_locks_its_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    endless = write(tmp_path / "c.yaml", SMALL | {"steps": 10_000_000, "compile": "off"})
    request = command(endless, "--run-dir", tmp_path / "run")
    with subprocess.Popen(request, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        until = time.monotonic() + 30
        while not (tmp_path / "run" / "checkpoints").exists() or not checkpoints(tmp_path / "run"):
            assert time.monotonic() < until
            time.sleep(0.05)
        code = main([str(endless), "--run-dir", str(tmp_path / "run"), "--resume"])
        process.terminate()
        assert process.wait(30) == 143
    told = capsys.readouterr().err
    assert code == 2, told
    assert "is in use by process" in told or "checkpoint" in told  # which may go while it is read


def test_help_and_refusals_load_nothing_heavy() -> None:
    code = f"import sys\nfrom scripts.train import main\nmain([{str(CARTPOLE)!r}, '--help'])\n"
    code += f"main([{str(CARTPOLE)!r}, '--dry-run'])\nmain([{str(CARTPOLE)!r}, 'stepz=3'])\n"
    code += "heavy = {'torch', 'ray', 'numba', 'tensorboard', 'scipy', 'matplotlib'} & set(sys.modules)\n"
    code += "print('heavy:', sorted(heavy))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"
