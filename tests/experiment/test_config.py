from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError, model_validator

from experiment.config import (
    FIXED,
    Config,
    ConfigError,
    Difference,
    Fixed,
    Positive,
    Several,
    check,
    describe,
    differences,
    dump,
    override,
    read,
    table,
)


class Mlp(Config):
    kind: Literal["mlp"] = "mlp"
    """Layers that see everything."""
    hidden: tuple[int, ...] = (64, 64)
    """Units of each layer."""


class Conv(Config):
    kind: Literal["conv"] = "conv"
    """Layers that see neighbourhoods."""
    channels: list[int] = Field([16])
    """Channels of each layer."""


class Learner(Config):
    learning_rate: float = Field(3e-4, gt=0)
    """Step size of the
    optimizer."""
    clip: float | None = Field(None, gt=0, le=10)
    """Largest norm of a gradient."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of both moments."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Which optimizer."""
    batch: int = 32
    """Rows per update."""
    minibatch: int = 32
    """Rows per step."""

    @model_validator(mode="after")
    def _fits(self) -> Learner:
        if self.batch % self.minibatch:
            raise ValueError(f"batch {self.batch} is no multiple of minibatch {self.minibatch}")
        return self


class Evaluation(Config):
    episodes: int = Field(10, ge=1)
    """Episodes each time."""


class Experiment(Config):
    steps: int = Field(gt=0)
    """Environment steps."""
    normalize: bool = False
    """Whether to normalize."""
    name: str = "run"
    """What to call it."""
    learner: Learner = Learner(learning_rate=1e-5)
    """How to learn."""
    network: Mlp | Conv = Field(Mlp(), discriminator="kind")
    """What to learn with."""
    evaluation: Evaluation | None = None
    """When to look."""
    options: dict[str, Any] = Field({})
    """Passed on to the environment."""
    rate: float | list[float] = 1.0
    """A number, or several."""


def problems(raw: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as error:
        check(Experiment, raw)
    assert str(error.value) == "\n".join(error.value.problems)
    return error.value.problems


def test_all_problems_are_reported_at_once() -> None:
    raw = {
        "steps": "8",
        "normalize": 1,
        "learning_rate": 3e-4,
        "lerner": {},
        "learner": {"learnig_rate": 1, "clip": 11, "optimizer": "adma", "betas": [0.9], "batch": None},
        "network": {"kind": "conv", "channels": [1, "x"], "hidden": [3]},
        "evaluation": {"episodes": 0},
        "rate": "fast",
        "learner.clip": 3,
    }
    assert sorted(problems(raw)) == sorted(
        [
            'steps: found "8", expected int > 0',
            "normalize: found 1, expected bool",
            "unknown key learning_rate; did you mean 'learner.learning_rate'?",
            "unknown key lerner; did you mean 'learner'?",
            "unknown key learner.learnig_rate; did you mean 'learner.learning_rate'?",
            "learner.clip: found 11, expected float > 0, <= 10 | null",
            'learner.optimizer: found "adma", expected one of: adam, sgd',
            "learner.betas.1: is missing, expected a value",
            "learner.batch: found null, expected int",
            'network.channels.1: found "x", expected a valid integer',
            "unknown key network.hidden, as network is now",
            "evaluation.episodes: found 0, expected int >= 1",
            'rate: found "fast", expected float | list of float',
            "unknown key learner.clip; nest it: dots are for overrides",
        ]
    )


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({}, "steps: is missing, expected int > 0"),
        ({"steps": True}, "steps: found true, expected int > 0"),
        ({"steps": 1.5}, "steps: found 1.5, expected int > 0"),
        ({"steps": 1e6}, "steps: found 1000000.0, expected int > 0 (write 1000000)"),
        ({"steps": 1, "normalize": "true"}, 'normalize: found "true", expected bool'),
        ({"steps": 1, "name": 3}, "name: found 3, expected str"),
        ({"steps": 1, "learner": None}, "learner: found null, expected a section (a mapping of keys to values)"),
        ({"steps": 1, "network": 3}, "network: found 3, expected a section (a mapping of keys to values)"),
        ({"steps": 1, "network": {"kind": "cnn"}}, 'network.kind: found "cnn", expected one of: mlp, conv'),
        ({"steps": 1, "network": {"hidden": []}}, "network.kind: is missing, expected one of: mlp, conv"),
        ({"steps": 1, "learner": {"batch": 33}}, "learner: batch 33 is no multiple of minibatch 32"),
        ({"steps": 1, "learner": {"learning_rate": "3e-4"}}, 'learner.learning_rate: found "3e-4", expected float > 0'),
        ({"steps": 1, "xyzzy": 1}, "unknown key xyzzy; known here: " + ", ".join(sorted(Experiment.model_fields))),
    ],
)  # fmt: skip
def test_a_problem_says_what_was_found_and_expected(raw: dict[str, Any], problem: str) -> None:
    assert problems(raw) == [problem]


