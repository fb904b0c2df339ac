"""Files that hold several rasters (netCDF, HDF 5, Zarr): their red, green and blue, or names to choose from."""

from __future__ import annotations

import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster.band_names import find_colours
from rsmoe_cli.raster.dataset import Drivers, open_dataset
from rsmoe_cli.raster.products import Product

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

_MAX_LISTED, _MAX_OPENED, _MAX_NAMED = 1000, 20, 4
"""Rasters of a file that are looked at by name, that are opened to compare their sizes, and that are named."""
_DRIVERS = {"HDF5": "HDF5Image"}
"""Driver of a file → driver of the rasters in it, where it is another one."""


def colour_rasters(dataset: DatasetReader, path: str) -> Product | None:
    """The rasters in a file that are red, green and blue by their names; None unless there is one set of them.

    The names are compared within each group of the file.
    """
    groups: dict[str, list[str]] = {}
    for name in _own_rasters(dataset, path):
        groups.setdefault(name.removesuffix(_label(name)), []).append(name)
    found = []
    for names in groups.values():
        labels = [_label(name) for name in names]
        if (colours := find_colours(labels)) is not None and not colours.is_doubtful:
            red, green, blue = colours.positions
            files, bands = ((of[red], of[green], of[blue]) for of in (names, labels))
            found.append(Product(Path(path).name, files, bands, path, has_fill=False))
    return found[0] if len(found) == 1 else None


def raster_drivers(dataset: DatasetReader) -> Drivers:
    """The driver that opens the rasters in an open file."""
    return (_DRIVERS.get(dataset.driver, dataset.driver),)


def named_rasters(dataset: DatasetReader, path: str) -> str:
    """The first rasters in a file, as they are written in a shell; those with most pixels first."""
    sizes = {}
    for name in _own_rasters(dataset, path)[:_MAX_OPENED]:
        with suppress(SceneError), open_dataset(path, raster_drivers(dataset), name) as part:
            sizes[name] = 0 if 1 in part.shape else part.width * part.height  # an axis is no raster
    names = sorted((name for name in sizes if sizes[name] > 0), key=lambda name: -sizes[name])
    return " or ".join(map(shlex.quote, names[:_MAX_NAMED])) or "gdalinfo lists them"


def _own_rasters(dataset: DatasetReader, path: str) -> list[str]:
    """Names that begin with the file's own: others could come from a sidecar of the file."""
    file = path if path.startswith("/vsi") else str(Path(path).absolute())
    own = re.compile(rf'\w+:"?{re.escape(file)}"?(?::.*)?')
    return [name for name in dataset.subdatasets[:_MAX_LISTED] if own.fullmatch(name)]


def _label(name: str) -> str:
    """The last part of the name of a raster in a file: `sur_refl_b01` of `HDF5:"a.h5"://grid/sur_refl_b01`."""
    return re.split(r"[:/]", name)[-1]
