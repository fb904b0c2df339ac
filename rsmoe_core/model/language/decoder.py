"""Vision tokens + prompts → token ids, greedily, many sequences at once: the language model for inference.

It gives the tokens that `generate` of transformers gives, with a fraction of the work around it: prompts of equal
length are prefilled together without padding, the last layer computes only the last position, and a finished sequence
leaves the batch.

    prompts by length ─prefill─▶ key-value cache ─decode step─▶ one token for every sequence ─▶ DecodedSequence

Shapes: R sequences (rows of the batch), Q vision tokens, L positions, H features, N heads, D features of a head, V
tokens of the vocabulary.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rsmoe_core.config import LanguageConfig

_EPSILON, _ROTARY_BASE = 1e-6, 10_000.0
"""The defaults of transformers' LlamaConfig."""
_PREFILL_ROWS = 16
"""Prompts that are prefilled at once: enough for full speed, few enough to stay in the processor's cache."""
_COMPACTION_SHARE = 0.75
"""Finished sequences are dropped from the cache when at most this share of its sequences is unfinished."""


@dataclass(frozen=True)
class DecodedSequence:
    """The tokens that were decoded for one prompt."""

    ids: tuple[int, ...]
    """Token ids, `<eos>` left out."""
    confidence: float
    """Geometric mean of the probabilities of its tokens, `<eos>` included, 0-1."""


@dataclass
class DecodingCounts:
    """Counts of what was computed; they depend on the requests alone, not on the machine."""

    sequences: int = 0
    """Sequences that were started."""
    prefilled: int = 0
    """Positions of vision tokens and prompts that were prefilled."""
    steps: int = 0
    """Decode steps, each of one batch."""
    decoded: int = 0
    """Tokens that were decoded, including those of finished sequences that were still in the batch."""
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    def add(self, sequences: int = 0, prefilled: int = 0, steps: int = 0, decoded: int = 0) -> None:
        """Count more, from any thread."""
        with self._lock:
            self.sequences += sequences
            self.prefilled += prefilled
            self.steps += steps
            self.decoded += decoded


