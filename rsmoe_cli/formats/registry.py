"""Rows → file, which appears whole or not at all: .gpkg, .geojson, .fgb or .parquet.

check_output(path, ...) ──▶ Output;   with output.open(...) as sink: sink.write(rows) ... sink.finish(metadata)
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError

from rsmoe_cli.atomic import new_file
from rsmoe_cli.errors import OutputError
from rsmoe_cli.formats.base import Layer, Row
from rsmoe_cli.formats.flatgeobuf import FlatGeobufWriter
from rsmoe_cli.formats.geojson import GeoJsonWriter
from rsmoe_cli.formats.geopackage import GeoPackageWriter
from rsmoe_core.errors import UsageError

log = logging.getLogger(__name__)
LONGITUDE_LATITUDE = CRS.from_epsg(4326)


class Writer(Protocol):
    """Takes rows in tile order and writes them down in chunks."""

    def write(self, rows: Sequence[Row]) -> None:
        """Adds rows to the layer that the sink was opened with."""

    def add(self, layer: Layer, rows: Sequence[Row]) -> bool:
        """Adds another layer, with all of its rows; False where the format has room for one layer only."""

    def finish(self, metadata: Mapping[str, object]) -> None:
        """Adds the provenance and completes the file."""


def _geoparquet(path: Path, layer: Layer) -> Writer:
    """The only format that needs an extra."""
    from rsmoe_cli.formats.geoparquet import GeoParquetWriter

    return GeoParquetWriter(path, layer)


_SINKS: dict[str, Callable[[Path, Layer], Writer]] = {
    ".gpkg": GeoPackageWriter,
    ".geojson": GeoJsonWriter,
    ".fgb": FlatGeobufWriter,
    ".parquet": _geoparquet,
}


@dataclass(frozen=True)
class Output:
    """Where the rows go, checked to be possible."""

    path: Path
    """Final place of the file."""
    crs: CRS | None
    """Reference system of the footprints; None for the scene's own."""
    together: bool = False
    """Whether several scenes share it; then `crs` is given."""

    def target(self, scene_crs: CRS | None, scene: str = "the scene") -> CRS | None:
        """Reference system that the footprints of a scene are brought into; None to keep them as they are.

        Raises:
            OutputError: a reference system was asked for, and the scene cannot be brought into it.
        """
        asked = self.crs or (LONGITUDE_LATITUDE if self.path.suffix.lower() == ".geojson" else None)
        if scene_crs is None and self.together:
            raise OutputError(f"{scene} has no CRS, so it has no place on a map with others; give it a run of its own")
        if scene_crs is None:
            if self.crs is not None:
                raise OutputError(f"{scene} has no CRS, so --dst-crs has nothing to start from; leave it out")
            return None
        if asked is None:
            return None
        try:
            Transformer.from_crs(scene_crs, asked)
        except ProjError:
            raise OutputError(
                f"there is no way from the CRS of {scene}, '{scene_crs.name}', to '{asked.name}'; "
                + ("give it a run of its own" if self.together else "write a GeoPackage (.gpkg) without --dst-crs")
            ) from None
        return asked

    def notes(self, scene_crs: CRS | None) -> tuple[str, ...]:
        """What the user should know about the map that a scene will give, one sentence each."""
        if scene_crs is None and self.path.suffix.lower() == ".geojson":
            return ("GeoJSON readers take these coordinates for longitude and latitude; a .gpkg would be safer",)
        return ()

    @contextmanager
    def open(self, layer: Layer) -> Iterator[Writer]:
        """A sink whose file takes its place when the block ends well, and leaves nothing behind otherwise.

        Raises:
            OutputError: the file cannot be written.
        """
        with new_file(self.path) as unfinished:
            yield _SINKS[self.path.suffix.lower()](unfinished, layer)


def warn_unplaced(rows: int) -> None:
    """Tells how many rows have no geometry, if any."""
    if rows:
        log.warning("rows without a footprint: %d; their ground is undefined in the output's CRS", rows)


def check_output(path: Path, *scenes: str, overwrite: bool = False, dst_crs: str | None = None) -> Output:
    """Refuses what cannot be written, before any work is done.

    Several scenes share the map in longitude and latitude, unless another reference system is asked for.

    Raises:
        UsageError: a file type that is unknown or needs an extra, an unknown reference system, or a scene as output.
        OutputError: the file exists already or its folder does not.
    """
    suffix = path.suffix.lower()
    if suffix not in _SINKS:
        raise UsageError(f"output type '{path.suffix or path.name}' is unknown; choose {' or '.join(_SINKS)}")
    if suffix == ".parquet" and find_spec("pyarrow") is None:
        raise UsageError("a .parquet needs pyarrow; pip install 'rsmoe[parquet]', or write a .gpkg")
    if dst_crs and suffix == ".geojson":
        raise UsageError("GeoJSON is always in longitude and latitude (EPSG:4326); for --dst-crs write a .gpkg")
    if any("\ud800" <= letter <= "\udfff" for letter in str(path)):  # bytes that are no UTF-8
        raise OutputError(f"{path}: the name is no text in UTF-8; choose another one")
    if not path.parent.is_dir():
        raise OutputError(f"there is no folder {path.parent}; make it with: mkdir -p {path.parent}")
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file")
    if path.exists() and any(Path(scene).exists() and path.samefile(scene) for scene in scenes):
        raise UsageError(f"{path} is the scene itself; choose another output")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already; choose another name or add --overwrite")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"the folder {path.parent} is not writable; choose another one")
    together = len(scenes) > 1
    if together and not dst_crs:
        return Output(path, LONGITUDE_LATITUDE, together)
    try:
        return Output(path, CRS.from_user_input(dst_crs) if dst_crs else None, together)
    except CRSError:
        raise UsageError(f"CRS '{dst_crs}' is unknown; write it like EPSG:4326") from None
