"""Images and their captions → consensus captions: for each image the sentences that agree best with its neighbours'.

    features_ND ─kernel ridge regression─▶ weights_NN   how much the captions of each other image say about an image
    captions ─CIDEr─▶ scores_NC                         how well each of C sentences fits the captions of each image
    weights_NN · scores_NC = expected_NC                the CIDEr to be expected; the best sentences are stored

A caption is one person's choice of words. The sentence that a model generates with the highest probability after
learning all captions is not the one that most people would agree with; a consensus caption is. The captions of an
image's own group have no weight here, so that consensus captions hold nothing that only memory could tell.

Shapes: N images, D features, C sentences of a block, S sentences, G n-grams, Q rows of weights, K best sentences.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsmoe_core.metrics.cider import LONGEST, SIGMA, document_frequencies, length, ngrams

_RIDGE = 1.0
"""Penalty of the regression, whose kernel is at most 1; chosen on groups held out."""
_MAX_IMAGES = 10_000
"""About how many images are compared with each other at most: a regression needs tables of all their pairs."""
_STORED = 16
"""Sentences stored for each image."""
_SHARPNESS = 10.0
"""A sentence is drawn exp(this) times as often as one whose CIDEr is lower by one."""
_BLOCK = 500
"""Sentences that are scored at once."""


@dataclass(frozen=True)
class ConsensusCaption:
    """A sentence that many people would agree with."""

    text: str
    share: float
    """How often it is drawn; the shares of an image's sentences add up to one."""


def consensus_captions(
    means_ND: NDArray[np.float32], captions: Sequence[Sequence[str]], groups: Sequence[str]
) -> list[tuple[ConsensusCaption, ...]]:
    """The consensus captions of each image, chosen from the captions of all.

    `means_ND` is the mean patch feature of each image, `captions` its captions, each once, and `groups` the name of its
    group. More images than can be compared at once are cut into parts. Where all images are of one group, each keeps
    its own captions.
    """
    names = sorted(set(groups))
    parts = np.array_split(np.random.default_rng(0).permutation(len(names)), math.ceil(len(groups) / _MAX_IMAGES))
    part_of = {names[index]: part for part, indices in enumerate(parts) for index in indices.tolist()}
    part_N = np.array([part_of[name] for name in groups])
    found: dict[int, tuple[ConsensusCaption, ...]] = {}
    for part in range(len(parts)):
        rows = np.flatnonzero(part_N == part).tolist()
        own = [captions[row] for row in rows]
        counts_N = np.array([len(texts) for texts in own])
        weights_NN = neighbour_weights(means_ND[rows], counts_N, [groups[row] for row in rows])
        if weights_NN.any():
            chosen = [_with_shares(best) for best in best_sentences(weights_NN, own)]
        else:
            chosen = [tuple(ConsensusCaption(text, 1 / len(texts)) for text in texts) for texts in own]
        found |= zip(rows, chosen, strict=True)
    return [found[row] for row in range(len(groups))]


def neighbour_weights(means_ND: NDArray[np.float32], counts_N: NDArray[np.int64], groups: Sequence[str]) -> Tensor:
    """weights_NN: how much the captions of each image say about the image of a row; zero within its own group.

    Kernel ridge regression with a Laplacian kernel over the angle between features; an image with more different
    captions (`counts_N`) counts for more. One inverse serves all groups, since leaving a block out of a regression
    takes no more than that block of the inverse.
    """
    means = torch.from_numpy(means_ND).double()
    means = means - means.mean(dim=0)
    means /= means.norm(dim=1, keepdim=True).clamp(min=1e-12)
    square_NN = (2 - 2 * means @ means.T).clamp(min=0)
    kernel_NN = (-(square_NN / square_NN.median().clamp(min=1e-12)).sqrt()).exp()
    ridge_N = torch.from_numpy(counts_N.mean() / counts_N) * _RIDGE
    inverse_NN = torch.linalg.inv(kernel_NN + ridge_N.diag())
    weights_NN = torch.zeros_like(kernel_NN, dtype=torch.float32)
    group_N = np.array(groups)
    for name in sorted(set(groups)):
        own = torch.from_numpy(np.flatnonzero(group_N == name))
        from_others = -torch.linalg.solve(inverse_NN[own][:, own], inverse_NN[own])
        from_others[:, own] = 0
        weights_NN[own] = from_others.float()
    return weights_NN


