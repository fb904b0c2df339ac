"""Vision tokens + prompts → text, greedily, many rows at once: the LLM block in the form in which it is used.

It says what `generate` of transformers says, with a fraction of the work around it: rows of the same length are read
together without padding, of the last layer only what is needed is computed, and a row that has ended leaves the batch.

    rows by length ─prefill─▶ Cache of keys and values ─step─▶ a token for every row, a step at a time ─▶ Generation

Shapes: R rows, L places in the sequence, H features, N heads, D features of a head, V words.
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
"""What transformers' LlamaConfig has by default."""
_ROWS_READ = 16
"""Rows that are read at once: enough for full speed, few enough to stay in the processor's cache."""
_WORTH_CLOSING_UP = 0.75
"""When no more than this share of the rows in the cache goes on, the others are taken out of it."""


@dataclass(frozen=True)
class Generation:
    """One text that the language model wrote."""

    ids: tuple[int, ...]
    """Token ids, `<eos>` left out."""
    confidence: float
    """Geometric mean of the probabilities of its tokens, `<eos>` included, 0-1."""


@dataclass
class Work:
    """What was computed, counted: it depends on the requests alone, not on the machine."""

    rows: int = 0
    """Texts that were begun."""
    read: int = 0
    """Places of vision tokens and prompts that were read."""
    steps: int = 0
    """Times that a batch of rows got its next token."""
    written: int = 0
    """Tokens that were computed, those of rows that had ended already among them."""
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    def add(self, rows: int = 0, read: int = 0, steps: int = 0, written: int = 0) -> None:
        """Count more, from any thread."""
        with self._lock:
            self.rows += rows
            self.read += read
            self.steps += steps
            self.written += written


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
        self.layers: Any = nn.ModuleList(_Layer(state, f"model.layers.{number}.") for number in range(config.layers))
        cos, sin = _rotary(config.max_length, config.hidden_size // config.heads)
        self.register_buffer("cos_LD", cos, persistent=False)
        self.register_buffer("sin_LD", sin, persistent=False)
        self.work = Work()

    def write(
        self, tokens_RQH: Tensor, prompts: Sequence[Sequence[int]], max_tokens: int, eos: int
    ) -> list[Generation]:
        """A text of at most `max_tokens` for each row, from its vision tokens and the ids of its prompt.

        What a row says does not depend on the rows beside it.
        """
        if not prompts:
            return []
        cache, logits_RV = self._read(tokens_RQH, prompts, max_tokens)
        texts = [_Text() for _ in prompts]
        going = list(texts)
        for step in range(max_tokens):
            ids_R, scores_R = _likeliest(logits_RV)
            for text, token, score in zip(going, ids_R.tolist(), scores_R.tolist(), strict=True):
                text.take(token, score, eos)
            places = [place for place, text in enumerate(going) if not text.ended]
            if not places or step == max_tokens - 1:
                break
            if len(places) <= _WORTH_CLOSING_UP * len(going):
                cache, ids_R, going = cache.only(places), ids_R[places], [going[place] for place in places]
            logits_RV = self._step(cache, ids_R)
        return [text.written() for text in texts]

    def _read(self, tokens_RQH: Tensor, prompts: Sequence[Sequence[int]], max_tokens: int) -> tuple[_Cache, Tensor]:
        """The filled cache, and what comes after each row."""
        cache = _Cache.empty(self, [tokens_RQH.shape[1] + len(prompt) for prompt in prompts], room=max_tokens)
        logits_RV = tokens_RQH.new_empty(len(prompts), len(self.embedding))
        for group in _alike(prompts):
            ids = torch.tensor([prompts[row] for row in group], device=tokens_RQH.device)
            logits_RV[group] = self._prefill(torch.cat([tokens_RQH[group], self.embedding[ids]], dim=1), cache, group)
        self.work.add(rows=len(prompts), read=sum(cache.lengths))
        return cache, logits_RV

    def _prefill(self, x_RLH: Tensor, cache: _Cache, rows: Sequence[int]) -> Tensor:
        """Read rows of one length from their beginning; keys and values go to the cache, what comes next is given."""
        length = x_RLH.shape[1]
        rotary = self.cos_LD[:length], self.sin_LD[:length]
        for number, layer in enumerate(self.layers):
            q, k, v = layer.projected(x_RLH, self.heads, rotary)
            cache.keep(number, rows, k, v)
            last = number == len(self.layers) - 1
            if last:  # nobody looks at what the other places would have become
                q, x_RLH = q[:, :, -1:], x_RLH[:, -1:]
            seen = F.scaled_dot_product_attention(q, k, v, is_causal=not last)
            x_RLH = layer.finished(x_RLH, seen)
        return self._next(x_RLH[:, -1])

    def _step(self, cache: _Cache, ids_R: Tensor) -> Tensor:
        """One more token for every row in the cache."""
        x_RLH = self.embedding[ids_R][:, None]
        places_R = torch.tensor(cache.lengths, device=ids_R.device)
        rotary = self.cos_LD[places_R][:, None, None], self.sin_LD[places_R][:, None, None]
        cache.grow()
        for number, layer in enumerate(self.layers):
            q, k, v = layer.projected(x_RLH, self.heads, rotary)
            keys, values = cache.add(number, k, v)
            seen = F.scaled_dot_product_attention(q, keys, values, attn_mask=cache.visible)
            x_RLH = layer.finished(x_RLH, seen)
        self.work.add(steps=1, written=len(ids_R))
        return self._next(x_RLH[:, -1])

    def _next(self, x_RH: Tensor) -> Tensor:
        """Last hidden state → a logit for each word."""
        return F.linear(_normed(x_RH, self.norm), self.embedding)


class _Layer(nn.Module):
    """One layer; projections that read the same are one matrix."""

    def __init__(self, state: Mapping[str, Tensor], prefix: str) -> None:
        super().__init__()

        def stacked(*names: str) -> nn.Parameter:
            return _frozen(torch.cat([state[f"{prefix}{name}.weight"] for name in names]))

        self.before_attention = stacked("input_layernorm")
        self.qkv = stacked("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
        self.out = stacked("self_attn.o_proj")
        self.before_mlp = stacked("post_attention_layernorm")
        self.gate_up = stacked("mlp.gate_proj", "mlp.up_proj")
        self.down = stacked("mlp.down_proj")

    def projected(self, x_RLH: Tensor, heads: int, rotary: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, RNLD each, queries and keys turned by their place."""
        qkv = F.linear(_normed(x_RLH, self.before_attention), self.qkv)
        qkv_3RNLD = qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        q, k = _turned(qkv_3RNLD[:2], *rotary)
        return q, k, qkv_3RNLD[2]

    def finished(self, x_RLH: Tensor, seen_RNLD: Tensor) -> Tensor:
        """What attention saw, added; then the multilayer perceptron."""
        x_RLH = x_RLH + F.linear(seen_RNLD.transpose(1, 2).flatten(2), self.out)
        gate, up = F.linear(_normed(x_RLH, self.before_mlp), self.gate_up).chunk(2, dim=-1)
        return x_RLH + F.linear(F.silu(gate).mul_(up), self.down)


@dataclass
class _Text:
    """A text on the way."""

    ids: list[int] = field(default_factory=list)
    score: float = 0.0
    """Sum of the logarithms of its tokens' probabilities."""
    ended: bool = False

    def take(self, token: int, score: float, eos: int) -> None:
        """One more token; those after the end are of no interest."""
        if self.ended:
            return
        self.score += score
        if token == eos:
            self.ended = True
        else:
            self.ids.append(token)

    def written(self) -> Generation:
        tokens = max(1, len(self.ids) + self.ended)
        return Generation(tuple(self.ids), min(1.0, math.exp(self.score / tokens)))


@dataclass
class _Cache:
    """Keys and values of all layers. Rows end in the same column, so that the next token of each has one place."""

    kept: Tensor
    """Layers x 2 x R x N x L x D, with room for all tokens to come."""
    seen_RL: Tensor
    """True from the column on in which a row begins."""
    lengths: list[int]
    """Tokens of each row so far."""
    end: int
    """Columns in use."""

    @classmethod
    def empty(cls, decoder: Decoder, lengths: list[int], room: int) -> _Cache:
        """For rows of these lengths, and `room` tokens more of each."""
        like, end = decoder.embedding, max(lengths)
        first_R = torch.tensor([end - length for length in lengths], device=like.device)
        seen_RL = torch.arange(end + room, device=like.device)[None] >= first_R[:, None]
        # Zeros, since what a row does not see is still multiplied by nothing, and memory as it comes may hold NaN.
        head = like.shape[1] // decoder.heads
        kept = like.new_zeros(len(decoder.layers), 2, len(lengths), decoder.heads, end + room, head)
        return cls(kept, seen_RL, lengths, end)

    @property
    def visible(self) -> Tensor:
        """R11L, true where a row has a token."""
        return self.seen_RL[:, None, None, : self.end]

    def keep(self, layer: int, rows: Sequence[int], k: Tensor, v: Tensor) -> None:
        """Keys and values of rows as they are read."""
        first = self.end - k.shape[2]
        self.kept[layer, 0, rows, :, first : self.end] = k
        self.kept[layer, 1, rows, :, first : self.end] = v

    def grow(self) -> None:
        """One more column."""
        self.end += 1
        self.lengths = [length + 1 for length in self.lengths]

    def add(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Put keys and values into the newest column; all keys and values of the layer."""
        keys, values = self.kept[layer, :, :, :, : self.end]
        keys[:, :, -1], values[:, :, -1] = k[:, :, 0], v[:, :, 0]
        return keys, values

    def only(self, places: list[int]) -> _Cache:
        """The rows at these places."""
        lengths = [self.lengths[place] for place in places]
        return _Cache(self.kept[:, :, places], self.seen_RL[places], lengths, self.end)


def _alike(prompts: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Rows by the length of their prompts, a few at a time."""
    by_length: dict[int, list[int]] = defaultdict(list)
    for row, prompt in enumerate(prompts):
        by_length[len(prompt)].append(row)
    for rows in by_length.values():
        for first in range(0, len(rows), _ROWS_READ):
            yield rows[first : first + _ROWS_READ]


def _likeliest(logits_RV: Tensor) -> tuple[Tensor, Tensor]:
    """The likeliest word of each row, and the logarithm of its probability."""
    logits_RV = logits_RV.float()
    best_R, ids_R = logits_RV.max(dim=-1)
    return ids_R, best_R - logits_RV.logsumexp(dim=-1)


def _normed(x: Tensor, weight_H: Tensor) -> Tensor:
    return F.rms_norm(x, weight_H.shape, weight_H, _EPSILON)


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding (Su et al. 2021, arXiv 2104.09864); the first half of the features pairs with the second."""
    a, b = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-b, a], dim=-1) * sin


def _rotary(places: int, head: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines for each place and feature of a head."""
    frequencies = _ROTARY_BASE ** (-torch.arange(0, head, 2).float() / head)
    angles = torch.arange(places).float()[:, None] * torch.cat([frequencies, frequencies])
    return angles.cos(), angles.sin()


def _frozen(weight: Tensor) -> nn.Parameter:
    return weight if isinstance(weight, nn.Parameter) else nn.Parameter(weight, requires_grad=False)
