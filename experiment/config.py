"""YAML and `key=value` overrides become frozen, validated models; everything wrong is reported at once.

    class Learner(Config):
        learning_rate: float = Field(3e-4, gt=0)
        "Step size of the optimizer."
        n_step: Fixed[int] = Field(1, gt=0)             # a run that is resumed can't change it
        "Rewards summed before bootstrapping."

    raw = override(read("configs/dqn.yaml"), ["learner.learning_rate=1e-3"])
    config = check(Experiment, raw)
    print(dump(config))                             # read and checked again, it is equal to `config`

YAML is read as version 1.2 means it: `3e-4` is a number, `on` and `no` are text, `010` is ten. A number may hold
underscores (`1_000_000`). Keys are text and stand once; there are no aliases, no tags, no infinities, no NaN.
"""

from __future__ import annotations

import difflib
import json
import math
import re
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

import annotated_types
import pydantic_core
import yaml
from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails


class Config(BaseModel):
    """A frozen section of a configuration. The help text of a field is the docstring under it."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
        use_attribute_docstrings=True,
    )


C = TypeVar("C", bound=Config)
T = TypeVar("T")

# `capacity: Fixed[int]`: what a run has saved has the shape of this field, or loses its meaning with another value. The
# mark of a section holds for all below it, and a subclass that declares the field again keeps it.
FIXED = "can't change on resume"
Fixed = Annotated[T, FIXED]

LARGEST = 10**15  # of every whole number: above any count that a run can reach, and exact as a float
LONGEST = 100  # of every list
OF_ALL = (annotated_types.Le(LARGEST), annotated_types.MaxLen(LONGEST))  # said to those alone who exceed them

Positive = Annotated[int, Field(gt=0, le=LARGEST)]
Natural = Annotated[int, Field(ge=0, le=LARGEST)]
Seed = Annotated[int, Field(ge=0, lt=2**64)]
Count = Annotated[int, Field(gt=0, le=2**16)]  # of what costs an object, a process or a row of weights each
Rows = Annotated[int, Field(gt=0, le=2**30)]  # of what is kept, collected or learned from together
Seconds = Annotated[float, Field(gt=0, le=10**7)]
Ratio = Annotated[float, Field(ge=1e-9, le=1000)]  # of updates, or samples, to steps
Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Several = Annotated[tuple[T, ...], Strict(False), Field(max_length=LONGEST)]  # in code a list will do, too

SIZE = 100_000  # bytes of a config file: a hundred times what most have, and read in a second


class ConfigError(ValueError):
    """What is wrong with a configuration: all of it, one problem per line."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[list[str]]]:
        return type(self), (self.problems,)


# Reading -----------------------------------------------------------------------------------------------------------


def read(path: str | Path) -> dict[str, Any]:
    """The mapping that a YAML file holds. Raises ConfigError if there is no such file or it holds anything else."""
    raw = _parse(_text(Path(path)), str(path))
    if not isinstance(raw, dict):
        raise ConfigError([f"{path}: found {_shown(raw)}, expected a mapping of keys to values"])
    return raw


