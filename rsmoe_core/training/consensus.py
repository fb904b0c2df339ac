"""Pictures and their sentences → what most people would say of each picture, told from its neighbours.

    features_ND ─kernel ridge regression─▶ shares_NN   how much each picture has to say about each other one
    sentences ─CIDEr─▶ scores_NC                       how well each of C sentences fits what was said of each picture
    shares_NN · scores_NC = agreement_NC               the score to be expected; the best sentences are kept

A sentence is one person's way of putting it. The likeliest one that a model writes after learning all of them is not
the one that most people would agree with; this is. A picture's own series tells nothing about it here, so what is found
is nothing that a model could know of the picture by heart.

Shapes: N pictures, D features, C sentences, G n-grams.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsmoe_core.metrics.cider import LONGEST, SIGMA, ngrams

_DOUBT = 1.0
"""Ridge of the regression, beside a kernel of 1 at most: settled on series held out."""
_TOGETHER = 10_000
"""Pictures that are compared with each other, about as many at the most: a regression holds tables of their pairs."""
_KEPT = 16
"""Sentences kept of each picture."""
_SHARPNESS = 10.0
"""How much more often a sentence is drawn than one with a CIDEr lower by one: e to this."""
_AT_ONCE = 500
"""Sentences that are scored at once."""


@dataclass(frozen=True)
class ConsensusCaption:
    """A sentence that many would agree with."""

    text: str
    share: float
    """How often it is to be learned; the shares of a picture's sentences add up to one."""


def consensus_captions(
    means_ND: NDArray[np.float32], groups: Sequence[Sequence[str]], series: Sequence[str]
) -> list[tuple[ConsensusCaption, ...]]:
    """For each picture the sentences, of all that were said of any, that agree best with what was said of its neighbours.

    `means_ND` is the mean patch feature of each picture, `groups` what was said of it, each sentence once, and `series`
    the name of the series that it was taken in. More pictures than can be compared at once are cut into parts. A
    picture without any like outside its series keeps its own sentences.
    """
    names = sorted(set(series))
    parts = np.array_split(np.random.default_rng(0).permutation(len(names)), math.ceil(len(series) / _TOGETHER))
    part_of = {names[place]: part for part, own in enumerate(parts) for place in own.tolist()}
    part_N = np.array([part_of[name] for name in series])
    agreed: dict[int, tuple[ConsensusCaption, ...]] = {}
    for part in range(len(parts)):
        rows = np.flatnonzero(part_N == part).tolist()
        own = [groups[row] for row in rows]
        shares_NN = neighbours(means_ND[rows], np.array([len(texts) for texts in own]), [series[row] for row in rows])
        if shares_NN.any():
            found = [_shared(best) for best in best_sentences(shares_NN, own)]
        else:
            found = [tuple(ConsensusCaption(text, 1 / len(texts)) for text in texts) for texts in own]
        agreed |= zip(rows, found, strict=True)
    return [agreed[row] for row in range(len(series))]


def neighbours(means_ND: NDArray[np.float32], sentences_N: NDArray[np.int64], series: Sequence[str]) -> Tensor:
    """shares_NN: the weights by which a row's picture is told from the others; nought for its own series.

    Kernel ridge regression with a Laplacian kernel over the angle between features; a picture of which more different
    sentences are known counts for more. One inverse serves all series: leaving a block out of a regression takes no
    more than that block of it.
    """
    means = torch.from_numpy(means_ND).double()
    means = means - means.mean(dim=0)
    means /= means.norm(dim=1, keepdim=True).clamp(min=1e-12)
    square_NN = (2 - 2 * means @ means.T).clamp(min=0)
    kernel_NN = (-(square_NN / square_NN.median().clamp(min=1e-12)).sqrt()).exp()
    doubt_N = torch.from_numpy(sentences_N.mean() / sentences_N) * _DOUBT
    inverse_NN = torch.linalg.inv(kernel_NN + doubt_N.diag())
    shares_NN = torch.zeros_like(kernel_NN, dtype=torch.float32)
    named = np.array(series)
    for name in sorted(set(series)):
        own = torch.from_numpy(np.flatnonzero(named == name))
        told = -torch.linalg.solve(inverse_NN[own][:, own], inverse_NN[own])
        told[:, own] = 0
        shares_NN[own] = told.float()
    return shares_NN


