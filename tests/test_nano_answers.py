"""The shipped model answers questions about real scenes, through the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from typer.testing import CliRunner

from rsmoe_cli.main import app
from rsmoe_core.words.grammar import counted, plural


def ask(*arguments: str) -> list[dict]:
    """The JSON objects that `rsmoe ask` prints."""
    result = CliRunner().invoke(app, ["ask", *arguments, "--json"])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(scope="module")
def algiers(shared: Path) -> str:
    return str(shared / "scenes" / "sentinel2_ports" / "algiers.tif")


def test_ships_of_a_port_are_counted_and_located(algiers: str, tmp_path: Path) -> None:
    """The port is in the training data; for results on ports that are not, see docs/RESULTS.md."""
    out = tmp_path / "ships.gpkg"
    (answer,) = ask(algiers, "How many ships?", "-o", str(out))
    assert answer["type"] == "count"
    low, high = answer["interval"]
    assert low <= int(answer["answer"]) <= high
    assert 13 <= int(answer["answer"]) <= 54  # 27 are labelled
    detections = geopandas.read_file(out, layer="detections")
    assert len(detections) == int(answer["answer"])
    assert detections.within(geopandas.read_file(out, layer="answers").union_all()).all()


def test_other_wordings_and_another_grid_give_the_same_count(algiers: str, tmp_path: Path) -> None:
    questions = tmp_path / "questions.txt"
    questions.write_text("How many ships?\nwhat is the number of vesels in the picture\nCount the boats, please.\n")
    answers = [answer["answer"] for answer in ask(algiers, "--questions", str(questions))]
    assert len(answers) == 3
    assert len(set(answers)) == 1
    (shifted,) = ask(algiers, "How many ships?", "--tile-size", "300", "--overlap", "100")
    assert abs(int(shifted["answer"]) - int(answers[0])) <= max(1, 0.1 * int(answers[0]))


def test_captions_and_answers_agree_on_the_number_of_ships(algiers: str, tmp_path: Path) -> None:
    captions, answers = tmp_path / "captions.gpkg", tmp_path / "answers.gpkg"
    result = CliRunner().invoke(app, ["caption", algiers, "-o", str(captions), "--tile-size", "224", "--counts"])
    assert result.exit_code == 0, result.output
    ask(algiers, "How many ships?", "-o", str(answers), "--tile-size", "224", "--overlap", "0")
    rows = geopandas.read_file(captions).set_index("tile_id")
    counts = geopandas.read_file(answers, layer="answers").set_index("tile_id")["answer"].astype(int)
    captioned = [(text.lower(), counts[tile]) for tile, text in rows["caption"].items() if counts[tile]]
    named = [(text, count) for text, count in captioned if re.search(r"\b(ship|boat|vessel)s?\b", text)]
    assert len(named) >= 3
    for text, count in named:
        assert re.search(rf"\b{counted(count, '(ship|boat|vessel)')}\b", text), (text, count)


@pytest.mark.parametrize("folder", ["mixed", "naip"])
def test_every_scene_is_answered_or_refused_clearly(shared: Path, folder: str) -> None:
    scenes = sorted(map(str, (shared / "scenes" / folder).glob("*.tif")))
    for answer in ask(*scenes, "How many ships are there?"):
        assert answer["answer"] == "unknown" or answer["answer"].isdigit()
        assert answer["reason"] or answer["answer"] != "unknown"
        assert 0 <= answer["confidence"] <= 1


def test_ships_are_not_counted_at_300_metres_per_pixel(shared: Path) -> None:
    (answer,) = ask(str(shared / "scenes" / "mixed" / "RGB.byte.tif"), "How many ships are there?")
    assert (answer["answer"], answer["interval"]) == ("unknown", None)
    assert "300 m per pixel" in answer["reason"]


def test_nothing_is_counted_on_bare_water(tmp_path: Path) -> None:
    scene, questions = tmp_path / "water.tif", tmp_path / "questions.txt"
    waves = np.random.default_rng(0).normal(0, 25, (3, 448, 448))
    pixels = np.clip(np.array([260, 420, 560])[:, None, None] + waves, 1, None).astype("uint16")
    transform = rasterio.transform.from_origin(320000, 6690000, 10, 10)
    with rasterio.open(
        scene, "w", "GTiff", count=3, height=448, width=448, dtype="uint16", crs="EPSG:32736", transform=transform
    ) as file:
        file.write(pixels)
        file.descriptions = ("red", "green", "blue")
    objects = ("baseball field", "church", "stadium", "school", "airport", "bridge")
    lines = [line for name in objects for line in (f"Is there a {name}?", f"How many {plural(name)} are there?")]
    comparisons = ["Is there more forest than water?", "Is there more water than forest?"]
    questions.write_text("\n".join([*lines, *comparisons]))
    answers = ask(str(scene), "--questions", str(questions))
    for presence, count in zip(answers[:-2:2], answers[1:-2:2], strict=True):
        if presence["answer"] == "no":
            assert count["answer"] in ("0", "unknown")
            assert count["interval"] is None or count["interval"][0] == 0
    assert [answer["answer"] for answer in answers[-2:]].count("yes") <= 1
