from __future__ import annotations

import dataclasses

import torch

from rsmoe_core.model.qformer import QFormer
from rsmoe_core.model.vision.base import find_encoder
from rsmoe_core.presets import tiny

CONFIG = tiny()
PATCHES = find_encoder(CONFIG.vision).patches(CONFIG.vision)
IDS, MASK = torch.tensor([[1, 20, 21, 3], [1, 22, 3, 0]]), torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])


def qformer() -> QFormer:
    torch.manual_seed(0)
    return QFormer(CONFIG, PATCHES).eval()


def patches(images: int = 2) -> torch.Tensor:
    return torch.randn(images, PATCHES, CONFIG.vision.feature_size)


@torch.inference_mode()
def test_one_vision_token_for_each_query() -> None:
    tokens = qformer()(patches(), IDS, MASK)
    assert tokens.shape == (2, CONFIG.qformer.queries, CONFIG.language.hidden_size)


@torch.inference_mode()
def test_image_instruction_and_position_matter() -> None:
    model, patches_BPD = qformer(), patches()
    tokens = model(patches_BPD, IDS, MASK)
    assert not torch.allclose(tokens, model(patches(), IDS, MASK), atol=1e-5)
    assert torch.allclose(tokens, model(patches_BPD.flip(1), IDS, MASK), atol=1e-6), "no positions before training"
    torch.nn.init.normal_(model.positions)
    assert not torch.allclose(model(patches_BPD, IDS, MASK), model(patches_BPD.flip(1), IDS, MASK), atol=1e-5)
    other = IDS.clone()
    other[:, 1] = 30
    assert not torch.allclose(tokens, model(patches_BPD, other, MASK), atol=1e-5)


@torch.inference_mode()
def test_padding_and_the_rest_of_the_batch_do_not_matter() -> None:
    model, patches_BPD = qformer(), patches()
    together = model(patches_BPD, IDS, MASK)
    alone = model(patches_BPD[1:], IDS[1:, :3], MASK[1:, :3])
    assert torch.allclose(together[1:], alone, atol=1e-6)


@torch.inference_mode()
def test_it_is_the_q_former_of_instructblip() -> None:
    from transformers import InstructBlipQFormerConfig, InstructBlipQFormerModel

    ours = QFormer(dataclasses.replace(CONFIG, qformer=dataclasses.replace(CONFIG.qformer, layers=3)), PATCHES).eval()
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    theirs = InstructBlipQFormerModel(
        InstructBlipQFormerConfig(
            vocab_size=CONFIG.language.vocab_size,
            hidden_size=CONFIG.qformer.hidden_size,
            num_hidden_layers=3,
            num_attention_heads=CONFIG.qformer.heads,
            intermediate_size=CONFIG.qformer.intermediate_size,
            max_position_embeddings=CONFIG.language.max_length,
            cross_attention_frequency=CONFIG.qformer.cross_attention_every,
            encoder_hidden_size=CONFIG.vision.feature_size,
        )
    ).eval()
    theirs.load_state_dict(ours.encoder.state_dict())
    patches_BPD, queries = patches(), ours.queries.expand(2, -1, -1)
    expected = theirs(
        input_ids=IDS,
        attention_mask=torch.cat([MASK.new_ones(2, queries.shape[1]), MASK], dim=1),
        query_embeds=queries,
        encoder_hidden_states=ours.norm(patches_BPD) + ours.positions,
    ).last_hidden_state[:, : queries.shape[1]]
    assert torch.allclose(ours(patches_BPD, IDS, MASK), ours.project(expected), atol=1e-5)
