"""What the machine can do at best, and what a tile costs: their ratio tells how well the machine is used."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence

import torch
from torch.utils.flop_counter import FlopCounterMode

from rsmoe_core.engine import load
from rsmoe_core.types import Request

_SIDE, _REPEATS = 2048, 8


def product_flops() -> float:
    """Floating-point operations a second of large matrix products, in float32 on all cores, for about a second."""
    a, b = torch.ones(_SIDE, _SIDE), torch.ones(_SIDE, _SIDE)
    torch.mm(a, b)
    began = time.perf_counter()
    for _ in range(_REPEATS):
        torch.mm(a, b)
    return _REPEATS * 2 * _SIDE**3 / (time.perf_counter() - began)


def flops_per_tile(model: str, requests: Sequence[Request]) -> float:
    """Floating-point operations that a model's matrix products, convolutions and attention take for a tile."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the counter watches a single thread, the engine must not use others
    try:
        engine = load(model, device="cpu")
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            engine.describe(requests)
    finally:
        torch.set_num_threads(threads)
    return counter.get_total_flops() / len(requests)


def name() -> str:
    """Processor, cores that may be used, and torch, in words."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_processor()}, {cores} cores, torch {torch.__version__}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
