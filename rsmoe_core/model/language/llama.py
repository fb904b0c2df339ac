"""The language model for training: a small Llama-type decoder of transformers, behind vision tokens and a prompt.

With adapters on it (see `model.lora`) the same model plays every role. `decoder` has the form for inference.

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
from rsmoe_core.model.language.decoder import DecodedSequence
from rsmoe_core.model.tokenizer import Tokenizer

_TINY = 1e-8


def build_language_model(config: LanguageConfig, tokenizer: Tokenizer) -> LlamaForCausalLM:
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
            pad_token_id=tokenizer.pad,
            bos_token_id=tokenizer.bos,
            eos_token_id=tokenizer.eos,
        )
    )


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


def answer_loss(language: Any, tokens_BQH: Tensor, rows: PackedRows, dropout: float) -> Tensor:
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


def decoder(language: Any) -> nn.Module:
    """The decoder below the output layer, adapters included."""
    return language.get_decoder() if isinstance(language, LlamaForCausalLM) else language.base_model.model.get_decoder()


class TransformersDecoders(nn.Module):
    """Generation by transformers' own `generate`, with the interface of `native.RoleDecoders`.

    It is many times slower, and is there to compare with: in tests and in `rsmoe bench`.
    """

    def __init__(self, models: Mapping[str, nn.Module], pad: int) -> None:
        """`models` gives a causal language model for each role; `pad` is the id of the padding token."""
        super().__init__()
        self.models = nn.ModuleDict(models)
        self._pad = pad

    @torch.inference_mode()
    def generate(
        self, tokens_RQH: Tensor, prompts: Sequence[Sequence[int]], roles: Sequence[str], max_tokens: int, eos: int
    ) -> list[DecodedSequence]:
        """Decode each prompt in its role; prompts of one role are padded on the left and masked."""
        sequences: dict[int, DecodedSequence] = {}
        for role in dict.fromkeys(roles):
            rows = [row for row, of_row in enumerate(roles) if of_row == role]
            own = self._generate(self.models[role], tokens_RQH[rows], [prompts[row] for row in rows], max_tokens, eos)
            sequences.update(zip(rows, own, strict=True))
        return [sequences[row] for row in range(len(roles))]

    def _generate(
        self, language: Any, tokens_RQH: Tensor, prompts: Sequence[Sequence[int]], max_tokens: int, eos: int
    ) -> list[DecodedSequence]:
        embed = language.get_input_embeddings()
        rows_LH = [
            torch.cat([tokens_QH, embed(torch.tensor(prompt, device=tokens_QH.device))])
            for tokens_QH, prompt in zip(tokens_RQH, prompts, strict=True)
        ]
        mask = [row.new_ones(len(row)) for row in rows_LH]
        generated = language.generate(
            inputs_embeds=pad_sequence(rows_LH, batch_first=True, padding_side="left"),
            attention_mask=pad_sequence(mask, batch_first=True, padding_side="left").long(),
            max_new_tokens=max_tokens,
            do_sample=False,
            pad_token_id=self._pad,
            eos_token_id=eos,
            return_dict_in_generate=True,
            output_scores=True,
        )
        ids_RT = generated.sequences
        log_probabilities = torch.stack(generated.scores, dim=1).float().log_softmax(dim=-1)
        chosen_RT = log_probabilities.gather(2, ids_RT[..., None])[..., 0]
        # Everything up to and including the first <eos> counts; what follows is padding.
        counts_RT = ((ids_RT == eos).cumsum(dim=1) - (ids_RT == eos).long()) == 0
        means = ((chosen_RT * counts_RT).sum(dim=1) / counts_RT.sum(dim=1).clamp(min=1)).tolist()
        return [
            DecodedSequence(tuple(ids[: ids.index(eos)] if eos in ids else ids), min(1.0, math.exp(mean)))
            for ids, mean in zip(ids_RT.tolist(), means, strict=True)
        ]
