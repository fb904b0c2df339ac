"""Captions by a model behind `transformers serve`, which is killed and started again in the middle of a run."""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import geopandas as gpd
import pytest
from typer.testing import Result

from rsmoe_cli.pipeline.journal import Journal
from rsmoe_core.backends.endpoint import client as endpoint_client
from rsmoe_core.backends.endpoint.client import Patience
from tests.chat_server import Body, ChatServer, Handler, answer, status
from tests.cli.formats.layers import metadata_of
from tests.cli.rasters import rgb

Cli = Callable[..., Result]
SERVE = Path(sys.executable).with_name("transformers")
KEY = "sk-very-secret-7"


class ModelServer:
    """A process that serves one model on a port of its own."""

    def __init__(self, model: Path, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url, self.model, self._folder = f"http://127.0.0.1:{self.port}/v1", model, folder
        self.start()

    def start(self) -> None:
        # Without PYTHONPATH: the torchvision that only tests have cannot decode images.
        own = {"HF_HOME": str(self._folder), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
        command = [SERVE, "serve", self.model, "--host", "127.0.0.1", "--port", str(self.port), "--device", "cpu"]
        with (self._folder / "log").open("w") as log:
            self._process = subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log)
        deadline = time.monotonic() + 300
        while not self._is_up():
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail((self._folder / "log").read_text())
            time.sleep(0.1)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5):
                return True
        except OSError:
            return False


@pytest.fixture(scope="module")
def server(vlm: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    if not SERVE.is_file():
        pytest.skip("no transformers[serving], which has `transformers serve`")
    server = ModelServer(vlm("llava"), tmp_path_factory.mktemp("served"))
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_client, "Patience", functools.partial(Patience, attempts=3, first_wait=0.01))


def caption(rsmoe: Cli, url: str, model: object, out: str, *options: str) -> Result:
    tiles = ("--tile-size", "32", "--overlap", "0", "--batch-size", "2")
    return rsmoe("caption", "a.tif", "-o", out, "--endpoint", url, "--model", model, *tiles, *options)


def test_a_dead_server_is_a_pause(
    rsmoe: Cli, server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSMOE_API_KEY", KEY)
    rgb(tmp_path / "a.tif", 64, 96)
    whole = caption(rsmoe, server.url, server.model, "whole.gpkg")
    assert whole.exit_code == 0, whole.stderr
    layer = gpd.read_file("whole.gpkg")
    assert len(layer) == 6
    assert layer.caption.nunique() > 1
    assert layer.confidence.isna().all(), "this server gives no probabilities"
    metadata = metadata_of("whole.gpkg")
    assert metadata["model"] == str(server.model)
    assert metadata["device"] == f"endpoint 127.0.0.1:{server.port}"

    record = Journal.add_tiles
    with monkeypatch.context() as patch:

        def record_and_kill(*arguments: object) -> None:
            record(*arguments)  # type: ignore[arg-type]
            server.kill()

        patch.setattr(Journal, "add_tiles", record_and_kill)
        paused = caption(rsmoe, server.url, server.model, "out.gpkg")
    assert paused.exit_code == 3, paused.stderr
    assert f"the server at {server.url} stopped working: connection refused" in paused.stderr
    assert "run the same command again to continue" in paused.stderr
    assert not Path("out.gpkg").exists()

    down = caption(rsmoe, server.url, server.model, "out.gpkg")
    assert down.exit_code == 1
    assert f"cannot reach {server.url}: connection refused; start the server, or check --endpoint" in down.stderr

    server.start()
    continued = caption(rsmoe, server.url, server.model, "out.gpkg")
    assert continued.exit_code == 0, continued.stderr
    assert gpd.read_file("out.gpkg").equals(layer)
    assert not any(KEY.encode() in path.read_bytes() for path in tmp_path.iterdir())
    assert not any(KEY in result.output + result.stderr for result in (whole, paused, down, continued))


def test_a_tile_whose_requests_fail_is_tried_again(rsmoe: Cli, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif", 64, 96)
    seen: list[object] = []

    def fail_for_the_second(handler: Handler, body: Body) -> None:
        image = body["messages"][0]["content"][0]["image_url"]["url"]
        if image not in seen:
            seen.append(image)
        behave = status(500, "out of memory") if seen.index(image) == 2 else answer
        behave(handler, body)

    with ChatServer() as server:
        server.script += [fail_for_the_second] * 1000
        result = caption(rsmoe, server.url, "my-vlm", "out.gpkg", "--concurrency", "1")
        assert result.exit_code == 3, result.stderr
        server.script.clear()
        [failed] = gpd.read_file("out.gpkg").query("status == 'failed'").itertuples()
        assert failed.error == "the server failed: 500 Internal Server Error: out of memory"
        result = caption(rsmoe, server.url, "my-vlm", "out.gpkg", "--retry-failed")
    assert result.exit_code == 0, result.stderr
    assert set(gpd.read_file("out.gpkg").status) == {"ok"}


def test_a_model_that_the_server_lacks_is_one_line(rsmoe: Cli, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif")
    with ChatServer() as other:
        other.script += [lambda handler, body: handler.send({"error": "no such model"}, 404)]
        result = caption(rsmoe, other.url, "other", "out.gpkg")
    assert result.exit_code == 2
    assert result.stderr == f"error: {other.url} has no model 'other'; it has 'my-vlm' (404 Not Found: no such model)\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]
