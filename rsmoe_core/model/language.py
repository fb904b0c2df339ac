"""The LLM block: a small Llama-type decoder that reads vision tokens and a prompt, and writes text.

With adapters on it (see `lora`) the same block plays every role: router, experts, fusion. In the merged form each role
has a block of its own (`RoleCopies`).

Shapes: B images, R rows of text, Q vision tokens, T text tokens, L = Q + T, H features.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from transformers import LlamaConfig, LlamaForCausalLM

from rsmoe_core.config import LanguageConfig
from rsmoe_core.tokenizer import TextCodec

_TINY = 1e-8

LanguageModel = Any
"""A causal language model of transformers, as it is or wrapped by peft: both generate and give their embeddings. Or
`RoleCopies`, which `write` alone knows how to use."""


class RoleCopies(nn.Module):
    """A language model for each role: what adapters become when they are merged."""

    def __init__(self, copies: Mapping[str, nn.Module]) -> None:
        """`copies` by role, with the bare language model among them under the name of no role."""
        super().__init__()
        self.copies = nn.ModuleDict(copies)


def build_language_model(config: LanguageConfig, codec: TextCodec) -> LlamaForCausalLM:
    """A fresh, randomly initialised decoder; input and output embeddings are tied."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            intermediate_size=config.intermediate_size,
            max_position_embeddings=config.max_length,
            tie_word_embeddings=True,
            pad_token_id=codec.pad,
            bos_token_id=codec.bos,
            eos_token_id=codec.eos,
        )
    )


@dataclass(frozen=True)
class Written:
    """One text that the language model wrote."""

    ids: tuple[int, ...]
    """Token ids, `<eos>` left out."""
    confidence: float
    """Geometric mean of the probabilities of its tokens, `<eos>` included, 0-1."""


@dataclass(frozen=True)
class PackedRows:
    """All rows of text of each image, one after the other behind the image's vision tokens, padded on the right.

    A row sees the vision tokens and itself only, and its positions start behind the vision tokens: each row is read
    just as if it stood alone, but the vision tokens are read once.
    """

    ids_BT: Tensor
    row_BT: Tensor
    """Number of the row within its image; -1 at padding."""
    offset_BT: Tensor
    """Place of the token within its row."""
    weight_BT: Tensor
    """Weight of the token's row where the token is to be learned, 0 at prompts and padding; a negative weight makes
    the token less likely."""

    def to(self, device: torch.device) -> PackedRows:
        """The same rows on another device."""
        return PackedRows(*(getattr(self, f.name).to(device) for f in dataclasses.fields(self)))


def answer_loss(language: LanguageModel, tokens_BQH: Tensor, rows: PackedRows, dropout: float) -> Tensor:
    """Mean cross-entropy of the answers' tokens, each weighted by its row's weight."""
    queries = tokens_BQH.shape[1]
    inputs = torch.cat([tokens_BQH, language.get_input_embeddings()(rows.ids_BT)], dim=1)
    hidden_BLH = decoder(language)(
        inputs_embeds=F.dropout(inputs, dropout, training=language.training),
        attention_mask=_visible(rows.row_BT, queries),
        position_ids=torch.cat([_places(queries, rows.ids_BT), rows.offset_BT + queries], dim=1),
    ).last_hidden_state
    learned_BT = rows.weight_BT != 0
    before_BTH = hidden_BLH[:, queries - 1 : -1]  # what the model knows just before each text token
    logits = language.get_output_embeddings()(before_BTH[learned_BT])
    losses = F.cross_entropy(logits.float(), rows.ids_BT[learned_BT], reduction="none")
    weights = rows.weight_BT[learned_BT]
    return (losses * weights).sum() / weights.abs().sum().clamp(min=_TINY)


def _places(queries: int, ids_BT: Tensor) -> Tensor:
    return torch.arange(queries, device=ids_BT.device).expand(len(ids_BT), -1)


