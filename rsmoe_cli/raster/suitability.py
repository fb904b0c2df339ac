"""Scenes that a model for colour images does not know: radar, thermal, too coarse, too fine.

They are described all the same, with a note that says why the result is not to be trusted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rsmoe_cli.raster.bands import BandSelection
from rsmoe_core.words.grammar import length

_COARSEST = 40.0
"""Metres per pixel beyond which there is a warning; the model was trained on up to 10 m."""
_FINEST = 0.05
"""Metres per pixel below which single objects fill an image."""
_RADAR = {"vv", "vh", "hh", "hv", "sar", "sigma0", "gamma0", "beta0", "backscatter"}
_THERMAL = {"thermal", "lwir", "tir", "tirs", "tirs1", "tirs2", "lst", "temperature", "kelvin", "celsius"}
_THERMAL_BAND = re.compile(r"(?:^|[^a-z0-9])st_b\d+")


def unsuitable(selection: BandSelection, units: Sequence[str | None], metres_per_pixel: float | None) -> list[str]:
    """Why the model does not know such a scene, one sentence each; `units` are those of the selected bands."""
    text = " ".join([*(band.description.lower() for band in selection.bands), *(unit or "" for unit in units)]).lower()
    words = set(re.findall(r"[a-z0-9]+", text))
    notes = []
    if words & _RADAR:
        notes.append("the bands are radar, which the model was not trained on: do not trust captions and answers")
    elif words & _THERMAL or _THERMAL_BAND.search(text):
        notes.append("the bands are thermal, which the model was not trained on: do not trust captions and answers")
    elif len(selection.bands) == 1 and selection.bands[0].interpretation != "palette":
        notes.append(
            "a single band is drawn in grey: the model was trained on colour images, not on radar or thermal ones"
        )
    if metres_per_pixel is not None and metres_per_pixel > _COARSEST:
        notes.append(
            f"pixels of {length(metres_per_pixel)} are coarser than those the model was trained on (up to 10 m): "
            "do not trust captions and answers"
        )
    if metres_per_pixel is not None and metres_per_pixel < _FINEST:
        notes.append(
            f"pixels of {length(metres_per_pixel)} are finer than those the model was trained on; larger tiles, such "
            "as --tile-size 60m, may help"
        )
    return notes
