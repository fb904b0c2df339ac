from __future__ import annotations

import pytest

from rsmoe_core.checkpoint.load import load_model
from rsmoe_core.errors import TrainingError
from rsmoe_core.training.run_folder import check_settings, save_whole, write_whole
from tests.core.conftest import make_tiny


def test_a_text_replaces_an_earlier_one(tmp_path) -> None:
    write_whole(tmp_path / "deep" / "a.json", "1")
    write_whole(tmp_path / "deep" / "a.json", "2")
    assert {p.name: p.read_text() for p in (tmp_path / "deep").iterdir()} == {"a.json": "2"}


def test_a_model_folder_holds_nothing_of_an_earlier_one(tmp_path) -> None:
    save_whole(make_tiny(), tmp_path / "best")
    (tmp_path / "best.part").mkdir()
    (tmp_path / "best.part" / "half").touch()
    save_whole(make_tiny(experts=False), tmp_path / "best")
    assert [p.name for p in tmp_path.iterdir()] == ["best"]
    assert not (tmp_path / "best" / "half").exists()
    assert not load_model(tmp_path / "best").has_experts


def test_settings_are_kept_and_compared(tmp_path) -> None:
    check_settings(tmp_path, {"seed": 0, "phases": ("align",), "views": 2})
    check_settings(tmp_path, {"seed": 0, "phases": ("align",), "views": 2})
    with pytest.raises(TrainingError, match="begun with other seed, views; give another --out"):
        check_settings(tmp_path, {"seed": 1, "phases": ("align",), "views": 3})
    with pytest.raises(TrainingError, match="begun with other views; give"):
        check_settings(tmp_path, {"seed": 0, "phases": ("align",)})
