"""The words of questions → tokens.

    "vessels"  ──▶  "<ship>"        an object, by its name in `lexicon`
    "next to"  ──▶  "{next to}"     a relation, by its name in `lexicon.RELATIONS`
    "photo"    ──▶  "picture"       one token for all words that mean the same in a question
    "please"   ──▶  ""              padding, which does not change the question; "all" and "docked" do, and are none

Words that only one type of question needs are listed with the type (`QuestionType.words`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from rsmoe_core.questions.types import QUESTION_TYPES
from rsmoe_core.words.grammar import plural
from rsmoe_core.words.lexicon import ATTRIBUTES, NAMES, RELATIONS

# In addition to the lexicon's names. Annotations distinguish boats and ships; a question about either means both.
_OBJECTS = {
    "airplane": "air plane",
    "car": "automobile",
    "crossroads": "cross point, crosspoint, cross road, road crossing, junction",
    "farmland": "farm land, agricultural land",
    "football field": "football pitch, soccer pitch",
    "house": "home",
    "parking lot": "carpark, parking place",
    "port": "seaport",
    "railway": "train track, railroad track, railway track, railway line, rail line",
    "residential area": "neighbourhood, housing area",
    "runway": "airstrip, landing strip",
    "ship": "boat, craft, watercraft",
    "water": "water body, water bodies, body of water, bodies of water",
}

# Kinds and parts of objects. Annotations call them by the object's name, so an answer would be about all of its kinds.
_KINDS = {
    "airplane": "jet, airliner",
    "building": "skyscraper",
    "car": "bus, truck, van, lorry, minibus, pickup",
    "church": "cathedral",
    "house": "villa",
    "port": "dock, marina, pier, quay, wharf",
    "ship": "yacht, ferry, cargo ship, cargo vessel, container ship, container vessel, tanker, oil tanker, "
    "fishing boat, fishing vessel, sailing boat, sailing ship, sailboat, motorboat, speedboat, cruise ship, warship",
    "storage tank": "oil tank, water tank, fuel tank",
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
    "a, an, the, this, that, these, those, any, some, there, here, it, its",
    "visible, present, shown, located, situated, placed, happening, going on",
    "briefly, in detail, in short, in a sentence, in one sentence, in a few words",
    "now, right now, currently, at the moment, at present, exactly, approximately, roughly, also, actually",
    "really, clearly, altogether, overall, in total, in all, at all, or not",
    "hi, hello, hey, ok, okay, please, kindly, thanks, thank you, excuse me, tell me, show me, give me, let me know",
    "do you know, do you think, would you say, i wonder, i want to know, i would like to know, i'd like to know",
)

# Words that are tokens themselves, without other spellings.
_WITHOUT_SYNONYMS = (
    "about, and, as, classify, count, for, from, how, locate, many, of, or, presence, to, when, where, why"
)

_PICTURES = "picture, pictures, image, images, imagery, photo, photos, photograph, pic, tile, map, view, shot, frame"
_TAKEN = ", ".join(f"{by} {name}" for by in ("satellite", "aerial") for name in (*_PICTURES.split(", "), "scene"))

_SYNONYMS = {
    "can": "could, would, may, might",
    "describe": "description, caption, summarize, summarise, summary, explain, overview, write a caption, "
    "write a description, generate a caption, make a caption",
    "do": "does, did",
    "gray": "grey",
    "have": "has, had, contain, contains, containing, hold, holds, include, includes, show, shows, showing, depict, "
    "depicts, display, displays, feature, features",
    "go": "goes, pass, passes, flow, flows",
    "how many": "how many of, how may",
    "if": "whether",
    "is": "are, was, were, be, been, am, lie, lies, appear, appears, exist, exists",
    "kind": "kinds, type, types, sort, sorts, category, class, classification",
    "large": "largest, big, biggest",
    "location": "locations, position, positions, whereabouts",
    "long": "longest",
    "measured": "how much, how old, how long, how far, how big, how large, how tall, how high, how wide, how deep, "
    "how fast, area covered, the area of, what portion, what proportion, what percentage, what share, what fraction",
    "number": "numbers, quantity, amount",
    "part": "side, corner, section, quadrant, half",
    "picture": f"{_PICTURES}, {_TAKEN}",
    "place": "area, scene, region, landscape, environment, terrain, zone, site, setting",
    "run": "runs, sit, sits, stand, stands",
    "see": "seen, spot, spotted, find, found, notice, recognize, recognise, identify, detect, detected, observe, "
    "make out",
    "small": "smallest, little, tiny",
    "tall": "tallest",
    "theme": "topic, subject, land use, landuse, land cover, landcover",
    "thing": "things, object, objects, item, items",
    "what": "which",
    "who": "whose, whom",
    "you": "we, i",
}

_STATES = "anchored berthed docked floating flying landed moored moving parked sailing sunk standing"
STATES = frozenset(_STATES.split())
"""Words for what an object does, which the model does not tell."""

# German; French; Spanish; Italian; Portuguese; Dutch, Swedish, Polish and Turkish
_FOREIGN = """
wie viele viel gibt sind ist wo welche welcher welches der das dem den ein eine einen einem es auf bild hier
combien est sont les des une du sur dans quelle quel quels quelles cette il ou que qu'est c'est
cuantos cuantas hay donde estan esta los las una imagen cual cuales de el la en que
quanti quante ci sono dove gli nella quale quali di le c'e dov'e cos'e
quantos quantas onde estao uma os imagem qual ha na um
hoeveel zijn er waar het een welke hur manga finns det var ar bilden ile jest gdzie kac
"""
FOREIGN = frozenset(_FOREIGN.split())
"""Words of questions in other languages that are written in the same letters. One of them may be anything, two are
another language.
"""

ADJECTIVES = frozenset(("square", "residential", "industrial"))
"""Names of objects that are adjectives before another object: "a square building"."""


def _spellings(table: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(spelling, key) of a table with comma-separated spellings."""
    return ((spelling, key) for key, spellings in table.items() for spelling in spellings.split(", ") if spelling)


