from __future__ import annotations

import json
from pathlib import Path

from rsmoe_core.data.base import Question
from rsmoe_core.data.formats import vrsbench


def _write(root: Path, split: str, name: str, content: str | dict) -> Path:
    for folder in (f"Annotations_{split}", f"Images_{split}"):
        (root / folder).mkdir(exist_ok=True)
    (root / f"Images_{split}" / f"{name}.png").touch()
    path = root / f"Annotations_{split}" / f"{name}.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_each_file_is_an_image_and_a_broken_one_is_listed(tmp_path: Path) -> None:
    pair = {"ques_id": 0, "question": "How many ships?", "type": "object quantity", "answer": "2"}
    entry = {"image": "05863_0000.png", "caption": "Two Ships.", "qa_pairs": [pair, pair]}
    good = _write(tmp_path, "train", "05863_0000", entry)
    broken = _write(tmp_path, "train", "05863_0001", "{")
    bare = _write(tmp_path, "val", "00001_0000", {"image": "00001_0000.png", "caption": "A ship."})
    _write(tmp_path, "val", "00002_0000", {"image": "00002_0000.png", "caption": "A ship.", "qa_pairs": []})
    found = vrsbench.find(tmp_path)
    assert found == tmp_path / "Annotations_train"
    dataset = vrsbench.read(found)
    first, second = dataset.samples
    assert (first.split, first.captions, first.group) == ("train", ("two ships.",), "05863")
    assert first.questions == (Question("how many ships?", "2", "count"),)
    assert (second.split, second.captions) == ("val", ("a ship.",))
    starts = [f"{good}, question 2: ", f"{broken}: ", f"{bare}: has no 'qa_pairs'"]
    assert [p.startswith(start) for p, start in zip(dataset.problems, starts, strict=True)] == [True] * 3
