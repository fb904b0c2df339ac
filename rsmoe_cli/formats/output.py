"""The output file of a command: checked before any work is done, complete or not there at all.

check_output(path, ...) ──▶ Output
with output.open(layer) as writer:  writer.write(rows) ... writer.finish(metadata)
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError

from rsmoe_cli.atomic import MAX_NAME, atomic_file
from rsmoe_cli.errors import OutputError
from rsmoe_cli.formats.base import Layer, Writer
from rsmoe_cli.formats.registry import RECOMMENDED, OutputFormat, find_output_format
from rsmoe_core.errors import UsageError

log = logging.getLogger(__name__)

LONGITUDE_LATITUDE = CRS.from_epsg(4326)


@dataclass(frozen=True)
class Output:
    """Where the rows go; everything that can be checked without the scene has been."""

    path: Path
    """Final path of the file."""
    crs: CRS | None
    """Reference system of the footprints; None for the scene's own."""
    together: bool = False
    """Whether several scenes share the file; then `crs` is given, unless none of them has a CRS."""
    is_transformed: bool = False
    """Whether the user asked for `crs`."""
    layers: Mapping[str, Collection[str]] = field(default_factory=dict)
    """The layers that are replaced, as in `OWN_LAYERS`."""

    @property
    def format(self) -> OutputFormat:
        """The file format."""
        return find_output_format(self.path)

    def target(self, scene_crs: CRS | None, scene: str = "the scene") -> CRS | None:
        """The reference system that a scene's footprints are transformed to; None to leave them as they are.

        Raises:
            OutputError: the footprints cannot be transformed to the system of the output.
        """
        if scene_crs is None:
            if self.crs is not None:
                raise OutputError(f"{scene} has no CRS, so {self._no_crs_remedy}")
            return None
        if self.together and self.crs is None:
            raise OutputError(f"{scene} has a CRS and others have none, so they cannot share a file; write another one")
        target = self.crs or (LONGITUDE_LATITUDE if self.format.always_lonlat else None)
        if target is None:
            return None
        try:
            Transformer.from_crs(scene_crs, target)
        except ProjError:
            remedy = "process it on its own" if self.together else f"write a {RECOMMENDED} without --dst-crs"
            raise OutputError(
                f"cannot transform the CRS of {scene}, '{scene_crs.name}', to '{target.name}'; {remedy}"
            ) from None
        return target

    def without_crs(self) -> Output:
        """The same for scenes of which none has a CRS: the footprints are in the pixels of each.

        It has no effect where a reference system was asked for.
        """
        return dataclasses.replace(self, crs=None) if self.together and not self.is_transformed else self

    @property
    def _no_crs_remedy(self) -> str:
        if self.is_transformed:
            return "--dst-crs has nothing to start from; leave it out"
        return "it cannot share a file with others that have one; write another one"

    def notes(self, scene_crs: CRS | None) -> tuple[str, ...]:
        """What the user should know about the output of a scene, one sentence each."""
        if scene_crs is None and self.format.always_lonlat:
            return (
                f"{self.format.name} readers take these coordinates for longitude and latitude; "
                f"a {RECOMMENDED} would be safer",
            )
        return ()

    @contextmanager
    def open(self, layer: Layer) -> Iterator[Writer]:
        """A writer whose file replaces `path` when the block ends well, and leaves nothing behind otherwise.

        Layers of other programs in the file are kept.

        Raises:
            OutputError: the file cannot be written.
        """
        shared_file = self.format.shared_file
        replaced = (
            atomic_file(self.path)
            if shared_file is None
            else shared_file(self.path).replaced({layer.name: (), **self.layers})
        )
        with replaced as unfinished:
            yield self.format.writer(unfinished, layer)


def warn_unplaced(rows: int) -> None:
    """Logs how many rows have no geometry, if there are any."""
    if rows:
        log.warning("rows without a footprint: %d; they have no coordinates in the output's CRS", rows)


def check_output(
    path: Path,
    *scenes: str,
    overwrite: bool = False,
    dst_crs: str | None = None,
    layers: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> Output:
    """Refuses what cannot be written, before any work is done.

    Several scenes share a file in longitude and latitude, unless another reference system is asked for or none of them
    has one. `layers` are
    those that are replaced in a file that exists, as in `OWN_LAYERS`.

    Raises:
        UsageError: a file type that is unknown or needs an extra, an unknown reference system, or a scene as output.
        OutputError: the file exists already, cannot be replaced, or its folder does not exist.
    """
    output_format = find_output_format(path)
    if output_format.requires is not None and find_spec(output_format.requires.module) is None:
        module, extra = output_format.requires
        raise UsageError(
            f"a {output_format.suffix} file needs {module}; pip install 'rsmoe[{extra}]', or write a {RECOMMENDED}"
        )
    if dst_crs and output_format.always_lonlat:
        raise UsageError(
            f"{output_format.name} is always in longitude and latitude (EPSG:4326); for --dst-crs write a {RECOMMENDED}"
        )
    _check_path(path, scenes, overwrite)
    if output_format.shared_file is not None and path.exists():
        output_format.shared_file(path).check(layers)
    together = len(scenes) > 1
    if together and not dst_crs:
        return Output(path, LONGITUDE_LATITUDE, together, layers=layers)
    try:
        crs = CRS.from_user_input(dst_crs) if dst_crs else None
        return Output(path, crs, together, is_transformed=crs is not None, layers=layers)
    except CRSError:
        raise UsageError(f"unknown CRS '{dst_crs}'; write it like EPSG:4326") from None


def _check_path(path: Path, scenes: tuple[str, ...], overwrite: bool) -> None:
    if any("\ud800" <= letter <= "\udfff" for letter in str(path)):  # surrogates: bytes that are not UTF-8
        raise OutputError(f"{path}: the name is not valid UTF-8; choose another one")
    if (length := len(os.fsencode(path.name))) > MAX_NAME:
        raise OutputError(f"the name of the output is too long: {length} bytes; choose one of at most {MAX_NAME}")
    if not os.path.isdir(path.parent):  # Path.is_dir fails for names that are too long
        raise OutputError(f"there is no folder {path.parent}; make it with: mkdir -p {path.parent}")
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file")
    if path.exists() and any(Path(scene).exists() and path.samefile(scene) for scene in scenes):
        raise UsageError(f"{path} is the scene itself; choose another output")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already; choose another name or add --overwrite")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"the folder {path.parent} is not writable; choose another one")
