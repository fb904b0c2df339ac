from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from shapely.geometry import Point
from typer.testing import Result

from rsmoe_core.checkpoint.catalogue import fingerprint
from rsmoe_core.checkpoint.load import save_model
from rsmoe_core.data.formats.registry import read_dataset
from tests.cli.prepare.test_chips import on_ground, write_columns, write_layer, write_scene
from tests.tiny import make_tiny

Cli = Callable[..., Result]

QUICK = ("--epochs", "1", "--views", "1", "--precision", "fp32")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save_model(make_tiny(), tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def labelled(tmp_path: Path) -> tuple[str, ...]:
    """Options that name a scene with a dozen labelled features, one of them without a text."""
    scene = write_scene(tmp_path / "scene.tif")
    points = {on_ground(Point(8 * n, 7 * n)): f"a {('red', 'green', 'blue')[n % 3]} field ." for n in range(12)}
    layer = write_layer(tmp_path / "labels.gpkg", {**points, on_ground(Point(50, 50)): None})
    return "--scene", scene, "--labels", str(layer), "--column", "caption"


def test_a_data_folder_makes_a_model_that_captions(rsmoe: Cli, model: Path, karpathy_folder: Path) -> None:
    command = ("finetune", model, "--data", karpathy_folder, "-o", "mine", *QUICK)
    result = rsmoe(*command)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert "phase experts: trains theme, objects, relations: " in result.stderr
    assert "phase fusion: trains fusion: " in result.stderr
    assert result.stderr.splitlines()[-1] == "the model is in mine"
    assert (Path("mine-work") / "fusion" / "log.jsonl").is_file()
    revision = fingerprint(Path("mine"))
    assert revision != fingerprint(model)
    result = rsmoe("caption", write_scene(Path("scene.tif")), "-o", "captions.geojson", "--model", "mine")
    assert result.exit_code == 0, result.stderr

    assert rsmoe(*command).exit_code == 0, "finished phases are not trained again"
    assert fingerprint(Path("mine")) == revision
    result = rsmoe(*command, "--seed", "1")
    assert result.exit_code == 1
    assert "started with other seed" in result.stderr


def test_a_labelled_scene_is_enough(rsmoe: Cli, model: Path, labelled: tuple[str, ...]) -> None:
    result = rsmoe("finetune", model, *labelled, "-o", "mine", *QUICK)
    assert result.exit_code == 0, result.stderr
    bands, left_out, cut, *_ = result.stderr.splitlines()
    assert bands == "bands 1,2,3 (the file's colour interpretation)"
    assert left_out == "left out: feature 13: no text in caption"
    assert cut.startswith("12 images cut from ")
    assert {path.name for path in Path().iterdir()} == {"labels.gpkg", "mine", "mine-work", "model", "scene.tif"}

    assert rsmoe("finetune", model, *labelled, "-o", "other", "--chips", "chips", *QUICK).exit_code == 0
    assert len(read_dataset(Path("chips")).samples) == 12
    assert fingerprint(Path("other")) == fingerprint(Path("mine"))
    assert rsmoe("finetune", model, "--data", "chips", "-o", "other", *QUICK).exit_code == 0


def test_answers_in_a_column_are_learned(rsmoe: Cli, model: Path) -> None:
    points = [(8 * n, 7 * n) for n in range(12)]
    layer = write_columns(Path("fields.gpkg"), points, red=[n % 3 == 0 for n in range(12)])
    asked = ("--scene", write_scene(Path("scene.tif")), "--labels", layer, "--answers", "red")
    asked += ("--question", "are there fields?", "--chips", "chips")
    result = rsmoe("finetune", model, *asked, "-o", "mine", *QUICK)
    assert result.exit_code == 0, result.stderr
    assert "phase experts: " in result.stderr
    assert "phase fusion: " not in result.stderr, "there is no caption to learn"
    questions = [question for sample in read_dataset(Path("chips")).samples for question in sample.questions]
    assert [question.answer for question in questions].count("yes") == 4
    assert {question.text for question in questions} == {"are there fields?"}
    assert fingerprint(Path("mine")) != fingerprint(model)


def test_contradictory_options_are_refused_in_one_line(
    rsmoe: Cli, model: Path, labelled: tuple[str, ...], karpathy_folder: Path
) -> None:
    save_model(make_tiny(experts=False), Path("stage1"))
    Path("mine").mkdir()
    data = ("--data", karpathy_folder)
    for code, message, arguments in [
        (2, "give --data, or --scene", (model, "-o", "new")),
        (2, "belong together", (model, "-o", "new", *labelled[:4])),
        (2, "belong together", (model, "-o", "new", *data, *labelled[2:])),
        (2, "give both", (model, "-o", "new", *labelled, "--answers", "caption")),
        (2, "give both", (model, "-o", "new", *labelled, "--question", "is it red?")),
        (2, "no column 'colour'", (model, "-o", "new", *labelled, "--answers", "colour", "--question", "is it red?")),
        (2, "learn from it with --data", (model, "-o", "new", *labelled, "--chips", "mine")),
        (2, "no column 'name'", (model, "-o", "new", *labelled[:5], "name")),
        (2, "no model 'nowhere'", ("nowhere", "-o", "new", *data)),
        (1, "exists already", (model, "-o", "mine", *data)),
        (1, "train stage 2", ("stage1", "-o", "new", *data)),
        (1, "no such folder", (model, "-o", "new", "--data", "nothing")),
    ]:
        result = rsmoe("finetune", *arguments)
        assert result.exit_code == code, arguments
        assert message in result.stderr.splitlines()[-1]
        assert result.stderr.splitlines()[-1].startswith("error: ")
        assert not Path("new").exists()


def test_no_temporary_folder_is_needed(
    rsmoe: Cli, model: Path, labelled: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_is_writable() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_get_default_tempdir", none_is_writable)
    result = rsmoe("finetune", model, *labelled, "-o", "mine", *QUICK)
    assert result.exit_code == 0, result.stderr
    shutil.rmtree("mine")
    result = rsmoe("finetune", model, *labelled, "-o", "mine", *QUICK)
    assert result.exit_code == 0, "the images of an earlier run are replaced"
    assert len(read_dataset(Path("mine-work/chips")).samples) == 12

    result = rsmoe("finetune", model, *labelled[:5], "name", "-o", "other", *QUICK)
    assert "no column 'name'" in result.stderr
    assert not Path("other-work").exists()
