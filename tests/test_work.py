"""How much is computed and read for a tile with the shipped model: counts, which no slow machine changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks.range_server import RangeServer
from rsmoe_cli.bench.drawing import big_scene
from rsmoe_cli.pipeline.run import TileOutput, run_tiles
from rsmoe_cli.raster.scene import open_scene
from rsmoe_cli.tiles.grid import Grid
from rsmoe_cli.tiles.image import TileImage
from rsmoe_core.engine import Engine, load
from rsmoe_core.inference.batching import ThreadPool
from rsmoe_core.types import Description, Request

SIDE, TILE = 448, 112
ROLES = ("router", "theme", "objects", "relations", "fusion")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 tiles of 112 pixels, some of them blank."""
    return Path(big_scene(tmp_path_factory.mktemp("scenes") / "drawn.tif", SIDE))


@pytest.fixture
def engine() -> Engine:
    engine = load("nano", device="cpu")
    engine._workers = ThreadPool(1)
    return engine


def describe(engine: Engine, source: Path | str, batch_size: int) -> list[TileOutput[Description]]:
    engine.batch_size = batch_size
    opened, grid = open_scene(str(source)), Grid(SIDE, SIDE, TILE)

    def request(image: TileImage) -> list[Request]:
        return [Request(image.pixels, image.valid)]

    return [told for batch in run_tiles(opened, grid, engine, request, engine.describe, "", False) for told in batch]


def words(said: Description | str | None) -> object:
    return (said.caption, said.theme, said.objects, said.relations) if isinstance(said, Description) else said


@pytest.fixture
def seen(engine: Engine) -> Iterator[list[int]]:
    """Pictures in each call of the image encoder."""
    sizes: list[int] = []

    def count(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        sizes.append(len(inputs[0]))

    handle = engine._model.vision.register_forward_pre_hook(count)
    yield sizes
    handle.remove()


def test_a_tile_costs_what_it_costs(engine: Engine, scene: Path, seen: list[int]) -> None:
    told = describe(engine, scene, batch_size=4)
    visible = sum(one.to(0) is not None for one in told)
    assert (len(told), visible) == (16, 14)
    assert sum(seen) == visible, "each picture is seen once, a blank one never"
    work = engine._model.language.work
    assert {role: work[role].rows for role in ROLES} == dict.fromkeys(ROLES, visible), "each role speaks once of each"
    limits = engine._model.config.decoding
    longest = {"router": limits.prompt_tokens, "fusion": limits.caption_tokens}
    for role in ROLES:
        assert work[role].steps <= 4 * (longest.get(role, limits.draft_tokens) - 1), (
            "the rows of a batch are written together"
        )
    assert work["__base__"].rows == 0, "nobody asks the language model without a role"
    read, written = (sum(getattr(work[role], what) for role in ROLES) / visible for what in ("read", "written"))
    assert read <= 220, "places of vision tokens and prompts for a tile"
    assert written <= 52, "tokens that are computed one by one for a tile"


def test_larger_batches_take_fewer_steps_and_say_the_same(engine: Engine, scene: Path) -> None:
    work, steps, said = engine._model.language.work, [], []
    for size in (1, 7, 64):
        before = sum(one.steps for one in work.values())
        said.append([(one.result.tile.id, words(one.to(0))) for one in describe(engine, scene, size)])
        steps.append(sum(one.steps for one in work.values()) - before)
    assert said[0] == said[1] == said[2]
    assert steps[0] > 3 * steps[1]
    assert 2 * steps[1] > 3 * steps[2]


def test_every_byte_is_fetched_once(engine: Engine, scene: Path) -> None:
    with RangeServer(scene) as server:
        told = describe(engine, server.url, batch_size=16)
        asked = server.log()
    assert all(isinstance(one.result, TileImage) for one in told)
    assert asked.bytes <= 1.25 * scene.stat().st_size
