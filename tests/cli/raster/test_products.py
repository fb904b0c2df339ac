from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.transform import from_origin
from typer.testing import Result

from rsmoe_cli.errors import SceneError
from rsmoe_cli.pipeline.inputs import find_scenes
from rsmoe_cli.raster.scene import Scene, open_scene
from tests.cli.fakes import FakeEngine
from tests.cli.raster.test_safety import vrt
from tests.cli.rasters import rgb, write_raster

Cli = Callable[..., Result]
GRANULE = "GRANULE/L2A_T52SDD_A000001_20240101T021101"
LANDSAT = "LC09_L2SP_114036_20240101_20240102_02_T1"
_SPACE = 'xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-2A.xsd"'


def band(path: Path, value: int, side: int = 40, metres: int = 10, **profile: object) -> Path:
    """A band whose pixels have one value, but for a corner that was not observed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.full((1, side, side), value, np.uint16)
    values[:, :5, :5] = 0
    values[:, -1, -1] += 100
    driver = "JP2OpenJPEG" if path.suffix == ".jp2" else "GTiff"
    options = {"QUALITY": 100, "REVERSIBLE": "YES"} if path.suffix == ".jp2" else {}
    transform = from_origin(500_000, 3_890_000, metres, metres)
    profile = {"driver": driver, "count": 1, "height": side, "width": side, "dtype": "uint16", **profile}
    with rasterio.open(path, "w", crs="EPSG:32652", transform=transform, **profile, **options) as dataset:
        dataset.write(values)
    return path


def sentinel_2(folder: Path, images: Path | None = None, granule: str = GRANULE) -> Path:
    """A Sentinel-2 L2A product; its header names the images in `images`, by default those in the product."""
    product = folder / "S2A_MSIL2A_20240101T021101_N0510_R103_T52SDD_20240101T040000.SAFE"
    files, sizes = "", ""
    for metres, bands in ((10, "B02 B03 B04 B08"), (20, "B02 B03 B04 B05"), (60, "B01")):
        for number, name in enumerate(bands.split()):
            file = f"{granule}/IMG_DATA/R{metres}m/T52SDD_20240101T021101_{name}_{metres}m"
            band(product / f"{file}.jp2", 1000 * (number + 1) + metres, 40 * 10 // metres, metres)
            files += f"<IMAGE_FILE>{images / Path(file).name if images else file}</IMAGE_FILE>"
        sizes += (
            f'<Size resolution="{metres}"><NROWS>{400 // metres}</NROWS><NCOLS>{400 // metres}</NCOLS></Size>'
            f'<Geoposition resolution="{metres}"><ULX>500000</ULX><ULY>3890000</ULY><XDIM>{metres}</XDIM>'
            f"<YDIM>-{metres}</YDIM></Geoposition>"
        )
    (product / "MTD_MSIL2A.xml").write_text(
        f"<n1:Level-2A_User_Product {_SPACE}><n1:General_Info><Product_Info><Query_Options><PRODUCT_FORMAT>SAFE_COMPACT"
        "</PRODUCT_FORMAT></Query_Options><Product_Organisation><Granule_List><Granule>"
        f"{files}</Granule></Granule_List></Product_Organisation></Product_Info></n1:General_Info>"
        "</n1:Level-2A_User_Product>"
    )
    (product / granule / "MTD_TL.xml").write_text(
        f"<n1:Level-2A_Tile_ID {_SPACE}><n1:Geometric_Info><Tile_Geocoding><HORIZONTAL_CS_CODE>EPSG:32652"
        f"</HORIZONTAL_CS_CODE>{sizes}</Tile_Geocoding></n1:Geometric_Info></n1:Level-2A_Tile_ID>"
    )
    return product


def landsat(folder: Path, name: str = LANDSAT, infix: str = "_SR", **profile: object) -> Path:
    for number in range(1, 8):
        band(folder / f"{name}{infix}_B{number}.TIF", 1000 * number, **profile)
    (folder / f"{name}_MTL.txt").write_text("GROUP = LANDSAT_METADATA_FILE\n")
    return folder


def colours(scene: Scene) -> list[int]:
    """The values of the three bands in the middle of a scene."""
    with scene.open() as dataset:
        return [int(dataset.read(index)[dataset.height // 2, 10]) for index in scene.band_selection.indexes]


def test_a_sentinel_2_product_is_taken_in_all_its_forms(tmp_path: Path) -> None:
    product = sentinel_2(tmp_path)
    archive = tmp_path / "renamed.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for file in product.rglob("*.*"):
            out.write(file, file.relative_to(tmp_path))
    ways = [
        *(product, f"{product}/", product / "MTD_MSIL2A.xml", product / GRANULE, product / GRANULE / "MTD_TL.xml"),
        *(product / GRANULE / "IMG_DATA/R10m", archive),
    ]
    for way in map(str, ways):
        [path] = find_scenes([way])
        scene = open_scene(path)
        assert (scene.path, scene.width, colours(scene)) == (way, 40, [3010, 2010, 1010]), way
        assert [each.name for each in scene.band_selection.bands] == ["B04", "B03", "B02"]
        assert scene.metres_per_pixel == pytest.approx(10, rel=0.01)
        assert not scene.notes
        with scene.open() as dataset:
            assert dataset.read_masks(1)[:6, :6].sum() == 255 * 11, "pixels that were not observed are no pixels"
    name = f"SENTINEL2_L2A:{product}/MTD_MSIL2A.xml"
    assert colours(open_scene(f"{name}:10m:EPSG_32652")) == [3010, 2010, 1010]
    with pytest.raises(SceneError, match="lacks the files of some bands; name the folder of the product"):
        open_scene(f"{name}:20m:EPSG_32652")  # this small header has no names that GDAL finds files by
    assert find_scenes([str(tmp_path)]) == [str(product)], "a folder stands for the products in it"


def test_the_finest_bands_are_used(tmp_path: Path) -> None:
    product = sentinel_2(tmp_path)
    shutil.rmtree(product / GRANULE / "IMG_DATA/R10m")
    assert colours(open_scene(str(product)))[:2] == [3020, 2020]


def test_the_output_names_the_product_as_the_user_did(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    product = sentinel_2(tmp_path)
    rgb(tmp_path / "a.tif")
    result = rsmoe("ask", product.name, "a.tif", "How many ships are there?")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"{product.name}: How many")
    assert rsmoe("caption", f"{product.name}/MTD_MSIL2A.xml", "-o", "out.gpkg").exit_code == 0
    assert rsmoe("caption", "*.SAFE", "-o", "other.gpkg").exit_code == 0


def test_products_of_several_tiles_name_them(tmp_path: Path) -> None:
    product = sentinel_2(tmp_path)
    shutil.copytree(product / GRANULE, product / "GRANULE/other")
    with pytest.raises(SceneError, match="bands of 2 products; name one of them: ") as refused:
        find_scenes([str(product)])
    name = str(refused.value).rpartition(" or ")[2]
    assert colours(open_scene(name)) == [3010, 2010, 1010]


@pytest.mark.parametrize(
    ("name", "infix", "values"),
    [
        (LANDSAT, "_SR", [4000, 3000, 2000]),
        ("LC08_L1TP_139045_20170304_20170316_01_T1", "", [4000, 3000, 2000]),
        ("LE07_L1TP_139045_20010304_20170316_01_T1", "", [3000, 2000, 1000]),
        ("LT50410342010220PAC01", "", [3000, 2000, 1000]),
    ],
)
def test_a_landsat_folder_is_one_scene(tmp_path: Path, name: str, infix: str, values: list[int]) -> None:
    folder = landsat(tmp_path / "l", name, infix)
    rgb(folder / "mine.tif")
    assert find_scenes([str(folder)]) == [str(folder), str(folder / "mine.tif")]
    assert colours(open_scene(str(folder))) == values
    assert colours(open_scene(str(folder / f"{name}_MTL.txt"))) == values
    with tarfile.open(tmp_path / "l.tar", "w") as out:
        out.add(folder, ".")
    assert colours(open_scene(str(tmp_path / "l.tar"))) == values


def test_folders_of_several_landsat_products_name_them(tmp_path: Path) -> None:
    landsat(tmp_path)
    landsat(tmp_path, "LC08_L2SP_114036_20230101_20230102_02_T1")
    with pytest.raises(SceneError, match=r"name one of them: .*LC08_\w+_MTL.txt or .*LC09_\w+_MTL.txt"):
        find_scenes([str(tmp_path)])
    assert colours(open_scene(str(tmp_path / f"{LANDSAT}_MTL.txt"))) == [4000, 3000, 2000]


@pytest.mark.parametrize(
    "names",
    ["B04.tif B03.tif B02.tif B08.tif", "f_red.tif f_green.tif f_blue.tif f_nir.tif", "a.B4.tif a.B3.tif a.B2.tif"],
)
def test_a_folder_of_bands_is_one_scene(tmp_path: Path, names: str) -> None:
    for number, name in enumerate(names.split(), start=1):
        band(tmp_path / "x" / name, 1000 * number)
    rgb(tmp_path / "x" / "other.tif")
    assert find_scenes([str(tmp_path / "x")]) == [str(tmp_path / "x"), str(tmp_path / "x" / "other.tif")]
    scene = open_scene(str(tmp_path / "x"))
    assert colours(scene) == [1000, 2000, 3000]
    rgb(tmp_path / "x" / names.split()[1])
    with pytest.raises(SceneError, match="has 3 bands, although it is named as one"):
        open_scene(str(tmp_path / "x"))


def test_bands_whose_colours_are_not_known_stay_rasters(tmp_path: Path) -> None:
    for number in range(1, 5):
        band(tmp_path / f"B{number}.tif", 1000)
    assert len(find_scenes([str(tmp_path)])) == 4


def test_bands_that_are_no_colours_stay_rasters(tmp_path: Path) -> None:
    for number in (4, 5, 6):
        band(tmp_path / f"LM05_L1TP_139045_19850304_20170316_01_T1_B{number}.TIF", 1000)
    band(tmp_path / "T52SDD_20240101T021101_B08_10m.jp2", 1000)
    assert len(find_scenes([str(tmp_path)])) == 4


def test_bands_that_do_not_fit_each_other_are_refused(tmp_path: Path) -> None:
    landsat(tmp_path)
    band(tmp_path / f"{LANDSAT}_SR_B3.TIF", 1, side=41)
    with pytest.raises(SceneError, match="differ in size or position"):
        open_scene(str(tmp_path))


def test_archives_and_folders_say_what_to_name(tmp_path: Path) -> None:
    path = rgb(tmp_path / "deep er" / "a b.tif") if (tmp_path / "deep er").mkdir() is None else ""
    with pytest.raises(SceneError, match=r"no raster in the folder .*; name a file, such as .*deep er/a b.tif"):
        find_scenes([str(tmp_path)])
    for name in ("a.zip", "a.tar"):
        archive = tmp_path / name
        if name == "a.zip":
            with zipfile.ZipFile(archive, "w") as out:
                out.write(path, "a b.tif")
        else:
            with tarfile.open(archive, "w") as tar:
                tar.add(path, "a b.tif")
        with pytest.raises(SceneError, match="is an archive; unpack it, or name a raster in it: '/vsi") as refused:
            open_scene(str(archive))
        assert open_scene(str(refused.value).rpartition(": ")[2].strip("'")).width == 70
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.add(path, "a.tif")
    with pytest.raises(SceneError, match="unpack it first, with: tar xf "):
        open_scene(str(tmp_path / "a.tar.gz"))


def test_files_with_several_rasters_name_them(tmp_path: Path) -> None:
    source = rgb(tmp_path / "a.tif")
    rasterio.shutil.copy(source, tmp_path / "one.zarr", driver="Zarr")
    with rasterio.open(source) as dataset:
        assert open_scene(str(tmp_path / "one.zarr")).width == dataset.width
    single = band(tmp_path / "b" / "b.tif", 7)
    rasterio.shutil.copy(single, tmp_path / "two.zarr", driver="Zarr", ARRAY_NAME="RED")
    shutil.copytree(tmp_path / "two.zarr" / "RED", tmp_path / "two.zarr" / "green")
    (tmp_path / "two.zarr" / ".zmetadata").unlink(missing_ok=True)
    rasterio.shutil.copy(source, tmp_path / "a.nc", driver="netCDF", WRITE_BOTTOMUP="NO")
    assert find_scenes([str(tmp_path)]) == [source, str(tmp_path / "one.zarr"), str(tmp_path / "two.zarr")]
    for path in (tmp_path / "two.zarr", tmp_path / "a.nc"):
        with pytest.raises(SceneError, match="holds several rasters; name one of them: ") as refused:
            open_scene(str(path))
        name = str(refused.value).partition("name one of them: ")[2].split(" or ")[0].strip("'")
        assert open_scene(name).width in (40, 70)


@pytest.mark.parametrize(
    ("names", "values"),
    [
        ("nir red green blue", [2000, 3000, 4000]),
        ("B02 B03 B04 B08", [3000, 2000, 1000]),
        ("sur_refl_b01_1 sur_refl_b02_1 sur_refl_b03_1 sur_refl_b04_1", [1000, 4000, 3000]),
    ],
)
def test_colours_that_are_rasters_of_one_store_are_put_together(tmp_path: Path, names: str, values: list[int]) -> None:
    path = tmp_path / "a.zarr"
    for number, name in enumerate(names.split(), start=1):
        single = band(tmp_path / name / "b.tif", 1000 * number)
        rasterio.shutil.copy(single, tmp_path / f"{name}.zarr", driver="Zarr", ARRAY_NAME=name)
        shutil.copytree(tmp_path / f"{name}.zarr", path, dirs_exist_ok=True)
    (path / ".zmetadata").unlink(missing_ok=True)
    scene = open_scene(str(path))
    assert colours(scene) == values
    assert scene.georeference.crs is not None
    assert scene.mask.source == "every pixel", "0 is no fill unless the file says so"


def test_colours_that_are_variables_of_a_netcdf_file_are_put_together(tmp_path: Path) -> None:
    values = np.repeat(np.arange(1000, 5000, 1000, np.uint16), 40 * 40).reshape(4, 40, 40)
    with rasterio.open(write_raster(tmp_path / "a.tif", values), "r+") as dataset:
        for number in dataset.indexes:
            dataset.update_tags(number, NETCDF_VARNAME="B0")  # the driver appends the number
    rasterio.shutil.copy(tmp_path / "a.tif", tmp_path / "a.nc", driver="netCDF")
    scene = open_scene(str(tmp_path / "a.nc"))
    assert colours(scene) == [4000, 3000, 2000]
    assert "bytes of" in scene.file_signature, "the file is known again"


@pytest.mark.parametrize("way", ["header", "link", "vrt", "link of a Landsat band", "overview", "mask", "zarr"])
def test_products_cannot_lead_out_of_their_folder(tmp_path: Path, way: str) -> None:
    home, secret = tmp_path / "home", tmp_path / "secret"
    home.mkdir()
    other = sentinel_2(secret)
    images = other / GRANULE / "IMG_DATA/R10m"
    if way == "header":
        product = sentinel_2(home, Path("../..", images.relative_to(tmp_path)))
        path = f"SENTINEL2_L2A:{product}/MTD_MSIL2A.xml:20m:EPSG_32652"
        assert colours(open_scene(str(product)))[0] == 3010, "the header is not read"
    elif way == "link of a Landsat band":
        path = str(landsat(home))
        (home / f"{LANDSAT}_SR_B3.TIF").unlink()
        (home / f"{LANDSAT}_SR_B3.TIF").symlink_to(band(secret / "b.tif", 7))
    elif way in ("overview", "mask"):
        path = rgb(home / "a.tif")
        inner = vrt(home / f"a.tif.{'ovr' if way == 'overview' else 'msk'}", str(secret / "s.tif"), relative=0)
        rgb(secret / "s.tif")
        assert Path(inner).is_file()
    elif way == "zarr":
        path = str(home / "a.zarr")
        rasterio.shutil.copy(rgb(tmp_path / "a.tif"), path, driver="Zarr")
        (home / "a.zarr" / "chunk").symlink_to(secret)
    else:
        product = sentinel_2(home)
        path = str(product)
        target = next((product / GRANULE / "IMG_DATA/R10m").glob("*_B03_10m.jp2"))
        target.unlink()
        if way == "link":
            target.symlink_to(images / target.name)
        else:
            vrt(target, str(images / target.name), relative=0)
    with pytest.raises(SceneError, match=r"refers to .*, which is not in its own folder; .*--allow-external"):
        open_scene(path)
    if way != "vrt":
        assert open_scene(path, allow_external=True).width in (20, 40, 70)


def test_an_archive_cannot_hold_a_vrt_for_a_band(tmp_path: Path) -> None:
    product = sentinel_2(tmp_path)
    target = next((product / GRANULE / "IMG_DATA/R10m").glob("*_B03_10m.jp2"))
    vrt(target, rgb(tmp_path / "secret.tif"), relative=0)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        for file in product.rglob("*.*"):
            out.write(file, file.relative_to(tmp_path))
    with pytest.raises(SceneError, match="--allow-external"):
        open_scene(str(tmp_path / "a.zip"))


def test_an_incomplete_or_damaged_product_is_an_error(tmp_path: Path) -> None:
    product = sentinel_2(tmp_path)
    shutil.rmtree(product / "GRANULE")
    with pytest.raises(SceneError, match="no raster in the folder"):
        find_scenes([str(product)])
    with pytest.raises(SceneError) as refused:
        open_scene(str(product / "MTD_MSIL2A.xml"))
    assert "https://" not in str(refused.value)
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(SceneError, match="cannot read"):
        open_scene(str(tmp_path / "a.zip"))


def test_a_folder_of_downloads_is_its_products(tmp_path: Path) -> None:
    product = sentinel_2(tmp_path / "unpacked")
    for name in ("S2A_MSIL2A_20240101T021101_N0510_R103_T52SDD.zip", "backup.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as out:
            for file in product.rglob("*.*"):
                out.write(file, file.relative_to(product.parent))
    [scene] = find_scenes([str(tmp_path)])
    assert Path(scene).name.startswith("S2A_MSI")
    assert colours(open_scene(scene)) == [3010, 2010, 1010]


def test_previews_are_not_what_is_named(tmp_path: Path) -> None:
    for name in ("a/quick-look.png", "b/measurement.tiff"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    with pytest.raises(SceneError, match=r"name a file, such as .*b/measurement\.tiff"):
        find_scenes([str(tmp_path)])


def test_signed_addresses_are_longer_than_file_names(tmp_path: Path) -> None:
    for suffix in ("tif", "zip", "xml"):
        address = f"http://127.0.0.1:9/a.tif?signature={'x' * 5000}.{suffix}"
        [scene] = find_scenes([address])
        with pytest.raises(SceneError, match="cannot read http"):
            open_scene(scene)
