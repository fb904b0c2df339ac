from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from rsmoe_core.model import lora
from rsmoe_core.model.language.generation import LanguageModel, write
from rsmoe_core.model.language.llama import answer_loss
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.roles import BASE
from rsmoe_core.training.examples import Row, pack
from tests.core.conftest import SENTENCES, make_tiny

QUERIES = 4
PROMPTS = ("describe the picture", "name", "name the kind of place , and then describe the picture", "describe")


def vision_tokens(model: RSMoE, images: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(images, QUERIES, model.config.language.hidden_size, generator=generator)


@pytest.fixture(scope="module")
def schooled() -> RSMoE:
    """A bare language model that has learned to answer each prompt with one of the sentences, and to stop."""
    model = make_tiny(experts=False)
    tokens = vision_tokens(model, 4)
    rows = pack(model.tokenizer, [[Row(None, p, s, 1.0)] for p, s in zip(PROMPTS, SENTENCES, strict=True)])
    optimiser = torch.optim.AdamW(model.language.parameters(), lr=0.01)
    for _ in range(60):
        optimiser.zero_grad()
        answer_loss(model.language, tokens, rows, dropout=0.0).backward()
        optimiser.step()
    return model.eval()


def with_random_experts(schooled: RSMoE) -> RSMoE:
    model = deepcopy(schooled)
    model.add_experts()
    torch.manual_seed(0)
    with torch.no_grad():
        for _, parameter in lora.parameters_of(model.language, model.roles):
            parameter.normal_(std=0.1)
    return model.eval()


def log_probabilities(
    language: LanguageModel, tokens_QH: Tensor, prompt: Sequence[int], answer: Sequence[int]
) -> Tensor:
    """Of each token of the answer, by one plain pass over vision tokens, prompt and answer."""
    ids = torch.tensor([[*prompt, *answer]])
    inputs = torch.cat([tokens_QH[None], language.get_input_embeddings()(ids)], dim=1)
    logits = language(inputs_embeds=inputs).logits[0].float()
    before = logits[-len(answer) - 1 : -1].log_softmax(dim=-1)
    return before.gather(1, torch.tensor(answer)[:, None])[:, 0]


ROWS = [
    [
        Row(None, PROMPTS[0], SENTENCES[0], 0.8),
        Row(None, PROMPTS[1], SENTENCES[1], 0.2),
        Row(None, PROMPTS[2], "trees", 0.5),
    ],
    [Row(None, PROMPTS[3], SENTENCES[3], 1.0)],
]


@torch.no_grad()
def test_packed_rows_are_read_as_if_each_stood_alone() -> None:
    model = make_tiny(experts=False)
    tokens = vision_tokens(model, 2)
    packed = answer_loss(model.language, tokens, pack(model.tokenizer, ROWS), dropout=0.0)
    losses = weights = 0.0
    for image, own in enumerate(ROWS):
        for row in own:
            answer = [*model.tokenizer.encode(row.answer), model.tokenizer.eos]
            found = log_probabilities(model.language, tokens[image], model.tokenizer.prompt_ids(row.prompt), answer)
            alone = answer_loss(model.language, tokens[image : image + 1], pack(model.tokenizer, [[row]]), dropout=0.0)
            assert alone.item() == pytest.approx(-found.mean().item(), abs=1e-5)
            losses += -found.sum().item() * row.weight
            weights += len(answer) * row.weight
    assert packed.item() == pytest.approx(losses / weights, abs=1e-5)


def test_packed_rows_teach_what_rows_alone_teach() -> None:
    model = make_tiny(experts=False)
    tokens = vision_tokens(model, 2)

    def gradient(rows: list[list[Row]], images: list[int]) -> Tensor:
        model.zero_grad()
        answer_loss(model.language, tokens[images], pack(model.tokenizer, rows), dropout=0.0).backward()
        return torch.cat([p.grad.flatten() for p in model.language.parameters()])

    together = gradient(ROWS, [0, 1])
    apart = gradient([[row] for own in ROWS for row in own], [0, 0, 0, 1])
    assert together.norm() > 0.1
    assert torch.allclose(together, apart, atol=1e-5)


def test_dropout_acts_in_training_only() -> None:
    model = make_tiny(experts=False)
    tokens, rows = vision_tokens(model, 2), pack(model.tokenizer, ROWS)
    plain = answer_loss(model.language, tokens, rows, dropout=0.0)
    assert torch.equal(answer_loss(model.language, tokens, rows, dropout=0.5), plain)
    model.language.train()
    assert not torch.equal(answer_loss(model.language, tokens, rows, dropout=0.5), plain)


def test_the_language_model_learns(schooled: RSMoE) -> None:
    written = write(schooled.language, schooled.tokenizer, vision_tokens(schooled, 4), PROMPTS, max_tokens=40)
    assert [schooled.tokenizer.decode(w.ids) for w in written] == list(SENTENCES)
    assert all(w.confidence > 0.5 for w in written)


@pytest.mark.parametrize("beams", [1, 2, 3])
@pytest.mark.parametrize("experts", [False, True])
def test_what_a_row_says_does_not_depend_on_the_rows_beside_it(schooled: RSMoE, beams: int, experts: bool) -> None:
    model = with_random_experts(schooled) if experts else schooled
    tokens = vision_tokens(model, 4, seed=1)
    roles = ["router", "objects", BASE, "fusion"] if experts else None

    def say(rows: list[int]) -> list[tuple[tuple[int, ...], float]]:
        chosen = [roles[row] for row in rows] if roles else None
        prompts = [PROMPTS[row] for row in rows]
        written = write(
            model.language, model.tokenizer, tokens[rows], prompts, max_tokens=12, beams=beams, roles=chosen
        )
        return [(w.ids, pytest.approx(w.confidence, rel=1e-4)) for w in written]

    alone = [say([row])[0] for row in range(4)]
    assert len({ids for ids, _ in alone}) == 4
    assert len({len(ids) for ids, _ in alone}) > 1, "some should stop earlier than others"
    assert say([0, 1, 2, 3]) == alone
    assert say([3, 1]) == [alone[3], alone[1]]


@pytest.mark.parametrize("beams", [1, 3])
def test_confidence_is_the_geometric_mean_of_the_probabilities(schooled: RSMoE, beams: int) -> None:
    language, tokenizer, tokens = schooled.language, schooled.tokenizer, vision_tokens(schooled, 4, seed=1)
    limit = 12
    written = write(language, tokenizer, tokens, PROMPTS, max_tokens=limit, beams=beams)
    lengths = [len(w.ids) for w in written]
    assert min(lengths) < limit, "one of them should stop by itself"
    with torch.no_grad():
        for said, prompt, tokens_QH in zip(written, PROMPTS, tokens, strict=True):
            answer = [*said.ids, tokenizer.eos][:limit]
            found = log_probabilities(language, tokens_QH, tokenizer.prompt_ids(prompt), answer)
            assert said.confidence == pytest.approx(math.exp(found.mean()), rel=1e-3)


def test_greedy_text_takes_the_likeliest_token_each_time(schooled: RSMoE) -> None:
    model, tokens = schooled, vision_tokens(schooled, 1, seed=1)
    (written,) = write(model.language, model.tokenizer, tokens, PROMPTS[:1], max_tokens=6)
    embed = model.language.get_input_embeddings()
    said: list[int] = []
    with torch.no_grad():
        for _ in range(6):
            ids = torch.tensor([[*model.tokenizer.prompt_ids(PROMPTS[0]), *said]])
            logits = model.language(inputs_embeds=torch.cat([tokens, embed(ids)], dim=1)).logits[0, -1]
            said.append(int(F.softmax(logits, dim=-1).argmax()))
    assert written.ids == tuple(said)
