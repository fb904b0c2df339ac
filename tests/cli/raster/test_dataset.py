from __future__ import annotations

import os
import re
import threading
import zipfile
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import rasterio
import rasterio.shutil

from benchmarks.range_server import RangeServer
from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster.dataset import gdal_settings, is_remote, local_file, open_dataset, quiet_gdal
from rsmoe_cli.raster.scene import checked_scene, open_scene
from tests.cli.raster.test_safety import vrt
from tests.cli.rasters import rgb


def test_the_users_settings_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gdal_settings()["GDAL_HTTP_MAX_RETRY"] == 3
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
    assert "GDAL_HTTP_MAX_RETRY" not in gdal_settings()


@pytest.mark.parametrize("cache", [None, "64", "64MB"])
def test_the_cache_of_the_user_is_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: str | None) -> None:
    monkeypatch.delenv("GDAL_CACHEMAX", raising=False)
    if cache:
        monkeypatch.setenv("GDAL_CACHEMAX", cache)
    assert open_scene(rgb(tmp_path / "a.tif")).width == 70
    assert quiet_gdal().options.get("GDAL_CACHEMAX") == (None if cache else 2**27)


def test_only_ordinary_files_are_opened(tmp_path: Path) -> None:
    path = rgb(tmp_path / "a.tif")
    assert local_file(path) == Path(path)
    assert local_file("/vsizip/a.zip/a.tif") is None
    assert local_file("https://example.org/a.tif") is None
    with open_dataset(path, ("GTiff",)) as dataset:
        assert dataset.count == 3
    with pytest.raises(SceneError, match="not a raster that GDAL knows"):
        open_dataset(path, ("PNG",))
    for name, message in (("none.tif", "there is no file"), ("", "is a folder")):
        with pytest.raises(SceneError, match=message):
            local_file(str(tmp_path / name))
    with pytest.raises(SceneError, match="not an ordinary file"):
        local_file(os.devnull)


@pytest.mark.parametrize(
    ("name", "remote"),
    [
        ("https://a.org/b.tif", True),
        ("s3://a/b.tif", True),
        ("/vsicurl/http://a.org/b.tif", True),
        ("/vsis3/a/b.tif", True),
        ("zip+https://a.org/b.zip!c.tif", True),
        ("/vsizip//vsicurl/https://a.org/b.zip/c.tif", True),
        ("zip:///a/b.zip!c.tif", False),
        ("/vsizip/a/b.zip/c.tif", False),
        ("a/b.tif", False),
        ("C:\\a\\b.tif", False),
    ],
)
def test_remote_names_are_known(tmp_path: Path, name: str, remote: bool) -> None:
    with rasterio.open(rgb(tmp_path / "a.tif")) as dataset:
        assert is_remote(dataset, name) == remote


def test_a_mosaic_of_remote_files_is_remote(tmp_path: Path) -> None:
    path = rgb(tmp_path / "a.tif")
    with RangeServer(path) as server:
        for source, remote in ((server.url, True), (path, False)):
            rasterio.shutil.copy(source, tmp_path / "a.vrt", driver="VRT")
            with rasterio.open(tmp_path / "a.vrt") as dataset:
                assert is_remote(dataset, str(tmp_path / "a.vrt")) == remote


def signature(path: str) -> str:
    with checked_scene(path) as file:
        return file.signature


def test_a_signature_changes_with_the_files_of_a_scene(tmp_path: Path) -> None:
    path = rgb(tmp_path / "a.tif")
    mosaic = vrt(tmp_path / "a.vrt", "a.tif")
    before = signature(path), signature(mosaic)
    assert open_scene(path).file_signature == before[0]
    (tmp_path / "a.tif.aux.xml").write_text("<PAMDataset></PAMDataset>")
    assert (signature(path), signature(mosaic)) == before, "statistics that a viewer leaves are no change"
    os.utime(path, (4e9, 4e9))
    assert signature(path) != before[0]
    assert signature(mosaic) != before[1], "the sources of a VRT count"
    size = Path(path).stat().st_size
    assert signature(f"/vsisubfile/0_{size},{path}").startswith("70 x 50 pixels at (10.0, 0.0, 500000.0")
    with pytest.raises(SceneError):
        signature(str(tmp_path / "none.tif"))


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "the server answers HTTP 404 (not found); check the address, and your access to it"),
        (403, "the server answers HTTP 403 (forbidden); check the address, and your access to it"),
        (500, "the server answers HTTP 500; try again later"),
        (200, "the server does not send parts of files, as HTTP range requests ask for; download the file first"),
    ],
)
def test_the_answer_of_a_server_is_named(monkeypatch: pytest.MonkeyPatch, status: int, message: str) -> None:
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(10**6))
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            with suppress(ConnectionError):  # GDAL hangs up
                self.wfile.write(bytes(10**6))

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/a.tif"
        for allow in (False, True):
            with pytest.raises(SceneError, match=re.escape(f"{address}: {message}")):
                open_scene(address, allow_external=allow)
        server.shutdown()
    with pytest.raises(SceneError, match=r"[Cc]onnect.*; check the address, the network"):
        open_scene(f"http://127.0.0.1:9/{status}.tif")  # GDAL remembers what it could not open


def test_hdf_4_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.hdf").write_bytes(b"\x0e\x03\x13\x01" + bytes(100))
    with pytest.raises(SceneError, match=r"a\.hdf: it is HDF 4"):
        open_scene(str(tmp_path / "a.hdf"))


def test_a_scene_in_an_archive_has_the_signature_of_the_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(rgb(tmp_path / "a.tif"), "a.tif")
    assert signature(f"/vsizip/{tmp_path}/a.zip/a.tif").startswith(f"{(tmp_path / 'a.zip').stat().st_size} bytes of ")
