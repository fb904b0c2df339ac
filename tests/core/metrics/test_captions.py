from __future__ import annotations

import importlib.util
import math
import shutil
import sys
from pathlib import Path

import pytest

from rsmoe_core.errors import UsageError
from rsmoe_core.metrics import captions as caption_metrics
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
    again = score_captions(["sand"], [["sand"]]).corpus["METEOR"], score_captions(["a"], [["sand"]]).corpus["METEOR"]
    assert again[0] > 0 == again[1], "the program serves one set of captions after another"


# Called as SPICE's program is: a caption is as good as its words are in the first reference.
JAVA = f"""#!{sys.executable}
import json, sys
inputs, outputs = sys.argv[4], sys.argv[sys.argv.index("-out") + 1]
share = lambda row: sum(word in row["refs"][0].split() for word in row["test"].split()) / len(row["test"].split())
rows = [{{"image_id": row["image_id"], "scores": {{"All": {{"f": share(row)}}}}}} for row in json.load(open(inputs))]
print("chatter")
json.dump(rows[::-1], open(outputs, "w"))
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for CoreNLP beside a program that stands in for Java."""
    monkeypatch.setattr(caption_metrics, "_folder", lambda: tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    java(tmp_path, JAVA)
    (tmp_path / "lib").mkdir()
    return tmp_path / "lib"


def java(folder: Path, program: str) -> None:
    (folder / "java").write_text(program)
    (folder / "java").chmod(0o755)


def test_a_missing_parser_is_an_error(library: Path) -> None:
    with pytest.raises(UsageError, match=r"SPICE needs stanford-corenlp-3\.6\.0\.jar; put it into .*--spice"):
        check_metrics("simple", spice=True)
    (library / "stanford-corenlp-3.6.0.jar").touch()
    with pytest.raises(UsageError, match=r"needs stanford-corenlp-3\.6\.0-models\.jar"):
        caption_metrics.check_spice()


def test_scores_are_in_the_order_of_the_captions(library: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar"):
        (library / name).touch()
    caption_metrics.check_spice()
    scores = score_captions(["a pond", "a road"], [["a pond ."], ["many trees", "a road"]], meteor=False, spice=True)
    assert scores.per_image["SPICE"].tolist() == [1, 0]
    assert scores.corpus["SPICE"] == 0.5
    assert capfd.readouterr().out == "", "the output of the program is not printed"
    assert "SPICE" not in score_captions(["a pond", "a road"], [["a pond ."], ["trees"]], meteor=False).corpus


def test_a_failing_program_is_an_error_of_one_line(library: Path) -> None:
    java(library.parent, f"#!{sys.executable}\nraise SystemExit('Could not reserve enough space\\nError: no VM')")
    with pytest.raises(UsageError, match=r"\(Could not reserve enough space\); leave out --spice"):
        caption_metrics.spice_of_each([["a pond"]], ["a pond"])


@pytest.mark.usefixtures("no_java")
def test_it_needs_java() -> None:
    with pytest.raises(UsageError, match="SPICE needs Java"):
        caption_metrics.check_spice()
