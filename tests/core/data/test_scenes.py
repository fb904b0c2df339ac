from __future__ import annotations

import pytest

from rsmoe_core.data.scenes import spoken


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("airport", "airport"),
        ("denseresidential", "dense residential area"),
        ("dense_residential", "dense residential area"),
        ("ground_track_field", "ground track field"),
        ("harbor", "port"),
        ("mobilehomepark", "mobile home park"),
        ("", ""),
    ],
)
def test_classes_are_said_in_words(name: str, said: str) -> None:
    assert spoken(name) == said
