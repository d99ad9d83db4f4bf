"""Every field of every algorithm, changed on resume: it is refused by name, or the run goes on to its end.

Which of the two, the mark at the field says (`experiment.config.Fixed`). A run that is refused is left as it was.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import pytest

from agents.alphazero.config import SelfPlayOptions
from agents.experience.memory.ratio import PerStep
from agents.registry import ALGORITHMS, algorithm, parse
from agents.regret.configs.mccfr import MCCFR
from experiment import checkpoint
from experiment.config import FIXED, Config, ConfigError, describe, dump, override
from scripts.train import main
from tests.runs import spelt, train, write


class Base(NamedTuple):
    """A run that is over in a moment."""

    config: dict[str, Any]
    further: int  # steps of the run that goes on from it


def bases(slow: bool) -> dict[str, Base]:
    """What each algorithm says that a resumed run may begin with."""
    found = {}
    for algorithm_name, entry in ALGORITHMS.items():
        for name, said in entry.small["resumed"].items():
            if said.get("slow", False) == slow:
                changes = {key: value for key, value in said.items() if key not in ("slow", "further")}
                found[name] = Base(spelt(algorithm_name, changes), said["further"])
    return found


BASES = bases(slow=False)
MORE = bases(slow=True)  # what the same algorithms save when they do something else

BY_HAND = {  # where another value is not to be guessed, or doesn't go alone
    "device": ["device=cpu"],
    "env.id": ["env.id=ALE/Breakout-v5"],
    "env.options": ["env.options={render_mode: null}"],
    "env.max_episode_steps": ["env.max_episode_steps=9"],
    "evaluation.opponents": ["evaluation.opponents=[one_ply]"],
    "env.wrappers": ["env.wrappers=[{name: TimeLimit, max_episode_steps: 9}]"],
    "evaluation.graded": ["evaluation.graded=[connect_four_middle]"],
    "demonstrations": ["demonstrations=logs/another"],
    "expert": ["expert=runs/another"],
    "game": ["game=connect_four"],
    "network.pretrained": ["network.pretrained=runs/another"],
    "network.torso": ["network.torso=vit"],
    "shape": ["shape=[2, 2]"],
    "learner.burn_in": ["learner.burn_in=5"],
    "learner.length": ["learner.length=11"],
    "learner.tau": ["learner.target_interval=0", "learner.tau=0.01"],
    "mdp": ["mdp=two_state"],
    "memory.reward": ["memory.reward=false", "controller.world=real"],
    "rewards[].demonstrations": ["rewards=[{kind: gail, demonstrations: logs/another}]"],
    "rewards[].hidden": ["rewards=[{kind: gail, hidden: [8]}]"],
    "runtime.dashboard": ["runtime.dashboard=true", "runtime.kind=ray"],
    "runtime.address": ["runtime.address=auto", "runtime.kind=ray"],
    "runtime.mode": ["runtime.mode=asynchronous", "runtime.kind=ray"],
    "search.seconds": ["search.seconds=1.0", "search.selection=puct"],
    "selfplay.adjudicate": ["selfplay.adjudicate=true", "search.proven=true"],
    "sweeps": ["sweeps=2", "method=policy_iteration"],
    "table": ["table=growing"],
    "tree_cache": ["tree_cache=trees"],
    "reinforce env.count": ["env.count=2", "runtime.actors=2"],
    "reinforce runtime.actors": ["runtime.actors=2", "env.count=2"],
}
UNSEEN = {"id": "ALE/Pong-v5", "atari": {}, "count": 1}
RAY = {"runtime.address", "runtime.dashboard", "runtime.kind", "runtime.mode"}
LONG = RAY | {"runtime.threads"}
AS_A_WHOLE = "network.torso."  # what lies below is kept or changed with the section
NEVER = {  # what is refused in any such run
    ("alphazero", "search.seconds"),
    ("deep_cfr", "runtime.mode"),
    ("dqn_game", "env.max_episode_steps"),
    ("dqn_game", "env.options"),
    ("dqn_game", "env.wrappers"),
    ("mccfr_fleet", "table"),
}


# Another value --------------------------------------------------------------------------------------------------------


def change(raw_config: dict[str, Any], key: str) -> list[str]:
    """Overrides after which a field has another value, and the config is a valid one."""
    config = parse(raw_config)
    if by_hand := BY_HAND.get(f"{config.algorithm} {key}", BY_HAND.get(key)):
        there = {option.key for option in describe(type(config))}
        return [assignment for assignment in by_hand if assignment.partition("=")[0] in there]
    whole = config.model_dump(mode="json")
    for guess in guesses(config, key.split(".")):
        try:
            parse(override(whole, [guess]))
        except ConfigError:
            continue
        return [guess]
    raise AssertionError(f"no other value of {key} is to be guessed")


def guesses(section: Config, path: list[str], prefix: str = "") -> Iterator[str]:
    """Overrides that change the field at the end of the path; where another section is there, or none, after turning on
    the field's own."""
    name, *below = path
    if name.endswith("[]"):
        name = name.removesuffix("[]")
        known = listed(type(section).model_fields[name].annotation)
        for possible in (section for section in known if below[0] in section.model_fields):
            for value in others(possible.model_fields[below[0]].annotation, None):
                yield f"{prefix}{name}={json.dumps([filled(possible) | {below[0]: value}])}"
        return
    annotation, now = type(section).model_fields[name].annotation, getattr(section, name)
    if not below:
        yield from (f"{prefix}{name}={json.dumps(value)}" for value in others(annotation, now))
        return
    if isinstance(now, Config) and below[0] in type(now).model_fields:
        yield from guesses(now, below, f"{prefix}{name}.")
    for possible in filter(is_section, leaves(annotation)):
        if below[0] in possible.model_fields and not isinstance(now, possible):
            on, field = filled(possible), possible.model_fields[below[0]]
            for value in others(field.annotation, on[below[0]]):
                yield f"{prefix}{name}={json.dumps(on | {below[0]: value})}"
            yield f"{prefix}{name}={json.dumps(on)}"


