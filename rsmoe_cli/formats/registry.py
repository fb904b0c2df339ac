"""The output formats, by the suffix of the output file.

A format is one module with a `Writer` and one entry here; command-line help, checks and messages follow from the entry.
This module is cheap to import, since the help needs it: writers, and the libraries that they need, are imported when
a file is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from rsmoe_core.errors import UsageError

if TYPE_CHECKING:
    from rsmoe_cli.formats.base import Layer, Writer

RECOMMENDED = ".gpkg"
"""The format that messages suggest where another one cannot do something."""


class Requirement(NamedTuple):
    """An optional dependency."""

    module: str
    """What has to be importable."""
    extra: str
    """The extra of this package that installs it."""


class SharedFile(Protocol):
    """A file in which layers of other programs may lie beside ours.

    `layers` are ours, each with columns by which it is known to be ours.
    """

    def check(self, layers: Mapping[str, Collection[str]]) -> None:
        """Raises `OutputError` if the layers cannot be replaced now."""

    def replaced(self, layers: Mapping[str, Collection[str]]) -> AbstractContextManager[Path]:
        """A path to write to, empty or with all other layers; what it has in the end is the file's new content."""


@dataclass(frozen=True)
class OutputFormat:
    """One file format for layers."""

    suffix: str
    """File name suffix with its dot, in lower case."""
    name: str
    """Name for messages, such as `GeoPackage`."""
    writer: Callable[[Path, Layer], Writer]
    """Creates a writer for a new file; imports what it needs."""
    requires: Requirement | None = None
    """What has to be installed beside the package's own dependencies."""
    always_lonlat: bool = False
    """Whether coordinates must be longitude and latitude (EPSG:4326)."""
    many_layers: bool = False
    """Whether a file holds more than one layer."""
    shared_file: Callable[[Path], SharedFile] | None = None
    """How a file that may hold layers of other programs is replaced; None to replace it as a whole."""


OUTPUT_FORMATS: dict[str, OutputFormat] = {}
"""Every registered format, by suffix."""


def register_output_format(output_format: OutputFormat) -> None:
    """Make a format known, so that an output may have its suffix.

    Raises:
        UsageError: the suffix is taken.
    """
    if output_format.suffix in OUTPUT_FORMATS:
        raise UsageError(f"the suffix '{output_format.suffix}' is taken; give the format another one")
    OUTPUT_FORMATS[output_format.suffix] = output_format


def suffixes() -> str:
    """The suffixes of all formats as help shows them: `.gpkg, .geojson, .fgb or .parquet`."""
    *first, last = OUTPUT_FORMATS
    return f"{', '.join(first)} or {last}" if first else last


def find_output_format(path: Path) -> OutputFormat:
    """The format of an output file, by its suffix in any case.

    Raises:
        UsageError: no format has that suffix.
    """
    try:
        return OUTPUT_FORMATS[path.suffix.lower()]
    except KeyError:
        raise UsageError(f"unknown output type '{path.suffix or path.name}'; choose {suffixes()}") from None


def _geopackage(path: Path, layer: Layer) -> Writer:
    from rsmoe_cli.formats.geopackage import GeoPackageWriter

    return GeoPackageWriter(path, layer)


def _shared_geopackage(path: Path) -> SharedFile:
    from rsmoe_cli.formats.shared_geopackage import SharedGeoPackage

    return SharedGeoPackage(path)


def _geojson(path: Path, layer: Layer) -> Writer:
    from rsmoe_cli.formats.geojson import GeoJsonWriter

    return GeoJsonWriter(path, layer)


def _flatgeobuf(path: Path, layer: Layer) -> Writer:
    from rsmoe_cli.formats.flatgeobuf import FlatGeobufWriter

    return FlatGeobufWriter(path, layer)


def _geoparquet(path: Path, layer: Layer) -> Writer:
    from rsmoe_cli.formats.geoparquet import GeoParquetWriter

    return GeoParquetWriter(path, layer)


for _format in (
    OutputFormat(".gpkg", "GeoPackage", _geopackage, many_layers=True, shared_file=_shared_geopackage),
    OutputFormat(".geojson", "GeoJSON", _geojson, always_lonlat=True),
    OutputFormat(".fgb", "FlatGeobuf", _flatgeobuf),
    OutputFormat(".parquet", "GeoParquet", _geoparquet, requires=Requirement("pyarrow", "parquet")),
):
    register_output_format(_format)
