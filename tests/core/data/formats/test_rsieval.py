from __future__ import annotations

import json
from pathlib import Path

from rsmoe_core.data.base import Question
from rsmoe_core.data.formats import rsieval


def test_captions_and_typed_questions_are_in_the_split_test(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "P0003_0002.png").touch()
    pairs = [
        {"question": "Is there a road?", "answer": "Yes.", "type": "presence"},
        {"question": "How many planes?", "answer": "There are seven planes.", "type": "quantity"},
        {"question": "", "answer": "", "type": "color"},
        {"question": "What is it?", "type": "scene"},
    ]
    entry = {"filename": "P0003_0002.png", "caption": "A Road.", "qa_pairs": pairs}
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps({"annotations": [entry, {"filename": "P0003_0002.png", "caption": "A road."}]}))
    dataset = rsieval.read(path)
    (sample,) = dataset.samples
    assert (sample.captions, sample.split, sample.group) == (("a road.",), "test", "P0003")
    assert sample.questions == (
        Question("is there a road?", "yes.", "presence"),
        Question("how many planes?", "there are seven planes.", "count"),
    )
    assert dataset.problems == (
        f"{path}: entry 0, question 3: the question is empty",
        f"{path}: entry 0, question 4: the answer is not a text: None",
        f"{path}: entry 1: has no 'qa_pairs'",
    )
