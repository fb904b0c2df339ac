from __future__ import annotations

import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rsmoe_core.training.log import Log, read_log


def keep(folder: Path, start: int, stop: int) -> None:
    with closing(Log(folder, "align", start)) as log:
        for step in range(start + 1, stop + 1):
            log.write(step=step, epoch=step / 2, loss=1 / step)
            if step % 2 == 0:
                log.write(step=step, epoch=step // 2, validation_loss=2.0)


def test_the_log_holds_every_step_once_after_a_broken_run(tmp_path: Path) -> None:
    keep(tmp_path, 0, 4)
    keep(tmp_path, 2, 6)  # step 2 was the last that was saved
    rows = read_log(tmp_path)
    assert [row["step"] for row in rows if "loss" in row] == [1, 2, 3, 4, 5, 6]
    assert [row["epoch"] for row in rows if "validation_loss" in row] == [1, 2, 3]
    assert list(rows[0]) == ["phase", "seconds", "step", "epoch", "loss"]


def test_tensorboard_sees_the_same(tmp_path: Path) -> None:
    keep(tmp_path, 0, 4)
    # Files are read in the order of the second in their names, where a run that goes on has a later one.
    time.sleep(1)
    keep(tmp_path, 2, 6)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert set(events.Tags()["scalars"]) == {"loss", "validation_loss"}
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(n, pytest.approx(1 / n)) for n in range(1, 7)]
    assert [event.step for event in events.Scalars("validation_loss")] == [2, 4, 6]


def test_without_tensorboard_there_are_no_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    keep(tmp_path, 0, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


def test_a_line_that_was_broken_off_is_left_out(tmp_path: Path) -> None:
    keep(tmp_path, 0, 1)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"phase": "align", "st')
    assert [row["step"] for row in read_log(tmp_path)] == [1]
    assert read_log(tmp_path / "nowhere") == []
