from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

from rsmoe_core.data.base import Question, Sample, hashed_split
from rsmoe_core.data.formats import ucm


def _written(root: Path, *entries: dict) -> Path:
    """The annotation file of a set with these entries, whose images are empty files."""
    for entry in entries:
        (root / entry["image"]).touch()
    path = root / "annotations.json"
    path.write_text(json.dumps(entries))
    return path


def _entry(image: str, scene: str, **others: object) -> dict:
    return {"image": image, "scene": scene, "captions": [], "objects": [], "qa": [], **others}


def _splits_by_group(samples: Iterable[Sample]) -> dict[str | None, set[str]]:
    splits = defaultdict(set)
    for sample in samples:
        splits[sample.group].add(sample.split)
    return splits


def test_captions_and_questions_are_those_of_the_file(tmp_path: Path) -> None:
    qa = [["How many trees in the picture?", "Two"], ["What is the theme of this picture?", ""]]
    park = {"scene": "mobilehomepark", "captions": ["There are many homes .", " "], "objects": ["mobile-home"]}
    path = _written(
        tmp_path,
        _entry("11.webp", **park, qa=qa),
        _entry("12.webp", "moon", captions=["a crater ."]),
        _entry("13.webp", "river", captions="a river ."),
        _entry("14.webp", "river", qa=["?"]),
    )
    dataset = ucm.read(path)
    asked, unasked = dataset.samples
    assert asked.questions == (Question("how many trees in the picture?", "two", "count"),)
    assert (asked.captions, asked.synthetic) == (("there are many homes .",), False)
    assert (asked.scene_class, asked.group) == ("mobile home park", "ucm:mobile home park:1")
    assert asked.split == hashed_split("mobile home park:1")
    assert (unasked.scene_class, unasked.captions, unasked.questions) == ("moon", ("a crater .",), ())
    positions = [problem.split(": ")[1] for problem in dataset.problems]
    assert positions == ["entry 0", "entry 0, question 2", "entry 2", "entry 3"]


def test_classes_have_the_names_of_the_caption_sets(tmp_path: Path) -> None:
    assert ucm.read(_written(tmp_path, _entry("1.webp", "harbor"))).samples[0].scene_class == "port"


def test_only_an_image_without_captions_gets_templates(tmp_path: Path) -> None:
    bare = {"image": "2.webp", "scene": "river", "qa": []}
    for sample in ucm.read(_written(tmp_path, _entry("1.webp", "river"), bare)).samples:
        assert sample.synthetic
        assert sample.captions
        assert all("river" in caption for caption in sample.captions)


def test_a_class_without_captions_and_template_is_a_problem(tmp_path: Path) -> None:
    dataset = ucm.read(_written(tmp_path, _entry("1.webp", "moon")))
    assert "no template for the scene class 'moon'" in dataset.problems[0]


def test_ten_neighbours_stay_in_one_split(tmp_path: Path) -> None:
    numbered = [_entry(f"{n}.webp", "river" if n <= 200 else "beach") for n in range(1, 401)]
    samples = ucm.read(_written(tmp_path, *numbered)).samples
    assert {len({sample.group for sample in samples[n : n + 10]}) for n in range(0, 400, 10)} == {1}
    splits = _splits_by_group(samples)
    assert len(splits) == 40
    assert all(len(found) == 1 for found in splits.values())
    assert set.union(*splits.values()) == {"train", "val", "test"}


def test_an_image_without_a_number_is_a_group_of_its_own(tmp_path: Path) -> None:
    (sample,) = ucm.read(_written(tmp_path, _entry("a.webp", "river"))).samples
    assert (sample.group, sample.split) == ("ucm:a", hashed_split("a"))


@pytest.fixture(scope="module")
def samples(shared: Path) -> tuple[Sample, ...]:
    """The real set, which has to be read completely."""
    annotations = shared / "data" / "ucm" / "annotations.json"
    if not annotations.is_file():
        pytest.skip("the UC Merced data set is absent")
    dataset = ucm.read(annotations)
    assert dataset.problems == ()
    return dataset.samples


def test_the_real_set_is_read_completely(samples: tuple[Sample, ...]) -> None:
    assert len(samples) == 1890
    assert {(len(sample.captions), sample.synthetic) for sample in samples} == {(5, False)}
    types = Counter(question.type for sample in samples for question in sample.questions)
    assert types == {"presence": 1016, "theme": 508, "location": 508, "count": 354}


def test_the_real_set_is_split_by_tens_into_parts_of_most_classes(samples: tuple[Sample, ...]) -> None:
    splits = _splits_by_group(samples)
    assert len(splits) == 189
    assert all(len(found) == 1 for found in splits.values())
    assert Counter(sample.split for sample in samples) == {"train": 1480, "val": 200, "test": 210}
    classes = {split: len({s.scene_class for s in samples if s.split == split}) for split in ("train", "val", "test")}
    assert classes == {"train": 21, "val": 16, "test": 14}
