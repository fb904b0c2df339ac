"""Greedy decoding by `generate` of transformers, as each class of it does that, with what it does not give of itself.

    settings = greedy(model.generation_config, ends, pad)
    watch = Watch(limits, ends)
    model.generate(..., **watch.arguments(settings))
    watch.sequences()  ──▶ tokens and confidence of each row

`generate` would keep the logits of every step to tell the probabilities of tokens: gigabytes for a large batch. A
`Watch` sees each step's logits as they come, and keeps two numbers for each row.

Shapes: R rows of the batch, V tokens of the vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from rsmoe_core.model.language.decoder import DecodedSequence

_WITHOUT_SAMPLING = {
    "do_sample": False,
    "num_beams": 1,
    "early_stopping": None,
    "length_penalty": None,
    "num_return_sequences": None,
    "temperature": None,
    "top_p": None,
    "top_k": None,
    "min_p": None,
    "typical_p": None,
    "max_length": None,
    "min_length": None,
    "forced_eos_token_id": None,  # it would end the rows at the longest one's limit
    "return_dict_in_generate": False,
    "output_scores": False,
    "use_cache": True,
}


def greedy(own: Any, ends: Sequence[int], pad: int) -> Any:
    """A model's own generation settings without sampling and beams; penalties of repetitions are kept."""
    return changed(own, **_WITHOUT_SAMPLING, eos_token_id=list(ends), pad_token_id=pad)


def changed(settings: Any, **values: Any) -> Any:
    """Generation settings with other values; transformers' own way checks whether they fit together at every step."""
    own = deepcopy(settings)
    for key, value in values.items():
        setattr(own, key, value)
    return own


class Watch:
    """Watches one call of `generate`: bounds each row by itself, and remembers its tokens and their probabilities."""

    def __init__(self, limits: Sequence[int], ends: Collection[int]) -> None:
        """`limits` are the most tokens of each row, `ends` those that end a text."""
        self._limits, self._ends = list(limits), frozenset(ends)
        self._ids_R: list[Tensor] = []
        """The tokens of each step."""
        self._log_probs_R: list[Tensor] = []

    def arguments(self, settings: Any) -> dict[str, Any]:
        """Of `generate`; `settings` are those of `greedy`."""
        return {
            "generation_config": changed(settings, max_new_tokens=max(self._limits)),
            "logits_processor": LogitsProcessorList([_Recorder(self._ids_R, self._log_probs_R)]),
            "stopping_criteria": StoppingCriteriaList([_Bounds(self._limits)]),
        }

    def sequences(self) -> list[DecodedSequence]:
        """What was decoded, row by row."""
        if not self._ids_R:
            return [DecodedSequence((), 1.0) for _ in self._limits]
        ids = torch.stack(self._ids_R, dim=1).tolist()
        log_probs = torch.stack(self._log_probs_R, dim=1).tolist()
        return [self._sequence(*row) for row in zip(ids, log_probs, self._limits, strict=True)]

    def _sequence(self, ids: list[int], log_probs: list[float], limit: int) -> DecodedSequence:
        """A row up to its end or limit; `generate` goes on with padding until the last row is done."""
        end = next((place for place, token in enumerate(ids[:limit]) if token in self._ends), None)
        length = min(limit, len(ids)) if end is None else end
        counted = length if end is None else length + 1
        confidence = math.exp(math.fsum(log_probs[:counted]) / counted)
        return DecodedSequence(tuple(ids[:length]), min(1.0, confidence))


class _Recorder(LogitsProcessor):
    """The last processor of logits; it changes none of them."""

    def __init__(self, ids_R: list[Tensor], log_probs_R: list[Tensor]) -> None:
        self._ids_R, self._log_probs_R = ids_R, log_probs_R

    def __call__(self, input_ids: Tensor, scores_RV: Tensor) -> Tensor:
        scores = scores_RV.float()
        best_R, ids_R = scores.max(dim=-1)
        self._ids_R.append(ids_R)
        self._log_probs_R.append(best_R - scores.logsumexp(dim=-1))
        return scores_RV


class _Bounds(StoppingCriteria):
    """Ends each row at its own limit."""

    def __init__(self, limits: Sequence[int]) -> None:
        self._limits = limits
        self._start: int | None = None

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Any:
        if self._start is None:
            self._start = input_ids.shape[1] - 1
        limits_R = torch.tensor(self._limits, device=input_ids.device)
        return limits_R <= input_ids.shape[1] - self._start
