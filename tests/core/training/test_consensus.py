from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_core.metrics.cider import PictureCider
from rsmoe_core.training import consensus as module
from rsmoe_core.training.consensus import ConsensusCaption, Scores, consensus_captions, neighbours

WORDS = ["a", "pond", "is", "near", "the", "road", "trees", "many", "around"]
# No word twice in a sentence: CIDEr-D then has nothing to clip, which the scores here leave out.
sentences = st.lists(st.sampled_from(WORDS), min_size=1, max_size=7, unique=True).map(" ".join)
groups = st.lists(st.lists(sentences, min_size=1, max_size=4, unique=True), min_size=2, max_size=6)

POND, LAKE, PLANE = "a pond is near a road .", "there is a lake .", "two planes are in an airport ."


def places(*directions: float) -> np.ndarray:
    """Features that point in these directions, in degrees, around what all have in common."""
    angles = np.radians(directions)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


@given(groups)
@settings(deadline=None, max_examples=60)
def test_scores_are_cider(own: list[list[str]]) -> None:
    texts = sorted({text for group in own for text in group})
    scores = Scores(texts, own)
    cider = PictureCider(own)
    split = len(texts) // 2
    both = torch.cat([scores.of(0, split), scores.of(split, len(texts))], dim=1) if split else scores.of(0, len(texts))
    expected = [[cider(picture, text) for text in texts] for picture in range(len(own))]
    np.testing.assert_allclose(both.numpy(), expected, atol=1e-4)


def test_a_series_is_told_from_the_others_as_if_it_were_not_there() -> None:
    rng = np.random.default_rng(0)
    means_ND = rng.normal(size=(12, 5)).astype(np.float32)
    counts = rng.integers(1, 6, size=12)
    series = list("aaabbcddddef")
    shares = neighbours(means_ND, counts, series).numpy()
    centred = means_ND - means_ND.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    square = np.clip(2 - 2 * centred @ centred.T, 0, None)
    kernel = np.exp(-np.sqrt(square / torch.from_numpy(square).median().item()))
    for name in set(series):
        own = np.array([other == name for other in series])
        ridge = np.diag(counts.mean() / counts[~own])
        alone = kernel[np.ix_(own, ~own)] @ np.linalg.inv(kernel[np.ix_(~own, ~own)] + ridge)
        np.testing.assert_allclose(shares[np.ix_(own, ~own)], alone, atol=1e-4)
        assert not shares[np.ix_(own, own)].any()


def test_what_the_likes_agree_on_stands_first_and_what_was_said_in_the_series_does_not_count() -> None:
    means = places(0, 2, 4, 30, 178, 180, 183)
    said = [[POND], [POND, LAKE], [POND], [LAKE], [PLANE], [PLANE], [PLANE]]
    agreed = consensus_captions(means, said, ["a", "b", "c", "d", "e", "f", "g"])
    assert [own[0].text for own in agreed] == [POND] * 4 + [PLANE] * 3
    together = consensus_captions(means, said, ["a", "a", "a", "d", "e", "f", "g"])
    assert together[0][0].text == LAKE, "ponds were told of in its own series only"
    for own in agreed:
        assert sum(each.share for each in own) == pytest.approx(1)
        assert [each.share for each in own] == sorted((each.share for each in own), reverse=True)


def test_without_likes_a_picture_keeps_its_own_sentences() -> None:
    agreed = consensus_captions(places(0, 90), [[POND, LAKE], [PLANE]], ["a", "a"])
    assert agreed == [(ConsensusCaption(POND, 0.5), ConsensusCaption(LAKE, 0.5)), (ConsensusCaption(PLANE, 1.0),)]


def test_many_pictures_are_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[list[str]] = []

    def seen(means_ND: np.ndarray, counts: np.ndarray, series: list[str]) -> torch.Tensor:
        compared.append(series)
        return neighbours(means_ND, counts, series)

    monkeypatch.setattr(module, "_TOGETHER", 4)
    monkeypatch.setattr(module, "neighbours", seen)
    series = [f"s{number // 2}" for number in range(16)]
    texts = [[POND], [LAKE]] * 8
    agreed = consensus_captions(places(*range(0, 160, 10)), texts, series)
    assert len(agreed) == 16
    assert sorted(name for part in compared for name in part) == sorted(series)
    assert max(map(len, compared)) <= 4
    assert not any(set(a) & set(b) for n, a in enumerate(compared) for b in compared[:n]), "a series stays together"
