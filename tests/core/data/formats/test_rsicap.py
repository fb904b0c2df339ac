from __future__ import annotations

import json
from pathlib import Path

from rsmoe_core.data.base import hashed_split
from rsmoe_core.data.formats import rsicap


def test_captions_are_read_and_one_dota_image_is_in_one_split(tmp_path: Path) -> None:
    names = [f"P{image:04d}_{part:04d}.png" for image in range(30) for part in range(2)]
    (tmp_path / "images").mkdir()
    for name in names:
        (tmp_path / "images" / name).touch()
    listed = [
        {"image_id": str(n), "filename": name, "text_input": "Describe it.", "text_output": "This image\nshows a Road."}
        for n, name in enumerate(names)
    ]
    path = tmp_path / "captions.json"
    path.write_text(json.dumps({"annotations": [*listed, {"filename": names[0]}, listed[0] | {"text_output": ""}]}))
    dataset = rsicap.read(path)
    assert [sample.image.name for sample in dataset.samples] == names
    assert {sample.captions for sample in dataset.samples} == {("this image shows a road.",)}
    for first, second in zip(dataset.samples[::2], dataset.samples[1::2], strict=True):
        assert first.group == second.group == first.image.name[:5]
        assert first.split == second.split == hashed_split(first.image.name[:5])
    assert {sample.split for sample in dataset.samples} == {"train", "val", "test"}
    assert [problem.split(": ")[1] for problem in dataset.problems] == ["entry 60", "entry 61"]