def best_sentences(
    weights_QN: Tensor, captions: Sequence[Sequence[str]], count: int = _STORED
) -> list[list[tuple[float, str]]]:
    """For each row of weights the `count` sentences with the highest expected CIDEr, and that figure, the best first.

    `captions` are those of the N images that the weights are for.
    """
    sentences = sorted({text for own in captions for text in own})
    scores = CiderScores(sentences, captions)
    best: list[list[tuple[float, str]]] = [[] for _ in weights_QN]
    for first in range(0, len(sentences), _BLOCK):
        block = sentences[first : first + _BLOCK]
        expected_QC = weights_QN @ scores.of(first, first + len(block))
        values_QK, indices_QK = expected_QC.topk(min(count, len(block)), dim=1)
        for own, values, indices in zip(best, values_QK.tolist(), indices_QK.tolist(), strict=True):
            own += [(value, block[index]) for value, index in zip(values, indices, strict=True)]
    return [sorted(own, reverse=True)[:count] for own in best]


def _with_shares(best: Sequence[tuple[float, str]]) -> tuple[ConsensusCaption, ...]:
    weights = [math.exp(_SHARPNESS * (value - best[0][0])) for value, _ in best]
    return tuple(ConsensusCaption(text, weight / sum(weights)) for weight, (_, text) in zip(weights, best, strict=True))


class CiderScores:
    """CIDEr of sentences against the captions of images, a block of sentences at a time.

    `metrics.cider` scores one sentence after the other; here all pairs are needed, so it is done by sparse matrices.
    N-grams that occur several times in a sentence are not clipped.
    """

    def __init__(self, sentences: Sequence[str], captions: Sequence[Sequence[str]]) -> None:
        """`sentences` holds every caption once."""
        self._counted = [ngrams(text) for text in sentences]
        number = {text: index for index, text in enumerate(sentences)}
        frequencies = document_frequencies([self._counted[number[text]] for text in own] for own in captions)
        self._columns = {ngram: column for column, ngram in enumerate(sorted(frequencies))}
        self._rarity = {ngram: math.log(len(captions) / times) for ngram, times in frequencies.items()}
        self._vectors_SG = self._vectors(range(len(sentences)))
        self._lengths_S = torch.tensor([length(counts) for counts in self._counted])
        means = [(row, number[text], 1 / len(own)) for row, own in enumerate(captions) for text in own]
        self._captions_NS = _sparse(means, len(captions), len(sentences))

    def of(self, first: int, last: int) -> Tensor:
        """scores_NC of the sentences from `first` to before `last`: the mean over the captions of each image."""
        block_GC = self._vectors(range(first, last)).to_dense().T.contiguous()
        cosine_SC = self._vectors_SG @ block_GC
        longer_SC = self._lengths_S[:, None] - self._lengths_S[None, first:last]
        return self._captions_NS @ (10 * cosine_SC * torch.exp(-(longer_SC**2) / (2 * SIGMA**2)))

    def _vectors(self, numbers: Sequence[int]) -> Tensor:
        """A sparse row for each sentence: its n-grams weighted by rarity, with a norm of one over all n together."""
        entries: list[tuple[int, int, float]] = []
        for row, number in enumerate(numbers):
            weights = {ngram: times * self._rarity[ngram] for ngram, times in self._counted[number].items()}
            for size in range(1, LONGEST + 1):
                own = {ngram: weight for ngram, weight in weights.items() if len(ngram) == size and weight}
                norm = math.sqrt(LONGEST * sum(weight**2 for weight in own.values()))
                entries += [(row, self._columns[ngram], weight / norm) for ngram, weight in own.items()]
        return _sparse(entries, len(numbers), len(self._columns))


def _sparse(entries: Sequence[tuple[int, int, float]], rows: int, columns: int) -> Tensor:
    indices = torch.tensor([(row, column) for row, column, _ in entries]).reshape(-1, 2).T
    values = torch.tensor([value for _, _, value in entries])
    return torch.sparse_coo_tensor(indices, values, (rows, columns), check_invariants=True).coalesce()
