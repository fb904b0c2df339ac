from __future__ import annotations

import pytest

from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster.bands import BY_POSITION, Band, parse_bands, select_bands
from rsmoe_core.errors import UsageError


def bands(*named: tuple[str, str], dtype: str = "uint16") -> list[Band]:
    return [Band(index, kind, text, dtype) for index, (kind, text) in enumerate(named, start=1)]


def described(*texts: str) -> list[Band]:
    return bands(*(("undefined", text) for text in texts))


def test_descriptions_come_before_the_interpretation_that_gdal_gives_by_default() -> None:
    four_bytes = (("red", "blue"), ("green", "green"), ("blue", "red"), ("alpha", "nir"))
    assert select_bands(bands(*four_bytes, dtype="uint8"), None).indexes == (3, 2, 1)
    selection = select_bands(bands(("blue", "x"), ("green", ""), ("red", ""), ("alpha", "")), None)
    assert selection.indexes == (3, 2, 1)
    assert selection.reason == "the file's colour interpretation"
    assert not selection.is_doubtful


@pytest.mark.parametrize(
    ("texts", "indexes"),
    [
        (("B02 blue", "B03 green", "B04 red", "B08 near infrared"), (3, 2, 1)),
        (("Near Infrared", "RED EDGE", "Red", "GREEN", "Blue"), (3, 4, 5)),
        (("B05", "B04", "B03", "B02"), (2, 3, 4)),
        (("b", "g", "r"), (3, 2, 1)),
        (("red_band", "green_band", "blue_band"), (1, 2, 3)),
        (("coastal_blue", "blue", "green_i", "green", "yellow", "red", "rededge", "nir"), (6, 4, 2)),
        (("Coastal Blue", "Blue", "Green I", "Green II", "Yellow", "Red", "Red-Edge", "NIR"), (6, 4, 2)),
        (("BAND_C", "BAND_B", "BAND_G", "BAND_Y", "BAND_R", "BAND_RE", "BAND_N", "BAND_N2"), (5, 3, 2)),
        (("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B11", "B12"), (4, 3, 2)),
        (
            ("B4, central wavelength 665 nm", "B3, central wavelength 560 nm", "B2, central wavelength 490 nm"),
            (1, 2, 3),
        ),
        (("B8_median", "B4_median", "B3_median", "B2_median"), (2, 3, 4)),
        (tuple(f"SR_B{n}" for n in range(1, 8)), (4, 3, 2)),
        (("SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B7", "ST_B6"), (3, 2, 1)),
        (("B1", "B2", "B3", "B4", "B5", "B6_VCID_1", "B6_VCID_2", "B7", "B8"), (3, 2, 1)),
        (tuple(f"sur_refl_b0{n}" for n in range(1, 8)), (1, 4, 3)),
        (("blue1", "green2", "red3", "nir4"), (3, 2, 1)),
        (("surfaceReflectanceRed", "surfaceReflectanceGreen", "surfaceReflectanceBlue", "RedEdge"), (1, 2, 3)),
        (("NIR", "Red", "Green", "Blue"), (2, 3, 4)),
        (("490 nm", "560 nm", "665 nm", "842 nm"), (3, 2, 1)),
        (tuple(f"Band {n} ({0.4 + n / 100:.2f} micrometers)" for n in range(60)), (27, 17, 9)),
        (tuple(f"LE07_L2SP_114036_20040101_SR_B{n}" for n in range(1, 5)), (3, 2, 1)),
        (tuple(f"LC08_L2SP_114036_20240101_SR_B{n}" for n in (4, 3, 2)), (1, 2, 3)),
        (tuple(f"Oa{n:02}_radiance" for n in range(1, 22)), (8, 6, 4)),
    ],
)
def test_descriptions_name_colours(texts: tuple[str, ...], indexes: tuple[int, ...]) -> None:
    selection = select_bands(described(*texts), None)
    assert selection.indexes == indexes
    assert not selection.is_doubtful


@pytest.mark.parametrize(
    ("texts", "indexes"),
    [
        (("Green", "Red", "RedEdge", "NIR"), (1, 2, 3)),
        (("NIR", "Red", "Green", ""), (1, 2, 3)),
        (("B0", "B1", "B2", "B3"), (3, 2, 1)),
        (("0_B2", "0_B3", "0_B4", "1_B2", "1_B3", "1_B4"), (3, 2, 1)),
    ],
)
def test_names_that_contradict_the_colour_interpretation_are_doubtful(
    texts: tuple[str, ...], indexes: tuple[int, ...]
) -> None:
    by_default = ("red", "green", "blue", "alpha", "undefined", "undefined")
    selection = select_bands(bands(*zip(by_default, texts, strict=False), dtype="uint8"), None)
    assert selection.indexes == indexes
    assert "which is doubtful" in selection.note


def test_bands_named_by_letters_are_no_mask() -> None:
    selection = select_bands(bands(("red", "N"), ("green", "R"), ("blue", "G"), ("alpha", "B"), dtype="uint8"), None)
    assert selection.indexes == (2, 3, 4)


def test_position_is_the_last_resort() -> None:
    selection = select_bands(described("", "", "", ""), None)
    assert selection.indexes == (1, 2, 3)
    assert selection.reason == BY_POSITION
    assert "choose others with --bands" in selection.note


@pytest.mark.parametrize(
    ("texts", "indexes"),
    [
        (("SR_B4", "SR_B3", "SR_B2"), (1, 2, 3)),
        (tuple(f"B{n}" for n in range(1, 13)), (4, 3, 2)),
        (("red_2019", "green_2019", "blue_2019", "red_2020", "green_2020", "blue_2020"), (1, 2, 3)),
        (("B1", "B2", "B3", "B4"), (1, 2, 3)),
        (("nir", "red", "green"), (1, 2, 3)),
    ],
)
def test_names_that_fit_several_bands_are_doubtful(texts: tuple[str, ...], indexes: tuple[int, ...]) -> None:
    selection = select_bands(described(*texts), None)
    assert selection.indexes == indexes
    assert selection.is_doubtful
    assert selection.note


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
