"""Vision tokens + prompts + roles → texts, by whatever form the language model has.

    RoleDecoders        what an engine uses: a `Decoder` for each role, its adapter merged in; greedy only
    peft's model  what is trained: one language model with adapters, of which one batch may use several
    RoleCopies    a whole language model of transformers for each role; beams for models in the merged form

Shapes: R rows, Q vision tokens, H features.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from rsmoe_core.model.language.decoder import Decoder, Generation, Work
from rsmoe_core.model.tokenizer import Tokenizer
from rsmoe_core.roles import BASE

LanguageModel = Any
"""A causal language model of transformers, as it is or wrapped by peft: both generate and give their embeddings. Or
`RoleCopies` or `RoleDecoders`, which `write` alone knows how to use."""


class RoleCopies(nn.Module):
    """A language model for each role: what adapters become when they are merged."""

    def __init__(self, copies: Mapping[str, nn.Module]) -> None:
        """`copies` by role, with the bare language model among them under the name of no role."""
        super().__init__()
        self.copies = nn.ModuleDict(copies)


class RoleDecoders(nn.Module):
    """A decoder for each role, for use only."""

    def __init__(self, decoders: Mapping[str, Decoder]) -> None:
        """`decoders` by role, with the bare language model among them under the name of no role."""
        super().__init__()
        self.decoders: Any = nn.ModuleDict(decoders)  # of Decoders, which its type does not say

    @property
    def work(self) -> dict[str, Work]:
        """What was computed so far, by role."""
        return {role: decoder.work for role, decoder in self.decoders.items()}


@torch.inference_mode()
def write(
    language: LanguageModel,
    tokenizer: Tokenizer,
    tokens_RQH: Tensor,
    prompts: Sequence[str],
    *,
    max_tokens: int,
    beams: int = 1,
    roles: Sequence[str] | None = None,
) -> list[Generation]:
    """One text for each row, greedily or by beam search.

    `tokens_RQH` are the vision tokens of each row's image, `prompts` the texts to answer; `roles` names the role in
    which each row is written, None means the bare language model. What a row says does not depend on its neighbours.
    """
    if isinstance(language, RoleDecoders):
        assert beams == 1, "decoders write greedily"

        def by_decoder(role: str, rows: list[int]) -> list[Generation]:
            asked = [tokenizer.prompt_ids(prompts[row]) for row in rows]
            return language.decoders[role].write(tokens_RQH[rows], asked, max_tokens, tokenizer.eos)

        return _by_role(roles or [BASE] * len(prompts), by_decoder)
    if isinstance(language, RoleCopies):

        def by_copy(role: str, rows: list[int]) -> list[Generation]:
            asked = [prompts[row] for row in rows]
            return _generate(language.copies[role], tokenizer, tokens_RQH[rows], asked, max_tokens, beams)

        return _by_role(roles or [BASE] * len(prompts), by_copy)
    return _generate(language, tokenizer, tokens_RQH, prompts, max_tokens, beams, roles)


def _by_role(roles: Sequence[str], say: Callable[[str, list[int]], list[Generation]]) -> list[Generation]:
    """The rows of each role together, in the order in which they came."""
    written: dict[int, Generation] = {}
    for role in dict.fromkeys(roles):
        rows = [row for row, own in enumerate(roles) if own == role]
        written.update(zip(rows, say(role, rows), strict=True))
    return [written[row] for row in range(len(roles))]


def _generate(
    language: Any,
    tokenizer: Tokenizer,
    tokens_RQH: Tensor,
    prompts: Sequence[str],
    max_tokens: int,
    beams: int,
    roles: Sequence[str] | None = None,
) -> list[Generation]:
    """By transformers. Rows are padded on the left and masked."""
    embed = language.get_input_embeddings()
    rows_LH = [
        torch.cat([tokens_QH, embed(torch.tensor(tokenizer.prompt_ids(prompt), device=tokens_QH.device))])
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
        pad_token_id=tokenizer.pad,
        eos_token_id=tokenizer.eos,
        bos_token_id=tokenizer.bos,
        return_dict_in_generate=True,
        output_scores=True,
        **({"adapter_names": list(roles)} if roles is not None else {}),
    )
    log_probabilities = _mean_log_probabilities(generated, tokenizer, beams)
    return [
        Generation(_before_end(sequence, tokenizer), min(1.0, math.exp(score)))
        for sequence, score in zip(generated.sequences.tolist(), log_probabilities, strict=True)
    ]


def _mean_log_probabilities(generated: Any, tokenizer: Tokenizer, beams: int) -> list[float]:
    """One mean for each row of what `generate` gave."""
    if beams > 1:  # beam search scores a sequence by just this mean
        return generated.sequences_scores.tolist()
    sequences = generated.sequences
    log_probabilities = torch.stack(generated.scores, dim=1).float().log_softmax(dim=-1)
    chosen = log_probabilities.gather(2, sequences[..., None])[..., 0]
    # Everything up to and including the first <eos> counts; what follows is padding.
    counts = ((sequences == tokenizer.eos).cumsum(dim=1) - (sequences == tokenizer.eos).long()) == 0
    return ((chosen * counts).sum(dim=1) / counts.sum(dim=1).clamp(min=1)).tolist()


def _before_end(sequence: list[int], tokenizer: Tokenizer) -> tuple[int, ...]:
    return tuple(sequence[: sequence.index(tokenizer.eos)] if tokenizer.eos in sequence else sequence)
