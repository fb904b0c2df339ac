from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from rsmoe_core.checkpoint.validation import load_config, parse_config
from rsmoe_core.errors import ModelError
from rsmoe_core.presets import preset
from rsmoe_core.roles import EXPERTS


def changed(**places: Any) -> dict[str, Any]:
    """The tiny preset with other values, `language__heads=3` for one of a part."""
    values = json.loads(json.dumps(preset("tiny").to_dict()))
    for place, value in places.items():
        *parts, name = place.split("__")
        target = values
        for part in parts:
            target = target[part]
        target[name] = value
    return values


def test_all_faults_are_reported_at_once() -> None:
    values = changed(vision__width="wide", language__layers=10**9, qformer__queries=True, decoding=[], colour=1)
    with pytest.raises(ModelError) as refused:
        parse_config(values)
    for fault in (
        "vision.width is not a number: 'wide'",
        "language.layers is 1000000000, not from 1 to 128",
        "qformer.queries is not a whole number: True",
        "decoding: expected an object, found list",
        "unknown settings colour",
    ):
        assert fault in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "places",
    [
        {"language__heads": 5},
        {"qformer__heads": 5},
        {"vision__image_size": 100},
        {"lora__targets": []},
        {"lora__targets": ["embed_tokens"]},
        {"lora__targets": "all-linear"},
        {"lora__rank": 0},
        {"experts": []},
        {"experts": ["theme", "theme"]},
        {"experts": [f"e{n}" for n in range(17)]},
        {"detection__classes": ["ship"]},
        {"detection__thresholds": [float("nan")]},
        {"name": "\x1b[31m"},
        {"name": ""},
        {"vision__encoder": "resnet"},
        {"vision__options": []},
        {"vision__options": {"a": {"b": {"c": {"d": 1}}}}},
        {"vision__options": {"a": float("inf")}},
        {"vision__options": {"a": "\x1b[31m"}},
        {"vision__options": {"a": 1}},
        {"share_base": 1},
    ],
)
def test_a_configuration_that_cannot_be_built_is_refused(places: dict[str, Any]) -> None:
    with pytest.raises(ModelError):
        parse_config(changed(**places))


@pytest.mark.parametrize(
    "name", ["../../etc", "a/b", "/etc", "..", "", "a\0b", "A", "a.b", "router", "lora_a", "x" * 33, "é", "a\n"]
)
def test_a_name_of_an_expert_cannot_be_a_path(name: str) -> None:
    with pytest.raises(ModelError, match="experts"):
        parse_config(changed(experts=["theme", name]))


def test_an_expert_has_to_be_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    values = changed(experts=["theme", "colours"])
    with pytest.raises(ModelError, match=r"no expert 'colours' is registered; choose from: theme, objects.*register"):
        parse_config(values)
    monkeypatch.setitem(EXPERTS, "colours", dataclasses.replace(EXPERTS["theme"], name="colours"))
    assert parse_config(values).experts == ("theme", "colours")


def test_a_folder_without_configuration_is_named_for_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"not a model folder \(config.json is missing\)"):
        load_config(tmp_path)
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(ModelError, match="a pipeline of diffusers, which makes images"):
        load_config(tmp_path)
