"""The scripts in `benchmarks/`, as far as they can be tried in seconds."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks import kills, small_scenes, soak
from benchmarks.leave_one_port_out import table
from benchmarks.neighbours import best_expected, most_agreeing, nearest
from benchmarks.people import row
from rsmoe_core.data.base import Sample
from rsmoe_core.metrics.counting import Calibration, ImageDetections
from rsmoe_core.types import Description, Request


def port(ships: int, found: int) -> ImageDetections:
    boxes = tuple((10.0 * n, 10.0, 4.0, 4.0) for n in range(ships))
    return ImageDetections(tuple((10.0 * n, 10.0, 0.9) for n in range(found)), boxes)


def test_ports_are_listed_with_their_errors_beside_those_of_a_constant_guess() -> None:
    detections = {"a": port(10, 12), "b": port(20, 20), "c": port(30, 15)}
    rows = table(detections, dict.fromkeys(detections, Calibration(0.5, 1.0, 0.0, 0.0))).splitlines()
    assert rows[2:5] == ["| a | 10 | 12 | 0.20 |", "| b | 20 | 20 | 0.00 |", "| c | 30 | 15 | 0.50 |"]
    assert "**0.23**" in rows[5]
    baseline = (15 / 10 + 0 / 20 + 15 / 30) / 3  # always the median of the two others: 25, 20, 15
    assert float(rows[6].split("|")[-2]) == pytest.approx(baseline, abs=0.005)


def test_the_regression_follows_images_with_similar_features() -> None:
    angles = np.radians([0, 10, 20, 180, 190, 200, 5, 195])
    means = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    pond, lake, plane = "a pond is near a road .", "there is a lake .", "two planes are in an airport ."
    captions = [[pond, lake], [pond], [pond], [plane], [plane], [lake, plane]]
    assert best_expected(means[6:], means[:6], captions) == [pond, plane]


def test_a_killed_run_loses_no_row(tmp_path: Path) -> None:
    figures = kills.kills(tmp_path, wanted=1, seed=3, side=160, suffixes=(".gpkg",))
    assert figures["kills"] == 1
    assert figures["outputs"] >= 1
    assert figures["rows"] == 21
    assert {fault: figures[fault] for fault in kills.FAULTS} == dict.fromkeys(kills.FAULTS, 0)


def test_a_comparison_finds_lost_duplicate_and_changed_rows() -> None:
    whole: kills.Rows = [("a", 1), ("b", 2), ("c", 3)]
    outcomes = kills.Outcomes(1.0)
    kills.compare([("a", 1), ("b", 2), ("b", 9)], whole, outcomes)
    assert (outcomes.faults["rows_lost"], outcomes.faults["rows_doubled"], outcomes.faults["rows_changed"]) == (1, 1, 1)


def test_a_small_soak_is_steady(tmp_path: Path) -> None:
    figures = soak.soak(tmp_path, tiles=600, scenes=12)
    assert [run["scenes"] for run in figures.values()] == [1, 12, 1]
    assert all(run["steady"] for run in figures.values()), figures


def test_small_scenes_are_measured_with_and_without_shared_batches(tmp_path: Path) -> None:
    scene, parts = small_scenes.draw(tmp_path)
    engine = soak.MeanColours(batch_size=32)
    assert all(seconds > 0 for seconds in small_scenes.measure(scene, parts, engine))
    assert len(parts) == 18
    assert len(engine.memory) == 1 + 1 + 18, "batches"


def test_a_soak_notices_open_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = []

    def leaking(request: Request) -> Description:
        files.append(os.open(tmp_path / "large.tif", os.O_RDONLY))
        return Description("", confidence=1.0)

    monkeypatch.setattr(soak, "_describe", leaking)
    figures = soak.soak(tmp_path, tiles=300, scenes=2)
    for file in files:
        os.close(file)
    assert not figures["one large scene"]["steady"]


def test_human_captions_are_scored_against_the_others_of_their_image() -> None:
    pictures = (("a pond", ("a pond", "a pond", "some water")), ("a road", ("a road", "a road lies here")))
    samples = [Sample(Path(name), "test", sentences) for name, sentences in pictures]
    alone = row("people", samples, {})
    usual = row("a model", samples, {Path("a pond"): "some water", Path("a road"): "a road"})
    assert alone.startswith("| people | ")
    assert float(alone.split("|")[2].split()[0]) < float(usual.split("|")[2].split()[0])


def test_neighbours_are_nearest_first() -> None:
    known = np.array([[0.0, 1.0], [1.0, 0.0], [0.6, 0.8]], np.float32)
    assert nearest(np.array([[0.8, 0.6]], np.float32), known, 2).tolist() == [[2, 1]]


def test_the_caption_that_agrees_with_most_others_is_chosen() -> None:
    beaches = ["waves break on a beach .", "white waves break on a beach .", "two cars are parked ."]
    forests = ["a dense forest .", "a dense green forest .", "a river ."]
    captions = most_agreeing([beaches, forests])
    assert captions[0] in beaches[:2]
    assert captions[1] in forests[:2]
