from __future__ import annotations

import pytest

from rsmoe_cli.pipeline.provenance import scene_names


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/home/me/a.tif"], ["a.tif"]),
        (["/home/me/a.tif", "/home/me/b.tif"], ["a.tif", "b.tif"]),
        (["/home/me/2023/a.tif", "/home/me/2024/a.tif"], ["2023/a.tif", "2024/a.tif"]),
        (["x/a.tif", "y/x/a.tif"], ["x/a.tif", "y/x/a.tif"]),
        (["a.tif", "x/a.tif"], ["a.tif", "x/a.tif"]),
        (["https://host/a.tif?signature=secret"], ["a.tif"]),
        (
            ["https://host/a.tif?id=1", "https://host/a.tif?id=2"],
            ["https://host/a.tif?id=1", "https://host/a.tif?id=2"],
        ),
        (["C:\\scenes\\a.tif", "product.SAFE/"], ["a.tif", "product.SAFE"]),
    ],
)
def test_scenes_have_short_names_that_tell_them_apart(paths: list[str], names: list[str]) -> None:
    assert list(scene_names(paths).values()) == names
