"""How much is computed and read for a tile with the shipped model: counts, which no slow machine changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from benchmarks.range_server import RangeServer
from rsmoe_cli.bench.drawing import big_scene
from rsmoe_cli.pipeline.run import EngineCall, TileJob, TileOutput, Value, run_tiles
from rsmoe_cli.raster.scene import open_scene
from rsmoe_cli.tiles.grid import Grid
from rsmoe_cli.tiles.image import TileImage
from rsmoe_core.engine import Engine
from rsmoe_core.inference.batching import ThreadPool
from rsmoe_core.loading import load
from rsmoe_core.model.language.decoder import DecodingCounts
from rsmoe_core.questions.parser import parse_question
from rsmoe_core.roles import BASE, FUSION, ROUTER, all_roles
from rsmoe_core.types import Description, Request

SIDE, TILE = 448, 112


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 tiles of 112 pixels, some of them blank."""
    return Path(big_scene(tmp_path_factory.mktemp("scenes") / "drawn.tif", SIDE))


@pytest.fixture
def engine() -> Engine:
    engine = load("nano", device="cpu")
    engine.threads = ThreadPool(1)
    return engine


def decoding_counts(engine: Engine) -> dict[str, DecodingCounts]:
    """What the decoders computed so far, by role."""
    return engine.backend.decoders.counts


def describe(engine: Engine, source: Path | str, batch_size: int) -> list[TileOutput[Description]]:
    engine.batch_size = batch_size

    def predict(requests: Sequence[Request]) -> list[tuple[Description]]:
        return [(description,) for description in engine.describe(requests)]

    return outputs_of(source, EngineCall(engine, predict))


def outputs_of(source: Path | str, call: EngineCall[Value]) -> list[TileOutput[Value]]:
    jobs = [(None, TileJob(open_scene(str(source)), Grid(SIDE, SIDE, TILE)))]
    return [output for batch in run_tiles(jobs, call) for part in batch for output in part.outputs]


@pytest.fixture
def encoded(engine: Engine) -> Iterator[list[int]]:
    """Number of images in each call of the image encoder."""
    sizes: list[int] = []

    def count(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        sizes.append(len(inputs[0]))

    handle = engine.backend.model.vision.register_forward_pre_hook(count)
    yield sizes
    handle.remove()


def test_a_caption_has_a_bounded_cost(engine: Engine, scene: Path, encoded: list[int]) -> None:
    outputs = describe(engine, scene, batch_size=4)
    visible = sum(bool(output.outcomes) for output in outputs)
    assert (len(outputs), visible) == (16, 14)
    assert sum(encoded) == visible, "each image is encoded once, a blank one never"
    counts, roles = decoding_counts(engine), all_roles(engine.experts)
    assert {role: counts[role].sequences for role in roles} == dict.fromkeys(roles, visible), "once in each role"
    limits = engine.limits
    max_tokens = {ROUTER: limits.prompt_tokens, FUSION: limits.caption_tokens}
    for role in roles:
        assert counts[role].steps <= 4 * (max_tokens.get(role, limits.draft_tokens) - 1), "a batch is decoded together"
    assert counts[BASE].sequences == 0, "the language model is not used without a role"
    prefilled, decoded = (
        sum(getattr(counts[role], what) for role in roles) / visible for what in ("prefilled", "decoded")
    )
    assert prefilled <= 220, "positions of vision tokens and prompts for a tile"
    assert decoded <= 52, "tokens that are decoded one by one for a tile"


def test_larger_batches_take_fewer_steps_and_give_the_same(engine: Engine, scene: Path) -> None:
    steps, captions = [], []
    for batch_size in (1, 7, 64):
        before = sum(counts.steps for counts in decoding_counts(engine).values())
        outputs = describe(engine, scene, batch_size)
        texts = [
            [(d.caption, *(d.draft(role) for role in engine.experts)) for d in (o.value for o in output.outcomes)]
            for output in outputs
        ]
        captions.append([(output.result.tile.id, text) for output, text in zip(outputs, texts, strict=True)])
        steps.append(sum(counts.steps for counts in decoding_counts(engine).values()) - before)
    assert captions[0] == captions[1] == captions[2]
    assert steps[0] > 3 * steps[1]
    assert 2 * steps[1] > 3 * steps[2]


def test_all_questions_about_a_tile_share_its_encoding(engine: Engine, scene: Path, encoded: list[int]) -> None:
    questions = ("What kind of place is this?", "Is there any water?", "Describe the picture")
    outputs = outputs_of(scene, EngineCall(engine, engine.answer, tuple(map(parse_question, questions))))
    assert [len(output.outcomes) for output in outputs].count(3) == sum(encoded) == 14


def test_every_byte_is_fetched_once(engine: Engine, scene: Path) -> None:
    with RangeServer(scene) as server:
        outputs = describe(engine, server.url, batch_size=16)
        requests = server.log()
    assert all(isinstance(output.result, TileImage) for output in outputs)
    assert requests.bytes <= 1.25 * scene.stat().st_size
