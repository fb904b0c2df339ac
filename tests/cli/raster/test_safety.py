from __future__ import annotations

import shutil
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio._env import get_gdal_config
from rasterio.shutil import copy

from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster.dataset import quiet_gdal
from rsmoe_cli.raster.scene import checked_scene, open_scene
from rsmoe_cli.tiles.grid import Grid
from rsmoe_cli.tiles.image import TileFailure
from rsmoe_cli.tiles.reader import read_tiles
from tests.cli.rasters import noise, rgb

VRT = """<VRTDataset rasterXSize="70" rasterYSize="50"><VRTRasterBand dataType="Byte" band="1"{kind}>
<SimpleSource><SourceFilename relativeToVRT="{relative}">{name}</SourceFilename><SourceBand>1</SourceBand>
</SimpleSource>{more}</VRTRasterBand></VRTDataset>"""


def vrt(path: Path, name: str, relative: int = 1, kind: str = "", more: str = "") -> str:
    path.write_text(VRT.format(name=name, relative=relative, kind=kind, more=more))
    return str(path)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """The folder of a scene, with one raster, and a raster that does not belong to it."""
    home = tmp_path / "home"
    (home / "parts").mkdir(parents=True)
    rgb(home / "parts" / "a.tif")
    return home, Path(rgb(tmp_path / "secret.tif"))


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """An address, and the requests to it so far."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()
    server.server_close()


def test_a_vrt_may_refer_to_its_own_folder(folders: tuple[Path, Path]) -> None:
    home, _ = folders
    assert open_scene(vrt(home / "a.vrt", "parts/a.tif")).width == 70
    vrt(home / "outer.vrt", "a.vrt")
    assert open_scene(str(home / "outer.vrt")).width == 70
    assert open_scene(vrt(home / "b.vrt", str(home / "parts" / "a.tif"), relative=0)).width == 70


@pytest.mark.parametrize("way", ["relative", "absolute", "link", "nested", "attribute", "raw", "geolocation", "mask"])
def test_references_outside_of_the_folder_need_permission(folders: tuple[Path, Path], way: str) -> None:
    home, secret = folders
    path = home / "a.vrt"
    if way == "relative":
        vrt(path, "../secret.tif")
    elif way == "absolute":
        vrt(path, str(secret), relative=0)
    elif way == "link":
        (home / "inside.tif").symlink_to(secret)
        vrt(path, "inside.tif")
    elif way == "nested":
        vrt(home / "inner.vrt", str(secret), relative=0)
        vrt(path, "inner.vrt")
    elif way == "attribute":
        vrt(path, "parts/a.tif", more=f'<SimpleSource SourceFilename="{secret}"/>')
    elif way == "raw":
        vrt(path, "parts/a.tif", more=f"<x><sourcefilename>{secret}</sourcefilename></x>")
    elif way == "geolocation":
        vrt(path, "parts/a.tif", more=f'<Metadata domain="x"><MDI key="X_DATASET">{secret}</MDI></Metadata>')
    elif way == "mask":
        vrt(path, "parts/a.tif", more=f"<Overview><SourceFilename>{secret}</SourceFilename></Overview>")
    with pytest.raises(SceneError, match=r"a\.vrt refers to .*, which is not in its own folder; .*--allow-external"):
        open_scene(str(path))
    if way != "attribute":
        assert open_scene(str(path), allow_external=True).width == 70


def test_sources_behind_gdals_prefixes_are_refused(folders: tuple[Path, Path], server: tuple[str, list[str]]) -> None:
    home, secret = folders
    address, requests = server
    with zipfile.ZipFile(home / "a.zip", "w") as archive:
        archive.write(secret, "a.tif")
    for name in (f"/vsizip/{home}/a.zip/a.tif", f"/vsicurl/{address}/a.tif", f"vrt://{secret}", f"WMS:{address}"):
        with pytest.raises(SceneError, match="--allow-external"):
            open_scene(vrt(home / "a.vrt", name))
    assert requests == []


def test_a_service_is_not_called(tmp_path: Path, server: tuple[str, list[str]]) -> None:
    address, requests = server
    service = tmp_path / "map.xml"
    service.write_text(
        f'<GDAL_WMS><Service name="TMS"><ServerUrl>{address}/${{z}}.png</ServerUrl></Service><DataWindow>'
        "<UpperLeftX>0</UpperLeftX><UpperLeftY>1</UpperLeftY><LowerRightX>1</LowerRightX><LowerRightY>0</LowerRightY>"
        "<TileLevel>0</TileLevel></DataWindow><BandsCount>3</BandsCount></GDAL_WMS>"
    )
    with pytest.raises(SceneError, match=f"refers to {address}"):
        open_scene(str(service))
    for name in (f"WMS:{address}", f"<GDAL_WMS><ServerUrl>{address}:</ServerUrl></GDAL_WMS>", f"vrt://{address}"):
        with pytest.raises(SceneError, match="--allow-external"):
            open_scene(name)
    assert requests == []


def test_an_overview_that_lies_elsewhere_is_not_opened(tmp_path: Path, server: tuple[str, list[str]]) -> None:
    address, requests = server
    path = rgb(tmp_path / "a.tif")
    (tmp_path / "a.tif.aux.xml").write_text(
        f'<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">/vsicurl/{address}/a.ovr</MDI></Metadata>'
        "</PAMDataset>"
    )
    with pytest.raises(SceneError, match=f"refers to /vsicurl/{address}/a.ovr"):
        open_scene(path)
    assert requests == []


def test_python_in_a_vrt_is_never_run(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_VRT_ENABLE_PYTHON", "YES")
    home, _ = folders
    code = (
        "<PixelFunctionType>f</PixelFunctionType><PixelFunctionLanguage>Python</PixelFunctionLanguage>"
        f"<PixelFunctionCode><![CDATA[\nopen('{home}/ran', 'w')\ndef f(*a, **k): pass\n]]></PixelFunctionCode>"
    )
    path = vrt(home / "a.vrt", "parts/a.tif", kind=' subClass="VRTDerivedRasterBand"', more=code)
    for allow in (False, True):
        scene = open_scene(path, allow_external=allow)
        results = list(read_tiles(scene, Grid(scene.width, scene.height, 32), 32))
        assert {isinstance(result, TileFailure) for result in results} == {True}
    assert not (home / "ran").exists()


@pytest.mark.parametrize("content", ["<VRTDataset", "<VRTDataset>&x;</VRTDataset>", "<a/><b/>", "<\xff>"])
def test_what_cannot_be_parsed_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.vrt").write_bytes(content.encode("latin-1"))
    with pytest.raises(SceneError) as refused:
        open_scene(str(tmp_path / "a.vrt"))
    assert "\n" not in str(refused.value)


def test_vrts_in_vrts_end_somewhere(tmp_path: Path) -> None:
    vrt(tmp_path / "self.vrt", "self.vrt")
    with pytest.raises(SceneError):
        open_scene(str(tmp_path / "self.vrt"))
    rgb(tmp_path / "0.vrt")
    for number in range(1, 20):
        vrt(tmp_path / f"{number}.vrt", f"{number - 1}.vrt")
    with pytest.raises(SceneError, match="deep"):
        open_scene(str(tmp_path / "19.vrt"))


def test_archives_and_parts_of_files_are_read(tmp_path: Path) -> None:
    path = Path(rgb(tmp_path / "a.tif"))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, "a.tif")
        archive.writestr("a.vrt", VRT.format(name="a.tif", relative=1, kind="", more=""))
    assert open_scene(f"/vsizip/{tmp_path}/a.zip/a.tif").width == 70
    assert open_scene(f"GTIFF_DIR:1:{path}").width == 70
    with pytest.raises(SceneError, match="--allow-external"):
        open_scene(f"/vsizip/{tmp_path}/a.zip/a.vrt")
    assert open_scene(f"/vsizip/{tmp_path}/a.zip/a.vrt", allow_external=True).width == 70


def test_a_link_to_a_scene_is_the_scene(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    copy(rgb(tmp_path / "far" / "a.tif"), tmp_path / "far" / "a.img", driver="HFA")
    for name in ("a.tif", "a.img"):
        (tmp_path / name).symlink_to(tmp_path / "far" / name)
        assert open_scene(str(tmp_path / name)).width == 70


def test_parts_of_one_raster_lie_together(tmp_path: Path) -> None:
    with rasterio.open(tmp_path / "a.bin", "w", driver="ENVI", width=9, height=8, count=3, dtype="uint8") as dataset:
        dataset.write(noise(3, 8, 9))
    assert open_scene(str(tmp_path / "a.bin")).width == 9
    rgb(tmp_path / "b.tif")
    with rasterio.open(tmp_path / "b.tif", "r+") as dataset:
        dataset.write_mask(np.ones((50, 70), np.uint8))
    shutil.copy(tmp_path / "b.tif", tmp_path / "c.tif")
    assert open_scene(str(tmp_path / "c.tif")).width == 70


def test_a_scene_is_opened_again_by_the_drivers_that_were_checked(
    folders: tuple[Path, Path], server: tuple[str, list[str]]
) -> None:
    home, secret = folders
    address, requests = server
    path = home / "parts" / "a.tif"
    scene, mosaic = open_scene(str(path)), open_scene(vrt(home / "a.vrt", "parts/a.tif"))
    assert scene.drivers is not None
    assert "GTiff" in scene.drivers
    assert not {"VRT", "WMS", "HTTP"} & set(scene.drivers)
    assert mosaic.drivers == ("VRT",)
    assert open_scene(str(path), allow_external=True).drivers is None
    with scene.open() as dataset, mosaic.open() as other:
        assert dataset.shape == other.shape == (50, 70)
    for content in (VRT.format(name=secret, relative=0, kind="", more=""), f"WMS:{address}"):
        path.write_text(content)
        with pytest.raises(SceneError, match="cannot read"):
            scene.open()
    assert requests == []


def test_the_network_is_off_only_while_a_scene_is_checked(tmp_path: Path) -> None:
    def blocked() -> bool:
        return get_gdal_config("CPL_VSIL_CURL_ALLOWED_FILENAME") is not None

    with checked_scene(rgb(tmp_path / "a.tif")) as file:
        assert not blocked()
        file.scene()
    assert not blocked()
    with quiet_gdal(), quiet_gdal(offline=True):
        assert blocked()
    assert not blocked()