def others(annotation: Any, now: Any) -> Iterator[Any]:
    """Values of this type that are not `now`, likely ones first; some may be out of bounds."""
    for leaf in leaves(annotation):
        if get_origin(leaf) is Literal:
            yield from (choice for choice in get_args(leaf) if choice != now)
        elif get_origin(leaf) is tuple and now:
            yield from ([*now, now[-1]], now[:-1])
        elif get_origin(leaf) is tuple:
            yield from ([filled(possible)] for possible in listed(leaf))
        elif leaf is bool:
            yield not now
        elif leaf is int:
            yield from (value for value in (2 * (now or 1), (now or 2) // 2, 1, 0) if value != now)
        elif leaf is float:
            start = now if isinstance(now, float) else 1.0
            yield from (value for value in (start / 2, start * 2, 0.5, -0.5) if value != now)
        elif is_section(leaf) and not isinstance(now, leaf):
            yield filled(leaf)
        elif leaf is type(None) and isinstance(now, Config):
            yield None


def leaves(annotation: Any) -> Iterator[Any]:
    """The types that a field can hold, out of their unions and marks."""
    if get_origin(annotation) is Annotated:
        yield from leaves(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            yield from leaves(member)
    else:
        yield annotation


def listed(annotation: Any) -> list[Any]:
    """The sections that may stand in a list of them."""
    return [leaf for leaf in leaves(get_args(annotation)[0]) if is_section(leaf)]


def is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Config)


def filled(section: type[Config]) -> dict[str, Any]:
    """The section with some value for what has no default."""
    fields = section.model_fields.items()
    return {n: next(others(f.annotation, None)) if f.is_required() else f.get_default() for n, f in fields}


# Resuming -------------------------------------------------------------------------------------------------------------


def base_of(name: str, key: str) -> Base:
    """What a run begins with to have the field."""
    base = (BASES | MORE)[name]
    if key.startswith("env.atari"):
        return base._replace(config={"algorithm": base.config["algorithm"], "env": UNSEEN}, further=100_000)
    if name == "mccfr" and key.startswith(("runtime", "table")):  # its table grows already, and so in one place
        return MORE["mccfr_tree"]
    if key == "learner.shift":
        return base._replace(config=base.config | {"shape": [1, 2, 2]})
    if key == "evaluation.graded":
        return base._replace(config=base.config | {"game": "connect_four"})
    return base


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Base, Path], Path]:
    """begun(base, directory) puts the base's run there, which is made once."""
    root, made = tmp_path_factory.mktemp("begun"), list[Base]()

    def copied(base: Base, directory: Path) -> Path:
        if base not in made:
            made.append(base)
            begin(base.config, root / str(made.index(base)))
        shutil.copytree(root / str(made.index(base)), directory)
        return directory

    return copied


