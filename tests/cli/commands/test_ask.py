from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine
from PIL import Image
from typer.testing import Result

from tests.cli.fakes import FakeEngine, replace_load
from tests.cli.formats.layers import metadata_of
from tests.cli.rasters import rgb, sea, write_raster
from tests.cli.tiles.test_reader import damaged

Cli = Callable[..., Result]
BANDS = "bands 1,2,3 (the file's colour interpretation)"
COUNT, THEME, WHY = "How many ships are there?", "What kind of place is this?", "Why is it wet?"


def ships(path: Path, **profile: object) -> str:
    return write_raster(path, sea([(10, 10), (64, 50), (100, 80)]), "red green blue", photometric="RGB", **profile)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_answer_comes_first_and_then_the_evidence(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    ships(tmp_path / "a.tif")
    result = rsmoe("ask", "a.tif", COUNT, "--tile-size", "32")
    assert result.exit_code == 0, result.stderr
    answer, found, surest, engine_evidence, coordinates = result.stdout.splitlines()
    assert answer == "3 (2 to 3, confidence 0.73)"
    assert found == "found in 3 of 20 tiles, most in r0000c0000 (1), r0001c0002 (1), r0003c0004 (1)"
    assert re.fullmatch(r"the surest ship is at column \d+, row \d+ of the scene \(0\.9\d*\)", surest)
    assert engine_evidence == "r0000c0000: 1 bright spots"
    assert coordinates.startswith("r0000c0000 is at 3.00")
    assert result.stderr == f"{BANDS}\n"
    assert names(tmp_path) == ["a.tif"]


def test_json_is_one_object_a_line(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    ships(tmp_path / "a.tif")
    ships(tmp_path / "b.tif", crs=None)
    (tmp_path / "questions.txt").write_text(f"# about ships\n\n{COUNT}\n  {THEME}\n{COUNT}\n{WHY}\n")
    result = rsmoe("ask", "a.tif", "b.tif", "--questions", "questions.txt", "--json", "-q")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    lines = [json.loads(line, parse_constant=pytest.fail) for line in result.stdout.splitlines()]
    assert [(line["scene"], line["question"]) for line in lines] == [
        (scene, question) for scene in ("a.tif", "b.tif") for question in (COUNT, THEME, WHY)
    ]
    assert [line["answer"] for line in lines] == ["3", "blue place", "unknown"] * 2
    first, theme, why = lines[:3]
    assert list(first) == [
        *("scene", "question", "type", "answer", "confidence", "interval", "tiles", "evidence", "reason"),
        *("model", "model_revision", "seconds", "warnings"),
    ]
    assert first["interval"] == [2, 3]
    assert first["tiles"]["supporting"] == 3
    assert (first["model"], first["model_revision"]) == ("fake", "abc123")
    assert theme["interval"] is None
    assert first["warnings"] == []
    assert [line["warnings"][0][:23] for line in lines[3:]] == ["no coordinate reference"] * 3
    assert why["reason"] == "an image does not show who, when or why; ask, for example: how many ships are there?"


def test_several_answers_have_headings(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    ships(tmp_path / "a.tif")
    ships(tmp_path / "b.tif", crs=None)
    result = rsmoe("ask", "a.tif", "b.tif", COUNT)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"a.tif: {COUNT}\n3 (2 to 3")
    assert f"\n\nb.tif: {COUNT}\n3 (2 to 3" in result.stdout
    assert "warning: b.tif: no coordinate reference system" in result.stderr


def test_an_image_without_a_position_is_answered(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    Image.fromarray(sea([(10, 10)]).transpose(1, 2, 0)).save(tmp_path / "a.png")
    result = rsmoe("ask", "a.png", COUNT)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("1 (0 to 1, confidence 0.90)")
    assert len(result.stderr.splitlines()) == 2
    assert "no georeference" in result.stderr


def test_options_reach_the_scene(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    ships(tmp_path / "a.tif")
    options = "--bands 3,2,1 --tile-size 400m --overlap 8 --stretch none --batch-size 3 --dst-crs EPSG:4326"
    result = rsmoe("ask", "a.tif", THEME, "-o", "out.gpkg", *options.split())
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("red place (confidence 0.90)")
    assert result.stderr.splitlines() == ["bands 3,2,1 (--bands)", "out.gpkg"]
    rows, metadata = gpd.read_file("out.gpkg"), metadata_of("out.gpkg")
    assert len(rows) == 12
    assert rows.crs.to_epsg() == 4326
    assert max(engine.batches) == 3
    [scene] = metadata["scenes"]
    assert scene["bands"] == "3 (blue), 2 (green), 1 (red)"
    assert (scene["tile_size"], scene["overlap"]) == (40, 8)
    assert "detections" not in gpd.list_layers("out.gpkg")["name"].tolist()


def test_a_quarter_of_a_tile_is_shared(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    ships(tmp_path / "a.tif")
    assert rsmoe("ask", "a.tif", COUNT, "-o", "out.gpkg", "--tile-size", "40").exit_code == 0
    assert metadata_of("out.gpkg", "answers")["scenes"][0]["overlap"] == 10


def test_what_no_image_answers_needs_no_model(rsmoe: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_load(monkeypatch, lambda *_, **__: pytest.fail("no model is to be loaded"))
    ships(tmp_path / "a.tif")
    result = rsmoe("ask", "a.tif", WHY)
    assert result.exit_code == 0, result.stderr
    assert (
        result.stdout
        == "unknown\nan image does not show who, when or why; ask, for example: how many ships are there?\n"
    )
    line = json.loads(rsmoe("ask", "a.tif", WHY, "--json", "-o", "out.gpkg").stdout)
    assert (line["model"], line["tiles"]["answered"], line["confidence"]) == (None, 0, 0)
    assert len(gpd.read_file("out.gpkg", layer="answers")) == 0


def test_a_blank_scene_is_no_error(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    blank = np.zeros((3, 40, 40), np.uint8)
    write_raster(tmp_path / "a.tif", blank, "red green blue", nodata=0, photometric="RGB")
    result = rsmoe("ask", "a.tif", COUNT)
    assert (result.exit_code, result.stdout) == (0, "unknown\nthe scene has no valid pixel\n")
    assert engine.requests == []


def test_a_damaged_block_is_exit_code_three(
    rsmoe: Cli, engine: FakeEngine, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    damaged(tmp_path / "a.tif")
    result = rsmoe("ask", "a.tif", COUNT, "-o", "out.gpkg", "--tile-size", "32", "--overlap", "0")
    assert result.exit_code == 3
    assert "of 5 tiles" in result.stdout, "the failed one has no answer"
    assert "failed tiles: 1; the answers are without them" in result.stderr
    assert "failed tiles, not included: 1; r0001c0001 cannot be read" in result.stdout
    rows = gpd.read_file("out.gpkg", layer="answers").set_index("tile_id")
    assert rows["status"].value_counts().to_dict() == {"ok": 5, "failed": 1}
    assert capfd.readouterr().err == ""


def test_interrupted_leaves_nothing(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    ships(tmp_path / "a.tif")

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    engine.answer = interrupt  # type: ignore[method-assign, assignment]
    result = rsmoe("ask", "a.tif", COUNT, "-o", "out.gpkg")
    assert result.exit_code == 130
    assert names(tmp_path) == ["a.tif"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["a.tif"], 2, "give a question after the scene"),
        ([COUNT], 2, "give a question after the scene"),
        (["a.tif", "plain.tif"], 2, "plain.tif looks like a scene; put the question last, in quotes"),
        (["a.tif", " "], 2, "the question is empty"),
        (["a.tif", "--questions", "none.txt"], 2, "cannot read questions from none.txt"),
        (["a.tif", "--questions", "empty.txt"], 2, "empty.txt has no question; write one a line"),
        (["a.tif", "--questions", "a.tif"], 2, "cannot read questions from a.tif"),
        (["none.tif", COUNT], 1, "there is no file none.tif"),
        (["a.tif", COUNT, "-o", "out.shp"], 2, "unknown output type '.shp'"),
        (["a.tif", COUNT, "-o", "a.tif.gpkg", "--dst-crs", "EPSG:1"], 2, "unknown CRS 'EPSG:1'"),
        (["a.tif", COUNT, "--retry-failed"], 2, "--retry-failed needs the output of an earlier run"),
        (["a.tif", COUNT, "-o", "out.gpkg", "--retry-failed"], 1, "nothing to retry: out.gpkg has no journal"),
        (["plain.tif", COUNT, "-o", "out.gpkg", "--dst-crs", "EPSG:4326"], 1, "plain.tif has no CRS, so --dst-crs"),
        (["a.tif", COUNT, "--tile-size", "huge"], 2, "tile size 'huge' is not understood"),
        (["a.tif", COUNT, "--tile-size", "32", "--overlap", "32"], 2, "choose --overlap between 0 and 31"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    rsmoe: Cli, engine: FakeEngine, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    ships(tmp_path / "a.tif")
    ships(tmp_path / "plain.tif", crs=None)
    (tmp_path / "empty.txt").write_text("# nothing\n\n")
    before = names(tmp_path)
    result = rsmoe("ask", *arguments, "-q")
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.splitlines() == [result.stderr.strip()]
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert names(tmp_path) == before


@pytest.mark.parametrize("out", [(), ("-o", "out.gpkg")])
def test_scenes_that_cannot_be_opened_do_not_stop_the_others(
    rsmoe: Cli, engine: FakeEngine, tmp_path: Path, out: tuple[str, ...]
) -> None:
    ships(tmp_path / "a.tif")
    result = rsmoe("ask", "none.tif", "a.tif", COUNT, *out)
    assert result.exit_code == 3
    assert result.stdout.startswith(f"a.tif: {COUNT}\n3 (2 to 3")
    assert "warning: left out: there is no file none.tif" in result.stderr
    assert "scenes left out: 1" in result.stderr
    if out:
        ships(tmp_path / "none.tif")
        again = rsmoe("ask", "none.tif", "a.tif", COUNT, *out, "--retry-failed")
        assert again.exit_code == 0, again.stderr
        assert again.stdout.startswith(f"none.tif: {COUNT}\n3 (2 to 3")
        assert gpd.read_file("out.gpkg", layer="answers")["scene"].unique().tolist() == ["none.tif", "a.tif"]


def test_a_scene_without_a_crs_shares_no_file(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    ships(tmp_path / "a.tif")
    ships(tmp_path / "plain.tif", crs=None)
    result = rsmoe("ask", "a.tif", "plain.tif", COUNT, "-o", "out.gpkg")
    assert result.exit_code == 3
    assert "left out: plain.tif has no CRS, so it cannot share a file with others" in result.stderr
    assert metadata_of("out.gpkg", "answers")["scenes_failed"]["plain.tif"].startswith("plain.tif has no CRS")


def test_a_question_may_be_longer_than_a_file_name(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif")
    result = rsmoe("ask", "a.tif", f"{COUNT} {'please ' * 50}")
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize("words", [COUNT, "ships?", "Is there any water in a.tif?", "how many roads are there in docs"])
def test_a_question_without_quotes_is_recognised(rsmoe: Cli, engine: FakeEngine, tmp_path: Path, words: str) -> None:
    ships(tmp_path / "a.tif")
    ships(tmp_path / "b.tif")
    (tmp_path / "docs").mkdir()
    result = rsmoe("ask", "a.tif", "./b.tif", *words.split(), "--json")
    if "a.tif" in words:
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
        assert "put the question last, in quotes, such as" in result.stderr
        return
    assert result.exit_code == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(line["scene"], line["question"]) for line in lines] == [("a.tif", words), ("./b.tif", words)]


def test_a_scene_that_is_missing_is_no_word_of_a_question(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    ships(tmp_path / "a.tif")
    for scenes in (("nowhere",), ("a.tif", "nowhere")):
        assert "there is no file nowhere" in rsmoe("ask", *scenes, COUNT).stderr


def test_one_warning_for_one_cause(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    for name in "abcd":
        ships(tmp_path / f"{name}.tif", crs=None)
    result = rsmoe("ask", "a.tif", "b.tif", "c.tif", "d.tif", COUNT)
    first, bands, more = result.stderr.splitlines()
    assert bands == BANDS, "once, however many scenes have these bands"
    assert first.startswith("warning: a.tif: no coordinate reference system")
    assert more == first.replace("a.tif: ", "3 more scenes: ")
    assert "d.tif: no coordinate" in rsmoe("ask", "-v", "a.tif", "b.tif", "c.tif", "d.tif", COUNT).stderr


def test_one_warning_for_one_cause_with_different_numbers(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    for name, metres in {"a": 300, "b": 500, "c": 2000}.items():
        ships(tmp_path / f"{name}.tif", transform=Affine(metres, 0, 500_000, 0, -metres, 4_000_000))
    first, _, more = rsmoe("ask", "a.tif", "b.tif", "c.tif", COUNT).stderr.splitlines()
    assert first.startswith("warning: a.tif: pixels of 300 m are coarser")
    assert more.startswith("warning: 2 more scenes, with other numbers: pixels of 300 m are coarser")


def test_verbose_says_what_was_decided(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    ships(tmp_path / "a.tif")
    model, _, scene = rsmoe("ask", "-v", "a.tif", COUNT, "--tile-size", "32").stderr.splitlines()
    assert model == "model fake, revision abc123, on cpu in float32"
    assert scene.startswith("a.tif: 128 x 96 pixels, of 10 m, bands 1 (red), 2 (green), 3 (blue), ")
    assert scene.endswith("20 tiles of 32 pixels, of which neighbours share 8")
