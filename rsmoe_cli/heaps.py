"""How the C library hands out memory to threads."""

from __future__ import annotations

import contextlib
import ctypes

_M_ARENA_MAX = -8
"""Its name in glibc's malloc.h."""
_HEAPS = 2


def share_heaps() -> None:
    """Lets all threads allocate from two heaps; call it before there are threads.

    glibc gives threads heaps of their own, each of which keeps what its threads have freed. With readers and workers
    that was a good part of all memory. Elsewhere than under glibc nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _HEAPS)
