from __future__ import annotations

import json
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rsmoe_core.training.log import Curve, Log, curves, draw_curves, read_log, smoothed

ROWS = [
    {"phase": "align", "seconds": 1, "step": 1, "epoch": 0.5, "loss": 3.0, "learning_rate": 1e-3, "gradient_norm": 2.0},
    {"phase": "align", "seconds": 2, "step": 2, "epoch": 1.0, "loss": 2.0, "learning_rate": 2e-3, "gradient_norm": 1.0},
    {"phase": "align", "seconds": 3, "step": 2, "epoch": 1, "validation_loss": 2.5, "validation_cider": 0.1},
]
BROKEN_OFF = '{"phase": "align", "st'


def write_steps(folder: Path, start: int, stop: int) -> None:
    with closing(Log(folder, "align", start)) as log:
        for step in range(start + 1, stop + 1):
            log.write(step=step, epoch=step / 2, loss=1 / step)
            if step % 2 == 0:
                log.write(step=step, epoch=step // 2, validation_loss=2.0)


def write_rows(folder: Path, end: str = "") -> None:
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS) + end)


def test_the_log_of_a_resumed_run_has_every_step_once(tmp_path: Path) -> None:
    write_steps(tmp_path, 0, 4)
    write_steps(tmp_path, 2, 6)  # step 2 was the last checkpoint
    rows = read_log(tmp_path)
    assert [row["step"] for row in rows if "loss" in row] == [1, 2, 3, 4, 5, 6]
    assert [row["epoch"] for row in rows if "validation_loss" in row] == [1, 2, 3]
    assert list(rows[0]) == ["phase", "seconds", "step", "epoch", "loss"]


def test_tensorboard_gets_the_same(tmp_path: Path) -> None:
    write_steps(tmp_path, 0, 4)
    # Files are read in the order of the second in their names, where a resumed run has a later one.
    time.sleep(1)
    write_steps(tmp_path, 2, 6)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert set(events.Tags()["scalars"]) == {"loss", "validation_loss"}
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(n, pytest.approx(1 / n)) for n in range(1, 7)]
    assert [event.step for event in events.Scalars("validation_loss")] == [2, 4, 6]


def test_without_tensorboard_there_are_no_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    write_steps(tmp_path, 0, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


def test_an_incomplete_line_is_left_out(tmp_path: Path) -> None:
    write_steps(tmp_path, 0, 1)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write(BROKEN_OFF)
    assert [row["step"] for row in read_log(tmp_path)] == [1]
    assert read_log(tmp_path / "nowhere") == []


def test_a_log_becomes_a_curve_for_each_figure() -> None:
    assert curves(ROWS) == {
        "loss": Curve([0.5, 1.0], [3.0, 2.0]),
        "learning_rate": Curve([0.5, 1.0], [1e-3, 2e-3]),
        "validation_loss": Curve([1], [2.5]),
        "validation_cider": Curve([1], [0.1]),
    }
    assert curves([]) == {}


def test_smoothing_keeps_level_values_and_dampens_others() -> None:
    assert smoothed([2.0] * 5) == pytest.approx([2.0] * 5)
    alternating = smoothed([0.0, 1.0] * 50)
    assert alternating[:2] == pytest.approx([0.0, 1 / 1.95]), "few values have their full weight"
    assert max(alternating[-10:]) - min(alternating[-10:]) < 0.1
    assert smoothed([]) == []


def test_the_log_of_an_unfinished_run_is_drawn(tmp_path: Path) -> None:
    write_rows(tmp_path, end=BROKEN_OFF)
    assert draw_curves(tmp_path)
    with Image.open(tmp_path / "curves.png") as image:
        assert image.format == "PNG"
        assert image.convert("L").getextrema() == (0, 255)
        assert image.height > image.width, "four panels"


def test_an_empty_log_is_not_drawn_and_none_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not draw_curves(tmp_path)
    write_rows(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert not draw_curves(tmp_path)
    assert not (tmp_path / "curves.png").exists()
