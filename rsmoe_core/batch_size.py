"""How many pictures to compute at a time: found while computing. Free of torch."""

from __future__ import annotations

_GAIN = 0.9
"""A doubled batch is worth its memory if a picture then takes no more than this share of the time."""


class BatchSize:
    """Begins small, doubles while that makes pictures faster, and shrinks where memory does not suffice.

    What is said of a picture does not depend on it.
    """

    def __init__(self, start: int, most: int) -> None:
        """`most` equal to `start` keeps it as it is, as long as memory suffices."""
        self.now = start
        self._most = most
        self._warm = False
        self._before: tuple[int, float] | None = None
        """The size before this one, and the seconds that a picture took with it."""

    def took(self, pictures: int, seconds: float) -> None:
        """A batch was computed; only full ones tell anything, and the very first does not, as everything is cold."""
        if pictures != self.now or self.now >= self._most:
            return
        if not self._warm:
            self._warm = True
            return
        each = seconds / pictures
        if self._before is not None and each > _GAIN * self._before[1]:
            self.now = self._most = self._before[0]
            return
        self._before = self.now, each
        self.now = min(2 * self.now, self._most)

    def was_too_large(self, pictures: int) -> None:
        """A batch of so many pictures did not fit into memory; it will not be tried again."""
        self.now = self._most = max(1, pictures // 2)