# "center" is a location in the image; the center building is not meant by it.
_NAMES = {spelling: name for spelling, name in NAMES.items() if spelling not in ("center", "centers")}
_NAMES |= {spelling + ending: name for spelling, name in _spellings(_OBJECTS) for ending in ("", "s")}
KINDS = {form: name for spelling, name in _spellings(_KINDS) for form in (spelling, plural(spelling))}
KINDS |= {"buses": "car", "wharves": "port"}
"""Every spelling of a kind or part of an object that is not told from others → the name of the object."""
_NAMES = {spelling: name for spelling, name in _NAMES.items() if spelling not in KINDS}

# Spelling correction considers only words that a question depends on: the more candidates there are, the more correct
# words come close to one of them.
_KEY_WORDS = (
    "what which where there many number count location position picture image photo color colour theme describe"
)


@dataclass(frozen=True)
class Vocabulary:
    """The words of questions of all registered types."""

    tokens: Mapping[str, str]
    """Every spelling, of one word or more → its token; empty for padding."""
    longest: int
    """Number of words of the longest spelling."""
    known_words: Mapping[str, str]
    """Every word of a spelling → its token, or the word itself where it has none of its own."""
    correctable: Mapping[str, str]
    """The known words that a mistyped word may stand for → their tokens."""


def vocabulary() -> Vocabulary:
    """The vocabulary for the question types that are registered now."""
    return _vocabulary(tuple(item for type in QUESTION_TYPES.values() for item in type.words.items()))


@lru_cache(maxsize=1)
def _vocabulary(words_of_types: tuple[tuple[str, str], ...]) -> Vocabulary:
    synonyms = _SYNONYMS | dict(words_of_types)
    tokens = {token: token for token in (*ATTRIBUTES, *_WITHOUT_SYNONYMS.split(", "), *synonyms)}
    tokens |= dict(_spellings(synonyms))
    tokens |= dict.fromkeys(", ".join(_PADDING).split(", "), "")
    tokens |= {relation: f"{{{relation}}}" for relation in RELATIONS.values()}
    tokens |= {spelling: f"{{{relation}}}" for spelling, relation in (*RELATIONS.items(), *_spellings(_RELATIONS))}
    tokens |= {spelling: f"<{name}>" for spelling, name in _NAMES.items()}
    tokens |= {spelling: f"?{spelling}" for spelling in KINDS}
    known_words = {word: tokens.get(word, word) for spelling in tokens for word in spelling.split()}
    correctable = {word: known_words[word] for spelling in (*_NAMES, *_KEY_WORDS.split()) for word in spelling.split()}
    return Vocabulary(tokens, max(len(spelling.split()) for spelling in tokens), known_words, correctable)


def names_object(word: str) -> bool:
    """Whether a single word is the name of an object."""
    return word in _NAMES
