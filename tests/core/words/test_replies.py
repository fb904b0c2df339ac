from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rsmoe_core.words import replies
from rsmoe_core.words.replies import (
    ANSWER,
    ITEMS,
    PHRASE,
    WHOLE_NUMBER,
    YES_OR_NO,
    ReplyForm,
    _word_ends,
    clean,
    sentence,
    shorten,
)

PROMPTS = replies.prompts_for({"theme": "the scene class", "objects": "the objects"})


@pytest.mark.parametrize(
    ("form", "raw", "text"),
    [
        (PHRASE, " A container port.<|im_end|>", "A container port"),
        (PHRASE, "**Answer:** a port\nBecause there are cranes.", "a port"),
        (PHRASE, '{"text": "a port"}', "a port"),
        (ITEMS, "Sure! Here is the list:\n1. two ships\n2. a quay\n3. two ships.", "two ships, a quay"),
        (ITEMS, '```json\n["two ships", "a quay"]\n```', "two ships, a quay"),
        (ITEMS, "- two ships; a quay", "two ships, a quay"),
        (ITEMS, "None.", ""),
        (YES_OR_NO, "Yes, there are several.", "yes"),
        (YES_OR_NO, '{"answer": false}', "no"),
        (YES_OR_NO, "<think>ships are white</think>\nNo", "no"),
        (WHOLE_NUMBER, "There are 1,204 ships.", "1204"),
        (WHOLE_NUMBER, "twelve", "12"),
        (WHOLE_NUMBER, "There are no ships", "0"),
        (WHOLE_NUMBER, '{"count": 3}', "3"),
        (ANSWER, "在中间", "在中间"),
        (sentence(20), '"Ships lie at a quay."', "Ships lie at a quay."),
        (sentence(20), "a port a port a port a port a port", "a port"),
    ],
)
def test_a_reply_is_repaired(form: ReplyForm, raw: str, text: str) -> None:
    reply = form.check(raw)
    assert reply.error is None
    assert reply.text == text


@pytest.mark.parametrize(
    ("form", "raw", "error"),
    [
        (PHRASE, "  <|endoftext|> ", "wrote nothing"),
        (PHRASE, "...", "not a phrase"),
        (sentence(20), "I'm sorry, but I can't help with that.", "the model declined: \"I'm sorry"),
        (YES_OR_NO, "It is unclear.", 'not yes or no: "It is unclear."'),
        (WHOLE_NUMBER, "between 3 and 5", "not a whole number"),
        (WHOLE_NUMBER, "many", "not a whole number"),
        (PROMPTS, "I will look at it.", "not a prompt for an expert"),
    ],
)
def test_a_reply_that_says_something_else_is_refused(form: ReplyForm, raw: str, error: str) -> None:
    reply = form.check(raw)
    assert reply.text == ""
    assert reply.error is not None
    assert error in reply.error


@pytest.mark.parametrize(
    "raw",
    [
        '{"theme": "which port?", "objects": "count the ships", "other": "x"}',
        "theme: which port?\nobjects: count the ships",
        "- **Theme**: which port?\n- **Objects**: count the ships\n",
    ],
)
def test_the_routers_prompts_are_read_in_every_form(raw: str) -> None:
    assert json.loads(PROMPTS.check(raw).text) == {"theme": "which port?", "objects": "count the ships"}


def test_whole_sentences_are_kept_where_they_fit() -> None:
    assert shorten("Ships lie here. A quay is near. Cranes stand on it.", 7) == "Ships lie here. A quay is near."


def test_a_long_sentence_ends_at_a_clause_and_never_at_a_small_word() -> None:
    assert shorten("A port with many ships, and a long quay beside the wide road", 9) == "A port with many ships."
    assert (
        shorten("there is a large white building in the middle of the field", 8) == "there is a large white building."
    )


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("图像显示一个港口。码头旁停着几艘船。右侧有道路。", 10, "图像显示一个港口。码头旁停着几艘船。"),
        ("港口里停着许多白色的船只，码头旁边有起重机和宽阔的道路", 10, "港口里停着许多白色的船只。"),
        ("大きな港に多くの船が停泊しています", 4, "大きな港に多くの。"),
        ("图中有12艘船和3座 building", 20, "图中有12艘船和3座 building"),
        ("توجد سفن كثيرة في الميناء، وبجانبها رصيف طويل جدا", 6, "توجد سفن كثيرة في الميناء."),
        ("هل هذا ميناء؟ نعم توجد سفن كثيرة.", 4, "هل هذا ميناء؟"),
        ("ท่าเรือขนาดใหญ่", 20, "ท่าเรือขนาดใหญ่"),
    ],
)
def test_other_scripts_are_bounded_as_well(text: str, words: int, expected: str) -> None:
    assert shorten(text, words) == expected


@pytest.mark.parametrize(
    ("form", "raw", "text"),
    [
        (sentence(20), "图像显示一个港口，码头旁停着几艘船。", "图像显示一个港口，码头旁停着几艘船。"),
        (sentence(20), "一个港口一个港口一个港口一个港口", "一个港口"),
        (PHRASE, "集装箱港口。", "集装箱港口"),
        (ITEMS, "两艘船、一个码头，起重机。", "两艘船, 一个码头, 起重机"),
        (ITEMS, "سفينتان، رصيف", "سفينتان, رصيف"),
        (ANSWER, "Où est le port ?", "Où est le port ?"),
    ],
)
def test_replies_in_other_languages_pass(form: ReplyForm, raw: str, text: str) -> None:
    assert form.check(raw).text == text


_SCRIPTS = {
    "Chinese": "图像显示一个港口码头旁停着几艘船",
    "Japanese": "大きな港に多くの船が停泊しています",
    "Arabic": "توجد سفن كثيرة في الميناء",
    "Hindi": "बंदरगाह में कई जहाज हैं",
    "Thai": "ท่าเรือมีเรือหลายลำ",
    "Greek": "Πλοία στο λιμάνι",
}


@example("؟ท؟ท؟ท؟")
@given(st.sampled_from(sorted(_SCRIPTS)).flatmap(lambda name: st.text(_SCRIPTS[name] + " ,。，、.؟", max_size=150)))
def test_no_script_is_harmed(text: str) -> None:
    text = " ".join(text.split())
    assert shorten(text, 150) == text
    short = shorten(text, 6)
    assert len(_word_ends(short)) <= 6
    kept = short.rstrip("。.")
    assert text.startswith(kept)  # nothing but an end is added, and nothing within is changed


@given(st.text(max_size=200), st.integers(1, 30))
def test_a_text_never_has_more_words_than_allowed(text: str, words: int) -> None:
    assert len(shorten(text, words).split()) <= max(words, 1)


@given(st.text(max_size=300))
def test_every_reply_is_either_a_text_or_an_error(raw: str) -> None:
    for form in (PHRASE, YES_OR_NO, WHOLE_NUMBER, sentence(12), PROMPTS):
        reply = form.check(raw)
        assert bool(reply.text) != (reply.error is not None)
        assert "\n" not in (reply.error or "")
    assert clean(clean(raw)) == clean(clean(clean(raw)))
