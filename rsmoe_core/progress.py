"""Progress of work that takes long; whoever calls for the work decides how it is shown.

with progress(total, "step", "experts") as advance:
    advance(1, "loss 2.310")
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Advance(Protocol):
    """Counts what has been done."""

    def __call__(self, units: int, note: str = "") -> object:
        """Some more units are done; `note` is a word about the state of the work."""


class Progress(Protocol):
    """Shows how far work is."""

    def __call__(self, total: int, unit: str, label: str = "", done: int = 0) -> AbstractContextManager[Advance]:
        """Begin to show progress through `total` units, of which `done` were done before."""


@contextmanager
def no_progress(total: int, unit: str, label: str = "", done: int = 0) -> Iterator[Advance]:
    """Shows nothing."""
    yield lambda units, note="": None


@contextmanager
def progress_bar(total: int, unit: str, label: str = "", done: int = 0) -> Iterator[Advance]:
    """A bar on stderr where that is a terminal, and nothing elsewhere."""
    from tqdm import tqdm

    with tqdm(total=total, unit=unit, desc=label or None, initial=done, disable=None) as bar:

        def advance(units: int, note: str = "") -> None:
            bar.set_postfix_str(note, refresh=False)
            bar.update(units)
            if not units:
                bar.refresh()

        yield advance
