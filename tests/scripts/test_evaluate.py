from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.evaluate import main
from tests.runs import train

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


def test_agents_are_graded_where_every_move_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, late = tmp_path / "graded.json", ["--graded", "connect_four_late", "connect_four_middle"]
    assert main(["random", "mcts:400", "--game", "connect_four", *late, "--json", str(file)]) == 0
    assert "results given away" in capsys.readouterr().out
    found = json.loads(file.read_text())["graded"]
    assert [(each["name"], each["set"]) for each in found] == [
        (name, part) for name in ("random", "mcts:400") for part in late[1:]
    ]
    rates = [each["rate"] for each in found]
    assert max(rates[2:]) < 0.3 < min(rates[:2]), "guessing gives more away than searching does"
    assert all(each["rate"] * 500 == pytest.approx(each["mistakes"]) for each in found)
    assert main(["random", "--game", "hex", *late]) == 2
    assert main(["random", "--game", "connect_four", "--graded", "connect_fore"]) == 2
    assert "known are connect_four_early" in capsys.readouterr().err
    assert main(["random", "--game", "connect_four", *late, "--league", str(tmp_path / "league.sqlite")]) == 2
    assert "--league is for matches" in capsys.readouterr().err and not (tmp_path / "league.sqlite").exists()


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (["random"], "--env or --game is needed"),
        (["nowhere"], "no such directory"),
        (["random", "--env", "CartPol-v1"], "did you mean CartPole-v1"),
        (["random", "random", "--env", "CartPole-v1"], "named twice"),
        (["nowhere", "--env", "CartPole-v1"], "no such directory"),
        (["random", "--env", "CartPole-v1", "--episodes", "0"], "at least 1"),
        (
            ["random", "--env", "CartPole-v1", "--max-episode-steps", "0"],
            "--max-episode-steps is 0, expected at least 1",
        ),
        (["random", "--env", "nowhere:CartPole-v1"], "say --import nowhere"),
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


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (["random", "one_ply", "--game", "tic_tac_two"], "did you mean tic_tac_toe"),
        (["random", "one_plie", "--game", "tic_tac_toe"], "did you mean one_ply"),
        (["random", "--game", "tic_tac_toe"], "two agents or more"),
        (["random", "one_ply", "--game", "tic_tac_toe", "--games", "0"], "--games is 0, expected at least 1"),
        (["random", "one_ply", "--game", "tic_tac_toe", "--openings", "9"], "end the game"),
        (["random", "one_ply", "--game", "tic_tac_toe", "--episodes", "9"], "--episodes is for environments"),
        (["random", "one_ply", "--game", "tic_tac_toe", "--time-limit", "0"], "above 0 seconds"),
        (["random", "one_ply", "--game", "tic_tac_toe", "--sprt", "5", "0"], "greater elo1"),
        (["random", "one_ply", "random", "--game", "tic_tac_toe", "--sprt", "0", "5"], "two players"),
        (["random", "one_ply", "--game", "tic_tac_toe", "--league", "/nowhere/a.sqlite"], "/nowhere is no directory"),
        (["human", "one_ply", "--game", "tic_tac_toe", "--workers", "2"], "in one process"),
        (["random", "one_ply", "--games", "9"], "--games is for games, and --game is missing"),
        (["random", "--env", "CartPole-v1", "--workers", "2"], "--workers is for games"),
        (["random", "sb3:model.zip", "--game", "tic_tac_toe"], "no such file"),
    ],
)
def test_a_wrong_request_for_a_game_ends_with_2_and_says_why(
    request_: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(request_) == 2
    told = capsys.readouterr()
    assert reason in told.err and told.out == ""


def test_a_round_robin_prints_and_writes_its_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "results.json"
    request_ = ["random", "one_ply", "minimax", "--game", "tic_tac_toe", "--games", "40", "--json", str(file)]
    found = []
    for seed in ("3", "3", "4"):
        assert main([*request_, "--seed", seed]) == 0
        found.append(json.loads(file.read_text()))
    assert found[0] == found[1] and found[0]["players"] != found[2]["players"]
    assert {key: found[0][key] for key in ("game", "games", "openings", "seed")} == {
        "game": "tic_tac_toe", "games": 40, "openings": 2, "seed": 3,
    }  # fmt: skip
    assert [player["name"] for player in found[0]["players"]] == ["minimax", "one_ply", "random"]
    assert all(player["wins"] + player["draws"] + player["losses"] == 80 for player in found[0]["players"])
    told = capsys.readouterr().out
    assert "40 games of each match" in told and "score % of the row" in told and f"{file} has the results" in told


def test_a_match_stops_when_its_test_is_decided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "results.json"
    request_ = ["one_ply", "random", "--game", "tic_tac_toe", "--games", "4000", "--sprt", "0", "100"]
    assert main([*request_, "--json", str(file)]) == 0
    assert json.loads(file.read_text())["players"][0]["games"] == 200
    assert "a lead of 100 points, rather than 0" in " ".join(capsys.readouterr().out.split())


def test_the_game_is_that_of_the_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train({"algorithm": "cfr", "game": "kuhn_poker", "steps": 20}, tmp_path / "cfr") == 0
    capsys.readouterr()
    file = tmp_path / "results.json"
    for place in ("cfr", "cfr/checkpoints"):
        assert main([str(tmp_path / place), "random", "--games", "20", "--json", str(file)]) == 0
        found = json.loads(file.read_text())
        assert found["game"] == "kuhn_poker"
        assert {player["name"].partition("step_")[0] for player in found["players"]} == {
            "random",
            str(tmp_path / "cfr" / "checkpoints") + "/",
        }
    assert main([f"{tmp_path / 'cfr'}@50", "random"]) == 2
    assert "plays without search" in capsys.readouterr().err
    assert main([str(tmp_path / "cfr"), "random", "--game", "tic_tac_toe"]) == 2
    assert "can't play tic_tac_toe" in capsys.readouterr().err
    assert main([str(tmp_path / "cfr"), "random", "--env", "CartPole-v1"]) == 2
    assert "plays a game, not in an environment" in capsys.readouterr().err


def test_options_reach_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    options = '{"sutton_barto_reward": true}'  # pays -1 for the fall and nothing else
    main(["random", "--env", "CartPole-v1", "--env-options", options, "--episodes", "4", "--json", str(file)])
    assert json.loads(file.read_text())["contenders"][0]["mean"] == -1


def test_a_world_that_fails_ends_with_1_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    fails = ["--env-options", '{"fault": "leave", "at": 3}']
    assert main(["random", "--env", "sparring/Faulty-v0", *fails, "--episodes", "2"]) == 1
    assert "error: the world raised SystemExit: 3 (row 0, episode seed" in capsys.readouterr().err


def test_episodes_that_nothing_ends_are_cut_off(tmp_path: Path) -> None:
    table = tmp_path / "results.json"
    request_ = ["random", "--env", "CliffWalking-v1", "--episodes", "2", "--max-episode-steps", "5"]
    assert main([*request_, "--json", str(table)]) == 0
    assert json.loads(table.read_text())["contenders"][0]["length"] == 5


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