def begin(raw_config: dict[str, Any], directory: Path) -> None:
    """Train. Of Atari only write down that it began: nothing of it can change, so nobody looks at its state."""
    if raw_config.get("env") != UNSEEN:
        assert train(raw_config, directory) == 0
        return
    config = parse(raw_config)
    checkpoint.save(directory / "checkpoints", 8, {}, {"config": config.model_dump(mode="json"), "steps": 8})
    (directory / "config.yaml").write_text(dump(config))


def contents(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def marked(name: str) -> dict[str, bool]:
    """Every field of a base's algorithm, and whether a resumed run must keep it."""
    options = describe(algorithm((BASES | MORE)[name].config["algorithm"]).config)
    return {option.key: option.fixed for option in options if not option.key.startswith(AS_A_WHOLE)}


def resume_with(name: str, key: str, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Change a field of a run. Raises AssertionError where it is neither refused, by name, nor done in the end."""
    base, before = base_of(name, key), contents(directory)
    file, changed = list[str](), [f"steps={base.further}"]
    if key == "algorithm":
        another = BASES["cfr" if base.config["algorithm"] == "ppo" else "ppo"].config
        file.append(str(write(directory.with_suffix(".yaml"), another)))
    elif key != "steps":
        changed += change(base.config, key)
    capsys.readouterr()
    code = main([*file, *changed, "--resume", "--run-dir", str(directory), "--quiet"])
    out, err = capsys.readouterr()
    alone = "env" in base.config and not base.config["env"]["id"].startswith("game:")
    bare = key == "runtime.dashboard" and importlib.util.find_spec("aiohttp_cors") is None
    if (name, key) in NEVER or bare or (key == "evaluation.opponents" and alone):
        assert (code, contents(directory), key in err or "runtime: " in err) == (2, before, True), err
        return
    keys = {assignment.partition("=")[0] for assignment in changed[1:]} or {key}
    told = [line.removeprefix("error: ").partition(": ")[0] for line in [*out.splitlines(), *err.splitlines()]]
    named = {key: [line for line in told if key == line or key.startswith(line + ".")] for key in keys}
    assert all(named.values()), "what is refused, or changed, is named, or its section"
    fixed = marked(name)
    if any(fixed.get(line, fixed[key]) for lines in named.values() for line in lines):  # a section is as the field
        assert (code, contents(directory)) == (2, before), err
    else:
        assert code == 0, err
        assert checkpoint.newest(directory / "checkpoints")[2]["steps"] >= base.further


def declared(model: type[Config], path: list[str]) -> tuple[type[Config], str]:
    """Which class says that there is such a field: several algorithms may have it from one."""
    name, *below = path
    name = name.removesuffix("[]")
    if not below:
        return next(base for base in reversed(model.__mro__) if name in vars(base).get("__annotations__", {})), name
    held = list(leaves(model.model_fields[name].annotation))
    sections = [leaf for leaf in held if is_section(leaf)]
    sections += [member for leaf in held if get_origin(leaf) is tuple for member in listed(leaf)]
    return next(declared(section, below) for section in sections if below[0].removesuffix("[]") in section.model_fields)


def cases() -> list[Any]:
    """Fields that algorithms share are changed in the first of them; in the others too where time doesn't count."""
    found, seen = [], set[Any]()
    for name in [*BASES, *MORE]:
        for key, fixed in marked(name).items():
            if name in MORE and key in LONG:
                continue
            same = (*declared(algorithm((BASES | MORE)[name].config["algorithm"]).config, key.split(".")), fixed)
            late = name in MORE or key in LONG or same in seen
            seen.add(same)
            found.append(pytest.param(name, key, marks=[pytest.mark.slow] * late))
    return found


@pytest.mark.parametrize(("name", "key"), cases())
def test_a_field_that_changes_is_refused_by_name_or_the_run_goes_on(
    begun: Any,
    name: str,
    key: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    if name == "dqn_screens":
        pytest.importorskip("ale_py")
    if key in RAY:
        request.getfixturevalue("ray_here")
    monkeypatch.chdir(tmp_path)
    resume_with(name, key, begun(base_of(name, key), tmp_path / "run"), capsys)


def test_every_algorithm_is_here() -> None:
    assert {base.config["algorithm"] for base in BASES.values()} == set(ALGORITHMS)


@pytest.mark.parametrize(
    ("name", "section", "key"), [("alphazero", SelfPlayOptions, "selfplay.games"), ("mccfr", MCCFR, "table")]
)
def test_a_mark_that_is_missing_is_noticed(
    begun: Any,
    name: str,
    section: type[Config],
    key: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The broken variant: the state has the shape of these, and the run would end in the middle of loading it."""
    field = section.model_fields[key.rpartition(".")[2]]
    monkeypatch.setattr(field, "metadata", [item for item in field.metadata if item != FIXED])
    with pytest.raises((AssertionError, KeyError, ValueError)):
        resume_with(name, key, begun(base_of(name, key), tmp_path / "run"), capsys)


# What no run would notice ---------------------------------------------------------------------------------------------

MEANING = {  # with another value the run would go on, but what it saved would mean something else
    "ppo": ["normalize.clip", "network.activation"],
    "reinforce": ["baseline.kind", "network.activation"],
    "npg": ["normalize.clip", "network.activation"],
    "trpo": ["normalize.clip", "network.activation"],
    "q_actor_critic": ["normalize.clip", "network.activation"],
    "a2c": ["normalize.clip", "learner.discount_states"],
    "impala": ["normalize.clip", "network.activation"],
    "dqn": ["learner.updates_per_step", "memory.start", "memory.prioritized.alpha"],
    "nfq": ["network.activation", "learner.n_step"],
    "r2d2": ["normalize.clip", "learner.length", "learner.burn_in", "memory.start"],
    "ddpg": ["learner.updates_per_step", "memory.start", "noise.kind"],
    "sac": ["learner.updates_per_step", "memory.start", "learner.temperature"],
    "alphazero": ["learner.batch_size", "learner.samples_per_row", "memory.start"],
    "cfr": ["variant", "gamma"],
    "mccfr": ["weighting"],
    "mccfr_fleet": ["weighting"],
    "deep_cfr": ["network.activation"],
    "bandit": ["rule.epsilon", "testbed.drift"],
    "tabular_prediction": ["method.n", "width", "initial"],
    "tabular_control": ["method", "episode_limit", "initial"],
    "dynamic_programming": ["mdp"],
    "behaviour_cloning": ["held_out", "normalize.clip", "demonstrations", "episodes"],
    "maximum_entropy": ["mdp", "temperature", "features"],
    "dagger": ["normalize.clip", "expert", "memory.capacity"],
    "smile": ["normalize.clip", "learner.alpha", "policies"],
    "fit": ["held_out", "network.activation"],
    "autoencoder": ["held_out", "network.activation"],
    "vae": ["held_out", "network.activation", "likelihood"],
    "gan": ["held_out", "generator.activation", "conditional"],
    "world_models": ["memory.window", "controller.sees", "codes.network.activation"],
    "translation": ["held_out", "examples", "network.norm"],
    "language_model": ["held_out", "network.positions", "learner.batch_size"],
}
NOTHING = {  # what nothing that is saved depends on
    "ppo": ["learner.discount", "rollout.steps"],
    "reinforce": ["learner.credit", "rollout.episodes", "baseline.fraction"],
    "npg": ["learner.radius", "learner.damping", "rollout.steps"],
    "trpo": ["learner.radius", "learner.attempts", "rollout.steps"],
    "q_actor_critic": ["learner.discount", "rollout.steps"],
    "a2c": ["learner.gae_lambda", "rollout.steps"],
    "impala": ["learner.clip_rho", "rollout.steps"],
    "dqn": ["learner.discount", "epsilon", "learner.tau", "memory.prioritized.beta"],
    "r2d2": ["learner.discount", "epsilon", "learner.tau", "learner.double"],
    "nfq": ["learner.discount", "learner.restart", "learner.highest", "rollout.steps"],
    "ddpg": ["learner.discount", "noise.sigma", "learner.policy_delay"],
    "sac": ["learner.discount", "learner.target_entropy", "learner.temperature_learning_rate"],
    "alphazero": ["network.inference_dtype", "network.training_dtype", "search.simulations", "selfplay.plies"],
    "cfr": ["alpha", "form", "updates", "memory_bytes"],
    "mccfr": ["sampling", "batch", "memory_bytes"],
    "mccfr_fleet": ["iterations", "runtime.kind"],
    "deep_cfr": ["traversals", "learner.updates"],
    "bandit": [],
    "tabular_prediction": ["step_size", "discount"],
    "tabular_control": ["step_size", "epsilon", "discount", "planning"],
    "behaviour_cloning": ["learner.batch_size", "learner.regularization", "threads"],
    "maximum_entropy": ["regularization", "tolerance", "discount"],
    "dagger": ["learner.decay", "learner.updates", "rollout.steps"],
    "smile": ["learner.updates", "learner.batch_size", "rollout.steps"],
    "dynamic_programming": ["method", "discount", "tolerance", "temperature"],
    "fit": ["learner.batch_size", "learner.loss", "learner.regularization"],
    "autoencoder": ["learner.batch_size", "given", "noise"],
    "vae": ["learner.beta", "learner.free_bits"],
    "gan": ["learner.loss", "learner.penalty", "learner.turns", "learner.momentum"],
    "world_models": ["codes.learner.beta", "controller.rollouts", "controller.temperature", "controller.horizon"],
    "translation": ["beam", "length_power", "learner.batch_size"],
    "language_model": ["carried", "learner.max_gradient_norm"],
}


@pytest.mark.parametrize("name", BASES)
def test_what_would_lose_its_meaning_is_kept_and_nothing_else(name: str) -> None:
    assert [marked(name)[key] for key in MEANING[name]] == [True] * len(MEANING[name])
    assert [marked(name)[key] for key in NOTHING[name]] == [False] * len(NOTHING[name])


def test_the_number_format_of_networks_that_play_may_change(
    begun: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is no part of the state, though it stands in the section of the network."""
    run = begun(BASES["alphazero"], tmp_path / "run")
    before = checkpoint.newest(run / "checkpoints")[1]["weights"]
    assert main(["--resume", "--run-dir", str(run), "--quiet", "steps=96", "network.inference_dtype=bfloat16"]) == 0
    assert "network.inference_dtype: float32 -> bfloat16" in capsys.readouterr().out
    assert checkpoint.newest(run / "checkpoints")[1]["weights"].shape == before.shape


def test_updates_are_reckoned_from_the_beginning_of_the_run() -> None:
    """Why their rate is kept: all that were not due until now would be due at once."""
    slow, fast = PerStep(0.25, 0), PerStep(1.0, 0)
    assert slow.due(1000) == 250
    fast.load_state_dict(slow.state_dict())
    assert fast.due(1000) == 750


def test_a_run_whose_state_does_not_fit_is_left_as_it_was(
    begun: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = begun(BASES["mccfr"], tmp_path / "run")
    before = contents(run)
    assert main(["--resume", "--run-dir", str(run), "--quiet", "steps=4", "memory_bytes=600"]) == 2
    assert "memory_bytes" in capsys.readouterr().err
    assert contents(run) == before
