from __future__ import annotations

import pytest

from rsmoe_core.errors import UsageError
from rsmoe_core.roles import roles
from rsmoe_core.training.examples import TASKS
from rsmoe_core.training.stages import STAGES, stage
from rsmoe_core.types import EXPERTS


def test_every_stage_starts_from_one_before_it() -> None:
    assert STAGES["1"].starts_from is None
    assert STAGES["2"].starts_from == "1"
    assert STAGES["again"].starts_from == STAGES["finetune"].starts_from == "2"
    assert [name for name, s in STAGES.items() if s.name != name] == []


def test_stage_1_trains_no_adapter_and_stage_2_every_adapter_and_nothing_else() -> None:
    trained = {name: {part for phase in s.phases for part in phase.trains} for name, s in STAGES.items()}
    assert trained["1"] == {"vision", "qformer", "language"}
    assert trained["2"] == set(roles(EXPERTS))
    assert trained["again"] == trained["1"] | trained["2"]


def test_the_single_stage_trains_what_both_stages_do_but_the_image_encoder() -> None:
    (together,) = STAGES["single"].phases
    assert STAGES["single"].starts_from is None
    assert set(together.trains) == {"qformer", "language", *roles(EXPERTS)}


def test_fine_tuning_leaves_all_but_adapters_alone_and_is_a_run_by_itself() -> None:
    assert {part for phase in STAGES["finetune"].phases for part in phase.trains} <= set(roles(EXPERTS))
    assert [s.folder for s in STAGES.values()] == ["stage1", "stage2", "stageagain", "stagesingle", "stagecount", ""]


def test_every_lesson_is_known() -> None:
    assert {task for s in STAGES.values() for phase in s.phases for task in phase.tasks} == set(TASKS)


def test_epochs_can_be_set_for_every_phase() -> None:
    longer = stage("2").with_epochs(7)
    assert [phase.epochs for phase in longer.phases] == [7, 7]
    assert longer.phases[0].learning_rate == stage("2").phases[0].learning_rate
    assert stage("2").with_epochs(None) is stage("2")


def test_patience_can_be_set_for_every_phase() -> None:
    patient = stage("2").with_epochs(None, patience=3)
    assert [phase.patience for phase in patient.phases] == [3, 3]
    assert [phase.epochs for phase in patient.phases] == [phase.epochs for phase in stage("2").phases]
    assert [phase.patience for phase in stage("2").with_epochs(7).phases] == [None, None]


def test_an_unknown_stage_lists_the_stages() -> None:
    with pytest.raises(UsageError, match="no stage '3'; choose one of: 1, 2, again, single, count, finetune"):
        stage("3")
