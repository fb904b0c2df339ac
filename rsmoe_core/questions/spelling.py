"""A mistyped word → the known word that was meant, where there is no doubt.

    "vesels"     ──▶  "vessels"
    "airpalens"  ──▶  "airplanes"     two slips are allowed in a word of at least eight letters, else one
    "shops"      ──▶  "shops"         an English word of its own, not a mistyped "ships"

A slip is a missing or additional letter, one vowel instead of another, or two swapped neighbours; any other wrong
letter counts as two slips. An uncorrected word only leads to a message that it is not understood, but a wrongly
corrected one leads to a wrong answer. So in doubt a word stays as it is:

    its first letter differs
    known words with different meanings are equally near
    a letter of a short word would have to be replaced: "boot" is not "boat"
    the word is too short, unless it has no vowel: "mny" is "many"
    it is one of `REAL_WORDS`
"""

from __future__ import annotations

from collections.abc import Mapping

_REAL_WORDS = """
airline airlines arena arenas bared bares barge bashes bats blare bleach bleachers bloat blush boast boasts bodes bots
boys breach breaches breeches bride brides brush brushes bushel bushels bushy busts camps cards cares caressing carts
coarse commercials contained cops corp corps counts county courtesy crafty curse curses curt deserted deserter
deserters dessert desserts distinct distract docs dues dunce factor factors farmhand ferris filed finishing flashing
florists flurries flushing footballer forecast forecasts foremost forestry gardener gardeners grasps grassy greens
grounded hilly hoes hoisting homer hose hoses hosing housed industries interaction interactions islanders jangle jest
jingle lads lance lances landings laws lending lien lined linen linens liner liners lofts lost lotus louts maintain
maintains manly marginal maria marine mariners marines martians martinis mobiles mountainous mounting pace paces
paints palace palaces pane panes pant pants paring parka partaking pastries patch pathos pats photon photons pies pint
pints pitchers pith planner planners plans pliers pods polo posture pots pound pounds puncture refs ride rides rocky
rods rovers runaway runaways sans schooled seals seams sears seats sips situation situations skimming snowy sows
spices spoiling sport spots spry spurts squire stationed steam steerage stoned straps strays streamed streamers
striations stripe stripes supports tack tacks taker takers tans tees terminus them thermals thinkers threes tinker
trackers trainees trainers truckers tuck tucks villages villains waiter waiters waive walter watchers watery waver
weave weaves wheat woody wooed worships
"""
REAL_WORDS = frozenset(_REAL_WORDS.split())
"""Common English words that are one or two slips away from a word of the vocabulary."""

_SHORT = 5
"""Length up to which no letter may be replaced."""
_LONG = 8
"""Length from which two slips are allowed."""
_SHORTEST = 4
"""Length from which words are corrected."""
_VOWELS = "aeiou"


def corrected(word: str, known: Mapping[str, str]) -> str:
    """The known word that was meant, or the word itself. `known` maps each known word to its token."""
    if word in known or word in REAL_WORDS or not word.isalpha() or not _long_enough(word):
        return word
    allowed = 2 if len(word) >= _LONG else 1
    near = {other: slips(word, other) for other in known if _comparable(word, other, allowed)}
    fewest = min(near.values(), default=allowed + 1)
    nearest = [other for other, count in near.items() if count == fewest]
    doubtful = len({known[other] for other in nearest}) != 1
    return word if fewest > allowed or doubtful else nearest[0]


def slips(word: str, other: str) -> int:
    """Number of slips between two words: letters left out, added or replaced, and neighbours swapped."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(word):
        earlier, before, row = before, row, [i + 1]
        for j, wanted in enumerate(other):
            wrong = 0 if letter == wanted else 1 if letter in _VOWELS and wanted in _VOWELS else 2
            count = min(before[j] + wrong, before[j + 1] + 1, row[j] + 1)
            if i and j and letter == other[j - 1] and word[i - 1] == wanted:
                count = min(count, earlier[j - 1] + 1)
            row.append(count)
    return row[-1]


def _long_enough(word: str) -> bool:
    return len(word) >= _SHORTEST or (len(word) == _SHORTEST - 1 and not set(word) & set(_VOWELS))


def _comparable(word: str, other: str, allowed: int) -> bool:
    if word[0] != other[0] or len(other) < _SHORTEST or abs(len(word) - len(other)) > allowed:
        return False
    # in words of equal length that do not have the same letters, a letter was replaced
    return len(word) > _SHORT or len(word) != len(other) or sorted(word) == sorted(other)
