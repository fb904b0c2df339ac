"""Packages that only tests need, importable in pytest and in every process that it starts.

They lie in `<environment>/only-for-tests`, apart from the others, because PyPI's torchvision does not import beside a
CPU build of torch: its compiled operators are missing. Image and video processors do not use them, so they are declared
without code. With an ordinary torchvision nothing is to do. `tests/conftest.py` puts this folder on PYTHONPATH.
"""

from __future__ import annotations

import importlib.abc
import sys
from pathlib import Path
from typing import Any

PACKAGES = Path(sys.prefix) / "only-for-tests"


class _DeclareOperators(importlib.abc.MetaPathFinder):
    """Finds nothing itself; right before the first import of torchvision, it declares what that looks up."""

    operators: Any = None

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name != "torchvision" or self.operators is not None:
            return
        import torch  # which may look for torchvision itself

        if self.operators is not None:
            return
        self.operators = torch.library.Library("torchvision", "DEF")
        self.operators.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        self.operators.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def _is_set_up() -> bool:
    """Whether this has run before: pytest-xdist gives its processes other paths, and runs it again."""
    return any(type(finder).__name__ == _DeclareOperators.__name__ for finder in sys.meta_path)


if PACKAGES.is_dir() and str(PACKAGES) not in sys.path:
    sys.path.append(str(PACKAGES))
if (PACKAGES / "torchvision").is_dir() and not _is_set_up():
    sys.meta_path.insert(0, _DeclareOperators())
