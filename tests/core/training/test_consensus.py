from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_core.metrics.cider import ImageCider
from rsmoe_core.training import consensus as module
from rsmoe_core.training.consensus import CiderScores, ConsensusCaption, consensus_captions, neighbour_weights

WORDS = ["a", "pond", "is", "near", "the", "road", "trees", "many", "around"]
# No word twice in a sentence: CIDEr-D then has nothing to clip, which the scores here leave out.
sentences = st.lists(st.sampled_from(WORDS), min_size=1, max_size=7, unique=True).map(" ".join)
captions = st.lists(st.lists(sentences, min_size=1, max_size=4, unique=True), min_size=2, max_size=6)

POND, LAKE, PLANE = "a pond is near a road .", "there is a lake .", "two planes are in an airport ."


def features(*directions: float) -> np.ndarray:
    """Features in these directions, in degrees."""
    angles = np.radians(directions)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


@given(captions)
@settings(deadline=None, max_examples=60)
def test_scores_are_cider(by_image: list[list[str]]) -> None:
    texts = sorted({text for own in by_image for text in own})
    scores = CiderScores(texts, by_image)
    cider = ImageCider(by_image)
    split = len(texts) // 2
    both = torch.cat([scores.of(0, split), scores.of(split, len(texts))], dim=1) if split else scores.of(0, len(texts))
    expected = [[cider(image, text) for text in texts] for image in range(len(by_image))]
    np.testing.assert_allclose(both.numpy(), expected, atol=1e-4)


def test_weights_of_a_group_are_those_of_a_regression_without_it() -> None:
    rng = np.random.default_rng(0)
    means_ND = rng.normal(size=(12, 5)).astype(np.float32)
    counts = rng.integers(1, 6, size=12)
    groups = list("aaabbcddddef")
    weights = neighbour_weights(means_ND, counts, groups).numpy()
    centred = means_ND - means_ND.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    square = np.clip(2 - 2 * centred @ centred.T, 0, None)
    kernel = np.exp(-np.sqrt(square / torch.from_numpy(square).median().item()))
    for name in set(groups):
        own = np.array([other == name for other in groups])
        ridge = np.diag(counts.mean() / counts[~own])
        alone = kernel[np.ix_(own, ~own)] @ np.linalg.inv(kernel[np.ix_(~own, ~own)] + ridge)
        np.testing.assert_allclose(weights[np.ix_(own, ~own)], alone, atol=1e-4)
        assert not weights[np.ix_(own, own)].any()


def test_neighbours_decide_and_captions_of_the_own_group_do_not_count() -> None:
    means = features(0, 2, 4, 30, 178, 180, 183)
    by_image = [[POND], [POND, LAKE], [POND], [LAKE], [PLANE], [PLANE], [PLANE]]
    found = consensus_captions(means, by_image, ["a", "b", "c", "d", "e", "f", "g"])
    assert [own[0].text for own in found] == [POND] * 4 + [PLANE] * 3
    grouped = consensus_captions(means, by_image, ["a", "a", "a", "d", "e", "f", "g"])
    assert grouped[0][0].text == LAKE, "ponds were mentioned in its own group only"
    for own in found:
        assert sum(each.share for each in own) == pytest.approx(1)
        assert [each.share for each in own] == sorted((each.share for each in own), reverse=True)


def test_images_of_one_group_keep_their_own_captions() -> None:
    found = consensus_captions(features(0, 90), [[POND, LAKE], [PLANE]], ["a", "a"])
    assert found == [(ConsensusCaption(POND, 0.5), ConsensusCaption(LAKE, 0.5)), (ConsensusCaption(PLANE, 1.0),)]


def test_many_images_are_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[list[str]] = []

    def noted(means_ND: np.ndarray, counts: np.ndarray, groups: list[str]) -> torch.Tensor:
        compared.append(groups)
        return neighbour_weights(means_ND, counts, groups)

    monkeypatch.setattr(module, "_MAX_IMAGES", 4)
    monkeypatch.setattr(module, "neighbour_weights", noted)
    groups = [f"s{number // 2}" for number in range(16)]
    found = consensus_captions(features(*range(0, 160, 10)), [[POND], [LAKE]] * 8, groups)
    assert len(found) == 16
    assert sorted(name for part in compared for name in part) == sorted(groups)
    assert max(map(len, compared)) <= 4
    assert not any(set(a) & set(b) for n, a in enumerate(compared) for b in compared[:n]), "a group stays together"
