from __future__ import annotations

import pytest

from rsmoe_core.checkpoint.validation import parse_config
from rsmoe_core.errors import UsageError
from rsmoe_core.presets import PRESETS, preset
from rsmoe_core.roles import DEFAULT_EXPERTS


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_its_name_and_can_be_stored_in_a_model_folder(name: str) -> None:
    config = preset(name)
    assert config.name == name
    assert parse_config(config.to_dict()) == config
    assert config.experts == DEFAULT_EXPERTS


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no preset 'huge'; choose one of: nano, tiny"):
        preset("huge")
