from __future__ import annotations

import pytest

from rsmoe_core.words.grammar import amount, article, counted, length, plural


@pytest.mark.parametrize(
    ("name", "several"),
    [
        ("car", "cars"),
        ("beach", "beaches"),
        ("church", "churches"),
        ("bush", "bushes"),
        ("factory", "factories"),
        ("railway", "railways"),
        ("crossroads", "crossroads"),
        ("storage tank", "storage tanks"),
    ],
)
def test_plurals(name: str, several: str) -> None:
    assert plural(name) == several


@pytest.mark.parametrize(
    ("metres", "text"), [(0.02, "0.02 m"), (0.59999, "0.6 m"), (10, "10 m"), (2000.3, "2,000 m"), (8667.7, "8,670 m")]
)
def test_lengths(metres: float, text: str) -> None:
    assert length(metres) == text


def test_articles() -> None:
    assert [article(name) for name in ("airport", "ship", "industrial area")] == ["an", "a", "an"]


@pytest.mark.parametrize(
    ("count", "word"),
    [(0, "no"), (1, "one"), (10, "ten"), (11, "some"), (19, "some"), (20, "many"), (95, "many")],
)
def test_amounts(count: int, word: str) -> None:
    assert amount(count) == word


def test_only_one_is_singular() -> None:
    assert [counted(n, "ship") for n in (0, 1, 2)] == ["no ships", "one ship", "two ships"]
    assert counted(3, "swimming pool") == "three swimming pools"
