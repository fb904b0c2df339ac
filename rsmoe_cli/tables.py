"""Tables as Markdown, padded so that they read well in a terminal too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Table:
    """A table of texts; the first column says what a row is."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """The table under its title."""
        cells = [[_escaped(cell) for cell in row] for row in (self.columns, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        head, *body = (_line(row, widths) for row in cells)
        return "\n".join([self.title, "", head, f"|{'|'.join('-' * (width + 2) for width in widths)}|", *body])


@dataclass(frozen=True)
class Report:
    """An evaluation for people and for programs to read."""

    title: str
    figures: dict[str, Any]
    """All figures, as JSON has them."""
    tables: tuple[Table, ...]
    facts: tuple[str, ...]
    """What no table holds, a line each."""
    details: tuple[Table, ...] = ()
    """Long tables, which only a file has room for."""

    def shown(self) -> str:
        """For a terminal."""
        return "\n\n".join([self.title, *(table.markdown() for table in self.tables), "\n".join(self.facts)])

    def document(self, made_by: Iterable[str]) -> str:
        """For a Markdown file; `made_by` are lines that say how it was made."""
        facts = "\n".join(f"- {fact}" for fact in self.facts)
        tables = [f"## {table.markdown()}" for table in (*self.tables, *self.details)]
        return "\n\n".join([f"# {self.title}", *made_by, *tables, facts]) + "\n"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |"


def _escaped(cell: str) -> str:
    """Text that stays in its cell, and is neither markup nor HTML to a Markdown reader."""
    return re.sub(r"([\\|<\[\]`])", r"\\\1", " ".join(cell.split()))
