"""Outputs on a drive without file locks: a library that is loaded before all others refuses them below `netdrive`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import pytest

from rsmoe_cli.file_locks import has_locks
from tests.cli.interruptions import names
from tests.cli.rasters import sea, write_raster

NAMES = ("out.gpkg", "out.geojson", "out.fgb", "out.parquet")
_LIBRARY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static int refused(int file, int command, void *lock) {
  char link[64], path[4096];
  if ((command != F_SETLK && command != F_SETLKW) || ((struct flock *)lock)->l_type == F_UNLCK) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return strstr(path, "/netdrive/") != NULL;
}
#define WRAPPER(name) \
  int name(int file, int command, ...) { \
    va_list rest; va_start(rest, command); void *argument = va_arg(rest, void *); va_end(rest); \
    if (refused(file, command, argument)) { errno = REFUSAL; return -1; } \
    return ((int (*)(int, int, ...))dlsym(RTLD_NEXT, #name))(file, command, argument); }
WRAPPER(fcntl)
WRAPPER(fcntl64)
"""
_PROGRAM = """
import sys, rsmoe_core
from typer.testing import CliRunner
from tests.cli.fakes import FakeEngine
rsmoe_core.load = lambda name, **_: FakeEngine()
from rsmoe_cli.main import app
for name in sys.argv[1:]:
    for more in ([], ["--overwrite"]):
        for command in (["caption", "a.tif"], ["ask", "a.tif", "Are there ships?"]):
            prefix = "" if command[0] == "caption" else "ask-"
            result = CliRunner().invoke(app, [*command, "--tile-size", "32", "-o", f"netdrive/{prefix}{name}", *more])
            print(result.exit_code, *result.stderr.splitlines(), sep="|")
"""
needs_compiler = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("gcc") is None, reason="the drive is simulated with gcc on Linux"
)


@needs_compiler
@pytest.mark.parametrize("refusal", ["ENOLCK", "EOPNOTSUPP", "EACCES"])
def test_every_format_is_written_with_a_warning(tmp_path: Path, refusal: str) -> None:
    command = ["gcc", "-shared", "-fPIC", f"-DREFUSAL={refusal}", "-xc", "-", "-o", "nolock.so", "-ldl"]
    subprocess.run(command, input=_LIBRARY, text=True, check=True, cwd=tmp_path)
    write_raster(tmp_path / "a.tif", sea([(40, 40)], 64, 96), "red green blue", photometric="RGB")
    (tmp_path / "netdrive").mkdir()
    outputs = NAMES if refusal == "ENOLCK" else ("out.gpkg",)
    result = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *outputs],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "LD_PRELOAD": str(tmp_path / "nolock.so"),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    for line in result.stdout.splitlines():
        assert line.startswith("0|"), line
        assert line.count("has no file locks: make sure that no other run writes it") == 1
    assert names(tmp_path / "netdrive") == sorted([*outputs, *(f"ask-{name}" for name in outputs)])
    for name in outputs:
        path = tmp_path / "netdrive" / name
        rows = gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(path)
        assert len(rows) == 6


def test_a_local_folder_has_locks(tmp_path: Path) -> None:
    assert has_locks(tmp_path)
    assert has_locks(tmp_path / "nowhere"), "unknown: other messages say what is wrong"
    assert names(tmp_path) == []
