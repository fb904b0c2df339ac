"""The words by which objects, amounts and relations are recognised in sentences about overhead images.

Spelling variants and plurals that occur in the field's caption sets are mapped to one name.
"""

from __future__ import annotations

# Name → other spellings. The plural in -s is always understood.
_OBJECTS: dict[str, tuple[str, ...]] = {
    "airplane": ("plane", "aircraft", "aeroplane"),
    "airport": (),
    "apron": (),
    "badminton court": ("badminton field",),
    "bare land": ("bareland", "bare area", "bare ground", "wasteland"),
    "baseball field": ("baseballfield", "baseball diamond", "baseball court"),
    "basketball court": ("basketball field", "basketball playground"),
    "beach": ("beaches",),
    "boat": ("yacht",),
    "bridge": (),
    "building": ("buildiing", "skyscraper"),
    "bush": ("bushes", "shrub", "chaparral"),
    "car": ("vehicle", "bus", "truck"),
    "center building": ("center",),
    "church": ("churches", "cathedral"),
    "commercial area": ("commercial district",),
    "container": (),
    "court": (),
    "crossroads": ("crossroad", "intersection"),
    "desert": (),
    "factory": ("factories", "plant building", "workshop"),
    "farmland": ("farm", "field crop", "crop", "cropland"),
    "field": (),
    "football field": ("soccer field", "football court", "soccer stadium field"),
    "forest": ("wood", "woods", "jungle"),
    "fountain": (),
    "garden": (),
    "grassland": ("grass", "lawn"),
    "golf course": (),
    "green plant": ("plant", "vegetation"),
    "port": ("harbor", "harbour", "wharf", "pier", "dock"),
    "highway": ("freeway", "motorway"),
    "house": ("villa",),
    "industrial area": ("industrial", "industry area"),
    "island": (),
    "lake": (),
    "meadow": ("pasture",),
    "mobile home": (),
    "mobile home park": (),
    "mountain": ("hill", "ridge"),
    "park": (),
    "parking lot": ("parking", "parking area", "car park", "parking space"),
    "playground": ("sports field", "track field", "ground track field"),
    "pond": (),
    "railway": ("railroad", "rail", "rail track"),
    "railway station": ("train station",),
    "residential area": ("residential", "neighborhood", "residential district"),
    "resort": (),
    "river": ("stream",),
    "road": ("street", "path", "lane", "avenue"),
    "rock": ("reef", "stone"),
    "runway": (),
    "sand": ("sandy land", "dune"),
    "school": ("campus", "campuses"),
    "sea": ("ocean", "sea water"),
    "ship": ("vessel",),
    "snow": (),
    "square": ("plaza",),
    "stadium": ("gym", "gymnasium"),
    "storage tank": ("tank", "storagetank", "oil tank", "jar"),
    "swimming pool": ("pool",),
    "tennis court": (),
    "terminal": ("termial", "terminal building"),
    "train": (),
    "tree": (),
    "viaduct": ("overpass", "overpasses", "flyover"),
    "water": (),
    "wave": ("spray", "ripple"),
}

NAMES: dict[str, str] = {}
"""Every spelling of an object's name, singular or plural, of one to three words → the name."""
for _name, _variants in _OBJECTS.items():
    for _spelling in (_name, *_variants):
        NAMES[_spelling] = NAMES[_spelling + "s"] = _name

SINGULAR_IN_S = frozenset(("bus", "campus", "crossroads", "grass", "overpass", "woods"))
"""Last words of names that end in -s without being plurals."""

QUANTITIES: dict[str, str] = {
    **{w: w for w in ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "many", "some")},
    **dict.fromkeys(("a", "an", "the", "this", "single"), "a"),
    **dict.fromkeys(("several", "few"), "several"),
    **dict.fromkeys(("numerous", "lots", "plenty", "rows", "number", "countless"), "many"),
}
"""A word that says how many → the word used in a draft."""

COUNTED = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "some", "several", "many")
"""Amounts of objects that can be counted: the router asks for their number."""

MASS = frozenset(("grassland", "sand", "water", "snow", "bare land", "farmland", "sea", "desert", "forest", "meadow"))
"""Objects that cover an area and are not counted."""

