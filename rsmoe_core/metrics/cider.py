"""CIDEr-D of single captions against fixed references (Vedantam et al. 2015, arXiv 1411.5726).

n-grams of one to four words are weighted by their rarity over images, and captions compared by the clipped cosine. This
is the only implementation here: training scores greedy captions with it after each epoch, and `training.consensus`
computes the same similarity for all pairs of sentences from the n-grams counted here. The CIDEr that `rsmoe evaluate`
reports comes from pycocoevalcap (`metrics.captions`), the reference implementation behind published tables; it must be
given all captions at once. A test holds both to the same figures.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

LONGEST = 4
"""Words of the longest n-grams."""
SIGMA = 6.0
"""Standard deviation of the Gaussian penalty for a length other than the reference's, in words."""

NgramCounts = Counter[tuple[str, ...]]
"""How often each n-gram occurs in a text."""
_Vector = tuple[list[dict[tuple[str, ...], float]], list[float], int]
"""For each n, n-gram → weight; the norm of the weights for each n; the length of the text."""


class ImageCider:
    """Scores a caption of image `i` against the i-th references."""

    def __init__(self, references: Sequence[Sequence[str]]) -> None:
        """`references` has one group of sentences for each image; words, and full stops, are separated by spaces."""
        counted = [[ngrams(text) for text in group] for group in references]
        self._log_images = math.log(len(references))
        self._frequencies = document_frequencies(counted)
        self._references = [[self._vector(counts) for counts in group] for group in counted]

    def __call__(self, image: int, caption: str) -> float:
        """CIDEr-D of the caption, 0-10."""
        candidate = self._vector(ngrams(caption))
        references = self._references[image]
        return 10 * sum(_similarity(candidate, reference) for reference in references) / len(references)

    def _vector(self, counts: NgramCounts) -> _Vector:
        vectors: list[dict[tuple[str, ...], float]] = [{} for _ in range(LONGEST)]
        for ngram, count in counts.items():
            rarity = self._log_images - math.log(max(1, self._frequencies[ngram]))
            vectors[len(ngram) - 1][ngram] = count * rarity
        norms = [math.sqrt(sum(value * value for value in vector.values())) for vector in vectors]
        return vectors, norms, length(counts)


def ngrams(text: str) -> NgramCounts:
    """How often each sequence of up to four words occurs in a text; words are separated by spaces."""
    words = text.split()
    return Counter(tuple(words[i : i + n]) for n in range(1, LONGEST + 1) for i in range(len(words) - n + 1))


def document_frequencies(counted: Iterable[Iterable[NgramCounts]]) -> NgramCounts:
    """In the references of how many images each n-gram occurs; `counted` has the n-grams of each image's sentences."""
    frequencies: NgramCounts = Counter()
    for group in counted:
        frequencies.update({ngram for counts in group for ngram in counts})
    return frequencies


def length(counts: NgramCounts) -> int:
    """Length of a text as pycocoevalcap measures it for the penalty: in pairs of neighbouring words."""
    return sum(count for ngram, count in counts.items() if len(ngram) == 2)


def _similarity(candidate: _Vector, reference: _Vector) -> float:
    """Mean over n of the clipped cosine, times the penalty for another length."""
    total = 0.0
    vectors, norms, candidate_length = candidate
    reference_vectors, reference_norms, reference_length = reference
    for vector, norm, other, other_norm in zip(vectors, norms, reference_vectors, reference_norms, strict=True):
        if norm and other_norm:
            product = sum(min(value, other[n]) * other[n] for n, value in vector.items() if n in other)
            total += product / (norm * other_norm)
    return total / LONGEST * math.exp(-((candidate_length - reference_length) ** 2) / (2 * SIGMA**2))
