from __future__ import annotations

from pathlib import Path

import pytest

from rsmoe_core.checkpoint.load import load_model
from rsmoe_core.errors import TrainingError
from rsmoe_core.training.native import NativeTrainee
from rsmoe_core.training.run_folder import RunFolder, check_settings, save_model_atomically, write_text_atomically
from rsmoe_core.training.stages import find_stage
from tests.tiny import make_tiny


def test_stages_of_a_run_share_a_cache_and_a_standalone_stage_has_its_own(tmp_path: Path) -> None:
    folders = RunFolder.of(find_stage("2"), tmp_path / "run")
    assert folders == RunFolder(tmp_path / "run/stage2", tmp_path / "run/stage2-work", tmp_path / "run/cache")
    assert folders.best("fusion") == tmp_path / "run/stage2-work/fusion/best"
    assert RunFolder.of(find_stage("detect"), tmp_path / "run").model == tmp_path / "run/detect"
    own = RunFolder.of(find_stage("finetune"), tmp_path / "mine")
    assert own == RunFolder(tmp_path / "mine", tmp_path / "mine-work", tmp_path / "mine-work/cache")


def test_a_standalone_stage_replaces_its_own_models_only(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(TrainingError, match="exists already"):
        RunFolder.of(find_stage("finetune"), tmp_path / "mine")
    (tmp_path / "mine-work").mkdir()
    RunFolder.of(find_stage("finetune"), tmp_path / "mine")


def test_a_text_replaces_an_earlier_one(tmp_path: Path) -> None:
    write_text_atomically(tmp_path / "deep" / "a.json", "1")
    write_text_atomically(tmp_path / "deep" / "a.json", "2")
    assert {p.name: p.read_text() for p in (tmp_path / "deep").iterdir()} == {"a.json": "2"}


def test_a_model_folder_holds_nothing_of_an_earlier_one(tmp_path: Path) -> None:
    save_model_atomically(NativeTrainee(make_tiny()), tmp_path / "best")
    (tmp_path / "best.part").mkdir()
    (tmp_path / "best.part" / "half").touch()
    save_model_atomically(NativeTrainee(make_tiny(experts=False)), tmp_path / "best")
    assert [p.name for p in tmp_path.iterdir()] == ["best"]
    assert not (tmp_path / "best" / "half").exists()
    assert not load_model(tmp_path / "best").has_experts


def test_settings_are_stored_and_compared(tmp_path: Path) -> None:
    check_settings(tmp_path, {"seed": 0, "phases": ("align",), "views": 2})
    check_settings(tmp_path, {"seed": 0, "phases": ("align",), "views": 2})
    with pytest.raises(TrainingError, match="started with other seed, views; give another --out"):
        check_settings(tmp_path, {"seed": 1, "phases": ("align",), "views": 3})
    with pytest.raises(TrainingError, match="started with other views; give"):
        check_settings(tmp_path, {"seed": 0, "phases": ("align",)})