def _text(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            found = file.read(SIZE + 1)
        if len(found) > SIZE:
            raise ConfigError([f"{path}: is longer than {SIZE} bytes, expected a config: settings, and no rows"])
        return found.decode("utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError([f"{path}: there is no such file{_near(path)}"]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from error


def _near(path: Path) -> str:
    """Whose name looks most like that of a file which isn't there: beside it, or beside its directory."""
    files = [file for place in (path.parent, *path.parent.parent.glob("*/")) for file in place.glob("*.yaml")]
    alike = difflib.get_close_matches(path.name, {file.name for file in files})
    near = difflib.get_close_matches(str(path), [str(file) for file in files if file.name in alike], 1)
    return f"; did you mean {near[0]}?" if near else ""


def override(raw: Mapping[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """A copy of `raw` in which every "section.key=value" holds; values are YAML, later ones win.

    Raises ConfigError with all assignments that can't be understood or that reach below something that isn't a section.
    """
    result: dict[str, Any] = _copied(raw)
    problems = []
    for assignment in assignments:
        try:
            _assign(result, assignment)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return result


def _assign(target: dict[str, Any], assignment: str) -> None:
    key, equals, text = assignment.partition("=")
    names = key.strip().split(".")
    if not equals or not all(names) or not text.strip():
        raise ConfigError([f"override {assignment!r}: expected key=value, such as learner.learning_rate=3e-4"])
    value = _parse(text, f"override {assignment!r}")
    for depth, name in enumerate(names[:-1], start=1):
        if target.get(name) is None:  # absent, or an optional section that is null
            target[name] = {}
        target = target[name]
        if not isinstance(target, dict):
            found = f"{'.'.join(names[:depth])} is {_shown(target)}"
            raise ConfigError([f"override {assignment!r}: {found}, not a section, so nothing can be set below it"])
    target[names[-1]] = value


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _parse(text: str, source: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError([f"{source}{line}: {error.problem or error.context}"]) from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError([f"{source}: {error}"]) from error
    except RecursionError as error:
        raise ConfigError([f"{source}: nested too deeply"]) from error


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 (declared so by PyYAML)
    yaml_constructors: ClassVar[dict[str | None, Any]] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(None, None, f"alias *{event.anchor}: write it out", event.start_mark)
        return super().compose_node(parent, index)


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 (declared so by PyYAML)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    """Line breaks that are not \\n come back as spaces unless they are escaped, which takes double quotes."""
    breaks = any(character in text for character in "\r\x85\u2028\u2029")
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if breaks else None)


def _represent_list(dumper: yaml.SafeDumper, items: list[Any]) -> yaml.Node:
    in_a_row = dumper.default_flow_style or not any(isinstance(item, (dict, list)) for item in items)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=in_a_row)


_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(str, _represent_text)


def _construct_mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise _refused(f"key {_shown(key)} is not text; put it in quotes", key_node)
        if key in mapping:
            raise _refused(f"key {key!r} stands here a second time", key_node)
        mapping[key] = loader.construct_object(value_node, deep=True)
    return mapping


def _construct_int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    return int(text, 16) if "x" in text else int(text)


def _construct_float(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    text = loader.construct_scalar(node)
    number = math.inf if text.lower().endswith((".inf", ".nan")) else float(text)
    if not math.isfinite(number):
        raise _refused(f"{text} is not a finite number", node)
    return number


def _refused(problem: str, node: yaml.Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


_DIGITS = "[0-9]+(?:_[0-9]+)*"
_SCALARS = [
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", rf"[-+]?{_DIGITS}|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        rf"[-+]?(?:\.[0-9]+|{_DIGITS}(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
]
for _name, _pattern, _first in _SCALARS:
    for _class in (_Loader, _Dumper):
        # "\0" stands for the empty scalar; the dumper must quote exactly what the loader would not read as text.
        _starts = ["" if character == "\0" else character for character in _first]
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(rf"^(?:{_pattern})$"), _starts)
_CONSTRUCTORS: dict[str, Any] = {
    "null": lambda loader, node: None,
    "bool": lambda loader, node: loader.construct_scalar(node).lower() == "true",
    "int": _construct_int,
    "float": _construct_float,
    "str": lambda loader, node: loader.construct_scalar(node),
    "seq": lambda loader, node: loader.construct_sequence(node, deep=True),
    "map": _construct_mapping,
}
for _name, _constructor in _CONSTRUCTORS.items():
    _Loader.add_constructor(f"tag:yaml.org,2002:{_name}", _constructor)
_CONSTRUCT_ANY_OTHER: Any = yaml.SafeLoader.construct_undefined  # refuses the tag
_Loader.add_constructor(None, _CONSTRUCT_ANY_OTHER)


# Checking ----------------------------------------------------------------------------------------------------------


def check(model: type[C], raw: Mapping[str, Any]) -> C:
    """`raw` as a validated `model`. Raises ConfigError that lists every problem: key, found, expected."""
    try:
        # Through JSON, where strict means what it should for a file: a list is a tuple, but "8" is no number.
        return model.model_validate_json(json.dumps(raw, allow_nan=False))
    except ValidationError as error:
        raise ConfigError(_problems(model, raw, error)) from error
    except (TypeError, ValueError) as error:
        raise ConfigError([f"not a configuration of plain values: {error}"]) from error


def dump(config: Config) -> str:
    """The whole configuration, defaults included, as YAML that `read` and `check` turn into the same configuration."""
    return _yaml(config.model_dump(mode="json"), flow=False)


def _problems(model: type[Config], raw: Mapping[str, Any], error: ValidationError) -> list[str]:
    options = {option.key: option for option in describe(model)}
    sections = {".".join(names[:end]) for names in (key.split(".") for key in options) for end in range(1, len(names))}
    valid = sorted({*options, *sections})
    lines: dict[str, list[str]] = {}  # what was found -> what was expected there: the members of a union, each in turn
    for problem in error.errors(include_url=False):
        key = _key(raw, problem["loc"], valid, missing=problem["type"] == "missing")
        if problem["type"] == "extra_forbidden":
            flat = "." in str(problem["loc"][-1])
            line = f"unknown key {key}{'; nest it: dots are for overrides' if flat else _suggestion(key, valid)}"
            lines.setdefault(line, [])
        elif problem["type"] in ("value_error", "assertion_error"):
            lines.setdefault((f"{key}: " if key else "") + str(problem["ctx"]["error"]), [])
        else:
            line, expected = _mismatch(key, problem, options)
            if expected not in lines.setdefault(line, []):
                lines[line].append(expected)
    return [f"{line}, expected {' or '.join(expected)}" if expected else line for line, expected in lines.items()]


def _mismatch(key: str, problem: ErrorDetails, options: Mapping[str, Option]) -> tuple[str, str]:
    """What was found at a key, and what was expected."""
    kind, value, missing = problem["type"], problem["input"], problem["type"] in ("missing", "union_tag_not_found")
    if kind in ("union_tag_invalid", "union_tag_not_found"):  # the fault is in the tag, not in the section
        tag = problem["ctx"]["discriminator"].strip("'()")
        key, value = f"{key}.{tag}", value.get(tag)
    known = options.get(_described(key))
    expected = known.type if known else _EXPECTED.get(problem["msg"], problem["msg"])
    limits = problem.get("ctx", {})
    if limits.get("le") == LARGEST or limits.get("max_length") == LONGEST:
        expected = problem["msg"]
    if kind == "int_type" and isinstance(value, float) and value.is_integer():
        expected += f" (write {int(value)})"
    found = "is missing" if missing else f"found {_shown(value)}"
    return f"{key or 'configuration'}: {found}", expected.removeprefix("Input should be ")


_EXPECTED = {"Field required": "a value", "Input should be an object": "a section (a mapping of keys to values)"}


def _key(raw: Any, location: tuple[int | str, ...], valid: Sequence[str], missing: bool) -> str:
    """The dotted key of an error: its location without the names of union members that pydantic puts between."""
    key = ""
    for depth, name in enumerate(location, start=1):
        known: Any = raw if isinstance(raw, Mapping) else dict(enumerate(raw)) if isinstance(raw, list) else {}
        longer = f"{key}.{name}" if key else str(name)
        if name in known:
            key, raw = longer, known[name]
        elif _described(longer) in valid or (missing and depth == len(location)):
            key, raw = longer, None
    return key


def _described(key: str) -> str:
    """The key under which `describe` has what a config has at this one: those of a list's members are one."""
    return re.sub(r"\.\d+(?=\.|$)", "[]", key)


def _suggestion(key: str, valid: Sequence[str]) -> str:
    """The valid key that looks most like this one: by its last name, rather in the same section than elsewhere."""
    section, _, name = key.rpartition(".")
    valid = [re.sub(f"^{re.escape(_described(section))}(?=\\.)", section, candidate) for candidate in valid]

    def likeness(candidate: str) -> float:
        there, _, leaf = candidate.rpartition(".")
        return difflib.SequenceMatcher(None, name.lower(), leaf.lower()).ratio() + 0.15 * (there == section)

    best = max(valid, key=likeness, default="")
    if best == key:
        return f", as {section} is now"  # a key of another alternative for this section
    if best and likeness(best) >= 0.7:
        return f"; did you mean {best!r}?"
    known = [candidate for candidate in valid if candidate.rpartition(".")[0] == section]
    return f"; known here: {', '.join(known)}" if known else ""


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 60 else text[:57] + "..."


# Comparing ---------------------------------------------------------------------------------------------------------


class Difference(NamedTuple):
    """A field that has another value in another config of the same model."""

    key: str  # dotted
    old: str  # as YAML
    new: str
    fixed: bool  # a run that is resumed can't change it


def differences(old: C, new: C) -> list[Difference]:
    """Every field that differs, in order. A section that comes, goes or becomes another one is a difference itself,
    and fixed if anything in it is."""
    return list(_differences(old, new, "", False))


def _differences(old: Config, new: Config, prefix: str, fixed: bool) -> Iterator[Difference]:
    for name in type(new).model_fields:
        before, now = getattr(old, name), getattr(new, name)
        kept = fixed or _is_fixed(type(new), name)
        if isinstance(now, Config) and type(before) is type(now):
            yield from _differences(before, now, f"{prefix}{name}.", kept)
            continue
        texts = _yaml(before, flow=True), _yaml(now, flow=True)  # as values, 1 would be 1.0 and True
        if texts[0] != texts[1]:
            yield Difference(prefix + name, *texts, kept or _holds_fixed(before) or _holds_fixed(now))


def _holds_fixed(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_holds_fixed(item) for item in value)
    return isinstance(value, Config) and any(option.fixed for option in describe(type(value)))


# Describing --------------------------------------------------------------------------------------------------------


class Option(NamedTuple):
    """One line of `--help` or of an option table."""

    key: str  # dotted
    type: str  # such as "int > 0", "one of: a, b", "float | null"
    default: str  # as YAML, or "required"
    help: str
    fixed: bool  # a run that is resumed can't change it; the help says so too


def describe(model: type[Config]) -> list[Option]:
    """Every field of a model and its sections, in order. A section that may be left out, or be a plain value instead,
    also has a line of its own, and so has a list of sections, whose fields have the key `list[].field`."""
    options: dict[str, Option] = {}
    for option in _options(model, None, ""):
        known = options.setdefault(option.key, option)
        if known.type.startswith("one of: ") and option.type.startswith("one of: "):  # the tag of alternative sections
            choices = dict.fromkeys((known.type + ", " + option.type[8:])[8:].split(", "))
            so_far, other = (one.help.removesuffix(f" ({FIXED})") for one in (known, option))
            told = (so_far if other in so_far else f"{so_far}; {other}") + f" ({FIXED})" * known.fixed
            options[option.key] = known._replace(type="one of: " + ", ".join(choices), help=told)
    return list(options.values())


def table(model: type[Config], under: str = "") -> str:
    """`describe` as a Markdown table, of the keys that begin so."""
    rows = [("key", "type", "default", "meaning"), ("---",) * 4]
    rows += [
        (f"`{key}`", kind, f"`{default}`", text)
        for key, kind, default, text, _ in describe(model)
        if key.startswith(under)
    ]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") if cell != "---" else cell for cell in row) + " |" for row in rows
    )


def _options(model: type[Config], values: Config | None, prefix: str, fixed: bool = False) -> Iterator[Option]:
    for name, field in model.model_fields.items():
        default: Any = getattr(values, name) if values is not None else field.get_default(call_default_factory=True)
        kept = fixed or _is_fixed(model, name)
        sections = [member for member in _members(field.annotation) if _is_section(member)]
        below: list[Option] = []
        for section in sections:
            below += _options(section, default if isinstance(default, section) else None, f"{prefix}{name}.", kept)
        for section in _listed(field.annotation):
            below += _options(section, None, f"{prefix}{name}[].", kept)
        if len(sections) < len(_members(field.annotation)):
            kept = kept or any(option.fixed for option in below)
            kind = _type(field.annotation, field.metadata)
            shown = "required" if default is pydantic_core.PydanticUndefined else _yaml(default, flow=True)
            text = " ".join((field.description or "").split())
            yield Option(prefix + name, kind, shown, f"{text} ({FIXED})" if kept and text else text, kept)
        yield from below


def _is_fixed(model: type[Config], name: str) -> bool:
    """Whether the model, or one that it inherits from, marks the field."""
    bases = (base for base in model.__mro__ if issubclass(base, Config) and name in base.model_fields)
    return any(FIXED in _marks(base.model_fields[name]) for base in bases)


def _marks(field: FieldInfo) -> list[Any]:
    """The metadata of a field and, in a union, of its members."""
    inside = (getattr(member, "__metadata__", ()) for member in get_args(field.annotation))
    return [*field.metadata, *(mark for metadata in inside for mark in metadata)]


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Config)


def _listed(annotation: Any) -> list[type[Config]]:
    """The sections that may stand in a list."""
    lists = [member for member in _members(annotation) if get_origin(member) in (list, tuple)]
    inside = [inner for member in lists for item in get_args(member) for inner in _members(item)]
    return [member for member in inside if _is_section(member)]


def _members(annotation: Any) -> list[Any]:
    """The alternatives of a union, or the type itself; `Annotated` wrappers around unions are taken off."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [inner for member in get_args(annotation) for inner in _members(member)]
    return [annotation]


def _type(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0], [*metadata, *arguments[1:]])
    if origin in (Union, types.UnionType):
        return " | ".join(dict.fromkeys("null" if a is type(None) else _type(a, metadata) for a in arguments))
    if origin is Literal:
        return "one of: " + ", ".join(_yaml(choice, flow=True) for choice in arguments)
    if origin in (list, tuple):
        items = [_type(a) for a in arguments if a is not Ellipsis]
        items = ["sections" if item == "section" else item for item in items]
        text = f"list of {items[0]}" if origin is list or Ellipsis in arguments else f"list of ({', '.join(items)})"
    elif (origin or annotation) is dict:
        text = "mapping" if not arguments or arguments[1] is Any else f"mapping to {_type(arguments[1])}"
    elif _is_section(annotation):
        return "section"
    else:
        names = {Any: "any value", Path: "path"}
        text = names.get(annotation) or str(getattr(annotation, "__name__", annotation))
    return text + _bounds(metadata)


def _bounds(metadata: Sequence[Any]) -> str:
    signs = {
        annotated_types.Gt: ("gt", ">"),
        annotated_types.Ge: ("ge", ">="),
        annotated_types.Lt: ("lt", "<"),
        annotated_types.Le: ("le", "<="),
        annotated_types.MultipleOf: ("multiple_of", "multiple of"),
        annotated_types.MinLen: ("min_length", "length >="),
        annotated_types.MaxLen: ("max_length", "length <="),
    }
    flat = [inner for item in metadata for inner in (item.metadata if isinstance(item, FieldInfo) else [item])]
    found = [(signs[type(item)], item) for item in flat if type(item) in signs and item not in OF_ALL]
    return ",".join(f" {sign} {getattr(item, name)}" for (name, sign), item in found)


def _yaml(value: Any, flow: bool) -> str:
    plain = pydantic_core.to_jsonable_python(value)
    text: str = yaml.dump(
        plain, Dumper=_Dumper, default_flow_style=flow, sort_keys=False, allow_unicode=True, width=2**31
    )
    return text.removesuffix("...\n").strip() if flow else text
