import json

import pytest

from rsmoe_core.config import ModelConfig
from rsmoe_core.errors import ModelError, UsageError
from rsmoe_core.presets import PRESETS, preset


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_json(name):
    config = preset(name)
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.name == name


def test_an_unknown_preset_names_those_that_exist():
    with pytest.raises(UsageError, match="nano, tiny"):
        preset("huge")


def test_a_folder_from_before_the_merged_form_shares_its_base():
    values = preset("tiny").to_dict()
    del values["share_base"]
    assert ModelConfig.from_dict(values) == preset("tiny")


def test_unknown_settings_are_named():
    values = preset("tiny").to_dict()
    values["vision"]["colour"] = 1
    with pytest.raises(ModelError, match=r"vision.*colour"):
        ModelConfig.from_dict(values)
    with pytest.raises(ModelError, match="expected an object"):
        ModelConfig.from_dict([])  # type: ignore[arg-type]
