"""What may become of an input, in one word, and which of these words are faults of rsmoe."""

from __future__ import annotations

ACCEPTED, PARTLY, REFUSED = "accepted", "in part", "refused"
FINE = (ACCEPTED, PARTLY, REFUSED)
"""Allowed outcomes; all others are faults."""

TRACEBACK, PARTIAL, UNNAMED, INCONSISTENT = "traceback", "partial output", "file not named", "inconsistent loading"
CRASH, HANG, MEMORY = "crash", "hang", "memory"
UNTRUE = "wrong result"
"""The pixels, the captions or the layers of an output are not those that are right for the input."""
WRONG = (CRASH, HANG, MEMORY, TRACEBACK, PARTIAL, UNNAMED, INCONSISTENT, UNTRUE)

Outcome = tuple[str, str]
"""One of the words above, and details."""
