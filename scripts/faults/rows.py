"""What was once found broken, as rows: what is tried, what is right, and how it is seen."""

from __future__ import annotations

from scripts.faults import accidents as seen
from scripts.faults.trial import CARTPOLE, ROOT, SMALL, Fault, Row, ends, refused, script, train, world

DQN, ALPHAZERO, MCCFR = (
    str(ROOT / "configs" / name)
    for name in ("dqn/cartpole.yaml", "alphazero/tic_tac_toe.yaml", "regret/kuhn_mccfr_external.yaml")
)
FEW = ("steps=256", "rollout.steps=64", "memory.start=64", "evaluation.every=0", "evaluation.episodes=2")


def match(*players: str, game: str = "tic_tac_toe", games: int = 2) -> list[str]:
    return script("evaluate", *players, "--games", str(games), "--game", game)


def alone(game: str) -> list[str]:
    return match("random", "random", game=game)


NONSENSE = Fault(
    "training goes on without sense",
    "weights are looked at where they are published, every state before it is saved and after it is read "
    "(`experiment/saving.py`, `experiment/checkpoint.py: require_finite`); a reward out of float32's range is an error "
    "of the world",
    "experiment/test_saving.py agents/test_restore.py",
)
CONVERSION = Fault(
    "checked before the conversion, used after it",
    "`envs/shown.py`: each value is checked as it will be used, observations, rewards, flags and masks alike",
    "envs/test_gymnasium_env.py",
)
STEP = Fault(
    "checked at reset, not at step", "`envs/shown.py` is asked by resets and steps", "envs/test_gymnasium_env.py"
)
WRONG_ROW = Fault(
    "an invariant checked on the wrong row",
    "last masks go through the check of first ones",
    "envs/test_gymnasium_env.py",
)
DROPPED = Fault(
    "asked for, then dropped or inverted in silence",
    "`envs/shown.py: mask_row`: 0 and 1, from the first reset",
    "envs/test_gymnasium_env.py",
)
UNITS = Fault(
    "a silent precondition",
    "bounded actions are learned in units of half their range by every algorithm (`units`)",
    "agents/test_probes.py",
)
CHOICE = Fault("a silent poor choice", "`agents/wiring.py: warn_of_pictures`", "agents/test_wiring.py")
LATE = Fault(
    "refused too late or with a traceback",
    "bounds belong to fields (`Annotated`); what grows with a value says its bytes (`agents/footprint.py`); both, and "
    "what an algorithm wants of its world, are asked before torch is loaded (`agents/admission.py`); parameters of "
    "games and players have bounds",
    "agents/test_footprint.py scripts/test_train.py scripts/test_evaluate.py agents/test_entrants.py",
)
UNHEARD = Fault(
    "an unbounded wait that does not listen",
    "what is due is saved before it is measured; evaluations and waits ask `experiment/stop.py`; "
    "`evaluation.max_episode_steps`",
    "experiment/test_course.py experiment/test_stop.py",
)
STORAGE = Fault(
    "storage fails",
    "`experiment/saving.py: Saving`: tried again at the next save, three times in a row",
    "experiment/test_saving.py",
)
VANISHED = Fault("the run directory vanishes", "`Run.is_here` is asked at each save", "experiment/test_saving.py")
WRONG_STATE = Fault(
    "well-formed but wrong state",
    "`agents/restore.py: doubting`, and one look at the whole state before it is loaded: `experiment/form.py`",
    "agents/test_restore.py experiment/test_form.py",
)
LEAGUE = Fault("damaged league", "`LeagueError` around every access of the file", "agents/arena/test_tournament.py")
RAY = Fault(
    "Ray's own processes die",
    "`agents/fleet/pulse.py` is asked before each call of Ray; `agents/fleet/reaper.py` ends what a killed run leaves",
    "agents/fleet/test_ray_fleet.py agents/fleet/test_pulse.py agents/fleet/test_reaper.py",
)
LEAVES = Fault("a world leaves", "`SystemExit` of a world is an `EnvError`", "envs/test_gymnasium_env.py")
ADVICE = Fault(
    "advice that cannot help",
    "each refusal names what is open to its caller",
    "agents/test_wiring.py envs/test_gymnasium_env.py",
)
UNCLEAR = Fault(
    "unclear messages",
    "what was found, what was expected, and the way out",
    "scripts/test_train.py envs/test_gymnasium_env.py",
)
BLOCKED = Fault(
    "measuring blocks learning",
    "`evaluation.opponents` is config, and by default who can play the game",
    "agents/test_wiring.py",
)
MISSING = Fault(
    "an optional package missing",
    "`experiment/extras.py: require` is asked before anything begins",
    "experiment/test_extras.py",
)
SETTINGS = Fault("settings that cannot work", "validators of the config", "agents/experience/memory/test_config.py")
GAMES = Fault(
    "any game of OpenSpiel's",
    "games for one are paired evaluations; what can't be observed is refused by name",
    "envs/games/test_open_spiel.py",
)
IDS = Fault(
    "any id of Gymnasium's",
    "every space that `flatten` takes is flattened; an evaluation has a limit of steps",
    "agents/test_every_id.py",
)
ADDRESS = Fault(
    "a wait without an end",
    "`reach` and `join` of `agents/fleet/ray_fleet.py`: ten seconds, and signals are heard",
    "agents/fleet/test_ray_fleet.py",
)
CODES = Fault(
    "exit codes", "[running](running.md#signals-and-exit-codes)", "experiment/test_run.py agents/test_resume.py"
)

