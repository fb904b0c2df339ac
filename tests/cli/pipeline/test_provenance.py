from __future__ import annotations

import pytest

from rsmoe_cli.pipeline.provenance import scene_names, without_paths


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


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("cannot read /data/2024/a.tif: it is no raster", "cannot read 2024/a.tif: it is no raster"),
        ("b.vrt refers to /home/me/other.tif, outside its folder", "b.vrt refers to other.tif, outside its folder"),
        ("https://host.org/x/c.tif?key=secret: HTTP 404", "x/c.tif: HTTP 404"),
        ("12 m/s and/or 3/4 of /vsicurl/x/y", "12 m/s and/or 3/4 of /vsicurl/x/y"),
    ],
)
def test_messages_in_outputs_name_no_folders(text: str, short: str) -> None:
    names = scene_names(["/data/2024/a.tif", "/data/2023/a.tif", "b.vrt", "https://host.org/x/c.tif?key=secret"])
    assert without_paths(text, names) == short
