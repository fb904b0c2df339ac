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
_NEAR_INFRARED = {"n", "nir", "nir1", "nir2", "near", "infrared", "ir"}
_NOT_ALPHA = {*COLOURS, *_LETTERS, *_NEAR_INFRARED, "swir", "edge", "rededge", "thermal"}
_NUMBER = re.compile(r"(b|oa|m)(0?)([1-9]\d?)(a?)")
_SATELLITE = re.compile(r"l[cote]0?(\d)(?:\d{6,})?")
"""The number of a Landsat satellite in the names of its files."""
_WAVELENGTH = re.compile(
    r"(?:(\d+(?:\.\d+)?)\s*[-–]\s*)?(\d+(?:\.\d+)?)\s*(nm|nanomet(?:er|re)s?|[uµμ]m|micromet(?:er|re)s?)\b",
    re.IGNORECASE,
)
_CENTRES, _MAX_OFF_CENTRE = (660.0, 560.0, 480.0), 40.0
"""Wavelengths of red, green and blue, and how far a band may be from them, in nm."""
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
    words = [_words(name) for name in names]
    return _by_words(words) or _by_numbers(words) or _by_wavelengths(names) or _from_zero(words)


def contradicts(name: str, colour: str) -> bool:
    """Whether a band that is taken for a colour is named like another one."""
    words = set(_words(name))
    return colour not in words and colour[0] not in words and not words.isdisjoint({*_NOT_ALPHA, *_OTHER_BANDS})


def is_named_otherwise(name: str) -> bool:
    """Whether a band that is taken for alpha is named like a band of light."""
    words = _words(name)
    return not _NOT_ALPHA.isdisjoint(words) or any(map(_NUMBER.fullmatch, words))


def _words(name: str) -> list[str]:
    """Words in lower case; `redBand` is two, and a number at the end of a colour is left out: `red_1`, `red1`."""
    words = re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
    return [re.sub(rf"^({'|'.join(COLOURS)})\d+$", r"\1", word) for word in words]


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
    prefixes, padded, narrow, repeated = set(), False, False, set()
    for position, words in enumerate(names):
        numbers = [match for word in words if (match := _NUMBER.fullmatch(word))]
        if len(numbers) != 1 or "st" in words:
            continue
        prefix, zero, number, letter = numbers[0].groups()
        prefixes.add(prefix)
        padded, narrow = padded or bool(zero), narrow or bool(letter)
        if not letter:
            repeated |= {int(number)} & positions.keys()
            positions.setdefault(int(number), position)
    if len(prefixes) != 1:
        return None
    sensor, rgb, is_doubtful = _sensor(prefixes.pop(), names, set(positions), padded, narrow)
    if rgb is None or not positions.keys() >= set(rgb):
        return None
    red, green, blue = (positions[number] for number in rgb)
    is_doubtful = is_doubtful or not repeated.isdisjoint(rgb)
    return NamedColours((red, green, blue), f"bands are numbered as those of {sensor}", is_doubtful)


def _by_wavelengths(names: Sequence[str]) -> NamedColours | None:
    """The bands nearest to the wavelengths of red, green and blue."""
    found = [(position, _nanometres(name)) for position, name in enumerate(names)]
    known = [(position, length) for position, length in found if length is not None]
    nearest = [min(known, key=lambda band: abs(band[1] - centre), default=(0, 0.0)) for centre in _CENTRES]
    if any(abs(length - centre) > _MAX_OFF_CENTRE for (_, length), centre in zip(nearest, _CENTRES, strict=True)):
        return None
    red, green, blue = (position for position, _ in nearest)
    return NamedColours((red, green, blue), "the descriptions name wavelengths")


def _nanometres(name: str) -> float | None:
    """The wavelength in a name, or the middle of a range of wavelengths."""
    if not (match := _WAVELENGTH.search(name)):
        return None
    ends = [float(end) for end in (match[1], match[2]) if end]
    return sum(ends) / len(ends) * (1.0 if match[3].lower().startswith("n") else 1000.0)


def _from_zero(words: list[list[str]]) -> NamedColours | None:
    """Bands B0, B1, B2 and perhaps B3: blue, green and red of Pleiades and SPOT 6/7, or counted from 0."""
    labels = [word for name in words for word in name]
    if sorted(labels) not in (["b0", "b1", "b2"], ["b0", "b1", "b2", "b3"]):
        return None
    positions = (labels.index("b2"), labels.index("b1"), labels.index("b0"))
    return NamedColours(positions, "bands are numbered as those of Pleiades and SPOT", is_doubtful=True)


def _sensor(
    prefix: str, names: list[list[str]], numbers: set[int], padded: bool, narrow: bool
) -> tuple[str, tuple[int, int, int] | None, bool]:
    """The sensor with such numbers of bands, the numbers of red, green and blue, and whether that is doubtful."""
    if prefix in _NUMBERED:
        return (*_NUMBERED[prefix], False)
    words = {word for name in names for word in name}
    if satellites := {match[1] for word in words if (match := _SATELLITE.fullmatch(word))}:
        is_newer = min(satellites) >= "8"
        return ("Landsat 8/9", _LANDSAT_8, False) if is_newer else ("Landsat 4 to 7", _LANDSAT_4, False)
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
