from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rsmoe_core.checkpoint.validation import read_json, read_json_file
from rsmoe_core.config import ModelConfig
from rsmoe_core.errors import ModelError
from rsmoe_core.presets import preset


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


def test_all_faults_are_told_at_once() -> None:
    values = changed(vision__width="wide", language__layers=10**9, qformer__queries=True, decoding=[], colour=1)
    with pytest.raises(ModelError) as refused:
        ModelConfig.from_dict(values)
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
        {"counting__sights": ["ship"]},
        {"counting__thresholds": [float("nan")]},
        {"name": "\x1b[31m"},
        {"share_base": 1},
    ],
)
def test_what_cannot_be_built_is_refused(places: dict[str, Any]) -> None:
    with pytest.raises(ModelError):
        ModelConfig.from_dict(changed(**places))


@pytest.mark.parametrize(
    "name", ["../../etc", "a/b", "/etc", "..", "", "a\0b", "A", "a.b", "router", "lora_a", "x" * 33, "é", "a\n"]
)
def test_an_expert_is_called_by_nothing_that_leads_out_of_a_folder(name: str) -> None:
    with pytest.raises(ModelError, match="experts"):
        ModelConfig.from_dict(changed(experts=["theme", name]))


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"a": NaN}', "[-Infinity]", "[" * 100_000, "", '{"a": 1'])
def test_json_is_read_as_it_should_be_written(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the parser has its own words
        read_json(text)


def test_a_file_of_settings_has_a_bearable_length(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": 1}')
    assert read_json_file(path) == {"a": 1}
    with pytest.raises(ValueError, match="far too long"):
        read_json_file(path, longest=4)
    with pytest.raises(ValueError, match="No such file"):
        read_json_file(tmp_path / "b.json")
