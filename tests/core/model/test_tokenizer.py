from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsmoe_core.errors import ModelError
from rsmoe_core.model.moe import join_parts, marker, split_parts
from rsmoe_core.model.tokenizer import FILE_NAME, Tokenizer
from tests.tiny import SENTENCES

EXPERTS = ("theme", "objects")
TOKENIZER = Tokenizer.train(SENTENCES, 400, EXPERTS)
MARKERS = {TOKENIZER.encode(marker(name))[-1]: name for name in EXPERTS}
ORDINARY = sorted({token for text in SENTENCES for token in TOKENIZER.encode(text)})
SPECIAL = [TOKENIZER.pad, TOKENIZER.bos, TOKENIZER.sep, TOKENIZER.eos]


@pytest.mark.parametrize("text", SENTENCES)
def test_a_sentence_is_decoded_as_it_was_encoded(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@given(st.text(alphabet=st.characters(max_codepoint=0x24F, categories=["Ll", "Nd"]), max_size=20))
def test_any_letters_can_be_encoded(text: str) -> None:
    normalised = unicodedata.normalize("NFKC", text).lower()
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == normalised.strip()


def test_a_marker_is_one_token() -> None:
    ids = TOKENIZER.encode("<theme> a pond <objects> many trees")
    assert [MARKERS[token] for token in ids if token in MARKERS] == ["theme", "objects"]
    assert TOKENIZER.decode(ids) == "a pond  many trees"


def test_markers_are_kept_on_demand_and_other_special_tokens_never() -> None:
    parts = {"theme": "a pond", "objects": "many trees"}
    text = join_parts(parts, EXPERTS)
    ids = [TOKENIZER.bos, TOKENIZER.pad, *TOKENIZER.encode(text), TOKENIZER.sep, TOKENIZER.eos, *ORDINARY]
    assert split_parts(TOKENIZER.decode(ids, keep_markers=True), EXPERTS) == parts
    assert "<" not in TOKENIZER.decode(ids)


def split_ids(ids: list[int]) -> dict[str, str]:
    """Parts by expert, split where the ids of markers are."""
    ids = ids[: ids.index(TOKENIZER.eos)] if TOKENIZER.eos in ids else ids
    parts: dict[str, list[int]] = {}
    part: list[int] = []
    for token in ids:
        if token in MARKERS:
            part = parts.setdefault(MARKERS[token], [])
        else:
            part.append(token)
    texts = {name: TOKENIZER.decode(own) for name, own in parts.items()}
    return {name: text for name, text in texts.items() if text}


@given(st.lists(st.one_of(st.sampled_from(list(MARKERS)), st.sampled_from(ORDINARY), st.sampled_from(SPECIAL))))
def test_a_decoded_text_is_split_where_its_ids_are(ids: list[int]) -> None:
    assert split_parts(TOKENIZER.decode(ids, keep_markers=True), EXPERTS) == split_ids(ids)


def test_a_prompt_is_framed_by_special_tokens() -> None:
    ids = TOKENIZER.prompt_ids("many trees")
    assert (ids[0], ids[-1]) == (TOKENIZER.bos, TOKENIZER.sep)
    assert TOKENIZER.decode(ids) == "many trees"


def test_a_saved_vocabulary_is_the_same(tmp_path: Path) -> None:
    TOKENIZER.save(tmp_path)
    again = Tokenizer.load(tmp_path, EXPERTS)
    assert again.encode(SENTENCES[0]) == TOKENIZER.encode(SENTENCES[0])
    assert len(again) == len(TOKENIZER)


def test_a_missing_or_foreign_vocabulary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="missing"):
        Tokenizer.load(tmp_path, ("theme",))
    TOKENIZER.save(tmp_path)
    with pytest.raises(ModelError, match="<colour>"):
        Tokenizer.load(tmp_path, ("colour",))
    (tmp_path / FILE_NAME).write_text("{")
    with pytest.raises(ModelError, match="damaged"):
        Tokenizer.load(tmp_path, ("theme",))
