from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from rsmoe_core.training.log import Curve, curves, draw_curves, smoothed

ROWS = [
    {"phase": "align", "seconds": 1, "step": 1, "epoch": 0.5, "loss": 3.0, "rate": 1e-3, "norm": 2.0},
    {"phase": "align", "seconds": 2, "step": 2, "epoch": 1.0, "loss": 2.0, "rate": 2e-3, "norm": 1.0},
    {"phase": "align", "seconds": 3, "step": 2, "epoch": 1, "validation_loss": 2.5, "validation_cider": 0.1},
]


def write(folder: Path, end: str = "") -> None:
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS) + end)


def test_a_log_becomes_a_curve_for_each_figure() -> None:
    assert curves(ROWS) == {
        "loss": Curve([0.5, 1.0], [3.0, 2.0]),
        "rate": Curve([0.5, 1.0], [1e-3, 2e-3]),
        "validation_loss": Curve([1], [2.5]),
        "validation_cider": Curve([1], [0.1]),
    }
    assert curves([]) == {}


def test_smoothing_keeps_what_is_level_and_dampens_what_leaps() -> None:
    assert smoothed([2.0] * 5) == pytest.approx([2.0] * 5)
    leaping = smoothed([0.0, 1.0] * 50)
    assert leaping[:2] == pytest.approx([0.0, 1 / 1.95]), "few values weigh fully"
    assert max(leaping[-10:]) - min(leaping[-10:]) < 0.1
    assert smoothed([]) == []


def test_a_broken_runs_log_will_do(tmp_path: Path) -> None:
    write(tmp_path, end='{"phase": "align", "st')
    assert draw_curves(tmp_path)
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.format == "PNG"
        assert picture.convert("L").getextrema() == (0, 255)
        assert picture.height > picture.width, "four panels"


def test_nothing_is_drawn_of_nothing_or_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not draw_curves(tmp_path)
    write(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert not draw_curves(tmp_path)
    assert not (tmp_path / "curves.png").exists()
