from __future__ import annotations

import pytest

from rsmoe_core.questions.types import Kind, canonical_question


@pytest.mark.parametrize(
    ("kind", "parts", "plain"),
    [
        ("presence", {"thing": "ship"}, "is there any ship?"),
        ("presence", {"thing": "car", "attribute": "red"}, "is there any red car?"),
        ("count", {"thing": "church"}, "how many churches are there?"),
        ("count", {"thing": "car", "attribute": "red"}, "how many red cars are there?"),
        (
            "comparison",
            {"thing": "ship", "other": "factory", "relation": "more"},
            "are there more ships than factories?",
        ),
        ("comparison", {"thing": "car", "other": "tree", "relation": "equal"}, "are there as many cars as trees?"),
        ("theme", {}, "what kind of place is this?"),
        ("rural_urban", {}, "is this a rural or an urban area?"),
        ("location", {"thing": "airplane"}, "where is the airplane?"),
        ("location", {"thing": "car", "attribute": "yellow"}, "where is the yellow car?"),
        ("relation", {"thing": "playground", "relation": "near"}, "what is near the playground?"),
        ("relation", {"thing": "stadium", "relation": "around"}, "what is around the stadium?"),
        ("color", {"thing": "building"}, "what color is the building?"),
        ("description", {}, "describe the picture"),
    ],
)
def test_the_wording_that_the_model_is_taught(kind: Kind, parts: dict[str, str], plain: str) -> None:
    assert canonical_question(kind, **parts) == plain