WORLDS = [
    Row(fault, f"train on a world: {what}", f"exit {code}: {word}", ends(code, world(name, *more, config=config), word))
    for fault, name, what, code, word, more, config in (
        (CONVERSION, "RewardHuge", "rewards of 1e39", 1, "too large for float32", (), CARTPOLE),
        (CONVERSION, "FloatPicture", "0.9 in pictures of uint8", 1, "holds 0.89", (), CARTPOLE),
        (CONVERSION, "Complex", "complex observations", 1, "expected real numbers", (), CARTPOLE),
        (STEP, "ThinStep", "one number a step, four at reset", 1, "has the shape [], not [4]", (), CARTPOLE),
        (WRONG_ROW, "MaskEmptyCut", "nothing legal at a cut", 1, "no action is legal", (), CARTPOLE),
        (DROPPED, "MaskStepOnly", "masks at steps alone", 1, "which the first reset did not show", (), CARTPOLE),
        (DROPPED, "MaskOfTwos", "masks of 2", 1, "expected 1 for each legal action", (), CARTPOLE),
        (LATE, "Scalar", "Box(shape=())", 0, "256 of 256 steps", (), CARTPOLE),
        (LEAVES, "LeavesProcess", "sys.exit in a step", 1, "SystemExit: 3", (), CARTPOLE),
        (ADVICE, "ChannelsLast", "pictures with channels last", 0, "[3, 40, 40]", (), CARTPOLE),
        (UNCLEAR, "RewardNone", "a reward of None", 1, "the reward is None, expected one real number", (), CARTPOLE),
        (UNCLEAR, "RewardArray", "rewards of shape (1,)", 1, "of shape [1], expected one real number", (), CARTPOLE),
    )
]

