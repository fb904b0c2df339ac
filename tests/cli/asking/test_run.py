from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pyproj import Transformer
from rasterio.control import GroundControlPoint

from rsmoe_cli.asking.layer import ANSWERS
from rsmoe_cli.asking.run import AskJob, SceneReply, ask_scenes
from rsmoe_cli.asking.scene_answer import SceneAnswer
from rsmoe_cli.option_groups import TilingOptions
from rsmoe_cli.pipeline.session import open_session
from rsmoe_core.questions.parser import parse_question
from tests.cli.fakes import FakeEngine, bright_spots
from tests.cli.formats.layers import metadata_of
from tests.cli.rasters import NORTH_UP, SITE_CRS, rotated, sea, write_raster

COUNT, PRESENCE, THEME = "How many ships are there?", "Is there a ship?", "What kind of place is this?"
MORE, WHERE, WHY = "Are there more ships than cars?", "Where are the ships?", "Why is it wet?"
SPOTS = [(10, 10), (31, 40), (64, 50), (90, 32), (100, 80)]
"""Two of them lie on seams of tiles of 32 pixels."""


def ask(
    paths: list[str],
    questions: list[str],
    engine: FakeEngine | None = None,
    out: Path | None = None,
    size: int = 32,
    overlap: int = 8,
) -> list[SceneReply]:
    job = AskJob(paths, TilingOptions(None, "auto", str(size), overlap), tuple(map(parse_question, questions)))
    load = (lambda: engine or FakeEngine()) if job.asked else None
    with open_session(job, load, ANSWERS, out) as session:
        replies = list(ask_scenes(session, job))
        session.finish("")
        return replies


def ask_one(path: str, question: str, engine: FakeEngine | None = None, **options: object) -> SceneAnswer:
    return ask([path], [question], engine, **options)[0].answers[0]  # type: ignore[arg-type]


def ships(path: Path, **profile: object) -> str:
    return write_raster(path, sea(SPOTS), "red green blue", photometric="RGB", **profile)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.integers(20, 140), shared=st.floats(0, 0.5))
def test_ships_are_counted_once_in_every_grid(tmp_path: Path, size: int, shared: float) -> None:
    path = tmp_path / "a.tif"
    if not path.exists():
        ships(path)
    answer = ask_one(str(path), COUNT, FakeEngine(image_size=70), size=size, overlap=int(shared * size))
    assert answer.answer == "5"
    assert answer.interval == (3, 5)


def test_a_scene_is_read_once_for_all_questions(tmp_path: Path) -> None:
    engine = FakeEngine()
    (reply,) = ask([ships(tmp_path / "a.tif")], [COUNT, WHY, THEME, MORE, WHERE], engine)
    *others, where = (answer.answer for answer in reply.answers)
    assert others == ["5", "unknown", "blue place", "yes"]
    assert sorted(where.split(", ")) == ["center", "left", "lower right", "right", "upper left"]
    assert {len(request.questions) for request in engine.requests} == {4}, "one request for all questions about a tile"
    assert len({id(request.image) for request in engine.requests}) == len(engine.requests)
    assert max(engine.batches) == 4
    assert [request.metres_per_pixel for request in engine.requests] == pytest.approx([10] * len(engine.requests), 1e-2)
    unanswerable = reply.answers[1]
    assert (unanswerable.answered, unanswerable.reason) == (
        0,
        "an image does not show who, when or why; ask, for example: how many ships are there?",
    )


def test_the_engine_knows_the_ground_sample_distance_of_its_images(tmp_path: Path) -> None:
    engine = FakeEngine(image_size=16)
    ask_one(ships(tmp_path / "a.tif"), COUNT, engine, size=96, overlap=24)
    assert {request.image.shape for request in engine.requests} == {(32, 32, 3)}
    assert engine.requests[0].metres_per_pixel == pytest.approx(30, rel=1e-2)


def test_a_question_that_no_image_answers_reads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rsmoe_cli.pipeline.run.read_tiles", lambda *_, **__: pytest.fail("no tile is to be read"))
    (reply,) = ask([ships(tmp_path / "a.tif")], [WHY], out=tmp_path / "out.gpkg")
    assert reply.answers[0].answer == "unknown"
    assert len(gpd.read_file(tmp_path / "out.gpkg", layer="answers")) == 0


def test_a_blank_scene_has_no_answer(tmp_path: Path) -> None:
    path = write_raster(
        tmp_path / "a.tif", np.zeros((3, 64, 64), np.uint8), "red green blue", nodata=0, photometric="RGB"
    )
    answer = ask_one(path, COUNT, overlap=0)
    assert (answer.answer, answer.reason) == ("unknown", "the scene has no valid pixel")
    assert (answer.answered, answer.skipped, answer.failed) == (0, 4, 0)


