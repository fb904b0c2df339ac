from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import Result

from rsmoe_core.data.base import Question, read_image
from rsmoe_core.data.colourise import is_grey
from rsmoe_core.data.formats.registry import format_names, read_dataset
from tests.cli.prepare.test_ports import BANDS, write_port
from tests.tiny import write_karpathy

Cli = Callable[..., Result]


def test_ports_reports_how_many_images_it_cut(rsmoe: Cli, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_port(tmp_path / "scenes", name)
    options = ("--leave-out", "a", "--leave-out", "c", "--seed", 3)
    result = rsmoe("data", "ports", "scenes", "-o", "ports", *options)
    assert result.exit_code == 0
    assert result.stdout == ""
    samples = read_dataset(tmp_path / "ports").samples
    assert result.stderr.strip() == f"{len(samples)} images in ports"
    assert {(s.group, s.split) for s in samples} == {("a", "val"), ("b", "train"), ("c", "val")}


def test_prepare_converts_any_format_and_reports_what_is_left_out(rsmoe: Cli, tmp_path: Path) -> None:
    root = write_karpathy(tmp_path / "images")
    path = root / "dataset_small.json"
    content = json.loads(path.read_text())
    content["images"] += content["images"][:12]
    path.write_text(json.dumps(content))
    result = rsmoe("data", "prepare", "karpathy", "images", "-o", "plain")
    assert result.exit_code == 0
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 12
    assert lines[0].startswith("left out: images/dataset_small.json: entry 40: pond_1.jpg is a duplicate")
    assert lines[10:] == ["left out: 2 more", "40 images in plain"]
    assert read_dataset(tmp_path / "plain").problems == ()


def _write_trees(folder: Path) -> None:
    folder.mkdir()
    (folder / "a.jpg").touch()
    (folder / "objects.json").write_text('[{"image": "a.jpg", "label": "tree", "points": [[3, 4], [5, 6]]}]')


def test_prepare_reads_scene_classes_from_a_table(rsmoe: Cli, tmp_path: Path) -> None:
    _write_trees(tmp_path / "trees")
    (tmp_path / "classes.csv").write_text("image,scene_class,split\na.jpg,park,test\nb.jpg,park,test\n")
    result = rsmoe("data", "prepare", "boxes", "trees", "--scene-classes", "classes.csv", "-o", "plain")
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "left out: classes.csv:3: no image 'b.jpg' in trees",
        "1 images in plain",
    ]
    (sample,) = read_dataset(tmp_path / "plain").samples
    assert (sample.scene_class, sample.split) == ("park", "test")
    assert "a park with several trees ." in sample.captions


def test_prepare_colours_grey_images(rsmoe: Cli, tmp_path: Path) -> None:
    for name in ("grey", "coloured"):
        write_karpathy(tmp_path / name)
    for image in (tmp_path / "grey").rglob("*.jpg"):
        Image.open(image).convert("L").save(image)
    result = rsmoe("data", "prepare", "karpathy", "grey", "--colours", "coloured", "--seed", 3, "-o", "plain")
    assert (result.exit_code, result.stderr) == (0, "40 images in plain\n")
    coloured = [sample for sample in read_dataset(tmp_path / "plain").samples if not is_grey(read_image(sample.image))]
    assert {sample.scene_class for sample in coloured} >= {
        "pond",
        "river",
        "forest",
    }  # the airports to take colours from are grey


def test_errors_are_one_line(rsmoe: Cli, tmp_path: Path) -> None:
    write_port(tmp_path / "bandless", "a", bands=BANDS[:3])
    write_port(tmp_path / "scenes", "a")
    (tmp_path / "empty").mkdir()
    _write_trees(tmp_path / "trees")
    for code, arguments in [
        (1, ("ports", "empty", "-o", "ports")),
        (1, ("ports", "bandless", "-o", "ports")),
        (1, ("ports", "scenes", "-o", "bandless")),
        (2, ("ports", "scenes", "-o", "ports", "--leave-out", "b")),
        (1, ("ports", "scenes", "-o", "ports", "--land-cover", "nowhere.json")),
        (1, ("prepare", "boxes", "empty", "-o", "ports")),
        (1, ("prepare", "boxes", "nowhere", "-o", "ports")),
        (2, ("prepare", "coco", "empty", "-o", "ports")),
        (2, ("prepare", "ports", "scenes", "-o", "ports")),
        (2, ("prepare", "boxes", "empty", "-o", "ports", "--seed", "0")),
        (2, ("prepare", "karpathy", "empty", "-o", "ports", "--scene-classes", "classes.csv")),
        (1, ("prepare", "boxes", "trees", "-o", "ports", "--colours", "nowhere")),
        (1, ("prepare", "boxes", "trees", "-o", "ports", "--scene-classes", "nowhere.csv")),
    ]:
        result = rsmoe("data", *arguments)
        assert result.exit_code == code
        assert result.stdout == ""
        assert result.stderr.startswith("error: ")
        assert len(result.stderr.splitlines()) == 1
        assert not (tmp_path / "ports").exists()


