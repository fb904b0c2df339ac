"""Scene classes: the names that data sets have for them → the kind of place as people would say it, and equal names.

The field's class sets (UC Merced, AID, NWPU-RESISC45, RSICD, EuroSAT, PatternNet) have other names for the same places.
A model that learned the names of one set can be scored on another one by what the tables below hold to be equal:

    overpass = viaduct      AID's and RSICD's viaducts are roads above roads, as the overpasses of the others are
    bridge                  stays apart from both: it leads over water, and every set that shows some has a class for it
    airplane, runway        an airport is right too: sets without these classes call such pictures airports
    playground              a ground track field: this is what AID's and RSICD's playgrounds show
    buildings               equal to nothing: UC Merced's are offices and shops, and also dense housing
    residential             EuroSAT's class is right whatever the density; a set that has densities asks for the density

A name that is a class of its own in the data set at hand is never right for another class: NWPU-RESISC45 has airplanes,
runways and airports, so there a runway is no airport.
"""

from __future__ import annotations

import re
from collections.abc import Collection

# By name without underscores; others are used as they are.
_SPOKEN = {
    "bareland": "bare land",
    "baseballdiamond": "baseball diamond",
    "baseballfield": "baseball field",
    "center": "center building",
    "commercial": "commercial area",
    "denseresidential": "dense residential area",
    "golfcourse": "golf course",
    "industrial": "industrial area",
    "mediumresidential": "medium residential area",
    "mobilehomepark": "mobile home park",
    "parking": "parking lot",
    "parkinglot": "parking lot",
    "railwaystation": "railway station",
    "sparseresidential": "sparse residential area",
    "storagetanks": "storage tanks",
    "tenniscourt": "tennis court",
}

# Names of one kind of place each; the plural of any is understood.
_EQUAL = (
    ("agricultural", "agricultural land", "farmland", "cropland", "farm field"),
    ("airport", "aerodrome", "airfield"),
    ("airplane", "plane", "aircraft", "aeroplane"),
    ("bare land", "bareland", "bare ground", "bare soil"),
    ("baseball field", "baseball diamond", "baseball court"),
    ("basketball court", "basketball field"),
    ("buildings", "building"),
    ("cemetery", "graveyard"),
    ("chaparral", "shrubland"),
    ("church", "cathedral"),
    ("commercial area", "commercial district"),
    ("dense residential area", "dense residential"),
    ("football field", "soccer field"),
    ("forest", "woodland", "woods"),
    ("freeway", "highway", "motorway", "expressway"),
    ("ground track field", "playground", "running track"),
    ("harbor", "harbour", "port", "marina"),
    ("industrial area", "industrial district"),
    ("intersection", "crossroads", "crossroad", "road junction"),
    ("meadow", "pasture", "grassland"),
    ("medium residential area", "medium residential"),
    ("mobile home park", "trailer park"),
    ("overpass", "viaduct", "flyover"),
    ("parking lot", "parking", "car park", "parking area"),
    ("railway", "railroad"),
    ("railway station", "train station"),
    ("residential", "residential area"),
    ("roundabout", "traffic circle"),
    ("sea", "ocean"),
    ("snowberg", "snow mountain"),
    ("sparse residential area", "sparse residential"),
    ("square", "plaza"),
    ("storage tanks", "storage tank", "oil tank"),
    ("swimming pool", "pool"),
    ("thermal power station", "power plant"),
    ("transformer station", "substation"),
)

# Class → other kinds of places that are right too, in this direction only.
_ALSO = {
    "airplane": ("airport",),
    "annual crop": ("farmland",),
    "circular farmland": ("farmland",),
    "herbaceous vegetation": ("meadow",),
    "permanent crop": ("farmland",),
    "rectangular farmland": ("farmland",),
    "residential": ("dense residential area", "medium residential area", "sparse residential area"),
    "runway": ("airport",),
    "sea lake": ("sea", "lake"),
}


def spoken(name: str) -> str:
    """`denseresidential`, `dense_residential` → `dense residential area`."""
    return _SPOKEN.get(name.replace("_", ""), name.replace("_", " "))


def accepted(scene: str, classes: Collection[str] = ()) -> frozenset[str]:
    """Every name that is right for a kind of place in a data set with these classes."""
    others = set(classes) - {scene}
    groups = (_equal(name) for name in (scene, *_ALSO.get(scene, ())))
    return frozenset({scene}).union(*(group for group in groups if not group & others))


def same_place(scene: str, said: str, classes: Collection[str] = ()) -> bool:
    """Whether what was said is a name of the kind of place, in the singular or plural."""
    return any(re.fullmatch(_any_number(name), said) for name in accepted(scene, classes))


def names_place(scene: str, text: str, classes: Collection[str] = ()) -> bool:
    """Whether a name of the kind of place, in the singular or plural, occurs in the text."""
    names = "|".join(_any_number(name) for name in accepted(scene, classes))
    return re.search(rf"\b(?:{names})\b", text.lower()) is not None


def _equal(name: str) -> frozenset[str]:
    return next((frozenset(group) for group in _EQUAL if name in group), frozenset({name}))


def _any_number(name: str) -> str:
    """A pattern for the name and its plural."""
    if name.endswith("y"):
        return f"{re.escape(name[:-1])}(?:y|ys|ies)"
    return f"{re.escape(name)}(?:e?s)?"
