from __future__ import annotations

from rsmoe_core.backends.base import Turn
from rsmoe_core.backends.instructions import Instructions
from rsmoe_core.model.moe import split_parts
from rsmoe_core.roles import BASE, CAPTION_INSTRUCTION, DEFAULT_EXPERTS, FUSION, ROUTER, default_prompts
from rsmoe_core.types import Generation
from rsmoe_core.words.replies import YES_OR_NO

TOLD = Instructions(DEFAULT_EXPERTS, words=15)


def test_each_role_is_told_its_task_and_the_form_of_its_reply() -> None:
    router = TOLD.chat_text(Turn(0, ROUTER, CAPTION_INSTRUCTION))
    assert all(name in router for name in DEFAULT_EXPERTS)
    for name, prompt in default_prompts(DEFAULT_EXPERTS).items():
        text = TOLD.chat_text(Turn(0, name, prompt))
        assert prompt[1:] in text
        assert text.endswith(TOLD.form(Turn(0, name, prompt)).request)
    fusion = TOLD.chat_text(Turn(0, FUSION, CAPTION_INSTRUCTION, {"theme": "a port", "objects": ""}))
    assert "theme: a port" in fusion
    assert "objects:" not in fusion
    assert "at most 15 words" in fusion
    assert CAPTION_INSTRUCTION not in fusion


def test_the_users_own_words_reach_every_role() -> None:
    words = "Décrivez les dégâts aux bâtiments"
    for role in (ROUTER, FUSION, BASE):
        assert words in TOLD.chat_text(Turn(0, role, words))


def test_a_question_is_answered_in_its_own_form() -> None:
    turn = Turn(0, BASE, "are there ships?", form=YES_OR_NO)
    assert TOLD.chat_text(turn).endswith("Reply with yes or no only.")
    assert TOLD.generation(turn, Generation("Yes!", 0.5, 1)) == Generation("yes", 0.5, 1)


def test_the_routers_reply_becomes_marked_prompts() -> None:
    turn = Turn(0, ROUTER, CAPTION_INSTRUCTION)
    written = TOLD.generation(turn, Generation("theme: which port?\nrelations: where are the ships?")).text
    assert split_parts(written, DEFAULT_EXPERTS) == {"theme": "which port?", "relations": "where are the ships?"}


def test_a_malformed_reply_becomes_an_error_without_a_confidence() -> None:
    written = TOLD.generation(Turn(0, FUSION, ""), Generation("I'm sorry, I cannot see it.", 0.9, 8))
    assert (written.text, written.confidence, written.tokens) == ("", None, 8)
    assert "declined" in (written.error or "")


def test_an_error_of_the_request_is_passed_on() -> None:
    failed = Generation("", error="the server says 500", failed=True)
    assert TOLD.generation(Turn(0, FUSION, ""), failed) is failed


def test_captions_may_have_several_sentences() -> None:
    told = Instructions(DEFAULT_EXPERTS, words=30, sentences=True)
    text = "A port. Ships lie at the quay. Cranes stand beside it."
    assert told.generation(Turn(0, FUSION, ""), Generation(text)).text == text


def test_a_trained_role_is_prompted_as_in_training() -> None:
    turn = Turn(0, FUSION, CAPTION_INSTRUCTION, {"theme": "a port"})
    assert TOLD.trained_text(turn) == f"{CAPTION_INSTRUCTION} <theme> a port"
    assert TOLD.trained_text(Turn(0, "theme", "name it")) == "name it"