def _visible(row_BT: Tensor, queries: int) -> Tensor:
    """B1LL, true where a token (third axis) may look at another (fourth): backwards, at vision or its own row."""
    row_BL = F.pad(row_BT, (queries, 0), value=-2)
    length = row_BL.shape[1]
    backwards_LL = torch.ones(length, length, dtype=torch.bool, device=row_BL.device).tril()
    own_BLL = (row_BL[:, :, None] == row_BL[:, None, :]) | (row_BL[:, None, :] == -2)
    return (backwards_LL & own_BLL)[:, None]


def decoder(language: LanguageModel) -> nn.Module:
    """The decoder below the output layer, adapters included."""
    return language.get_decoder() if isinstance(language, LlamaForCausalLM) else language.base_model.model.get_decoder()


@torch.inference_mode()
def write(
    language: LanguageModel,
    codec: TextCodec,
    tokens_RQH: Tensor,
    prompts: Sequence[str],
    *,
    max_tokens: int,
    beams: int = 1,
    roles: Sequence[str] | None = None,
) -> list[Written]:
    """One text for each row, greedily or by beam search.

    `tokens_RQH` are the vision tokens of each row's image, `prompts` the texts to answer; `roles` names the adapter of
    each row, None means the bare language model. Rows are padded on the left and masked: what a row says does not
    depend on the rows beside it.
    """
    if isinstance(language, RoleCopies):
        return _write_by_copies(language, codec, tokens_RQH, prompts, roles or (), max_tokens, beams)
    embed = language.get_input_embeddings()
    rows_LH = [
        torch.cat([tokens_QH, embed(torch.tensor(codec.prompt_ids(prompt), device=tokens_QH.device))])
        for tokens_QH, prompt in zip(tokens_RQH, prompts, strict=True)
    ]
    inputs = pad_sequence(rows_LH, batch_first=True, padding_side="left")
    mask = pad_sequence([row.new_ones(len(row)) for row in rows_LH], batch_first=True, padding_side="left").long()
    generated = language.generate(
        inputs_embeds=inputs,
        attention_mask=mask,
        max_new_tokens=max_tokens,
        num_beams=beams,
        do_sample=False,
        pad_token_id=codec.pad,
        eos_token_id=codec.eos,
        bos_token_id=codec.bos,
        return_dict_in_generate=True,
        output_scores=True,
        **({"adapter_names": list(roles)} if roles is not None else {}),
    )
    log_probabilities = _mean_log_probabilities(generated, codec, beams)
    return [
        Written(_before_end(sequence, codec), min(1.0, math.exp(score)))
        for sequence, score in zip(generated.sequences.tolist(), log_probabilities, strict=True)
    ]


def _write_by_copies(
    language: RoleCopies,
    codec: TextCodec,
    tokens_RQH: Tensor,
    prompts: Sequence[str],
    roles: Sequence[str],
    max_tokens: int,
    beams: int,
) -> list[Written]:
    """The rows of each role by that role's copy, in the order in which they came."""
    written: dict[int, Written] = {}
    for role in dict.fromkeys(roles):
        rows = [row for row, own in enumerate(roles) if own == role]
        asked = [prompts[row] for row in rows]
        said = write(language.copies[role], codec, tokens_RQH[rows], asked, max_tokens=max_tokens, beams=beams)
        written.update(zip(rows, said, strict=True))
    return [written[row] for row in range(len(prompts))]


def _mean_log_probabilities(generated: Any, codec: TextCodec, beams: int) -> list[float]:
    """One mean for each row of what `generate` gave."""
    if beams > 1:  # beam search scores a sequence by just this mean
        return generated.sequences_scores.tolist()
    sequences = generated.sequences
    log_probabilities = torch.stack(generated.scores, dim=1).float().log_softmax(dim=-1)
    chosen = log_probabilities.gather(2, sequences[..., None])[..., 0]
    # Everything up to and including the first <eos> counts; what follows is padding.
    counts = ((sequences == codec.eos).cumsum(dim=1) - (sequences == codec.eos).long()) == 0
    return ((chosen * counts).sum(dim=1) / counts.sum(dim=1).clamp(min=1)).tolist()


def _before_end(sequence: list[int], codec: TextCodec) -> tuple[int, ...]:
    return tuple(sequence[: sequence.index(codec.eos)] if codec.eos in sequence else sequence)
