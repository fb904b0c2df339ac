from __future__ import annotations

import pytest

from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster.bands import Band, parse_bands, select_bands
from rsmoe_core.errors import UsageError


def bands(*named: tuple[str, str], dtype: str = "uint16") -> list[Band]:
    return [Band(index, kind, text, dtype) for index, (kind, text) in enumerate(named, start=1)]


def described(*texts: str) -> list[Band]:
    return bands(*(("undefined", text) for text in texts))


def test_colour_interpretation_comes_before_descriptions() -> None:
    selection = select_bands(bands(("blue", "red"), ("green", ""), ("red", "blue"), ("alpha", "")), None)
    assert selection.indexes == (3, 2, 1)
    assert not selection.by_position


@pytest.mark.parametrize(
    ("texts", "indexes"),
    [
        (("B02 blue", "B03 green", "B04 red", "B08 near infrared"), (3, 2, 1)),
        (("Near Infrared", "RED EDGE", "Red", "GREEN", "Blue"), (3, 4, 5)),
        (("B05", "B04", "B03", "B02"), (2, 3, 4)),
        (("b", "g", "r"), (3, 2, 1)),
        (("red_band", "green_band", "blue_band"), (1, 2, 3)),
    ],
)
def test_descriptions_name_colours(texts: tuple[str, ...], indexes: tuple[int, ...]) -> None:
    selection = select_bands(described(*texts), None)
    assert selection.indexes == indexes
    assert not selection.by_position


def test_position_is_the_last_resort() -> None:
    selection = select_bands(described("", "", "", ""), None)
    assert selection.indexes == (1, 2, 3)
    assert selection.by_position


def test_alpha_and_complex_bands_are_never_colours() -> None:
    assert select_bands(bands(("gray", ""), ("alpha", "")), None).indexes == (1,)
    with pytest.raises(SceneError, match="no usable band"):
        select_bands(bands(("gray", ""), dtype="complex64"), None)


def test_asking_overrules_and_unknown_bands_are_refused_with_the_known_ones() -> None:
    some = described("B02 blue", "B03 green", "B04 red")
    assert select_bands(some, (1, 2, 3)).indexes == (1, 2, 3)
    assert select_bands(some, (2,)).indexes == (2,)
    with pytest.raises(
        UsageError, match=r"no band 7 to display; choose from 1 \(B02 blue\), 2 \(B03 green\), 3 \(B04 red\)"
    ):
        select_bands(some, (7, 2, 1))


@pytest.mark.parametrize(
    ("kinds", "dtype", "ready"),
    [
        ("red green blue", "uint8", True),
        ("red green blue", "uint16", False),
        ("gray", "uint8", True),
        ("gray undefined undefined", "uint8", False),
    ],
)
def test_only_eight_bit_colours_are_ready_for_display(kinds: str, dtype: str, ready: bool) -> None:
    selection = select_bands(bands(*((kind, "") for kind in kinds.split()), dtype=dtype), None)
    assert selection.is_display_ready is ready


def test_band_numbers_are_parsed() -> None:
    assert parse_bands("3,2,1") == (3, 2, 1)
    assert parse_bands("8") == (8,)
    for text in ("", "1,2", "red", "1;2;3"):
        with pytest.raises(UsageError, match="are not understood"):
            parse_bands(text)
