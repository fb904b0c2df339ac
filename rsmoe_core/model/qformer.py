"""patches_BPD → VisionTokens: the VLM encoder, an instruction-aware Q-Former (Dai et al. 2023, arXiv 2305.06500).

Shapes: B images, P patches, D patch features, T instruction tokens, Q queries, H features of the language model.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import InstructBlipQFormerConfig, InstructBlipQFormerModel

from rsmoe_core.config import ModelConfig


class QFormer(nn.Module):
    """Learned queries look at patches and instruction, and become the language model's vision tokens."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        vision, qformer, language = config.vision, config.qformer, config.language
        self.norm = nn.LayerNorm(vision.feature_size)
        self.positions = nn.Parameter(torch.zeros(1, vision.grid**2, vision.feature_size))
        self.queries = nn.Parameter(torch.randn(1, qformer.queries, qformer.hidden_size) * 0.02)
        self.encoder = InstructBlipQFormerModel(
            InstructBlipQFormerConfig(
                vocab_size=language.vocab_size,
                hidden_size=qformer.hidden_size,
                num_hidden_layers=qformer.layers,
                num_attention_heads=qformer.heads,
                intermediate_size=qformer.intermediate_size,
                hidden_dropout_prob=qformer.dropout,
                attention_probs_dropout_prob=0.0,
                max_position_embeddings=language.max_length,
                cross_attention_frequency=qformer.cross_attention_every,
                encoder_hidden_size=vision.feature_size,
            )
        )
        self.project = nn.Linear(qformer.hidden_size, language.hidden_size)

    def forward(self, patches_BPD: Tensor, instruction_BT: Tensor, instruction_mask_BT: Tensor) -> Tensor:
        """Patches and instruction ids (mask 1 = real token) → VisionTokens tokens_BQH."""
        queries_BQD = self.queries.expand(len(patches_BPD), -1, -1)
        query_mask_BQ = instruction_mask_BT.new_ones(queries_BQD.shape[:2])
        encoded = self.encoder(
            input_ids=instruction_BT,
            attention_mask=torch.cat([query_mask_BQ, instruction_mask_BT], dim=1),
            query_embeds=queries_BQD,
            encoder_hidden_states=self.norm(patches_BPD) + self.positions,
        )
        return self.project(encoded.last_hidden_state[:, : queries_BQD.shape[1]])