def test_infinities_and_nan_are_refused() -> None:
    for number in (math.inf, math.nan):
        assert len(problems({"steps": 1, "learner": {"learning_rate": number}})) == 1
        assert len(problems({"steps": 1, "options": {"gravity": number}})) == 1


def test_an_integer_is_a_float_and_a_list_is_a_tuple() -> None:
    config = check(Experiment, {"steps": 1, "learner": {"learning_rate": 1}, "network": {"kind": "mlp", "hidden": [2]}})
    assert type(config.learner.learning_rate) is float
    assert config.network == Mlp(hidden=(2,))


def test_a_config_is_frozen_and_its_defaults_are_checked() -> None:
    with pytest.raises(ValidationError):
        check(Experiment, {"steps": 1}).steps = 2  # type: ignore[misc]

    class Wrong(Config):
        count: int = Field(0, gt=0)
        """Too small."""

    with pytest.raises(ConfigError, match="^count: found 0, expected int > 0$"):
        check(Wrong, {})


# Files -------------------------------------------------------------------------------------------------------------


def read_text(tmp_path: Path, text: str) -> dict[str, Any]:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return read(path)


def test_scalars_are_read_as_yaml_1_2_means_them(tmp_path: Path) -> None:
    text = """
    exponent: 3e-4
    plain: -1.5E+3
    half: .5
    million: 1_000_000
    ten: 010
    hex: 0x10
    switch: on
    denial: no
    date: 2020-01-01
    time: 1:30
    merge: {<<: 1}
    empty:
    tilde: ~
    truth: [true, False]
    quoted: "3e-4"
    version: 1.2.3
    game: leduc_poker(players=2)
    """
    assert read_text(tmp_path, text) == {
        "exponent": 3e-4, "plain": -1500.0, "half": 0.5, "million": 1_000_000, "ten": 10, "hex": 16, "switch": "on",
        "denial": "no", "date": "2020-01-01", "time": "1:30", "merge": {"<<": 1}, "empty": None, "tilde": None,
        "truth": [True, False], "quoted": "3e-4", "version": "1.2.3", "game": "leduc_poker(players=2)",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "line 4: key 'c' stands here a second time"),
        ("a: 1\na: 2\n", "line 2: key 'a' stands here a second time"),
        ("a: [1\nb: 2\n", "line 2: expected"),
        ("a: b: c\n", "line 1: mapping values are not allowed here"),
        ("- 1\n", ": found [1], expected a mapping"),
        ("", ": found null, expected a mapping"),
        ("1: 2\n", "line 1: key 1 is not text"),
        ("on: 2\n? [1]\n: 2\n", "line 2: key [1] is not text"),
        ("a: .inf\n", "line 1: .inf is not a finite number"),
        ("a: 1\nb: 1e999\n", "line 2: 1e999 is not a finite number"),
        ("a: !!python/object/apply:os.system [ls]\n", "line 1: could not determine a constructor for the tag"),
        ("a: !!timestamp 2020-01-01\n", "line 1: could not determine a constructor for the tag"),
        ("a: &x [1]\nb: *x\n", "line 2: alias *x"),
        ("a: &a [*a]\n", "line 1: alias *a"),
        ("a: !!int abc\n", "invalid literal"),
        ("a: " + "[" * 3000, "nested too deeply"),
        ("a: 1\n---\nb: 1\n", "line 2"),
        ("a: \x07\n", "special characters are not allowed"),
    ],
)
def test_a_bad_file_is_refused_by_name_and_line(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_text(tmp_path, text)
    assert problem in str(error.value)
    assert "config.yaml" in str(error.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes("ä: 1".encode("latin-1"))
    for path in (tmp_path / "absent.yaml", tmp_path, tmp_path / "latin"):
        with pytest.raises(ConfigError, match=path.name):
            read(path)


# Overrides ---------------------------------------------------------------------------------------------------------


def test_overrides_make_a_new_mapping() -> None:
    raw: dict[str, Any] = {"a": {"b": 1, "c": [1]}, "n": None}
    result = override(raw, ["a.b=3e-4", "n.x=[1, 2]", "d.e.f={g: no}", "name=leduc(players=2)", "z=null", "z=1"])
    assert result == {
        "a": {"b": 3e-4, "c": [1]},
        "n": {"x": [1, 2]},
        "d": {"e": {"f": {"g": "no"}}},
        "name": "leduc(players=2)",
        "z": 1,
    }
    result["a"]["c"].append(2)
    assert raw == {"a": {"b": 1, "c": [1]}, "n": None}


def test_null_can_be_set() -> None:
    assert override({"a": {"b": 1}}, ["a=null"]) == {"a": None}


def test_all_bad_overrides_are_reported() -> None:
    bad = ["a.b=1", "steps", "=3", "x..y=1", ".x=1", "c=", "c=[1", "c={a: 1, a: 2}", "c=1e999"]
    with pytest.raises(ConfigError) as error:
        override({"a": 1}, ["fine=1", *bad])
    assert len(error.value.problems) == len(bad)
    assert all(repr(item) in problem for item, problem in zip(bad, error.value.problems))
    assert "a is 1, not a section" in error.value.problems[0]


# Round trip --------------------------------------------------------------------------------------------------------

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.sampled_from(
        ["3e-4", "1_0", "010", "on", "null", "~", "", "true", ".inf", "0x1", "1:30", "<<", "*x", "- a", "a: b"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab3e-~ :#", max_size=4), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("text", ["\x85", "\u2028", "\u2029", "\r", "a\x85b", "\n", "a\nb ", "\x00", "\ufeff"])
def test_a_text_with_line_breaks_is_read_back_identically(tmp_path: Path, text: str) -> None:
    config = check(
        Experiment, {"steps": 3, "options": {"key": text}, "learner": {"learning_rate": 1.0}, "evaluation": {}}
    )
    path = tmp_path / "dumped.yaml"
    path.write_bytes(dump(config).encode())
    assert check(Experiment, read(path)).options == {"key": text}


@settings(max_examples=150, deadline=None)
@given(options=st.dictionaries(st.text("ab3e-~ :#", max_size=4), plain, max_size=3), rate=st.floats(1e-300, 1e300))
def test_what_is_dumped_is_read_back_identically(
    tmp_path_factory: pytest.TempPathFactory, options: dict[str, Any], rate: float
) -> None:
    raw = {"steps": 3, "options": options, "learner": {"learning_rate": rate}, "evaluation": {}}
    config = check(Experiment, raw)
    path = tmp_path_factory.getbasetemp() / "dumped.yaml"
    path.write_bytes(dump(config).encode())
    again = check(Experiment, read(path))
    assert again == config
    assert again.options == options and repr(again.options) == repr(options)  # repr: 1 is not 1.0 is not True
    assert dump(again) == dump(config)


def test_dump_reads_well() -> None:
    config = check(Experiment, {"steps": 3, "network": {"kind": "conv"}, "options": {"shape": [[1, 2], [3, 4]]}})
    assert dump(config) == (
        "steps: 3\nnormalize: false\nname: run\n"
        "learner:\n  learning_rate: 1.0e-05\n  clip: null\n  betas: [0.9, 0.999]\n  optimizer: adam\n  batch: 32\n"
        "  minibatch: 32\nnetwork:\n  kind: conv\n  channels: [16]\nevaluation: null\n"
        "options:\n  shape:\n  - [1, 2]\n  - [3, 4]\nrate: 1.0\n"
    )


# Descriptions ------------------------------------------------------------------------------------------------------


def test_every_field_is_described() -> None:
    assert [option[:3] for option in describe(Experiment)] == [
        ("steps", "int > 0", "required"),
        ("normalize", "bool", "false"),
        ("name", "str", "run"),
        ("learner.learning_rate", "float > 0", "1.0e-05"),  # what this experiment's default is, not the section's
        ("learner.clip", "float > 0, <= 10 | null", "null"),
        ("learner.betas", "list of (float, float)", "[0.9, 0.999]"),
        ("learner.optimizer", "one of: adam, sgd", "adam"),
        ("learner.batch", "int", "32"),
        ("learner.minibatch", "int", "32"),
        ("network.kind", "one of: mlp, conv", "mlp"),
        ("network.hidden", "list of int", "[64, 64]"),
        ("network.channels", "list of int", "[16]"),
        ("evaluation", "section | null", "null"),
        ("evaluation.episodes", "int >= 1", "10"),
        ("options", "mapping", "{}"),
        ("rate", "float | list of float", "1.0"),
    ]
    assert describe(Experiment)[3].help == "Step size of the optimizer."
    assert all(option.help for option in describe(Experiment))


def test_the_table_is_markdown() -> None:
    lines = table(Experiment).splitlines()
    assert lines[:3] == [
        "| key | type | default | meaning |",
        "| --- | --- | --- | --- |",
        "| `steps` | int > 0 | `required` | Environment steps. |",
    ]
    assert r"| `learner.clip` | float > 0, <= 10 \| null | `null` | Largest norm of a gradient. |" in lines
    assert len(lines) == 2 + len(describe(Experiment))


# What a resumed run can't change ------------------------------------------------------------------------------------


class Rows(Config):
    capacity: Fixed[int] = Field(100, gt=0)
    """Rows kept."""
    start: int = 10
    """Rows before the first update."""


class MoreRows(Rows):
    capacity: int = Field(200, gt=0)
    """The same, declared again without the mark."""


class Saved(Config):
    rows: MoreRows = MoreRows()
    """A section with one that is marked."""
    network: Fixed[Mlp] = Mlp()
    """A section that is marked as a whole."""
    other: Rows | None = None
    """A section that may be left out."""
    rate: float | Evaluation = 1.0
    """A number, or a section."""
    limit: Fixed[int | None] = None
    """Perhaps a limit."""
    bound: Fixed[int] | None = None
    """The mark inside a union."""


def test_marks_are_described() -> None:
    assert {option.key: option.fixed for option in describe(Saved)} == {
        "rows.capacity": True,  # a subclass doesn't lose it
        "rows.start": False,
        "network.kind": True,
        "network.hidden": True,
        "other": True,  # as what is in it comes and goes with it
        "other.capacity": True,
        "other.start": False,
        "rate": False,
        "rate.episodes": False,
        "limit": True,
        "bound": True,
    }
    assert all(option.help.endswith(f" ({FIXED})") == option.fixed for option in describe(Saved))
    assert f"| `network.hidden` | list of int | `[64, 64]` | Units of each layer. ({FIXED}) |" in table(Saved)


def test_a_mark_changes_nothing_else() -> None:
    assert describe(Saved)[0][:3] == ("rows.capacity", "int > 0", "200")
    assert check(Saved, {"limit": 3}).limit == 3
    with pytest.raises(ConfigError, match="limit: found 1.5, expected int"):
        check(Saved, {"limit": 1.5})


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({}, []),
        (
            {"rows": {"capacity": 5, "start": 3}},
            [("rows.capacity", "200", "5", True), ("rows.start", "10", "3", False)],
        ),
        ({"network": {"hidden": [2]}}, [("network.hidden", "[64, 64]", "[2]", True)]),
        ({"other": {}}, [("other", "null", "{capacity: 100, start: 10}", True)]),
        ({"rate": {"episodes": 3}}, [("rate", "1.0", "{episodes: 3}", False)]),
        ({"limit": 1, "bound": 2}, [("limit", "null", "1", True), ("bound", "null", "2", True)]),
    ],
)
def test_differences_say_what_a_resumed_run_cannot_change(changed: dict[str, Any], found: list[Any]) -> None:
    assert differences(Saved(), check(Saved, changed)) == [Difference(*line) for line in found]


def test_a_difference_of_type_alone_is_one() -> None:
    one, yes = (Experiment(steps=1, options={"key": value}) for value in (1, True))
    assert one == yes
    assert differences(one, yes) == [("options", "{key: 1}", "{key: true}", False)]


# Lists of sections ----------------------------------------------------------------------------------------------------


class Wide(Config):
    kind: Literal["wide"] = "wide"
    """Which layer."""
    units: int = Field(8, gt=0)
    """How wide."""
    bias: bool
    """Whether there is one."""


class Pool(Config):
    kind: Literal["pool"] = "pool"
    """Which layer."""
    side: Fixed[int] = 2
    """Of the squares."""


class Net(Config):
    layers: Several[Annotated[Wide | Pool, Field(discriminator="kind")]] = ()
    """From bottom to top."""
    heads: list[Mlp] = Field([])
    """All on top."""
    loss: str = "huber"
    """What it learns by."""


def refused(raw: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as error:
        check(Net, raw)
    return error.value.problems


def test_all_problems_in_a_list_of_sections_are_reported_at_once() -> None:
    wide, pool = {"kind": "wide", "unts": 3, "units": 0, "side": 1}, {"kind": "pool", "side": "2", "units": 3}
    raw = {"layers": [wide, pool, {"kind": "pol"}, {}, 3], "heads": [{"hiden": [1]}], "los": 1}
    assert sorted(refused(raw)) == sorted(
        [
            "layers.0.units: found 0, expected int > 0",
            "layers.0.bias: is missing, expected bool",
            "unknown key layers.0.unts; did you mean 'layers.0.units'?",
            "unknown key layers.0.side, as layers.0 is now",
            'layers.1.side: found "2", expected int',
            "unknown key layers.1.units, as layers.1 is now",
            'layers.2.kind: found "pol", expected one of: wide, pool',
            "layers.3.kind: is missing, expected one of: wide, pool",
            "layers.4: found 3, expected a section (a mapping of keys to values)",
            "unknown key heads.0.hiden; did you mean 'heads.0.hidden'?",
            "unknown key los; did you mean 'loss'?",
        ]
    )


@pytest.mark.parametrize(("given", "shown"), [({"kind": "pool"}, "a mapping"), (None, "null"), ("pool", '"pool"')])
def test_what_is_no_list_of_sections_is_refused(given: Any, shown: str) -> None:
    assert refused({"layers": given}) == [f"layers: found {shown}, expected list of sections"]


def test_lists_of_sections_are_described() -> None:
    lines = {option.key: option[1:3] + (option.fixed,) for option in describe(Net)}
    assert lines == {
        "layers": ("list of sections", "[]", True),  # as what is in it comes and goes with it
        "layers[].kind": ("one of: wide, pool", "wide", False),
        "layers[].units": ("int > 0", "8", False),
        "layers[].bias": ("bool", "required", False),
        "layers[].side": ("int", "2", True),
        "heads": ("list of sections", "[]", False),
        "heads[].kind": ("one of: mlp", "mlp", False),
        "heads[].hidden": ("list of int", "[64, 64]", False),
        "loss": ("str", "huber", False),
    }
    assert "| `layers[].side` | int | `2` | Of the squares. (can't change on resume) |" in table(Net)


def test_lists_of_sections_are_read_back_and_compared_as_a_whole() -> None:
    config = check(Net, {"layers": [{"kind": "wide", "bias": True}, {"kind": "pool"}], "heads": [{}]})
    assert dump(check(Net, yaml.safe_load(dump(config)))) == dump(config)
    layers, heads = differences(Net(), config)
    assert layers == ("layers", "[]", "[{kind: wide, units: 8, bias: true}, {kind: pool, side: 2}]", True)
    assert heads == ("heads", "[]", "[{kind: mlp, hidden: [64, 64]}]", False)
    assert check(Net, override({}, [f"{key}={new}" for key, _, new, _ in (layers, heads)])) == config


def test_in_code_a_list_is_as_good_as_a_tuple() -> None:
    assert Net(layers=[Pool()]).layers == (Pool(),)  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        Net(layers=[Mlp()])  # type: ignore[arg-type]


def test_a_file_that_is_no_config_is_not_read_to_its_end(tmp_path: Path) -> None:
    long = tmp_path / "long.yaml"
    long.write_text("x: [" + "1, " * 3_500_000 + "1]")
    with pytest.raises(ConfigError, match="long.yaml: is longer than 100000 bytes, expected a config"):
        read(long)
    with pytest.raises(ConfigError, match="is longer than 100000 bytes"):
        read("/dev/zero")


def test_a_mistyped_path_suggests_the_near_one(tmp_path: Path) -> None:
    for name in ("ppo/cartpole.yaml", "dqn/acrobot.yaml"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("{}")
    for typed, meant in (("ppo/cartpol.yaml", "ppo/cartpole.yaml"), ("pppo/cartpole.yaml", "ppo/cartpole.yaml")):
        with pytest.raises(ConfigError, match=f"{typed}: there is no such file; did you mean {tmp_path / meant}?"):
            read(tmp_path / typed)
    with pytest.raises(ConfigError, match="there is no such file$"):
        read(tmp_path / "zzz")


def test_limits_of_all_numbers_are_told_to_who_exceeds_them() -> None:
    class Limited(Config):
        steps: Positive = 1
        """steps"""
        names: Several[str] = ()
        """names"""

    assert [option.type for option in describe(Limited)] == ["int > 0", "list of str"]
    with pytest.raises(ConfigError, match=r"steps: found 10+\.*, expected less than or equal to 1000000000000000$"):
        check(Limited, {"steps": 10**400})
    with pytest.raises(ConfigError, match="at most 100 items"):
        check(Limited, {"names": ["a"] * 101})
    assert check(Limited, {"steps": 10**15}).steps == 10**15