def test_a_failed_tile_is_reported_and_does_not_affect_the_others(tmp_path: Path) -> None:
    values = sea(SPOTS)
    values[:, 0, 0] = (1, 2, 3)
    path = write_raster(tmp_path / "a.tif", values, "red green blue", photometric="RGB")
    (reply,) = ask([path], [COUNT, PRESENCE], FakeEngine(poison=(1, 2, 3)), tmp_path / "out.gpkg", overlap=0)
    count, presence = reply.answers
    assert (count.answer, presence.answer) == ("4", "yes")
    assert (count.answered, count.failed) == (11, 1)
    assert "failed tiles, not included: 1; r0000c0000 cannot be answered: poisoned image" in count.evidence
    rows = gpd.read_file(tmp_path / "out.gpkg", layer="answers")
    assert rows["status"].tolist() == ["failed"] * 2 + ["ok"] * 22
    assert rows["error"].tolist()[:2] == ["cannot be answered: poisoned image"] * 2


def test_a_failed_question_does_not_affect_the_others(tmp_path: Path) -> None:
    engine = FakeEngine(poison_word="ship")
    (reply,) = ask([ships(tmp_path / "a.tif")], [COUNT, THEME], engine, tmp_path / "out.gpkg", overlap=0)
    count, theme = reply.answers
    assert (count.answer, count.reason) == ("unknown", "no tile could be read or answered")
    assert (count.answered, count.failed, theme.answered, theme.failed) == (0, 12, 12, 0)
    assert theme.answer == "blue place"
    rows = gpd.read_file(tmp_path / "out.gpkg", layer="answers")
    assert rows["status"].tolist() == ["failed", "ok"] * 12
    assert engine.batches == [4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1] * 3, "each batch: tiles, then their questions"


def test_the_output_has_a_row_for_each_tile_and_question_and_a_point_for_each_ship(tmp_path: Path) -> None:
    path = ships(tmp_path / "a.tif")
    (reply,) = ask([path], [COUNT, THEME], out=tmp_path / "out.gpkg", overlap=0)
    rows = gpd.read_file(tmp_path / "out.gpkg", layer="answers")
    assert len(rows) == 2 * 12
    assert rows["question"].tolist()[:2] == [COUNT, THEME]
    assert rows["tile_id"].tolist()[:4] == ["r0000c0000"] * 2 + ["r0000c0001"] * 2
    assert set(rows["scene"]) == {"a.tif"}
    assert rows["id"].is_unique
    assert set(rows["tile_m"]) == {320}
    assert rows["count"].isna().tolist() == [False, True] * 12
    assert rows["count"].iloc[0] == 1
    assert rows["evidence"].iloc[0] == "1 bright spots"
    assert rows.geometry.iloc[0].bounds == (500_000, 3_999_680, 500_320, 4_000_000)
    detections = gpd.read_file(tmp_path / "out.gpkg", layer="detections")
    assert detections.crs.to_epsg() == 32631
    assert list(detections.columns) == ["id", "object", "confidence", "tile_id", "question", "scene", "geometry"]
    expected = {(500_000 + 10 * x + 5, 4_000_000 - 10 * y - 5) for x, y in SPOTS}
    for point in detections.geometry:
        assert min(np.hypot(point.x - x, point.y - y) for x, y in expected) <= 11, (
            "each tile sees a part of a ship on a seam"
        )
    assert len(detections) == len(reply.answers[0].detections) == 5
    metadata = metadata_of(tmp_path / "out.gpkg", "answers")
    assert metadata["model"] == "fake"
    assert metadata["scenes"][0]["source"] == "a.tif"
    assert metadata["scenes"][0]["tile_size"] == 32
    assert metadata["answers"][0]["question"] == COUNT
    assert metadata["answers"][0]["answer"] == "5"
    assert metadata["answers"][1]["interval"] is None


def test_geojson_has_the_tiles_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ask([ships(tmp_path / "a.tif")], [COUNT], out=tmp_path / "out.geojson")
    assert "detections that are not in the output: 5" in caplog.text
    collection = json.loads((tmp_path / "out.geojson").read_text())
    assert collection["name"] == "answers"
    assert collection["metadata"]["answers"][0]["answer"] == "5"
    identities = [feature["id"] for feature in collection["features"]]
    assert len(set(identities)) == len(identities)


def test_several_scenes_share_one_file(tmp_path: Path) -> None:
    utm = ships(tmp_path / "a.tif")
    degrees = ships(tmp_path / "b.tif", crs="EPSG:4326", transform=Affine(1e-4, 0, 3, 0, -1e-4, 36))
    replies = ask([utm, degrees], [COUNT, PRESENCE], out=tmp_path / "out.gpkg")
    assert [[answer.answer for answer in reply.answers] for reply in replies] == [["5", "yes"]] * 2
    rows = gpd.read_file(tmp_path / "out.gpkg", layer="answers")
    assert rows.crs.to_epsg() == 4326
    assert rows["scene"].drop_duplicates().tolist() == ["a.tif", "b.tif"]
    detections = gpd.read_file(tmp_path / "out.gpkg", layer="detections")
    assert detections.crs.to_epsg() == 4326
    assert len(detections) == 20


