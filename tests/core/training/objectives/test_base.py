from __future__ import annotations

import dataclasses

from rsmoe_core.training.objectives.base import select_parameters
from rsmoe_core.training.objectives.registry import OBJECTIVES
from rsmoe_core.training.phases import ObjectiveSettings
from tests.core.training.conftest import EXPERTS
from tests.tiny import make_tiny


def test_a_phase_selects_its_parts_and_freezes_the_rest() -> None:
    model = make_tiny()
    selected = select_parameters(model, EXPERTS)
    assert {key.split(".")[-2] for key, _ in selected} == {"router", "objects"}
    trainable = {id(p) for p in model.parameters() if p.requires_grad}
    assert trainable == {id(p) for _, p in selected}


def test_experts_and_detectors_are_selected_by_name() -> None:
    model = make_tiny()
    all_experts = dataclasses.replace(EXPERTS, trains=("experts",))
    assert {key.split(".")[-2] for key, _ in select_parameters(model, all_experts)} == set(model.config.experts)
    model.add_detector("far")
    selected = select_parameters(model, dataclasses.replace(EXPERTS, trains=("far",)))
    assert {key.split(".")[0] for key, _ in selected} == {"far"}
    assert len(selected) == len(list(model.detectors["far"].parameters()))


def test_every_kind_of_settings_has_an_objective() -> None:
    assert set(OBJECTIVES) == set(ObjectiveSettings.__subclasses__())
    for objective in OBJECTIVES.values():
        assert all(hasattr(objective, name) for name in ("losses", "validate", "calibrate", "__len__"))
