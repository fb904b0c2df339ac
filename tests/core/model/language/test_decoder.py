from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from rsmoe_core.model.language.decoder import DecodedSequence, Decoder
from rsmoe_core.model.language.llama import TransformersDecoders, build_language_model
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.roles import BASE
from tests.tiny import make_tiny

QUERIES = 4
PROMPTS = ["describe the picture", "name", "name the kind of place , and then describe the picture", "describe", "name"]
LIMIT = 12


@pytest.fixture(scope="module")
def model() -> RSMoE:
    """Weights so large that each token depends on everything before it."""
    model = make_tiny(experts=False)
    torch.manual_seed(3)
    model.language = build_language_model(model.config.language, model.tokenizer).eval()
    with torch.no_grad():
        for parameter in model.language.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def make_decoder(model: RSMoE) -> Decoder:
    return Decoder(model.config.language, model.language.state_dict())


def vision_tokens(model: RSMoE, rows: int) -> Tensor:
    return torch.randn(rows, QUERIES, model.config.language.hidden_size, generator=torch.Generator().manual_seed(1))


def prompt_ids(model: RSMoE, rows: Sequence[int]) -> list[list[int]]:
    return [model.tokenizer.prompt_ids(PROMPTS[row]) for row in rows]


@torch.inference_mode()
def decode(
    model: RSMoE, decoder: Decoder, rows: Sequence[int], limit: int = LIMIT, eos: int | None = None
) -> list[DecodedSequence]:
    tokens = vision_tokens(model, len(PROMPTS))[list(rows)]
    return decoder.generate(tokens, prompt_ids(model, rows), limit, model.tokenizer.eos if eos is None else eos)


def test_it_decodes_what_transformers_generates(model: RSMoE) -> None:
    tokens, eos = vision_tokens(model, len(PROMPTS)), model.tokenizer.eos
    transformers = TransformersDecoders({BASE: model.language}, model.tokenizer.pad)
    expected = transformers.generate(tokens, prompt_ids(model, range(5)), [BASE] * 5, LIMIT, eos)
    decoded = decode(model, make_decoder(model), range(5))
    assert [sequence.ids for sequence in decoded] == [sequence.ids for sequence in expected]
    assert [s.confidence for s in decoded] == pytest.approx([s.confidence for s in expected], rel=1e-4)
    assert len({sequence.ids for sequence in decoded}) == len(PROMPTS)


def test_sequences_end_by_themselves_and_leave_the_others_alone(model: RSMoE) -> None:
    alone = [decode(model, make_decoder(model), [row])[0] for row in range(5)]
    # The third token of one sequence is declared to be the end.
    eos = alone[2].ids[2]
    ended = [decode(model, make_decoder(model), [row], eos=eos)[0] for row in range(5)]
    assert ended[2].ids == alone[2].ids[:2]
    assert len({len(sequence.ids) for sequence in ended}) > 1
    together = decode(model, make_decoder(model), range(5), eos=eos)
    assert [sequence.ids for sequence in together] == [sequence.ids for sequence in ended]
    assert [s.confidence for s in together] == pytest.approx([s.confidence for s in ended], rel=1e-4)
    some = decode(model, make_decoder(model), [4, 2, 0], eos=eos)
    assert [sequence.ids for sequence in some] == [ended[row].ids for row in (4, 2, 0)]


def test_nothing_is_computed_that_the_sequences_do_not_need(model: RSMoE) -> None:
    decoder = make_decoder(model)
    decode(model, decoder, range(5), eos=-1)  # which no token is
    positions = sum(QUERIES + len(prompt) for prompt in prompt_ids(model, range(5)))
    counts = decoder.counts
    assert (counts.sequences, counts.prefilled) == (5, positions), "each position is prefilled once, and no padding"
    assert (counts.steps, counts.decoded) == (LIMIT - 1, 5 * (LIMIT - 1)), "the first token comes with the prefill"


def test_finished_sequences_cost_nothing(model: RSMoE) -> None:
    eos = decode(model, make_decoder(model), [2])[0].ids[0]
    decoder = make_decoder(model)
    decoded = decode(model, decoder, [2, 2, 2, 0], eos=eos)
    assert [len(sequence.ids) for sequence in decoded[:3]] == [0, 0, 0]
    assert len(decoded[3].ids) > 1
    assert decoder.counts.decoded == len(decoded[3].ids) - (len(decoded[3].ids) == LIMIT)


def test_no_prompt_gives_no_sequence(model: RSMoE) -> None:
    assert make_decoder(model).generate(vision_tokens(model, 0), [], LIMIT, model.tokenizer.eos) == []


def test_sequences_keep_to_a_short_limit(model: RSMoE) -> None:
    assert [len(sequence.ids) for sequence in decode(model, make_decoder(model), [0, 1], limit=1)] == [1, 1]
