from __future__ import annotations

import pytest

from rsmoe_core.errors import UsageError
from rsmoe_core.roles import DEFAULT_EXPERTS, all_roles
from rsmoe_core.training.examples import TASKS
from rsmoe_core.training.phases import TextSettings
from rsmoe_core.training.stages import STAGES, find_stage


def trained(name: str) -> set[str]:
    return {part for phase in STAGES[name].phases for part in phase.trained_parts(DEFAULT_EXPERTS)}


def test_every_stage_starts_from_one_before_it() -> None:
    assert STAGES["1"].starts_from is None
    assert STAGES["2"].starts_from == "1"
    assert STAGES["continue"].starts_from == STAGES["detect"].starts_from == STAGES["finetune"].starts_from == "2"
    assert [name for name, stage in STAGES.items() if stage.name != name] == []


def test_each_stage_trains_its_parts_and_nothing_else() -> None:
    adapters = set(all_roles(DEFAULT_EXPERTS))
    assert trained("1") == {"vision", "qformer", "language"}
    assert trained("2") == adapters
    assert trained("continue") == trained("1") | trained("2")
    assert trained("joint") == {"qformer", "language", *adapters}
    assert trained("detect") == {"near", "far"}
    assert trained("finetune") == adapters - {"router"}
    assert [name for name, stage in STAGES.items() if stage.trains_adapters] == ["2", "continue", "joint", "finetune"]


def test_model_folders_are_named_after_their_stages() -> None:
    folders = [stage.folder for stage in STAGES.values()]
    assert folders == ["stage1", "stage2", "continue", "joint", "detect", ""]


def test_every_task_is_learned_in_some_phase() -> None:
    settings = [phase.objective for stage in STAGES.values() for phase in stage.phases]
    assert {task for own in settings if isinstance(own, TextSettings) for task in own.tasks} == set(TASKS)


def test_an_unknown_stage_lists_the_stages() -> None:
    with pytest.raises(UsageError, match="no stage '3'; choose one of: 1, 2, continue, joint, detect, finetune"):
        find_stage("3")
