import json

import pytest

from rsmoe_core.checkpoint.validation import parse_config
from rsmoe_core.config import DetectionConfig
from rsmoe_core.errors import ModelError, UsageError
from rsmoe_core.presets import PRESETS, preset


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_json(name):
    config = preset(name)
    assert parse_config(json.loads(json.dumps(config.to_dict()))) == config
    assert config.name == name


def test_an_unknown_preset_names_those_that_exist():
    with pytest.raises(UsageError, match="nano, tiny"):
        preset("huge")


def test_missing_settings_take_their_defaults():
    values = preset("tiny").to_dict()
    del values["share_base"], values["vision"]["encoder"]
    assert parse_config(values) == preset("tiny")


def test_unknown_settings_are_named():
    values = preset("tiny").to_dict()
    values["vision"]["colour"] = 1
    with pytest.raises(ModelError, match=r"vision.*colour"):
        parse_config(values)
    with pytest.raises(ModelError, match="expected an object"):
        parse_config([])  # type: ignore[arg-type]


def test_a_calibration_replaces_that_of_one_class():
    config = DetectionConfig().with_classes(("ship", "tree")).with_classes(("tree", "airplane"))
    assert config.classes == ("ship", "tree", "airplane")
    calibrated = config.calibrated("tree", 0.7, 2.0, 0.1)
    assert calibrated.thresholds == (0.3, 0.7, 0.3)
    assert calibrated.slopes == (1.0, 2.0, 1.0)
    assert calibrated.log_count_stds == (0.5, 0.1, 0.5)
    assert calibrated.classes == config.classes
