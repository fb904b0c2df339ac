from __future__ import annotations

import pytest

from rsmoe_core.config import ModelConfig
from rsmoe_core.errors import UsageError
from rsmoe_core.presets import PRESETS, preset
from rsmoe_core.roles import DEFAULT_PROMPTS


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_called_by_their_name_and_survive_a_model_folder(name: str) -> None:
    config = preset(name)
    assert config.name == name
    assert ModelConfig.from_dict(config.to_dict()) == config
    assert set(config.experts) == set(DEFAULT_PROMPTS)


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no preset 'huge'; choose one of: nano, tiny"):
        preset("huge")
