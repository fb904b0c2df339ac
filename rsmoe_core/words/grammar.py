"""English grammar, as far as names of objects and lengths need it."""

from __future__ import annotations

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_MANY = 20


def plural(name: str) -> str:
    """The plural of an object's name."""
    if name.endswith(("ss", "sh", "ch")):
        return name + "es"
    if name.endswith("y") and name[-2] not in "aeiou":
        return name[:-1] + "ies"
    return name if name.endswith("s") else name + "s"


def article(name: str) -> str:
    """ "a" or "an", by the name's first letter."""
    return "an" if name[0] in "aeiou" else "a"


def amount(count: int) -> str:
    """A count as captions put it: exact up to ten, then "some", and "many" from twenty on."""
    if count < len(_NUMBERS):
        return _NUMBERS[count]
    return "many" if count >= _MANY else "some"


def counted(count: int, name: str) -> str:
    """ "three ships", "one ship", "many ships"."""
    return f"{amount(count)} {name if count == 1 else plural(name)}"


def length(metres: float) -> str:
    """ "0.3 m", "1,040 m": three digits, never with an exponent."""
    return f"{float(f'{metres:.3g}'):,.10g} m"
