from __future__ import annotations

import importlib.util
import math
import shutil

import pytest

from rsmoe_core.errors import UsageError
from rsmoe_core.metrics.captions import check_metrics, score_captions

needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="the PTB tokenizer and METEOR need Java")

CANDIDATES = ["many trees", "a red car is on the road", "two planes"]
REFERENCES = [["many green trees"], ["a car is on a road", "the red car is parked"], ["some boats"]]


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)


@pytest.mark.usefixtures("no_java")
class TestWithoutJava:
    def test_a_perfect_caption_scores_one(self) -> None:
        texts = ["many green trees are around a pond .", "two white airplanes are in an airport ."]
        scores = score_captions(texts, [[text, "something else"] for text in texts])
        for metric in ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L"):
            assert scores.corpus[metric] == pytest.approx(1)
            assert scores.per_image[metric] == pytest.approx([1, 1])
        assert scores.tokenizer == "simple"

    def test_cider_of_a_perfect_caption_is_ten(self) -> None:
        texts = ["many green trees are around a pond", "two white airplanes stand in an airport"]
        assert score_captions(texts, [[text] for text in texts]).corpus["CIDEr"] == pytest.approx(10)

    def test_bleu_1_counts_words_up_to_their_number_in_a_reference(self) -> None:
        # Words that occur in a reference, at most as often as there: 2 of 2; all but none of 7; 0 of 2.
        # "a red car is on the road" finds a, red, car, is, on, the and road in one or the other reference.
        scores = score_captions(CANDIDATES, REFERENCES)
        # The references nearest in length have 3, 6 and 2 words, the captions 11, so there is no brevity penalty.
        assert scores.corpus["BLEU-1"] == pytest.approx((2 + 7 + 0) / (2 + 7 + 2))
        assert scores.per_image["BLEU-1"] == pytest.approx([math.exp(1 - 3 / 2), 1, 0], abs=1e-6)

    def test_bleu_1_does_not_reward_repetition(self) -> None:
        candidates = ["trees trees trees trees", "a road"]
        scores = score_captions(candidates, [["many trees are here"], ["a road"]])
        assert scores.per_image["BLEU-1"][0] == pytest.approx(1 / 4)

    def test_rouge_l_by_its_formula(self) -> None:
        # F with beta 1.2 of the best precision and the best recall of the longest common subsequence:
        # "many trees" 2 of 2 and 2 of 3; "a car is on road" 5 of 7 and 5 of 6; nothing.
        def f(precision: float, recall: float) -> float:
            return (1 + 1.2**2) * precision * recall / (recall + 1.2**2 * precision)

        expected = [f(2 / 2, 2 / 3), f(5 / 7, 5 / 6), 0]
        scores = score_captions(CANDIDATES, REFERENCES)
        assert scores.per_image["ROUGE-L"] == pytest.approx(expected)
        assert scores.corpus["ROUGE-L"] == pytest.approx(sum(expected) / 3)

    def test_case_and_punctuation_do_not_count(self) -> None:
        plain = score_captions(["a red car is near", "a road"], REFERENCES[:2])
        boxed = score_captions(["A red car, is near .", "A ROAD!"], REFERENCES[:2])
        assert boxed.corpus == plain.corpus

    def test_an_empty_caption_scores_nothing(self) -> None:
        scores = score_captions(["", "two planes"], [["many trees"], ["two planes"]])
        assert all(values[0] == 0 for values in scores.per_image.values())

    def test_meteor_is_left_out(self) -> None:
        assert set(score_captions(CANDIDATES, REFERENCES).corpus) == {
            *(f"BLEU-{n}" for n in range(1, 5)),
            "ROUGE-L",
            "CIDEr",
        }

    @pytest.mark.parametrize("options", [{"tokenizer": "ptb"}, {"meteor": True}])
    def test_what_needs_java_is_refused(self, options: dict) -> None:
        with pytest.raises(UsageError, match="need Java; install a Java runtime or use --tokenizer simple"):
            score_captions(CANDIDATES, REFERENCES, **options)


def test_an_unknown_tokenizer_is_refused() -> None:
    with pytest.raises(UsageError, match="no tokenizer 'words'; choose one of: simple, ptb"):
        check_metrics("words")


def test_missing_pycocoevalcap_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'rsmoe\[eval\]'") as refusal:
        score_captions(CANDIDATES, REFERENCES)
    assert len(str(refusal.value).splitlines()) == 1


@needs_java
def test_the_ptb_tokenizer_gives_the_same_words_for_captions_like_rsicds() -> None:
    candidates = ["many green trees are around a pond .", "a semi-surrounded park, beside two roads ."]
    references = [["some trees are near a pond ."], ["a park is beside a road .", "two roads cross ."]]
    simple, ptb = (score_captions(candidates, references, tokenizer, meteor=False) for tokenizer in ("simple", "ptb"))
    assert ptb.tokenizer == "ptb"
    assert ptb.corpus == pytest.approx(simple.corpus)


@needs_java
def test_meteor_where_java_exists() -> None:
    scores = score_captions(
        ["many green trees are around a pond", "sand"], [["many green trees are around a pond"], ["a road"]]
    )
    assert 0 < scores.corpus["METEOR"] < 1
    assert "METEOR" not in scores.per_image
