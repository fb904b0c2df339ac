"""The words that questions are made of, and what they mean.

"vessels"  ──▶  "<ship>"        a thing, by its name in `lexicon`
"next to"  ──▶  "{next to}"     a relation, by its name in `lexicon.RELATIONS`
"photo"    ──▶  "picture"       one symbol for all words that mean the same in a question
"please"   ──▶  ""              padding, which changes nothing
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rsmoe_core.words.lexicon import ATTRIBUTES, NAMES, RELATIONS

# Beside the lexicon's names. There boats and ships are two things, as in the annotations; who asks about either means
# both.
_THINGS = {
    "airplane": "jet, airliner, air plane",
    "car": "automobile, van, lorry",
    "crossroads": "cross point, crosspoint, cross road, road crossing, junction",
    "farmland": "farm land, agricultural land",
    "football field": "football pitch, soccer pitch",
    "house": "home",
    "parking lot": "carpark, parking place",
    "port": "seaport, marina, quay",
    "railway": "train track, railroad track, railway track, railway line, rail line",
    "residential area": "neighbourhood, housing area",
    "runway": "airstrip, landing strip",
    "ship": "boat, yacht, craft, watercraft, cargo ship, cargo vessel, container ship, tanker, oil tanker, "
    "fishing boat, sailing boat, sailboat, motorboat",
    "storage tank": "water tank, fuel tank",
    "water": "water body, water bodies, body of water, bodies of water",
}

_RELATIONS = {
    "across": "crosses, crossing",
    "around": "surrounds, surround, surrounding, all around, encloses, encircles",
    "beside": "by, at the side of",
    "in": "at, inside, inside of, within",
    "in the middle of": "in the centre of, at the center of, at the centre of",
    "near": "in the vicinity of, close by",
    "next to": "adjacent to, right next to",
    "over": "above",
}

_PADDING = (
    "a, an, the, this, that, these, those, any, some, all, there, here, it, its",
    "visible, present, shown, located, situated, standing, placed, parked, docked, moored, anchored, berthed, floating",
    "sailing, happening, going on, main, whole, entire, satellite, aerial",
    "now, right now, currently, at the moment, at present, exactly, approximately, roughly, just, also, actually",
    "really, clearly, altogether, overall, total, in total, in all, at all, or not",
    "hi, hello, hey, ok, okay, please, kindly, thanks, thank you, excuse me, tell me, show me, give me, let me know",
    "do you know, do you think, would you say, i wonder, i want to know, i would like to know, i'd like to know",
)

# Words that are symbols as they are, and stand for no others.
_ALONE = (
    "about, and, as, classify, count, for, from, how, locate, many, more, of, or, outnumber, presence, same, to, when",
    "where, why",
)

_ALIKE = {
    "can": "could, would, will, may",
    "color": "colour, colors, colours",
    "describe": "description, caption, summarize, summarise, summary, explain, overview, write a caption, "
    "write a description, generate a caption, make a caption",
    "do": "does, did",
    "equal": "identical",
    "fewer": "less",
    "gray": "grey",
    "greater": "higher, larger, bigger",
    "have": "has, had, contain, contains, containing, hold, holds, include, includes, show, shows, showing, depict, "
    "depicts, display, displays, feature, features",
    "how many": "how many of, how may",
    "if": "whether",
    "is": "are, was, were, be, been, am, lie, lies, sit, sits, stand, stands, run, runs, go, goes, pass, passes, flow, "
    "flows, appear, appears, exist, exists",
    "kind": "kinds, type, types, sort, sorts, category, class, classification",
    "large": "largest, big, biggest",
    "lesser": "smaller, lower",
    "location": "locations, position, positions, whereabouts",
    "long": "longest",
    "measured": "how much, how old, how long, how far, how big, how large, how tall, how high, how wide, how deep, "
    "how fast, area covered",
    "number": "numbers, quantity, amount",
    "part": "side, corner, section, quadrant, portion, half",
    "picture": "pictures, image, images, photo, photos, photograph, pic, tile, map, view, shot, frame, "
    "satellite image, aerial image",
    "place": "area, scene, region, landscape, environment, terrain, zone, site, land, setting",
    "rural": "countryside, village",
    "see": "seen, spot, spotted, find, found, notice, recognize, recognise, identify, detect, detected, observe, "
    "make out",
    "small": "smallest, little, tiny",
    "tall": "tallest",
    "than": "compared to, compared with",
    "theme": "topic, subject, land use, landuse, land cover, landcover",
    "thing": "things, object, objects, item, items",
    "urban": "city, town",
    "what": "which",
    "who": "whose, whom",
    "you": "we, i",
}

ADJECTIVES = frozenset(("square", "residential", "industrial"))
"""Names of things that are adjectives before another thing: "a square building"."""


def _spellings(table: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((spelling, key) for key, spellings in table.items() for spelling in spellings.split(", "))


# "center" is a place in the picture; the center building is not meant by it.
_NAMES = {spelling: name for spelling, name in NAMES.items() if spelling not in ("center", "centers")}
_NAMES |= {spelling + ending: name for spelling, name in _spellings(_THINGS) for ending in ("", "s")}
_NAMES |= {"lorries": "car"}

MEANINGS: dict[str, str] = {symbol: symbol for symbol in (*ATTRIBUTES, *", ".join(_ALONE).split(", "), *_ALIKE)}
"""Every spelling, of one word or more → its meaning."""
MEANINGS |= dict(_spellings(_ALIKE))
MEANINGS |= dict.fromkeys(", ".join(_PADDING).split(", "), "")
MEANINGS |= {relation: f"{{{relation}}}" for relation in RELATIONS.values()}
MEANINGS |= {spelling: f"{{{relation}}}" for spelling, relation in (*RELATIONS.items(), *_spellings(_RELATIONS))}
MEANINGS |= {spelling: f"<{name}>" for spelling, name in _NAMES.items()}

LONGEST = max(len(spelling.split()) for spelling in MEANINGS)
"""Words of the longest spelling."""

KNOWN_WORDS: dict[str, str] = {word: MEANINGS.get(word, word) for spelling in MEANINGS for word in spelling.split()}
"""Every word of a spelling → its meaning, or itself where it has none alone."""

# Only words that a question hangs on are looked for in mistyped ones; the more there were, the more words of their own
# would be near one of them.
_ASKING = "what which where there many number count location position picture image photo color colour theme describe"
TYPED_AMISS: dict[str, str] = {
    word: KNOWN_WORDS[word] for spelling in (*_NAMES, *_ASKING.split()) for word in spelling.split()
}
"""The known words that a mistyped word may stand for, with their meanings."""


def names_thing(word: str) -> bool:
    """Whether a word is a thing's name by itself."""
    return word in _NAMES