def test_supporting_tiles_have_longitude_and_latitude(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", sea([(10, 10)]), "red green blue", photometric="RGB", transform=rotated(30))
    answer = ask_one(path, COUNT, overlap=0)
    a, b, c, d, e, f = rotated(30)[:6]
    x, y = 16 * (a + b) + c, 16 * (d + e) + f
    lon, lat = Transformer.from_crs("EPSG:32631", "EPSG:4326", always_xy=True).transform(x, y)
    assert answer.evidence[-1] == f"r0000c0000 is at {lon:.5f} E, {lat:.5f} N"
    points = [
        GroundControlPoint(row=row, col=col, x=-70 + 0.001 * col, y=-33 - 0.001 * row)
        for row in (0, 50, 96)
        for col in (0, 60, 128)
    ]
    path = write_raster(
        tmp_path / "b.tif", sea([(10, 10)]), "red green blue", photometric="RGB", gcps=(points, "EPSG:4326")
    )
    assert ask_one(path, COUNT, overlap=0).evidence[-1] == "r0000c0000 is at 69.98400 W, 33.01600 S"


@pytest.mark.parametrize("crs", [None, SITE_CRS])
def test_without_a_position_on_the_globe_there_is_still_an_answer(tmp_path: Path, crs: str | None) -> None:
    engine = FakeEngine()
    path = ships(tmp_path / "a.tif", crs=crs)
    (reply,) = ask([path], [COUNT], engine, tmp_path / "out.gpkg")
    assert reply.answers[0].answer == "5"
    assert {request.metres_per_pixel for request in engine.requests} == {None}
    assert len(gpd.read_file(tmp_path / "out.gpkg", layer="detections")) == 5


def test_an_image_without_georeference(tmp_path: Path) -> None:
    Image.fromarray(sea(SPOTS).transpose(1, 2, 0)).save(tmp_path / "a.png")
    answer = ask_one(str(tmp_path / "a.png"), COUNT)
    assert answer.answer == "5"
    assert not any("0000 is at " in line for line in answer.evidence)


_NEAR_CORNER = [(10, 10), (20, 12), (30, 8)]


@pytest.mark.parametrize(
    ("stored", "to_upright"),
    [
        (lambda image: image[::-1], Affine(1, 0, 0, 0, -1, 96)),
        (lambda image: np.rot90(image), Affine(0, -1, 128, 1, 0, 0)),
        (lambda image: image[:, ::-1], Affine(-1, 0, 128, 0, 1, 0)),
    ],
    ids=["south up", "turned", "mirrored"],
)
def test_directions_are_those_of_the_map(
    tmp_path: Path, stored: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], to_upright: Affine
) -> None:
    """Files that show the same ground have the same answer, and detections stay on the ground."""
    pixels = np.ascontiguousarray(stored(sea(_NEAR_CORNER).transpose(1, 2, 0)).transpose(2, 0, 1))
    transform = NORTH_UP @ to_upright
    path = write_raster(tmp_path / "a.tif", pixels, "red green blue", photometric="RGB", transform=transform)
    engine = FakeEngine(image_size=64)
    ((answer,),) = (reply.answers for reply in ask([path], [WHERE], engine, tmp_path / "a.gpkg", 128))
    assert answer.answer == "upper left"
    (column, row) = re.findall(r"column (\d+), row (\d+) of the scene", "".join(answer.evidence))[0]
    assert pixels[:, int(row), int(column)].min() == pixels.max(), "evidence is in pixels of the file"
    points = gpd.read_file(tmp_path / "a.gpkg", layer="detections").geometry
    assert sorted((point.x, point.y) for point in points) == [NORTH_UP @ (x + 0.5, y + 0.5) for x, y in _NEAR_CORNER]
    first, *others = bright_spots(engine.requests[0].image)
    assert [(x - first[0], y - first[1]) for x, y in others] == [(10, 2), (20, -2)], "the engine sees it with north up"


def test_directions_in_a_tilted_scene_are_those_of_its_bounding_box(tmp_path: Path) -> None:
    """Columns run 40 degrees south of east, so the middle of the left edge lies in the north-west."""
    path = write_raster(
        tmp_path / "a.tif", sea([(10, 50)]), "red green blue", photometric="RGB", transform=rotated(-40)
    )
    assert ask_one(path, WHERE).answer == "upper left"


def test_directions_in_a_photo_are_as_viewers_show_it(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = np.ascontiguousarray(np.rot90(sea(_NEAR_CORNER).transpose(1, 2, 0)))
    Image.fromarray(photo).save(tmp_path / "a.png", exif=exif)
    assert ask_one(str(tmp_path / "a.png"), WHERE).answer == "upper left"
