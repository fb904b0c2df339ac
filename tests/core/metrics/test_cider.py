from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_core.metrics.cider import ImageCider

REFERENCES = [
    ["many green trees are near a pond .", "a pond is among green trees .", "there is a pond ."],
    ["some white airplanes are parked in an airport .", "airplanes in an airport ."],
    ["a river is between two roads .", "a river is between two roads ."],
]
words = st.sampled_from(["a", "pond", "is", "near", "two", "green", "trees", "and", "many", "roads", "."])
captions = st.lists(words, min_size=1, max_size=12).map(" ".join)


@given(candidates=st.tuples(captions, captions, captions))
@settings(max_examples=50, deadline=None)
def test_it_equals_pycocoevalcap(candidates: tuple[str, str, str]) -> None:
    scorer = pytest.importorskip("pycocoevalcap.cider.cider_scorer").CiderScorer()
    for caption, references in zip(candidates, REFERENCES, strict=True):
        scorer += (caption, references)
    _, expected = scorer.compute_score()
    cider = ImageCider(REFERENCES)
    assert [cider(image, caption) for image, caption in enumerate(candidates)] == pytest.approx(expected.tolist())


def test_a_reference_scores_highest_for_its_own_image() -> None:
    cider = ImageCider(REFERENCES)
    for image, references in enumerate(REFERENCES):
        scores = [cider(other, references[0]) for other in range(len(REFERENCES))]
        assert max(range(len(scores)), key=scores.__getitem__) == image
        assert cider(image, "") == 0
