"""Names of bands → which of them are red, green and blue.

Understood are words (`B04 red`, `green_band`, `r`) and the numbers of bands of Sentinel-2, Landsat, MODIS, VIIRS and
Sentinel-3. PlanetScope and WorldView name colours, with other bands that are called nearly alike: `coastal_blue`,
`green_i`, `rededge`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

COLOURS = ("red", "green", "blue")

_LETTERS = {"r": "red", "g": "green", "b": "blue"}
_OTHER_BANDS = {"edge", "infra", "infrared", "nir", "coastal", "aerosol", "i", "deep"}
"""Words next to a colour in the names of other bands: `red edge`, `infra red`, `coastal blue`, `green I`."""
_NOT_ALPHA = {*COLOURS, "n", "nir", "nir1", "nir2", "near", "infrared", "ir", "swir", "edge", "rededge", "thermal"}
_NUMBER = re.compile(r"(b|oa|m)(0?)([1-9]\d?)(a?)")
_SENTINEL_2 = _LANDSAT_8 = (4, 3, 2)
_LANDSAT_4 = (3, 2, 1)
_NUMBERED = {"oa": ("Sentinel-3 OLCI", (8, 6, 4)), "m": ("VIIRS", (5, 4, 3))}
_MODIS = (1, 4, 3)


@dataclass(frozen=True)
class NamedColours:
    """The bands that names say are red, green and blue."""

    positions: tuple[int, int, int]
    """Red, green and blue: positions in the list of names, from 0."""
    reason: str
    """What they were recognised by."""
    is_doubtful: bool = False
    """Whether the names fit other bands too."""


def find_colours(names: Sequence[str]) -> NamedColours | None:
    """The red, green and blue band by their names; None if the names do not say."""
    words = [re.findall(r"[a-z0-9]+", name.lower()) for name in names]
    return _by_words(words) or _by_numbers(words)


def is_named_otherwise(name: str) -> bool:
    """Whether a band that is taken for alpha is named like a band of light."""
    words = re.findall(r"[a-z0-9]+", name.lower())
    return not _NOT_ALPHA.isdisjoint(words) or any(map(_NUMBER.fullmatch, words))


def _by_words(names: list[list[str]]) -> NamedColours | None:
    ranked: dict[str, list[tuple[int, int]]] = {colour: [] for colour in COLOURS}
    for position, words in enumerate(names):
        for colour in COLOURS:
            if colour in words and _OTHER_BANDS.isdisjoint(words):
                ranked[colour].append((len(words), position))
        letters = [word for word in words if word != "band"]
        if len(letters) == 1 and letters[0] in _LETTERS:
            ranked[_LETTERS[letters[0]]].append((len(words), position))
    if not all(ranked.values()):
        return None
    red, green, blue = (min(ranked[colour])[1] for colour in COLOURS)
    is_doubtful = any(sum(length == min(found)[0] for length, _ in found) > 1 for found in ranked.values())
    return NamedColours((red, green, blue), "the descriptions name the colours", is_doubtful)


def _by_numbers(names: list[list[str]]) -> NamedColours | None:
    positions: dict[int, int] = {}
    prefixes, padded, narrow = set(), False, False
    for position, words in enumerate(names):
        numbers = [match for word in words if (match := _NUMBER.fullmatch(word))]
        if len(numbers) != 1 or "st" in words:
            continue
        prefix, zero, number, letter = numbers[0].groups()
        prefixes.add(prefix)
        padded, narrow = padded or bool(zero), narrow or bool(letter)
        if not letter:
            positions.setdefault(int(number), position)
    if len(prefixes) != 1:
        return None
    sensor, rgb, is_doubtful = _sensor(prefixes.pop(), names, set(positions), padded, narrow)
    if rgb is None or not positions.keys() >= set(rgb):
        return None
    red, green, blue = (positions[number] for number in rgb)
    return NamedColours((red, green, blue), f"bands are numbered as those of {sensor}", is_doubtful)


def _sensor(
    prefix: str, names: list[list[str]], numbers: set[int], padded: bool, narrow: bool
) -> tuple[str, tuple[int, int, int] | None, bool]:
    """The sensor with such numbers of bands, the numbers of red, green and blue, and whether that is doubtful."""
    if prefix in _NUMBERED:
        return (*_NUMBERED[prefix], False)
    words = {word for name in names for word in name}
    if {"sur", "refl"} <= words:
        return "MODIS", _MODIS, False
    if "sr" in words:
        return _landsat(names, numbers)
    if "vcid" in words:
        return "Landsat 7", _LANDSAT_4, False
    count = len(names)
    if padded or narrow:
        return "Sentinel-2", _SENTINEL_2, False
    if numbers == set(range(1, count + 1)):  # B1, B2, B3, ... may be the numbers of the bands of any file
        return "Sentinel-2 or Landsat 8/9", _SENTINEL_2 if count >= 7 else None, True
    return "Sentinel-2 or Landsat 8/9", _SENTINEL_2, False


def _landsat(names: list[list[str]], numbers: set[int]) -> tuple[str, tuple[int, int, int], bool]:
    """Landsat by the surface reflectances of a file: only from Landsat 8 on, band 6 is one of them."""
    if 6 in numbers or ["st", "b10"] in names:
        return "Landsat 8/9", _LANDSAT_8, False
    if 7 in numbers or ["st", "b6"] in names:
        return "Landsat 4 to 7", _LANDSAT_4, False
    return ("Landsat 8/9", _LANDSAT_8, True) if 4 in numbers else ("Landsat 4 to 7", _LANDSAT_4, True)