def test_help_and_messages_list_the_formats(rsmoe: Cli) -> None:
    assert "prepare" in rsmoe("data", "--help").stdout
    assert rsmoe("data", "ports", "scenes").exit_code == 2
    message = rsmoe("data", "prepare", "ports", "scenes", "-o", "out").stderr.strip()
    assert message.startswith("error: no format 'ports'; choose from: plain, ")
    assert message.endswith("for scenes of ports use rsmoe data ports")
    shown = rsmoe("data", "prepare", "--help").stdout
    assert all(name in shown for name in format_names())


@pytest.fixture
def plain_folder(tmp_path: Path) -> Path:
    """Forty images with captions, one of them with a question too, and a broken line."""
    root = write_karpathy(tmp_path / "images")
    rows = [
        {"image": f"{entry['filepath']}/{entry['filename']}", "split": entry["split"], "captions": ["a road ."]}
        for entry in json.loads((root / "dataset_small.json").read_text())["images"]
    ]
    rows[0] |= {"questions": [{"text": "is it a pond?", "answer": "yes", "type": "presence"}], "scene_class": "pond"}
    (root / "annotations.jsonl").write_text("\n".join([*map(json.dumps, rows), "{"]))
    return root


def test_inspect_prints_counts_samples_and_problems(rsmoe: Cli, plain_folder: Path) -> None:
    result = rsmoe("data", "inspect", "images")
    assert result.exit_code == 0
    assert result.stderr == ""
    words = result.stdout.split()
    assert words[:2] == ["images:", "plain"]
    for row in (["train", "36", "36", "1"], ["test", "4", "4", "0"]):
        assert row in [[word for word in line.split() if word != "│"] for line in result.stdout.splitlines()]
    for text in (
        "sides: 64 to 64 px",
        "questions: presence 1",
        "train: train/pond_1.jpg (pond)\n    a road .\n    presence: is it a pond? yes",
        "problems: 1",
        "problem: images/annotations.jsonl:41: ",
    ):
        assert text in result.stdout


def test_inspect_prints_one_json_object(rsmoe: Cli, plain_folder: Path) -> None:
    result = rsmoe("data", "inspect", "images", "--json", "--samples", "2")
    assert result.exit_code == 0
    content = json.loads(result.stdout)
    assert (content["folder"], content["format"], content["sides"]) == ("images", "plain", [64, 64])
    assert content["splits"]["test"] == {"images": 4, "captions": 4, "questions": 0}
    assert [row["split"] for row in content["samples"]] == ["train", "train", "test", "test"]
    assert content["samples"][0]["questions"] == [{"text": "is it a pond?", "answer": "yes", "type": "presence"}]
    assert len(content["problems"]) == 1


def test_a_folder_without_data_cannot_be_inspected(rsmoe: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "nowhere"):
        result = rsmoe("data", "inspect", folder)
        assert result.exit_code == 1
        assert len(result.stderr.splitlines()) == 1


def test_the_real_questions_survive_preparing(rsmoe: Cli, shared: Path, tmp_path: Path) -> None:
    source = shared / "data" / "ucm"
    if not source.is_dir():
        pytest.skip("the UC Merced images are absent")
    result = rsmoe("data", "prepare", "ucm", source, "-o", "plain")
    assert result.exit_code == 0
    before, after = (read_dataset(folder) for folder in (source, tmp_path / "plain"))
    assert [(s.questions, s.captions, s.synthetic, s.scene_class, s.group, s.split) for s in after.samples] == [
        (s.questions, s.captions, s.synthetic, s.scene_class, s.group, s.split) for s in before.samples
    ]
    assert Question("how many trees in the picture?", "one", "count") in after.samples[0].questions
    assert len(after.samples) == 1890, "also those without questions"