def best_sentences(
    shares_QN: Tensor, groups: Sequence[Sequence[str]], count: int = _KEPT
) -> list[list[tuple[float, str]]]:
    """For each row of shares the sentences with the highest CIDEr to be expected and that figure, the best first.

    `groups` is what was said of the N pictures that have a share.
    """
    texts = sorted({text for own in groups for text in own})
    scores = Scores(texts, groups)
    kept: list[list[tuple[float, str]]] = [[] for _ in shares_QN]
    for first in range(0, len(texts), _AT_ONCE):
        block = texts[first : first + _AT_ONCE]
        values_QK, places_QK = (shares_QN @ scores.of(first, first + len(block))).topk(min(count, len(block)), dim=1)
        for own, values, places in zip(kept, values_QK.tolist(), places_QK.tolist(), strict=True):
            own += [(value, block[place]) for value, place in zip(values, places, strict=True)]
    return [sorted(own, reverse=True)[:count] for own in kept]


def _shared(best: Sequence[tuple[float, str]]) -> tuple[ConsensusCaption, ...]:
    weights = [math.exp(_SHARPNESS * (value - best[0][0])) for value, _ in best]
    return tuple(ConsensusCaption(text, weight / sum(weights)) for weight, (_, text) in zip(weights, best, strict=True))


class Scores:
    """CIDEr of sentences against what was said of pictures, a block of sentences at a time."""

    def __init__(self, texts: Sequence[str], groups: Sequence[Sequence[str]]) -> None:
        self._counted = [ngrams(text) for text in texts]
        number = {text: place for place, text in enumerate(texts)}
        pictures_with: Counter[tuple[str, ...]] = Counter()
        for own in groups:
            pictures_with.update({n for text in own for n in self._counted[number[text]]})
        self._columns = {n: column for column, n in enumerate(sorted(pictures_with))}
        self._rarity = {n: math.log(len(groups) / times) for n, times in pictures_with.items()}
        self._vectors_SG = self._vectors(range(len(texts)))
        self._lengths_S = torch.tensor([sum(c for n, c in own.items() if len(n) == 2) for own in self._counted])
        said = [(row, number[text], 1 / len(own)) for row, own in enumerate(groups) for text in own]
        self._said_NS = _sparse(said, len(groups), len(texts))

    def of(self, first: int, last: int) -> Tensor:
        """scores_NC of the sentences from `first` to before `last`, on average over those of each picture."""
        chosen_GC = self._vectors(range(first, last)).to_dense().T.contiguous()
        similar_SC = self._vectors_SG @ chosen_GC
        longer_SC = self._lengths_S[:, None] - self._lengths_S[None, first:last]
        return self._said_NS @ (10 * similar_SC * torch.exp(-(longer_SC**2) / (2 * SIGMA**2)))

    def _vectors(self, texts: Sequence[int]) -> Tensor:
        """A row for each text, sparse: its n-grams by rarity, of length one for each n, all n together."""
        entries: list[tuple[int, int, float]] = []
        for row, text in enumerate(texts):
            weights = {n: times * self._rarity[n] for n, times in self._counted[text].items()}
            for size in range(1, LONGEST + 1):
                own = {n: weight for n, weight in weights.items() if len(n) == size and weight}
                norm = math.sqrt(LONGEST * sum(weight**2 for weight in own.values()))
                entries += [(row, self._columns[n], weight / norm) for n, weight in own.items()]
        return _sparse(entries, len(texts), len(self._columns))


def _sparse(entries: Sequence[tuple[int, int, float]], rows: int, columns: int) -> Tensor:
    places = torch.tensor([(row, column) for row, column, _ in entries]).reshape(-1, 2).T
    values = torch.tensor([value for _, _, value in entries])
    return torch.sparse_coo_tensor(places, values, (rows, columns), check_invariants=True).coalesce()
