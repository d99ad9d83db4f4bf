"""Configs of every algorithm with random values: what is written is read back, and differences are overrides."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from agents.config import Experiment
from agents.registry import ALGORITHMS, parse
from experiment.config import Config, ConfigError, describe, differences, dump, override, read

WORLDS: dict[str, dict[str, Any]] = {
    "ppo": {"env": {"id": "CartPole-v1"}},
    "dqn": {"env": {"id": "CartPole-v1"}},
    "reinforce": {"env": {"id": "CartPole-v1", "count": 1}},
    **{name: {"env": {"id": "CartPole-v1"}} for name in ("npg", "trpo", "q_actor_critic", "a2c", "impala")},
    **{name: {"env": {"id": "CartPole-v1"}} for name in ("behaviour_cloning", "dagger", "smile")},
    "nfq": {"env": {"id": "CartPole-v1"}},
    "r2d2": {"env": {"id": "CartPole-v1"}},
    "ddpg": {"env": {"id": "P-v1"}},
    "sac": {"env": {"id": "P-v1"}},
    "world_models": {"env": {"id": "P-v1"}},
    "dynamic_programming": {"mdp": "gridworld"},
    "maximum_entropy": {"mdp": "gridworld"},
    "tabular_prediction": {"mdp": "random_walk"},
    "tabular_control": {"mdp": "cliff_walking"},
    "fit": {"data": "iris"},
    "autoencoder": {"data": "digits"},
    "vae": {"data": "digits"},
    "gan": {"data": "ring"},
    "language_model": {"data": "markov"},
    "translation": {"data": "dates"},
    "bandit": {},
}
GAME = {"game": "kuhn_poker"}
texts = st.text(st.characters(codec="utf-8"), max_size=6)


def default(name: str) -> Experiment:
    return parse({"algorithm": name} | WORLDS.get(name, GAME))


def values(annotation: Any, metadata: tuple[Any, ...] = ()) -> st.SearchStrategy[Any]:
    """Plain values that a field may hold, as YAML would."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return values(inside[0], (*metadata, *inside[1:]))
    if origin in (Union, UnionType):
        return st.one_of([values(member, metadata) for member in inside])
    if origin is Literal:
        return st.sampled_from(inside)
    if origin is tuple:
        return st.lists(values(inside[0]), max_size=3)
    if origin is dict:
        return st.dictionaries(texts, st.none() | st.booleans() | st.integers() | texts | st.lists(texts), max_size=2)
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return sections(annotation)
    kinds = {bool: st.booleans(), type(None): st.none(), str: texts}
    return kinds[annotation] if annotation in kinds else numbers(annotation, metadata)


def numbers(kind: type, metadata: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    """Between the bounds that the metadata set."""
    marks = [mark for item in metadata for mark in (item.metadata if isinstance(item, FieldInfo) else [item])]
    low, high = (
        next((getattr(mark, name) for mark in marks for name in names if hasattr(mark, name)), None)
        for names in (("gt", "ge"), ("lt", "le"))
    )
    if kind is int:
        return st.integers(low, high)
    return st.floats(low, high, allow_nan=False, allow_infinity=False)


def sections(model: type[Config]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of the section's fields, and those without a default or by which a section is told from others."""
    fields = {name: values(field.annotation, tuple(field.metadata)) for name, field in model.model_fields.items()}
    needed = {
        name: fields.pop(name) for name, field in model.model_fields.items() if field.is_required() or name == "kind"
    }
    return st.fixed_dictionaries(needed, optional=fields)


def merged(base: Any, over: Any) -> Any:
    both = isinstance(base, dict) and isinstance(over, dict)
    return base | {key: merged(base.get(key), value) for key, value in over.items()} if both else over


def random_config(data: st.DataObject, name: str) -> Experiment:
    """The default with a few sections or fields that are random; what doesn't fit together is drawn again."""
    start = default(name)
    fields = {key: field for key, field in type(start).model_fields.items() if key != "algorithm"}
    chosen = data.draw(st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=3, unique=True))
    drawn = {key: data.draw(values(fields[key].annotation, tuple(fields[key].metadata))) for key in chosen}
    try:
        return parse(merged(start.model_dump(mode="json"), drawn))
    except ConfigError:
        assume(False)
        raise


@pytest.mark.parametrize("name", ALGORITHMS)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_dumped_is_read_and_checked_back(
    name: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    config = random_config(data, name)
    file = tmp_path_factory.getbasetemp() / "round_trip.yaml"
    file.write_bytes(dump(config).encode())
    again = parse(read(file))
    assert again == config
    assert dump(again) == dump(config)
    assert differences(config, again) == []


@pytest.mark.parametrize("name", ALGORITHMS)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_differences_are_the_overrides_that_lead_from_one_config_to_the_other(name: str, data: st.DataObject) -> None:
    start, config = default(name), random_config(data, name)
    found = differences(start, config)
    assert (found == []) == (dump(start) == dump(config))
    assert {difference.key for difference in found} <= {option.key for option in describe(type(start))}
    changed = override(start.model_dump(mode="json"), [f"{key}={new}" for key, _, new, _ in found])
    assert dump(parse(changed)) == dump(config)
