"""CIDEr-D of single captions against fixed references, fast enough to choose epochs by.

The same figure as pycocoevalcap's CIDEr over the same pictures (held by a test), which must be given all captions at
once. Vedantam et al. 2015, arXiv 1411.5726: n-grams of one to four words, weighted by their rarity over pictures.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

LONGEST = 4
"""Words of the longest n-grams."""
SIGMA = 6.0
"""Width of the penalty for another length than the reference's, in words."""

_Vector = tuple[list[dict[tuple[str, ...], float]], list[float], int]


class PictureCider:
    """Scores a caption of picture `i` against the i-th references."""

    def __init__(self, references: Sequence[Sequence[str]]) -> None:
        """One group of sentences for each picture; words are told apart by spaces, a full stop being a word too."""
        self._log_pictures = math.log(len(references))
        self._pictures_with: Counter[tuple[str, ...]] = Counter()
        counted = [[ngrams(text) for text in group] for group in references]
        for group in counted:
            self._pictures_with.update({ngram for counts in group for ngram in counts})
        self._references = [[self._vector(counts) for counts in group] for group in counted]

    def __call__(self, picture: int, caption: str) -> float:
        """CIDEr-D of the caption, 0-10."""
        said = self._vector(ngrams(caption))
        references = self._references[picture]
        return 10 * sum(_similarity(said, reference) for reference in references) / len(references)

    def _vector(self, counts: Counter[tuple[str, ...]]) -> _Vector:
        vectors: list[dict[tuple[str, ...], float]] = [{} for _ in range(LONGEST)]
        for ngram, count in counts.items():
            rarity = self._log_pictures - math.log(max(1, self._pictures_with[ngram]))
            vectors[len(ngram) - 1][ngram] = count * rarity
        norms = [math.sqrt(sum(value * value for value in vector.values())) for vector in vectors]
        # pycocoevalcap measures length in pairs of words
        return vectors, norms, sum(count for ngram, count in counts.items() if len(ngram) == 2)


def ngrams(text: str) -> Counter[tuple[str, ...]]:
    """How often each sequence of up to four words occurs in a text; words are told apart by spaces."""
    words = text.split()
    return Counter(tuple(words[i : i + n]) for n in range(1, LONGEST + 1) for i in range(len(words) - n + 1))


def _similarity(said: _Vector, reference: _Vector) -> float:
    """Mean over n of the clipped cosine, less for another length."""
    total = 0.0
    for own, norm, theirs, their_norm in zip(said[0], said[1], reference[0], reference[1], strict=True):
        if norm and their_norm:
            product = sum(min(value, theirs[n]) * theirs[n] for n, value in own.items() if n in theirs)
            total += product / (norm * their_norm)
    return total / LONGEST * math.exp(-((said[2] - reference[2]) ** 2) / (2 * SIGMA**2))
