"""patches_BPD → VisionTokens: the VLM encoder, an instruction-aware Q-Former (Dai et al. 2023, arXiv 2305.06500).

The parameters of `encoder` have the names and the meaning that they have in transformers' InstructBlipQFormerModel, so
weights can be exchanged with it. It is written out here because importing transformers takes longer than describing a
small scene.

Shapes: B images, P patches, D patch features, T instruction tokens, Q queries, S = Q + T, H hidden features, N heads.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rsmoe_core.config import ModelConfig, QFormerConfig

_EPSILON = 1e-12
_INIT_STD = 0.02
"""Standard deviation of weights before training."""


class QFormer(nn.Module):
    """Learned queries attend to patches and instruction, and become the language model's vision tokens."""

    def __init__(self, config: ModelConfig, patches: int) -> None:
        """`patches` is the number of patches that the image encoder makes of one image."""
        super().__init__()
        vision, qformer, language = config.vision, config.qformer, config.language
        self.norm = nn.LayerNorm(vision.feature_size)
        self.positions = nn.Parameter(torch.zeros(1, patches, vision.feature_size))
        self.queries = nn.Parameter(torch.empty(1, qformer.queries, qformer.hidden_size).normal_(std=_INIT_STD))
        self.encoder = _Encoder(qformer, vision.feature_size, language.vocab_size, language.max_length)
        self.project = nn.Linear(qformer.hidden_size, language.hidden_size)

    def forward(self, patches_BPD: Tensor, instruction_BT: Tensor, instruction_mask_BT: Tensor) -> Tensor:
        """Patches and instruction ids (mask 1 = real token) → VisionTokens tokens_BQH."""
        queries_BQH = self.queries.expand(len(patches_BPD), -1, -1)
        mask_BS = F.pad(instruction_mask_BT.bool(), (queries_BQH.shape[1], 0), value=True)
        encoded_BQH = self.encoder(queries_BQH, instruction_BT, mask_BS, self.norm(patches_BPD) + self.positions)
        return self.project(encoded_BQH)


class _Encoder(nn.Module):
    """Queries, instruction and patches → the queries after all layers."""

    def __init__(self, config: QFormerConfig, patch_features: int, vocab_size: int, max_length: int) -> None:
        super().__init__()
        self.embeddings = nn.ModuleDict(
            {
                "word_embeddings": nn.Embedding(vocab_size, config.hidden_size),
                "position_embeddings": nn.Embedding(max_length, config.hidden_size),
                "layernorm": nn.LayerNorm(config.hidden_size, _EPSILON),
            }
        )
        self.dropout = nn.Dropout(config.dropout)
        layers = [_Layer(config, patch_features, number) for number in range(config.layers)]
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(layers)})
        self.apply(_init_weights)

    def forward(self, queries_BQH: Tensor, instruction_BT: Tensor, mask_BS: Tensor, patches_BPD: Tensor) -> Tensor:
        positions_T = torch.arange(instruction_BT.shape[1], device=instruction_BT.device)
        words_BTH = self.embeddings["word_embeddings"](instruction_BT) + self.embeddings["position_embeddings"](
            positions_T
        )
        x_BSH = self.dropout(self.embeddings["layernorm"](torch.cat([queries_BQH, words_BTH], dim=1)))
        for layer in self.encoder["layer"].children():
            x_BSH = layer(x_BSH, mask_BS[:, None, None], patches_BPD, queries_BQH.shape[1])
        return x_BSH[:, : queries_BQH.shape[1]]


class _Layer(nn.Module):
    """Self-attention of queries and instruction, cross-attention from queries to patches, one feed-forward for each."""

    def __init__(self, config: QFormerConfig, patch_features: int, number: int) -> None:
        super().__init__()
        self.attention = _Attention(config, config.hidden_size)
        self.has_cross_attention = number % config.cross_attention_every == 0
        if self.has_cross_attention:
            self.crossattention = _Attention(config, patch_features)
        self.intermediate = _up_projection(config)
        self.output = _ResidualProjection(config.intermediate_size, config)
        self.intermediate_query = _up_projection(config)
        self.output_query = _ResidualProjection(config.intermediate_size, config)

    def forward(self, x_BSH: Tensor, mask_B11S: Tensor, patches_BPD: Tensor, queries: int) -> Tensor:
        x_BSH = self.attention(x_BSH, x_BSH, mask_B11S)
        x_BQH, x_BTH = x_BSH[:, :queries], x_BSH[:, queries:]
        if self.has_cross_attention:
            x_BQH = self.crossattention(x_BQH, patches_BPD, None)
        x_BQH = self.output_query(F.gelu(self.intermediate_query["dense"](x_BQH)), x_BQH)
        x_BTH = self.output(F.gelu(self.intermediate["dense"](x_BTH)), x_BTH)
        return torch.cat([x_BQH, x_BTH], dim=1)


class _Attention(nn.Module):
    """Attention with its residual connection and norm; keys and values may have another size than the queries."""

    def __init__(self, config: QFormerConfig, context_features: int) -> None:
        super().__init__()
        self.heads = config.heads
        sizes = {"query": config.hidden_size, "key": context_features, "value": context_features}
        self.attention = nn.ModuleDict({name: nn.Linear(size, config.hidden_size) for name, size in sizes.items()})
        self.output = _ResidualProjection(config.hidden_size, config)

    def forward(self, x_BSH: Tensor, context_BPD: Tensor, mask_B11P: Tensor | None) -> Tensor:
        sources = {"query": x_BSH, "key": context_BPD, "value": context_BPD}
        q, k, v = (
            self.attention[name](source).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for name, source in sources.items()
        )
        attended_BNSH = F.scaled_dot_product_attention(q, k, v, attn_mask=mask_B11P)
        return self.output(attended_BNSH.transpose(1, 2).flatten(2), x_BSH)


class _ResidualProjection(nn.Module):
    """Projects to the hidden size, adds the residual, and normalises (post-norm)."""

    def __init__(self, size: int, config: QFormerConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(size, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, _EPSILON)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        return self.LayerNorm(self.dropout(self.dense(x)) + residual)


def _up_projection(config: QFormerConfig) -> nn.ModuleDict:
    """The first layer of a feed-forward block."""
    return nn.ModuleDict({"dense": nn.Linear(config.hidden_size, config.intermediate_size)})


def _init_weights(module: nn.Module) -> None:
    """Small random weights, zero biases."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=_INIT_STD)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
