"""The web server of the benchmarks, which gives files slowly and badly, for tests."""

from __future__ import annotations

import runpy
from pathlib import Path

_SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "range_server.py"))
RangeServer, Fault, HANG, RESET = (_SCRIPT[name] for name in ("RangeServer", "Fault", "HANG", "RESET"))