REFUSED = [
    Row(fault, shown, f"exit 2 at once: {word}", refused(request, word))
    for fault, shown, request, word in (
        (LATE, "train on Discrete(10**9)", world("HugeDiscrete"), "1,000,000,000 entries"),
        (LATE, "train env.count=1000000000", train("env.count=1000000000"), "env.count: found 1000000000"),
        (LATE, "train rollout.steps=1000000000000", train("rollout.steps=1000000000000"), "rollout.steps: found"),
        (LATE, "train network.hidden=[1000000,1000000]", train("network.hidden=[1000000,1000000]"), "network.hidden"),
        (LATE, "train network.hidden=[65536,65536]", train("network.hidden=[65536,65536]"), "bytes, but"),
        (
            LATE,
            "dqn memory.capacity=10000000000000",
            train("memory.capacity=10000000000000", config=DQN),
            "memory.capacity",
        ),
        (
            LATE,
            "dqn memory.capacity=1000000000",
            train("memory.capacity=1000000000", config=DQN),
            "set memory.capacity to",
        ),
        (LATE, "train steps=1 and 400 zeros", train("steps=1" + 400 * "0"), "steps"),
        (LATE, "alphazero game=kuhn_poker", train("game=kuhn_poker", config=ALPHAZERO), "hides something"),
        (
            LATE,
            "alphazero game=goofspiel(num_cards=3)",
            train("game=goofspiel(num_cards=3)", config=ALPHAZERO),
            "hides something",
        ),
        (LATE, "evaluate hex(board_size=100000)", alone("hex(board_size=100000)"), "expected 0 to 100"),
        (LATE, "evaluate connect_four(rows=1000000)", alone("connect_four(rows=1000000)"), "expected 0 to 100"),
        (
            LATE,
            "evaluate breakthrough(rows=100000,columns=100000)",
            alone("breakthrough(rows=100000,columns=100000)"),
            "expected 0 to 100",
        ),
        (
            LATE,
            "evaluate connect_four(x_in_row=10**21)",
            alone(f"connect_four(rows=4,columns=4,x_in_row={10**21})"),
            "expected 0 to 100",
        ),
        (LATE, "evaluate mcts:99999999999", match("random", "mcts:99999999999"), "is too many"),
        (LATE, "evaluate openspiel:mcts:99999999999", match("random", "openspiel:mcts:99999999999"), "are too many"),
        (LATE, "evaluate minimax:99999999999", match("random", "minimax:99999999999"), "is too many"),
        (LATE, "evaluate a player of 300 letters", match("random", 300 * "a"), "no such player"),
        (ADVICE, "evaluate connect_four(rows=-1)", alone("connect_four(rows=-1)"), "rows is -1, expected 0 to 100"),
        (ADVICE, "train on FlattenObservation of a Sequence", world("SequenceFlat"), "have no fixed size"),
        (UNCLEAR, "train on a world whose reset returns no pair", world("OldReset"), "as since Gymnasium 0.26"),
        (UNCLEAR, "train --seed 1", train("--seed", "1"), "a key of the config is set as seed=1"),
        (UNCLEAR, "train ./configs/ppo/cartpol.yaml", train(config=CARTPOLE.replace("pole", "pol")), "did you mean"),
        (
            UNCLEAR,
            "train --resume where nothing is",
            script("train", "--resume", "--run-dir", "run"),
            "holds no run to resume",
        ),
        (SETTINGS, "dqn memory.start above memory.capacity", train("memory.start=200000", config=DQN), "memory.start"),
        (
            SETTINGS,
            "dqn learner.batch_size above memory.start",
            train("learner.batch_size=2000", config=DQN),
            "learner.batch_size",
        ),
    )
]

LEARNS = [
    Row(
        NONSENSE,
        "train learner.learning_rate=1e30",
        "exit 1, the batch beside it, good checkpoints stay",
        seen.diverges,
    ),
    Row(UNITS, "train on actions between 100 and 200", "mean return above -2 of at most 0", seen.units_are_learned),
    Row(
        CHOICE,
        "train env.id=ALE/Pong-v5",
        "a warning that names torso and preprocessing",
        ends(
            0,
            train("env.id=ALE/Pong-v5", *SMALL, "rollout.steps=32", "steps=64", "evaluation.max_episode_steps=20"),
            "network.torso=nature_cnn is made for pictures",
            "env.atari={}",
            needs=("ale_py",),
        ),
    ),
    Row(LATE, "train with a config of 10 MB", "exit 2 at once: longer than 100000 bytes", seen.large_config),
    Row(
        ADVICE,
        "mccfr game=goofspiel",
        "exit 2: table=growing",
        ends(2, train("game=goofspiel", config=MCCFR), "table=growing", needs=("pyspiel",)),
    ),
    Row(
        ADVICE,
        "dqn on MultiDiscrete",
        "exit 2: use ppo",
        ends(2, train("--import", "worlds", "env.id=fault/Choices-v0", config=DQN), "use ppo\n"),
    ),
    Row(
        UNCLEAR,
        "train steps=250, collections of 128",
        "256 steps, as collections are whole",
        ends(0, train(*SMALL, "steps=250"), "256 steps, as collections are whole, where 250"),
    ),
    Row(
        BLOCKED,
        "dqn env.id=game:liars_dice",
        "exit 0",
        ends(0, train("env.id=game:liars_dice", *FEW, config=DQN), "256 of 256 steps", needs=("pyspiel",)),
    ),
    Row(IDS, "train env.id=Blackjack-v1", "exit 0", ends(0, train("env.id=Blackjack-v1", *SMALL), "256 of 256 steps")),
    Row(
        IDS,
        "train env.id=CliffWalking-v1",
        "exit 0, and its evaluation ends",
        ends(0, train("env.id=CliffWalking-v1", *SMALL, "evaluation.max_episode_steps=200"), "256 of 256 steps"),
    ),
]

