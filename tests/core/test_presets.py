from __future__ import annotations

import dataclasses

import pytest

from rsmoe_core.checkpoint.validation import parse_config, parse_settings
from rsmoe_core.config import BaseReference, MixtureConfig
from rsmoe_core.errors import UsageError
from rsmoe_core.presets import BASE_PRESETS, PRESETS, preset
from rsmoe_core.roles import DEFAULT_EXPERTS


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_its_name_and_can_be_stored_in_a_model_folder(name: str) -> None:
    config = preset(name)
    assert config.name == name
    assert parse_config(config.to_dict()) == config
    assert config.experts == DEFAULT_EXPERTS


@pytest.mark.parametrize("name", BASE_PRESETS)
def test_a_preset_on_a_base_names_a_published_one_or_what_it_is_composed_of(name: str) -> None:
    made = BASE_PRESETS[name]()
    assert made.config.preset == name
    assert made.config.experts == DEFAULT_EXPERTS
    assert (made.parts is None) == bool(made.config.base.name)
    named = dataclasses.replace(made.config, base=BaseReference("owner/name"), language="language_model")
    assert parse_settings(MixtureConfig, named.to_dict()) == (named, [])


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no preset 'huge'; choose one of: nano, tiny"):
        preset("huge")