# fmt: off
ATTRIBUTES = frozenset((
    "green", "white", "yellow", "red", "blue", "gray", "grey", "brown", "black", "dark", "light", "large",
    "small", "big", "huge", "tall", "long", "wide", "narrow", "curved", "straight", "round", "circular", "oval",
    "rectangular", "square", "irregular", "dense", "sparse", "old", "new", "bare", "lush", "medium",
))
# fmt: on
"""Adjectives that a draft may contain."""

RELATIONS: dict[str, str] = {
    "surrounded by": "surrounded by",
    "surroundeded by": "surrounded by",
    "semi-surrounded by": "partly surrounded by",
    "semisurrounded by": "partly surrounded by",
    "in two sides of": "on two sides of",
    "on two sides of": "on two sides of",
    "on both sides of": "on two sides of",
    "in both sides of": "on two sides of",
    "on either side of": "on two sides of",
    "two sides of": "on two sides of",
    "both sides of": "on two sides of",
    "on one side of": "beside",
    "in the middle of": "in the middle of",
    "in the center of": "in the middle of",
    "next to": "next to",
    "close to": "near",
    "near to": "near",
    "near": "near",
    "nearby": "near",
    "beside": "beside",
    "besides": "beside",
    "alongside": "along",
    "along": "along",
    "around": "around",
    "between": "between",
    "among": "among",
    "across": "across",
    "over": "over",
    "through": "through",
    "in": "in",
    "on": "on",
    "with": "with",
    "divided by": "divided by",
    "separated by": "divided by",
}
"""Words between two objects → the relation's name; longer spellings win."""

PRONOUNS = frozenset(("it", "its", "them", "which", "each"))
"""Words after a relation that stand for something named earlier: "with a bridge over it"."""

LONGEST_SPELLING = max(len(spelling.split()) for spelling in (*NAMES, *RELATIONS))
"""Words of the longest name or relation."""

QUESTIONS: dict[str, str] = {
    "surrounded by": "say what surrounds the {}",
    "partly surrounded by": "say what surrounds the {}",
    "around": "say what the things around the {} are",
    "on two sides of": "say what lies on the two sides of the {}",
    "near": "say what is near the {}",
    "next to": "say what is next to the {}",
    "beside": "say what is beside the {}",
    "along": "say what runs along the {}",
    "over": "say what goes over the {}",
    "across": "say what crosses the {}",
    "through": "say what runs through the {}",
    "between": "say what lies between the {}",
    "divided by": "say what divides the {}",
    "in": "say what is in the {}",
    "on": "say what is on the {}",
    "in the middle of": "say what is in the middle of the {}",
    "with": "say what belongs to the {}",
}
"""What the router asks the relations expert about a relation; `{}` is the object that it asks about."""

ASKS_ABOUT_SUBJECT = frozenset(("surrounded by", "partly surrounded by", "divided by", "with"))
"""Relations whose question is about the object on the left; the others ask about the one on the right."""

FAMILIES: dict[str, str] = {
    **dict.fromkeys(
        ("dense residential area", "medium residential area", "sparse residential area"), "residential area"
    ),
    "mobile home park": "residential area",
    **dict.fromkeys(("airport", "railway station", "bridge", "viaduct", "parking lot"), "traffic place"),
    **dict.fromkeys(("freeway", "intersection", "overpass", "runway"), "traffic place"),
    **dict.fromkeys(
        ("baseball field", "basketball court", "football field", "playground", "stadium", "tennis court"),
        "sports place",
    ),
    "golf course": "sports place",
    **dict.fromkeys(("beach", "coast", "pond", "river", "port", "sea", "lake"), "waterside"),
    **dict.fromkeys(("bare land", "chaparral", "desert", "farmland", "forest", "meadow", "mountain"), "landscape"),
    **dict.fromkeys(("commercial area", "industrial area", "storage tanks"), "business place"),
    **dict.fromkeys(("center building", "church", "park", "resort", "school", "square"), "public place"),
}
"""Scene class → the family of classes from which the router asks the theme expert to choose."""
