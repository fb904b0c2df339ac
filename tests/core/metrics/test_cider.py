from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_core.metrics.cider import PictureCider

REFERENCES = [
    ["many green trees are near a pond .", "a pond is among green trees .", "there is a pond ."],
    ["some white airplanes are parked in an airport .", "airplanes in an airport ."],
    ["a river is between two roads .", "a river is between two roads ."],
]
words = st.sampled_from(["a", "pond", "is", "near", "two", "green", "trees", "and", "many", "roads", "."])
captions = st.lists(words, min_size=1, max_size=12).map(" ".join)


@given(said=st.tuples(captions, captions, captions))
@settings(max_examples=50, deadline=None)
def test_it_is_the_figure_of_pycocoevalcap(said: tuple[str, str, str]) -> None:
    scorer = pytest.importorskip("pycocoevalcap.cider.cider_scorer").CiderScorer()
    for caption, references in zip(said, REFERENCES, strict=True):
        scorer += (caption, references)
    _, expected = scorer.compute_score()
    reward = PictureCider(REFERENCES)
    assert [reward(picture, caption) for picture, caption in enumerate(said)] == pytest.approx(expected.tolist())


def test_the_own_sentence_is_worth_more_than_any_other_pictures() -> None:
    reward = PictureCider(REFERENCES)
    for picture, references in enumerate(REFERENCES):
        scores = [reward(other, references[0]) for other in range(len(REFERENCES))]
        assert max(range(len(scores)), key=scores.__getitem__) == picture
        assert reward(picture, "") == 0
