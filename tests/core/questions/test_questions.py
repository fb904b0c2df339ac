from __future__ import annotations

import pytest

from rsmoe_core.questions.types import question_type


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("comp", "comparison"),
        ("area_comp", "comparison"),
        ("rural_urban", "rural_urban"),
        ("Object Quantity", "count"),
        ("quantity", "count"),
        ("object existence", "presence"),
        ("ab_position", "location"),
        ("scene", "theme"),
        ("reasoning", "reasoning"),
        ("time of day", "time_of_day"),
    ],
)
def test_one_kind_has_one_name(given: str, kind: str) -> None:
    assert question_type("what is it?", given) == kind


@pytest.mark.parametrize("given", [None, "", " "])
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("What is the theme of this picture?", "theme"),
        ("Does this picture contain trees?", "presence"),
        ("is there a road?", "presence"),
        ("How many trees in the picture?", "count"),
        ("what is the number of roads?", "count"),
        ("Is the number of roads equal to the number of buildings?", "comparison"),
        ("are there more buildings than roads?", "comparison"),
        ("Is it a rural or an urban area?", "rural_urban"),
        ("What is the area covered by buildings?", "area"),
        ("What is the location of the boats in this picture?", "location"),
        ("Where are the boats?", "location"),
        ("what color is the roof?", "color"),
        ("why is it wet?", "other"),
        (None, "other"),
    ],
)
def test_without_a_type_the_wording_tells(text: str | None, kind: str, given: str | None) -> None:
    assert question_type(text, given) == kind
