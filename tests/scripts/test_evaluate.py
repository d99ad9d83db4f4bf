from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.evaluate import main

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "evaluate.py"


def test_the_same_request_gives_the_same_results(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    found = []
    for seed in (3, 3, 4):
        assert (
            main(["random", "--env", "CartPole-v1", "--episodes", "10", "--seed", str(seed), "--json", str(file)]) == 0
        )
        found.append(json.loads(file.read_text()))
    assert found[0] == found[1]
    assert found[0]["contenders"] != found[2]["contenders"]
    asked = {key: found[0][key] for key in ("env", "episodes", "seed", "rows")}
    assert asked == {"env": "CartPole-v1", "episodes": 10, "seed": 3, "rows": 8}
    (standing,) = found[0]["contenders"]
    assert standing["name"] == "random"
    assert 10 < standing["mean"] == standing["length"] < 40
    assert standing["interval"][0] < standing["mean"] < standing["interval"][1]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (["random"], "--env or --game is needed"),
        (["nowhere"], "no such directory"),
        (["random", "--env", "CartPol-v1"], "did you mean CartPole-v1"),
        (["random", "random", "--env", "CartPole-v1"], "named twice"),
        (["nowhere", "--env", "CartPole-v1"], "no such directory"),
        (["random", "--env", "CartPole-v1", "--episodes", "0"], "at least 1"),
        (["random", "--env", "CartPole-v1", "--seed", "-1"], "non-negative"),
        (["random", "--env", "CartPole-v1", "--env-options", "[1]"], "options"),
        (["random", "--env", "CartPole-v1", "--env-options", '{"sides": 3}'], "sides"),
        (["random", "--env", "CartPole-v1", "--json", "/nowhere/results.json"], "/nowhere is no directory"),
    ],
)
def test_a_wrong_request_ends_with_2_and_says_why(
    request_: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(request_) == 2
    told = capsys.readouterr()
    assert reason in told.err
    assert told.err.startswith("error: ")
    assert told.out == ""


def test_options_reach_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    options = '{"sutton_barto_reward": true}'  # pays -1 for the fall and nothing else
    main(["random", "--env", "CartPole-v1", "--env-options", options, "--episodes", "4", "--json", str(file)])
    assert json.loads(file.read_text())["contenders"][0]["mean"] == -1


def test_a_film_shows_the_first_episode(tmp_path: Path) -> None:
    iio = pytest.importorskip("imageio.v3")
    pytest.importorskip("pygame")
    assert main(["random", "--env", "CartPole-v1", "--episodes", "1", "--gif", str(tmp_path / "film.gif")]) == 0
    pictures = iio.imread(tmp_path / "film.gif")
    assert len(pictures) > 5
    assert pictures.shape[1:] == (400, 600, 3)


def test_help_loads_nothing_heavy() -> None:
    code = "import runpy, sys; sys.argv = ['evaluate.py', '--help']\n"
    code += f"try: runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
    code += "except SystemExit as end: print('exit', end.code, 'torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "AGENT" in done.stdout
    assert done.stdout.splitlines()[-1] == "exit 0 False False"
