"""The command line with a vision-language model of transformers as the base: whole runs on tiny checkpoints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import pytest
from typer.testing import Result

from rsmoe_core.backends.huggingface.backend import TransformersBackend
from rsmoe_core.errors import BackendError
from tests.cli.fakes import FakeEngine
from tests.cli.rasters import rgb

Cli = Callable[..., Result]
Vlm = Callable[[str], Path]
TILES = ("--tile-size", "32")


@pytest.fixture
def scene(tmp_path: Path) -> str:
    """A scene of six tiles."""
    rgb(tmp_path / "a.tif")
    return "a.tif"


def captions(path: str) -> gpd.GeoDataFrame:
    return gpd.read_file(path, layer="captions").set_index("tile_id")


def test_a_base_captions_a_scene_and_the_cost_is_printed(rsmoe: Cli, vlm: Vlm, scene: str) -> None:
    result = rsmoe("caption", scene, "-o", "out.gpkg", "--model", vlm("llava"), *TILES, "--json")
    assert result.exit_code in (0, 3), result.stderr
    assert "per tile: 5 calls, " in result.stderr
    summary = json.loads(result.stdout)
    assert summary["calls_per_tile"] == 5
    assert summary["prompt_tokens_per_tile"] > summary["generated_tokens_per_tile"] > 0
    rows = captions("out.gpkg")
    assert len(rows) == 6
    assert (rows["caption"].notna() == (rows["status"] == "ok")).all()
    assert {"theme", "objects", "relations", "problems"} <= set(rows.columns)


@pytest.mark.parametrize(("mixture", "calls"), [("direct", "1 call,"), ("experts", "4 calls,")])
def test_a_mixture_costs_what_it_says(rsmoe: Cli, vlm: Vlm, scene: str, mixture: str, calls: str) -> None:
    arguments = ("--model", vlm("llava"), *TILES, "--mixture", mixture, "--words", "7")
    result = rsmoe("caption", scene, "-o", "out.gpkg", *arguments)
    assert f"per tile: {calls}" in result.stderr
    assert captions("out.gpkg")["caption"].dropna().str.split().str.len().max() <= 7


def test_a_reason_that_several_roles_share_is_written_once(rsmoe: Cli, vlm: Vlm, scene: str) -> None:
    rsmoe("caption", scene, "-o", "out.gpkg", "--model", vlm("paligemma"), *TILES)
    [problem] = set(captions("out.gpkg")["problems"])
    assert problem.startswith("router, theme, objects, relations: a model of the type 'paligemma' takes no such")


def test_free_words_decide_what_captions_are_about(rsmoe: Cli, vlm: Vlm, scene: str) -> None:
    shared = ("--model", vlm("llava"), *TILES, "--mixture", "direct")
    rsmoe("caption", scene, "-o", "plain.gpkg", *shared)
    rsmoe("caption", scene, "-o", "damage.gpkg", *shared, "--prompt", "Describe damage to buildings")
    assert (captions("plain.gpkg")["caption"] != captions("damage.gpkg")["caption"]).any()


def test_a_model_without_free_words_says_so(rsmoe: Cli, scene: str) -> None:
    result = rsmoe("caption", scene, "-o", "out.gpkg", "--prompt", "Describe damage to buildings")
    assert result.exit_code == 2
    assert "nano only describes images in the words that it was trained on" in result.stderr
    assert not Path("out.gpkg").exists()


def test_objects_are_not_counted_by_a_base_without_detectors(rsmoe: Cli, vlm: Vlm, scene: str) -> None:
    result = rsmoe("caption", scene, "-o", "out.gpkg", "--model", vlm("llava"), "--counts")
    assert result.exit_code == 2
    assert "has no detectors for --counts" in result.stderr


def test_questions_in_any_words_and_languages_are_asked(rsmoe: Cli, vlm: Vlm, scene: str) -> None:
    Path("questions.txt").write_text("Combien de bateaux y a-t-il ?\nIs there flood damage?\nWho owns the port?\n")
    result = rsmoe("ask", scene, "--questions", "questions.txt", "--model", vlm("llava"), *TILES, "--json")
    assert result.exit_code == 0, result.stderr
    french, damage, owner = map(json.loads, result.stdout.splitlines())
    assert (french["type"], damage["type"]) == ("open", "open")
    assert french["answer"] != "unknown"
    assert owner["answer"] == "unknown"
    assert "who" in owner["reason"]


def test_an_interrupted_run_is_continued_and_ends_as_if_it_was_not(
    rsmoe: Cli, vlm: Vlm, scene: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = ("--model", vlm("llava"), *TILES, "--batch-size", "2")
    rsmoe("caption", scene, "-o", "whole.geojson", *shared)
    calls = 0

    def stops(self: TransformersBackend, requests: object) -> object:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise BackendError("the server at http://127.0.0.1:8000/v1 stopped working: connection refused")
        return encode(self, requests)

    encode = TransformersBackend.encode
    with monkeypatch.context() as patch:
        patch.setattr(TransformersBackend, "encode", stops)
        result = rsmoe("caption", scene, "-o", "parts.geojson", *shared)
    assert result.exit_code == 3
    *_, line = result.stderr.splitlines()
    assert line.endswith("connection refused; 4 tiles are done and kept; run the same command again to continue")
    assert not Path("parts.geojson").exists()
    result = rsmoe("caption", scene, "-o", "parts.geojson", *shared)
    assert "4 of them in an earlier run" in result.stderr
    texts = [gpd.read_file(path)[["tile_id", "caption", "theme"]] for path in ("whole.geojson", "parts.geojson")]
    assert texts[0].equals(texts[1])
    result = rsmoe("caption", scene, "-o", "whole.geojson", *shared, "--mixture", "direct")
    assert result.exit_code == 1, "another mixture is another run"


@pytest.mark.parametrize("size", ["1", "3", "8"])
def test_captions_are_the_same_in_batches_of_any_size(rsmoe: Cli, vlm: Vlm, scene: str, size: str) -> None:
    rsmoe("caption", scene, "-o", "six.gpkg", "--model", vlm("qwen2_5_vl"), *TILES, "--batch-size", "6")
    rsmoe("caption", scene, "-o", "size.gpkg", "--model", vlm("qwen2_5_vl"), *TILES, "--batch-size", size)
    columns = ["caption", "theme", "objects", "relations", "problems"]
    assert captions("six.gpkg")[columns].equals(captions("size.gpkg")[columns])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--mixture half", "no mixture 'half'; choose one of: full, experts, direct"),
        ("--detail long", "no detail 'long'; choose one of: brief, full"),
        ("--role theme=x", "--role names adapters of a server; give --endpoint too"),
        ("--endpoint http://127.0.0.1:9/v1 --role theme", "--role takes ROLE=NAME"),
        ("--endpoint http://127.0.0.1:9/v1", "--endpoint needs --model NAME"),
        (
            "--endpoint http://127.0.0.1:9/v1 --model vlm --quantize int8",
            "--quantize is for models that are loaded here",
        ),
        ("--endpoint http://127.0.0.1:9/v1 --model vlm --device cpu", "with --endpoint, leave it out"),
        ("--model a --revision main", "'a' is a folder, which has no revisions"),
        ("--model a/config.json", "'a/config.json' is a file; give the folder of the model"),
        ("--prompt=", "the prompt is empty"),
        ("--quantize int8", "nano is a native model, which is not quantised"),
    ],
)
def test_options_that_do_not_fit_are_one_line(rsmoe: Cli, scene: str, arguments: str, message: str) -> None:
    Path("a").mkdir()
    Path("a/config.json").write_text("{}")
    result = rsmoe("caption", scene, "-o", "out.gpkg", *arguments.split())
    assert result.exit_code == 2, result.stderr
    [line] = result.stderr.splitlines()
    assert message in line
    assert not Path("out.gpkg").exists()


def test_a_server_that_stops_ends_an_asking_run_too(rsmoe: Cli, engine: FakeEngine, scene: str) -> None:
    def stop(requests: object) -> None:
        raise BackendError("the server stopped working")

    engine.answer = stop  # type: ignore[assignment, method-assign]
    result = rsmoe("ask", scene, "How many ships are there?", *TILES)
    assert result.exit_code == 3
    assert result.stderr.splitlines()[-1].endswith("stopped working; run the same command again to continue")
