"""Scene classes: the folder and file names of data sets → the kind of place as people would say it."""

from __future__ import annotations

# By name without underscores; others are used as they are.
_SPOKEN = {
    "agricultural": "farmland",
    "airplane": "airport",
    "bareland": "bare land",
    "baseballdiamond": "baseball field",
    "baseballfield": "baseball field",
    "buildings": "commercial area",
    "center": "center building",
    "commercial": "commercial area",
    "denseresidential": "dense residential area",
    "golfcourse": "golf course",
    "harbor": "port",
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


def spoken(name: str) -> str:
    """`denseresidential`, `dense_residential` → `dense residential area`."""
    return _SPOKEN.get(name.replace("_", ""), name.replace("_", " "))
