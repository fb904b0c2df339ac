from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rsmoe_core.model.language.decoder import Decoder, Generation
from rsmoe_core.model.language.generation import write
from rsmoe_core.model.language.llama import build_language_model
from rsmoe_core.model.rsmoe import RSMoE
from tests.core.conftest import make_tiny

QUERIES = 4
PROMPTS = ["describe the picture", "name", "name the kind of place , and then describe the picture", "describe", "name"]
LIMIT = 12


@pytest.fixture(scope="module")
def model() -> RSMoE:
    """Weights so large that what is said depends on everything before it."""
    model = make_tiny(experts=False)
    torch.manual_seed(3)
    model.language = build_language_model(model.config.language, model.tokenizer).eval()
    with torch.no_grad():
        for parameter in model.language.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def decoder(model: RSMoE) -> Decoder:
    return Decoder(model.config.language, model.language.state_dict())


def vision_tokens(model: RSMoE, rows: int) -> Tensor:
    return torch.randn(rows, QUERIES, model.config.language.hidden_size, generator=torch.Generator().manual_seed(1))


def asked(model: RSMoE, rows: list[int]) -> list[list[int]]:
    return [model.tokenizer.prompt_ids(PROMPTS[row]) for row in rows]


@torch.inference_mode()
def say(model: RSMoE, writer: Decoder, rows: list[int], limit: int = LIMIT, eos: int | None = None) -> list[Generation]:
    tokens = vision_tokens(model, len(PROMPTS))[rows]
    return writer.write(tokens, asked(model, rows), limit, model.tokenizer.eos if eos is None else eos)


def test_it_says_what_transformers_generates(model: RSMoE) -> None:
    tokens = vision_tokens(model, len(PROMPTS))
    expected = write(model.language, model.tokenizer, tokens, PROMPTS, max_tokens=LIMIT)
    found = say(model, decoder(model), [0, 1, 2, 3, 4])
    assert [w.ids for w in found] == [w.ids for w in expected]
    assert [w.confidence for w in found] == pytest.approx([w.confidence for w in expected], rel=1e-4)
    assert len({w.ids for w in found}) == len(PROMPTS)


def test_rows_end_by_themselves_and_leave_the_others_alone(model: RSMoE) -> None:
    alone = [say(model, decoder(model), [row])[0] for row in range(5)]
    # The third token of one row is declared to be the end.
    eos = alone[2].ids[2]
    ended = [say(model, decoder(model), [row], eos=eos)[0] for row in range(5)]
    assert ended[2].ids == alone[2].ids[:2]
    assert len({len(w.ids) for w in ended}) > 1
    assert [w.ids for w in say(model, decoder(model), [0, 1, 2, 3, 4], eos=eos)] == [w.ids for w in ended]
    assert [w.ids for w in say(model, decoder(model), [4, 2, 0], eos=eos)] == [ended[row].ids for row in (4, 2, 0)]


def test_the_work_is_what_the_texts_need(model: RSMoE) -> None:
    writer = decoder(model)
    say(model, writer, [0, 1, 2, 3, 4], eos=-1)  # which no token is
    read = sum(QUERIES + len(prompt) for prompt in asked(model, [0, 1, 2, 3, 4]))
    work = writer.work
    assert (work.rows, work.read) == (5, read), "each place is read once, and no padding"
    assert (work.steps, work.written) == (LIMIT - 1, 5 * (LIMIT - 1)), "the first token comes with reading"


def test_rows_that_have_ended_cost_nothing(model: RSMoE) -> None:
    eos = say(model, decoder(model), [2])[0].ids[0]
    writer = decoder(model)
    said = say(model, writer, [2, 2, 2, 0], eos=eos)
    assert [len(w.ids) for w in said[:3]] == [0, 0, 0]
    assert len(said[3].ids) > 1
    assert writer.work.written == len(said[3].ids) - (len(said[3].ids) == LIMIT)


def test_nobody_asked_nothing_said(model: RSMoE) -> None:
    assert decoder(model).write(vision_tokens(model, 0), [], LIMIT, model.tokenizer.eos) == []


def test_a_short_limit_is_kept(model: RSMoE) -> None:
    assert [len(w.ids) for w in say(model, decoder(model), [0, 1], limit=1)] == [1, 1]
