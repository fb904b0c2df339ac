"""Scene classes: names of data sets' classes in readable words, and names that are equal.

The field's class sets (UC Merced, AID, NWPU-RESISC45, RSICD, EuroSAT, PatternNet) have different names for the same
classes. The tables below allow a model that learned the names of one set to be scored on another:

    overpass = viaduct      AID's and RSICD's viaducts are roads above roads, as the overpasses of the other sets are
    bridge                  differs from both: it crosses water, and every set that shows bridges has a class for them
    airplane, runway        an airport is right too: sets without these classes call such images airports
    playground              a ground track field: this is what AID's and RSICD's playgrounds show
    buildings               equal to nothing: UC Merced's are offices and shops, but also dense housing
    residential             EuroSAT's class is right whatever the density; a set that has densities asks for the density

A name that is a class of its own in a data set is never right for another class of that set: NWPU-RESISC45 has
airplanes, runways and airports, so there a runway is not an airport.
"""

from __future__ import annotations

import re
from collections.abc import Collection

# Class name without underscores → readable name, where replacing underscores by spaces is not enough.
_READABLE = {
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

# Each group has the names of one scene class; plurals are understood.
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

# Scene class → others that are right too, in this direction only.
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


def readable_name(name: str) -> str:
    """`denseresidential`, `dense_residential` → `dense residential area`."""
    return _READABLE.get(name.replace("_", ""), name.replace("_", " "))


def accepted_names(scene_class: str, classes: Collection[str] = ()) -> frozenset[str]:
    """Every name that is right for a scene class in a data set with these classes."""
    others = set(classes) - {scene_class}
    groups = (_equal_names(name) for name in (scene_class, *_ALSO.get(scene_class, ())))
    return frozenset({scene_class}).union(*(group for group in groups if not group & others))


def same_scene_class(scene_class: str, name: str, classes: Collection[str] = ()) -> bool:
    """Whether a name is right for the scene class, in the singular or plural."""
    return any(re.fullmatch(_any_number(accepted), name) for accepted in accepted_names(scene_class, classes))


def mentions_scene_class(scene_class: str, text: str, classes: Collection[str] = ()) -> bool:
    """Whether a text contains a name that is right for the scene class, in the singular or plural."""
    names = "|".join(_any_number(name) for name in accepted_names(scene_class, classes))
    return re.search(rf"\b(?:{names})\b", text.lower()) is not None


def _equal_names(name: str) -> frozenset[str]:
    return next((frozenset(group) for group in _EQUAL if name in group), frozenset({name}))


def _any_number(name: str) -> str:
    """A pattern for the name and its plural."""
    if name.endswith("y"):
        return f"{re.escape(name[:-1])}(?:y|ys|ies)"
    return f"{re.escape(name)}(?:e?s)?"
