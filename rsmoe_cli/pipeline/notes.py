"""What a run says about its scenes while it opens them: each cause once, however many scenes have it.

a.tif: band 4 is called alpha but is not a mask           the first scene with that note
bands 4,3,2 (the descriptions name the colours)           the first scene with these bands
left out: cannot read b.tif: it is not a raster           the first scene that fails for that reason
7 more scenes: band 4 is called alpha but is not a mask   at the end
2 more scenes, with other numbers: pixels of 300 m are coarser ...
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence

from rsmoe_cli import console
from rsmoe_cli.raster.bands import BandSelection

log = logging.getLogger(__name__)

_NUMBER = re.compile(r"-?\d[\d.,]*(?:e[+-]?\d+)?")
"""Notes that differ in their numbers alone have one cause."""


class SceneNotes:
    """What has been said; the rest is counted, and logged at the level INFO."""

    def __init__(self, scenes: int, shows_bands: bool) -> None:
        """`scenes` is the number of scenes of the run; `shows_bands` says whether the chosen bands are printed."""
        self._scenes, self._shows_bands = scenes, shows_bands
        self._bands: set[str] = set()
        self._notes: dict[str, dict[str, str]] = {}
        """Note without its numbers → scene → its first note of that kind."""
        self._causes: dict[str, str] = {}
        """Error without the scene's name → the first scene that was left out for it."""
        self._left_out: dict[str, int] = {}
        """That scene → number of others that were left out for the same reason."""

    def warn(self, path: str, notes: Iterable[str]) -> None:
        """Warn of each note on a scene, unless another scene had it, be it with other numbers."""
        for note in notes:
            by_scene = self._notes.setdefault(_NUMBER.sub("#", note), {})
            by_scene.setdefault(path, note)
            if len(by_scene) > 1:
                log.info("%s: %s", path, note)
            else:
                log.warning("%s%s", f"{path}: " if self._scenes > 1 else "", note)

    def show_bands(self, path: str, selection: BandSelection) -> None:
        """Print which bands were chosen and why, unless it is doubtful: then a warning says so."""
        line = selection.summary
        if not self._shows_bands or selection.is_doubtful or line in self._bands:
            return
        console.print_note(f"{path}: {line}" if self._bands else line)
        self._bands.add(line)

    def leave_out(self, path: str, error: str) -> None:
        """Warn that a scene is left out, unless another one was for the same reason."""
        first = self._causes.setdefault(error.replace(path, ""), path)
        if first != path:
            self._left_out[first] = self._left_out.get(first, 0) + 1
            log.info("left out: %s", error)
            return
        log.warning("left out: %s", error)

    def log_repeated(self) -> None:
        """Say of how many more scenes each note was true."""
        for by_scene in self._notes.values():
            if len(notes := list(by_scene.values())) > 1:
                numbers = ", with other numbers" if len(set(notes)) > 1 else ""
                log.warning("%s%s: %s", _more_scenes(len(notes) - 1), numbers, notes[0])
        for first, others in self._left_out.items():
            log.warning("%s left out, for the same reason as %s", _more_scenes(others), first)


def _more_scenes(number: int) -> str:
    return f"{number} more scene{'s' if number > 1 else ''}"


def distinct_warnings(notes_by_scene: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Each note once, given the name and the notes of each scene; with names where there are several scenes."""
    scenes: dict[str, list[str]] = {}
    for name, notes in notes_by_scene:
        for note in notes:
            scenes.setdefault(note, []).append(name)
    if len(notes_by_scene) == 1:
        return list(scenes)
    return [f"{_listed(names)}: {note}" for note, names in scenes.items()]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