ONE_SEATED = [
    Row(GAMES, f"evaluate random random --game {game}", right, ends(code, alone(game), word, needs=("pyspiel",)))
    for game, code, right, word in (
        ("catch", 0, "a paired evaluation", "random"),
        ("2048", 0, "a paired evaluation", "random"),
        ("blackjack", 0, "a paired evaluation", "random"),
        ("cliff_walking", 0, "a paired evaluation", "random"),
        ("coop_to_1p", 0, "played, or refused by name", "random"),
        ("deep_sea", 0, "a paired evaluation", "random"),
        ("pathfinding", 0, "a paired evaluation", "random"),
        ("solitaire", 0, "a paired evaluation", "random"),
        ("nfg_game", 2, "refused by name", "nfg_game"),
        ("crossword", 2, "refused by name", "crossword"),
        ("morpion_solitaire", 2, "refused by name", "morpion_solitaire"),
    )
]

ACCIDENTS = [
    Row(
        UNHEARD,
        "SIGTERM in the evaluation of an endless world",
        "exit 143 within 10 s, all steps saved",
        seen.evaluation_of_the_endless,
    ),
    Row(
        UNHEARD,
        "Ctrl-C in the last evaluation",
        "exit 130 within 10 s, all steps saved, measured on resume",
        seen.last_evaluation,
    ),
    Row(STORAGE, "train under ulimit -f 10", "exit 2 in one line, nothing left", seen.no_first_checkpoint),
    Row(
        STORAGE,
        "dqn until its memory is beyond ulimit -f 300",
        "warned twice, exit 1, and resumed elsewhere",
        seen.disk_fills_up,
    ),
    Row(VANISHED, "rm -r of the run directory", "exit 1 at the next save", seen.directory_deleted),
    Row(VANISHED, "mv of the run directory", "exit 1 at the next save; what moved can go on", seen.directory_moved),
    Row(WRONG_STATE, "manifest resealed: steps 'many'", "exit 2 by name", seen.manifest(steps="many")),
    Row(WRONG_STATE, "manifest resealed: no config", "exit 2 by name", seen.manifest(config=None)),
    Row(WRONG_STATE, "state resealed: without loop", "exit 2 by name", seen.state_without("loop")),
    Row(WRONG_STATE, "env changed in manifest and config.yaml", "exit 2 by name", seen.other_world),
    Row(WRONG_STATE, "every leaf of another kind, sealed anew", "exit 2 with the path of each", seen.leaves),
    Row(LEAGUE, "bytes 4096 to 8191 of a league overwritten", "exit 2 by name", seen.damaged_league),
    Row(MISSING, "plot without matplotlib", "exit 2: the extra", seen.without("matplotlib", "plot", "run")),
    Row(
        MISSING,
        "evaluate --gif without imageio",
        "exit 2 before an episode: the extra",
        seen.without("imageio", "evaluate", "random", "--env", "CartPole-v1", "--gif", "film.gif"),
    ),
    Row(ADDRESS, "runtime.address where nobody listens", "exit 2 within 10 s", seen.closed_port),
    Row(ADDRESS, "runtime.address where somebody is silent", "exit 2 within 10 s", seen.silent_port),
    Row(
        RAY,
        "kill -9 of the raylet",
        "exit 1, nothing left within 10 s, goes on from a checkpoint",
        seen.ray_loses("raylet"),
    ),
    Row(RAY, "kill -9 of the GCS", "exit 1 after saving, nothing left within 10 s", seen.ray_loses("gcs_server")),
    Row(RAY, "kill -9 of the driver", "nothing left within 10 s, goes on from a checkpoint", seen.driver_killed),
    Row(CODES, "SIGTERM while training", "exit 143, saved", seen.stopped("SIGTERM", 143)),
    Row(CODES, "SIGINT while training", "exit 130, saved", seen.stopped("SIGINT", 130)),
    Row(
        CODES,
        "kill -9 while training, then --resume",
        "the numbers of a run that never stopped",
        seen.killed_and_resumed,
    ),
]

KINDS = (
    NONSENSE, CONVERSION, STEP, WRONG_ROW, DROPPED, UNITS, CHOICE, LATE, UNHEARD, STORAGE, VANISHED, WRONG_STATE,
    LEAGUE, RAY, LEAVES, ADVICE, UNCLEAR, BLOCKED, MISSING, SETTINGS, GAMES, IDS, ADDRESS, CODES,
)  # fmt: skip
ROWS = sorted([*LEARNS, *WORLDS, *REFUSED, *ACCIDENTS, *ONE_SEATED], key=lambda row: KINDS.index(row.fault))
