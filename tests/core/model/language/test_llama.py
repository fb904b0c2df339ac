from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from rsmoe_core.model import lora
from rsmoe_core.model.language.decoder import DecodedSequence
from rsmoe_core.model.language.llama import TransformersDecoders, answer_loss
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.roles import BASE
from rsmoe_core.training.examples import TrainingExample, pack
from tests.tiny import SENTENCES, language_models, make_tiny

QUERIES = 4
PROMPTS = ("describe the picture", "name", "name the kind of place , and then describe the picture", "describe")


def vision_tokens(model: RSMoE, images: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(images, QUERIES, model.config.language.hidden_size, generator=generator)


def example(prompt: str, answer: str, weight: float = 1.0) -> TrainingExample:
    return TrainingExample(BASE, prompt, answer, weight)


EXAMPLES = [
    [example(PROMPTS[0], SENTENCES[0], 0.8), example(PROMPTS[1], SENTENCES[1], 0.2), example(PROMPTS[2], "trees", 0.5)],
    [example(PROMPTS[3], SENTENCES[3])],
]
"""Of two images."""


@pytest.fixture(scope="module")
def trained() -> RSMoE:
    """A stage-1 model that has learned to answer each prompt with one of the sentences, and to stop."""
    model = make_tiny(experts=False)
    tokens = vision_tokens(model, 4)
    rows = pack(model.tokenizer, [[example(p, s)] for p, s in zip(PROMPTS, SENTENCES, strict=True)])
    optimiser = torch.optim.AdamW(model.language.parameters(), lr=0.01)
    for _ in range(60):
        optimiser.zero_grad()
        answer_loss(model.language, tokens, rows, dropout=0.0).backward()
        optimiser.step()
    return model.eval()


@pytest.fixture(scope="module")
def with_experts(trained: RSMoE) -> RSMoE:
    """The same language model with random adapters."""
    model = deepcopy(trained)
    model.add_experts()
    torch.manual_seed(0)
    with torch.no_grad():
        for _, parameter in lora.parameters_of(model.language, model.roles):
            parameter.normal_(std=0.1)
    return model.eval()


def generate(
    model: RSMoE, decoders: TransformersDecoders, rows: Sequence[int], roles: Sequence[str], limit: int, seed: int = 1
) -> list[DecodedSequence]:
    prompts = [model.tokenizer.prompt_ids(PROMPTS[row]) for row in rows]
    return decoders.generate(
        vision_tokens(model, 4, seed)[list(rows)], prompts, [roles[row] for row in rows], limit, model.tokenizer.eos
    )


def transformers_decoders(model: RSMoE) -> TransformersDecoders:
    return TransformersDecoders(language_models(model), model.tokenizer.pad)


def log_probabilities(language: Any, tokens_QH: Tensor, prompt: Sequence[int], answer: Sequence[int]) -> Tensor:
    """Of each token of the answer, by one plain pass over vision tokens, prompt and answer."""
    ids = torch.tensor([[*prompt, *answer]])
    inputs = torch.cat([tokens_QH[None], language.get_input_embeddings()(ids)], dim=1)
    logits = language(inputs_embeds=inputs).logits[0].float()
    before = logits[-len(answer) - 1 : -1].log_softmax(dim=-1)
    return before.gather(1, torch.tensor(answer)[:, None])[:, 0]


@torch.no_grad()
def test_packed_rows_are_read_as_if_each_stood_alone(tiny_stage_1: RSMoE) -> None:
    model, tokens = tiny_stage_1, vision_tokens(tiny_stage_1, 2)
    packed = answer_loss(model.language, tokens, pack(model.tokenizer, EXAMPLES), dropout=0.0)
    losses = weights = 0.0
    for image, of_image in enumerate(EXAMPLES):
        for one in of_image:
            answer = [*model.tokenizer.encode(one.answer), model.tokenizer.eos]
            found = log_probabilities(model.language, tokens[image], model.tokenizer.prompt_ids(one.prompt), answer)
            alone = answer_loss(model.language, tokens[image : image + 1], pack(model.tokenizer, [[one]]), dropout=0.0)
            assert alone.item() == pytest.approx(-found.mean().item(), abs=1e-5)
            losses += -found.sum().item() * one.weight
            weights += len(answer) * one.weight
    assert packed.item() == pytest.approx(losses / weights, abs=1e-5)


def test_packed_rows_have_the_gradient_of_the_same_rows_alone() -> None:
    model = make_tiny(experts=False)
    tokens = vision_tokens(model, 2)

    def gradient(examples: list[list[TrainingExample]], images: list[int]) -> Tensor:
        model.zero_grad()
        answer_loss(model.language, tokens[images], pack(model.tokenizer, examples), dropout=0.0).backward()
        return torch.cat([p.grad.flatten() for p in model.language.parameters()])

    together = gradient(EXAMPLES, [0, 1])
    apart = gradient([[one] for of_image in EXAMPLES for one in of_image], [0, 0, 0, 1])
    assert together.norm() > 0.1
    assert torch.allclose(together, apart, atol=1e-5)


def test_dropout_acts_in_training_only() -> None:
    model = make_tiny(experts=False)
    tokens, rows = vision_tokens(model, 2), pack(model.tokenizer, EXAMPLES)
    without = answer_loss(model.language, tokens, rows, dropout=0.0)
    assert torch.equal(answer_loss(model.language, tokens, rows, dropout=0.5), without)
    model.language.train()
    assert not torch.equal(answer_loss(model.language, tokens, rows, dropout=0.5), without)


def test_the_language_model_learns(trained: RSMoE) -> None:
    generated = generate(trained, transformers_decoders(trained), range(4), [BASE] * 4, limit=40, seed=0)
    assert [trained.tokenizer.decode(sequence.ids) for sequence in generated] == list(SENTENCES)
    assert all(sequence.confidence > 0.5 for sequence in generated)


@pytest.mark.parametrize("roles", [[BASE] * 4, ["router", "objects", BASE, "fusion"]], ids=["stage 1", "experts"])
def test_a_text_does_not_depend_on_the_other_rows(trained: RSMoE, with_experts: RSMoE, roles: list[str]) -> None:
    model = trained if set(roles) == {BASE} else with_experts
    decoders = transformers_decoders(model)

    def generated(rows: list[int]) -> list[tuple[tuple[int, ...], float]]:
        sequences = generate(model, decoders, rows, roles, limit=12)
        return [(sequence.ids, pytest.approx(sequence.confidence, rel=1e-4)) for sequence in sequences]

    alone = [generated([row])[0] for row in range(4)]
    assert len({ids for ids, _ in alone}) == 4
    assert len({len(ids) for ids, _ in alone}) > 1, "some should stop earlier than others"
    assert generated([0, 1, 2, 3]) == alone
    assert generated([3, 1]) == [alone[3], alone[1]]


def test_confidence_is_the_geometric_mean_of_the_probabilities(trained: RSMoE) -> None:
    tokenizer, limit = trained.tokenizer, 12
    generated = generate(trained, transformers_decoders(trained), range(4), [BASE] * 4, limit)
    assert min(len(sequence.ids) for sequence in generated) < limit, "one of them should stop by itself"
    with torch.no_grad():
        for sequence, prompt, tokens_QH in zip(generated, PROMPTS, vision_tokens(trained, 4, seed=1), strict=True):
            answer = [*sequence.ids, tokenizer.eos][:limit]
            found = log_probabilities(trained.language, tokens_QH, tokenizer.prompt_ids(prompt), answer)
            assert sequence.confidence == pytest.approx(math.exp(found.mean()), rel=1e-3)


def test_each_token_is_the_most_likely_one(trained: RSMoE) -> None:
    (generated,) = generate(trained, transformers_decoders(trained), [0], [BASE], limit=6)
    embed, tokens = trained.language.get_input_embeddings(), vision_tokens(trained, 4, seed=1)[:1]
    chosen: list[int] = []
    with torch.no_grad():
        for _ in range(6):
            ids = torch.tensor([[*trained.tokenizer.prompt_ids(PROMPTS[0]), *chosen]])
            logits = trained.language(inputs_embeds=torch.cat([tokens, embed(ids)], dim=1)).logits[0, -1]
            chosen.append(int(F.softmax(logits, dim=-1).argmax()))
    assert generated.ids == tuple(chosen)
