"""A command as one of several processes that a launcher started."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rsmoe_cli import console
from rsmoe_core.devices import find_device, uses_bf16
from rsmoe_core.training import distributed


@contextmanager
def together(device: str, precision: str) -> Iterator[tuple[str, bool]]:
    """Join the others, and get where to compute and whether in bfloat16; all but the first fall silent.

    Without a launcher this is about the two settings only.
    """
    with distributed.initialised(find_device(device)) as where:
        if not distributed.is_rank0():
            console.set_level(logging.ERROR)
        yield where, distributed.from_rank0(lambda: uses_bf16(precision, where))
