import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsmoe_core.errors import ModelError
from rsmoe_core.model.tokenizer import FILE_NAME, Tokenizer
from tests.core.conftest import SENTENCES

CODEC = Tokenizer.train(SENTENCES, 400, ("theme", "objects"))


@pytest.mark.parametrize("text", SENTENCES)
def test_a_sentence_comes_back(text):
    assert CODEC.decode(CODEC.encode(text)) == text


@given(st.text(alphabet=st.characters(max_codepoint=0x24F, categories=["Ll", "Nd"]), max_size=20))
def test_any_letters_can_be_encoded_and_come_back(text):
    import unicodedata

    expected = unicodedata.normalize("NFKC", text).lower()
    assert CODEC.decode(CODEC.encode(text)) == expected.strip()


def test_parts_survive_being_joined():
    parts = {"theme": "a pond", "objects": "many trees"}
    ids = [*CODEC.encode(CODEC.join_parts(parts)), CODEC.eos, *CODEC.encode("never read")]
    assert CODEC.split_parts(ids) == parts


def test_parts_that_are_missing_or_empty_are_left_out():
    assert CODEC.split_parts(CODEC.encode("<objects> many trees <theme>")) == {"objects": "many trees"}
    assert CODEC.split_parts(CODEC.encode("no mark at all")) == {}


def test_a_prompt_is_framed_by_marks():
    ids = CODEC.prompt_ids("many trees")
    assert (ids[0], ids[-1]) == (CODEC.bos, CODEC.sep)
    assert CODEC.decode(ids) == "many trees"


def test_saved_vocabulary_is_the_same(tmp_path):
    CODEC.save(tmp_path)
    again = Tokenizer.load(tmp_path, ("theme", "objects"))
    assert again.encode(SENTENCES[0]) == CODEC.encode(SENTENCES[0])
    assert len(again) == len(CODEC)


def test_a_missing_or_foreign_vocabulary_is_refused(tmp_path):
    with pytest.raises(ModelError, match="missing"):
        Tokenizer.load(tmp_path, ("theme",))
    CODEC.save(tmp_path)
    with pytest.raises(ModelError, match="<colour>"):
        Tokenizer.load(tmp_path, ("colour",))
    (tmp_path / FILE_NAME).write_text("{")
    with pytest.raises(ModelError, match="damaged"):
        Tokenizer.load(tmp_path, ("theme",))