class Decoder(nn.Module):
    """A Llama-type decoder with frozen weights."""

    cos_LD: Tensor
    sin_LD: Tensor

    def __init__(self, config: LanguageConfig, state: Mapping[str, Tensor]) -> None:
        """`state` has the names of transformers' LlamaForCausalLM; tensors that it shares with others stay shared."""
        super().__init__()
        self.heads = config.heads
        self.embedding = _frozen(state["model.embed_tokens.weight"])
        self.norm = _frozen(state["model.norm.weight"])
        self.layers: Any = nn.ModuleList(
            _DecoderLayer(state, f"model.layers.{number}.") for number in range(config.layers)
        )
        cos, sin = _rotary_tables(config.max_length, config.hidden_size // config.heads)
        self.register_buffer("cos_LD", cos, persistent=False)
        self.register_buffer("sin_LD", sin, persistent=False)
        self.counts = DecodingCounts()

    def generate(
        self, tokens_RQH: Tensor, prompts: Sequence[Sequence[int]], max_tokens: int, eos: int
    ) -> list[DecodedSequence]:
        """Decode at most `max_tokens` for each prompt (token ids), given the vision tokens of its image.

        A sequence does not depend on the others in the batch.
        """
        if not prompts:
            return []
        cache, logits_RV = self._fill(tokens_RQH, prompts, max_tokens)
        sequences = [_Sequence() for _ in prompts]
        active = list(sequences)
        for step in range(max_tokens):
            ids_R, log_probs_R = _greedy(logits_RV)
            for sequence, token, log_prob in zip(active, ids_R.tolist(), log_probs_R.tolist(), strict=True):
                sequence.append(token, log_prob, eos)
            unfinished = [row for row, sequence in enumerate(active) if not sequence.finished]
            if not unfinished or step == max_tokens - 1:
                break
            if len(unfinished) <= _COMPACTION_SHARE * len(active):
                cache, ids_R = cache.select(unfinished), ids_R[unfinished]
                active = [active[row] for row in unfinished]
            logits_RV = self._step(cache, ids_R)
        return [sequence.decoded() for sequence in sequences]

    def _fill(self, tokens_RQH: Tensor, prompts: Sequence[Sequence[int]], max_tokens: int) -> tuple[_Cache, Tensor]:
        """The cache after prefill, and the logits of the first token of each sequence."""
        cache = _Cache.empty(self, [tokens_RQH.shape[1] + len(prompt) for prompt in prompts], room=max_tokens)
        logits_RV = tokens_RQH.new_empty(len(prompts), len(self.embedding))
        for rows in _rows_of_equal_length(prompts):
            ids = torch.tensor([prompts[row] for row in rows], device=tokens_RQH.device)
            logits_RV[rows] = self._prefill(torch.cat([tokens_RQH[rows], self.embedding[ids]], dim=1), cache, rows)
        self.counts.add(sequences=len(prompts), prefilled=sum(cache.lengths))
        return cache, logits_RV

    def _prefill(self, x_RLH: Tensor, cache: _Cache, rows: Sequence[int]) -> Tensor:
        """Prefill sequences of equal length; their keys and values go to the cache. Returns the next logits_RV."""
        length = x_RLH.shape[1]
        rotary = self.cos_LD[:length], self.sin_LD[:length]
        for number, layer in enumerate(self.layers):
            q, k, v = layer.project_qkv(x_RLH, self.heads, rotary)
            cache.store(number, rows, k, v)
            last = number == len(self.layers) - 1
            if last:  # the outputs of earlier positions are not needed any more
                q, x_RLH = q[:, :, -1:], x_RLH[:, -1:]
            attended = F.scaled_dot_product_attention(q, k, v, is_causal=not last)
            x_RLH = layer.finish(x_RLH, attended)
        return self._logits(x_RLH[:, -1])

    def _step(self, cache: _Cache, ids_R: Tensor) -> Tensor:
        """Feed one token of every sequence in the cache; the next logits_RV."""
        x_RLH = self.embedding[ids_R][:, None]
        positions_R = torch.tensor(cache.lengths, device=ids_R.device)
        rotary = self.cos_LD[positions_R][:, None, None], self.sin_LD[positions_R][:, None, None]
        cache.add_position()
        for number, layer in enumerate(self.layers):
            q, k, v = layer.project_qkv(x_RLH, self.heads, rotary)
            keys, values = cache.append(number, k, v)
            attended = F.scaled_dot_product_attention(q, keys, values, attn_mask=cache.attention_mask)
            x_RLH = layer.finish(x_RLH, attended)
        self.counts.add(steps=1, decoded=len(ids_R))
        return self._logits(x_RLH[:, -1])

    def _logits(self, x_RH: Tensor) -> Tensor:
        """Last hidden state → logits_RV; the output embeddings are those of the input."""
        return F.linear(_rms_norm(x_RH, self.norm), self.embedding)


class _DecoderLayer(nn.Module):
    """Attention and MLP of one layer; projections with the same input are stacked into one matrix."""

    def __init__(self, state: Mapping[str, Tensor], prefix: str) -> None:
        super().__init__()

        def stacked(*names: str) -> nn.Parameter:
            return _frozen(torch.cat([state[f"{prefix}{name}.weight"] for name in names]))

        self.input_norm = stacked("input_layernorm")
        self.qkv = stacked("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
        self.out = stacked("self_attn.o_proj")
        self.mlp_norm = stacked("post_attention_layernorm")
        self.gate_up = stacked("mlp.gate_proj", "mlp.up_proj")
        self.down = stacked("mlp.down_proj")

    def project_qkv(self, x_RLH: Tensor, heads: int, rotary: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, RNLD each, with rotary embeddings on queries and keys."""
        qkv = F.linear(_rms_norm(x_RLH, self.input_norm), self.qkv)
        qkv_3RNLD = qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        q, k = _apply_rotary(qkv_3RNLD[:2], *rotary)
        return q, k, qkv_3RNLD[2]

    def finish(self, x_RLH: Tensor, attended_RNLD: Tensor) -> Tensor:
        """Output projection of the attention, then the MLP, each with its residual connection."""
        x_RLH = x_RLH + F.linear(attended_RNLD.transpose(1, 2).flatten(2), self.out)
        gate, up = F.linear(_rms_norm(x_RLH, self.mlp_norm), self.gate_up).chunk(2, dim=-1)
        return x_RLH + F.linear(F.silu(gate).mul_(up), self.down)


@dataclass
class _Sequence:
    """A sequence while it is decoded."""

    ids: list[int] = field(default_factory=list)
    log_probability: float = 0.0
    """Sum over its tokens."""
    finished: bool = False

    def append(self, token: int, log_probability: float, eos: int) -> None:
        """Add the next token; those after the end are ignored."""
        if self.finished:
            return
        self.log_probability += log_probability
        if token == eos:
            self.finished = True
        else:
            self.ids.append(token)

    def decoded(self) -> DecodedSequence:
        tokens = max(1, len(self.ids) + self.finished)
        return DecodedSequence(tuple(self.ids), min(1.0, math.exp(self.log_probability / tokens)))


@dataclass
class _Cache:
    """Keys and values of all layers. Sequences are aligned at their ends, so that all append at the same position."""

    stored: Tensor
    """Layers x 2 x R x N x L x D, with room for all tokens to come."""
    used_RL: Tensor
    """True from the position on at which a sequence begins."""
    lengths: list[int]
    """Tokens of each sequence so far."""
    end: int
    """Positions in use."""

    @classmethod
    def empty(cls, decoder: Decoder, lengths: list[int], room: int) -> _Cache:
        """For prompts of these lengths, and `room` more tokens of each."""
        like, end = decoder.embedding, max(lengths)
        first_R = torch.tensor([end - length for length in lengths], device=like.device)
        used_RL = torch.arange(end + room, device=like.device)[None] >= first_R[:, None]
        # Zeros, since masked positions are still multiplied by zero, and uninitialised memory may hold NaN.
        head = like.shape[1] // decoder.heads
        stored = like.new_zeros(len(decoder.layers), 2, len(lengths), decoder.heads, end + room, head)
        return cls(stored, used_RL, lengths, end)

    @property
    def attention_mask(self) -> Tensor:
        """R11L, true where a sequence has a token."""
        return self.used_RL[:, None, None, : self.end]

    def store(self, layer: int, rows: Sequence[int], k: Tensor, v: Tensor) -> None:
        """Keys and values of prompts, at prefill."""
        first = self.end - k.shape[2]
        self.stored[layer, 0, rows, :, first : self.end] = k
        self.stored[layer, 1, rows, :, first : self.end] = v

    def add_position(self) -> None:
        """Make room for one more token of every sequence."""
        self.end += 1
        self.lengths = [length + 1 for length in self.lengths]

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store keys and values at the newest position; returns all keys and values of the layer."""
        keys, values = self.stored[layer, :, :, :, : self.end]
        keys[:, :, -1], values[:, :, -1] = k[:, :, 0], v[:, :, 0]
        return keys, values

    def select(self, rows: list[int]) -> _Cache:
        """The cache of some of the sequences."""
        lengths = [self.lengths[row] for row in rows]
        return _Cache(self.stored[:, :, rows], self.used_RL[rows], lengths, self.end)


def _rows_of_equal_length(prompts: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Indices of prompts of equal length, a few at a time."""
    by_length: dict[int, list[int]] = defaultdict(list)
    for row, prompt in enumerate(prompts):
        by_length[len(prompt)].append(row)
    for rows in by_length.values():
        for first in range(0, len(rows), _PREFILL_ROWS):
            yield rows[first : first + _PREFILL_ROWS]


def _greedy(logits_RV: Tensor) -> tuple[Tensor, Tensor]:
    """The most likely token of each sequence, and its log-probability."""
    logits_RV = logits_RV.float()
    best_R, ids_R = logits_RV.max(dim=-1)
    return ids_R, best_R - logits_RV.logsumexp(dim=-1)


def _rms_norm(x: Tensor, weight_H: Tensor) -> Tensor:
    return F.rms_norm(x, weight_H.shape, weight_H, _EPSILON)


def _apply_rotary(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding (Su et al. 2021, arXiv 2104.09864); the first half of the features pairs with the second."""
    a, b = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-b, a], dim=-1) * sin


def _rotary_tables(positions: int, head: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines for each position and feature of a head."""
    frequencies = _ROTARY_BASE ** (-torch.arange(0, head, 2).float() / head)
    angles = torch.arange(positions).float()[:, None] * torch.cat([frequencies, frequencies])
    return angles.cos(), angles.sin()


def _frozen(weight: Tensor) -> nn.Parameter:
    return weight if isinstance(weight, nn.Parameter) else nn.Parameter(weight, requires_grad=False)
