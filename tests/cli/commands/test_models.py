from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from rsmoe_cli import console
from rsmoe_core.checkpoint.catalogue import fingerprint, summarise
from rsmoe_core.checkpoint.load import load_model, save_model
from rsmoe_core.loading import load
from rsmoe_core.model import lora
from tests.chat_server import ChatServer
from tests.cli.rasters import rgb
from tests.tiny import make_tiny

Cli = Callable[..., Result]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save_model(make_tiny(), tmp_path / "model")
    return tmp_path / "model"


def test_list_names_the_built_in_models(rsmoe: Cli) -> None:
    result = rsmoe("models", "list")
    assert result.exit_code == 0
    assert "nano" in result.stdout
    (nano, *_) = json.loads(rsmoe("models", "list", "--json").stdout)
    assert nano["model"] == "nano"
    assert nano["revision"] == load("nano", device="cpu").revision
    assert f"{nano['parameters']:,}" in result.stdout


def test_show_prints_parts_configuration_and_card(rsmoe: Cli, model: Path) -> None:
    (model / "README.md").write_text("# tiny\n\nFor tests.\n")
    result = rsmoe("models", "show", "model")
    assert result.exit_code == 0
    for text in ("qformer", "relations", "language: vocab_size", "# tiny", "For tests.", fingerprint(model)):
        assert text in result.stdout
    content = json.loads(rsmoe("models", "show", "model", "--json").stdout)
    assert content["parameters"] == sum(content["parts"].values())
    assert content["config"]["experts"] == ["theme", "objects", "relations"]
    assert content["card"] == "# tiny\n\nFor tests."


def test_show_prints_the_parts_of_a_base(rsmoe: Cli, vlm: Callable[[str], Path]) -> None:
    result = rsmoe("models", "show", vlm("qwen3_vl"))
    assert result.exit_code == 0, result.stderr
    assert "a model of transformers of the type qwen3_vl" in result.stdout
    content = json.loads(rsmoe("models", "show", vlm("qwen3_vl"), "--json").stdout)
    assert content["parts"]["connector"] > 0
    assert f"{content['parameters']:,}" in result.stdout


def test_an_exported_model_captions_like_the_one_it_was_made_from(rsmoe: Cli, model: Path, tmp_path: Path) -> None:
    result = rsmoe("models", "export", "model", "-o", "merged")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[-1].startswith("8 images: the same prompts, drafts and captions, merged and unmerged")
    assert len([line for line in lines if line.startswith("both forms: ")]) == 8
    scene = rgb(tmp_path / "scene.tif")
    texts = []
    for name in ("model", "merged"):
        output = Path(f"{name}.geojson")
        assert rsmoe("caption", scene, "-o", output, "--model", name, "--tile-size", "32", "--prompts").exit_code == 0
        rows = [feature["properties"] for feature in json.loads(output.read_text())["features"]]
        texts.append([{key: value for key, value in row.items() if key != "confidence"} for row in rows])
    assert texts[0] == texts[1]


def test_an_export_with_other_captions_leaves_nothing_behind(
    rsmoe: Cli, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged, other = lora.merged, make_tiny(seed=1)
    monkeypatch.setattr(lora, "merged", lambda language, role: merged(other.language, role))
    result = rsmoe("models", "export", "model", "-o", "merged")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "texts differ" in result.stderr
    assert [path.name for path in Path().iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("show", "nowhere"), 2, "no model 'nowhere'"),
        (("export", "nowhere", "-o", "merged"), 2, "no model 'nowhere'"),
        (("export", "stage1", "-o", "merged"), 1, "no adapters to merge"),
        (("export", "model", "-o", "stage1"), 1, "stage1: exists already"),
    ],
)
def test_errors_are_one_line(rsmoe: Cli, model: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    save_model(make_tiny(experts=False), Path("stage1"))
    result = rsmoe("models", *arguments)
    assert result.exit_code == code
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
    assert not Path("merged").exists()


def test_a_merged_model_cannot_be_trained(rsmoe: Cli, model: Path, karpathy_folder: Path) -> None:
    assert rsmoe("models", "export", "model", "-o", "merged").exit_code == 0
    result = rsmoe("finetune", "merged", "--data", karpathy_folder, "-o", "mine")
    assert result.exit_code == 1
    assert "exported from" in result.stderr
    assert not Path("mine").exists()


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640)])
def test_the_files_of_a_model_are_readable_as_the_umask_says(rsmoe: Cli, tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        save_model(make_tiny(), tmp_path / "model")
        assert rsmoe("models", "export", "model", "-o", "merged").exit_code == 0
    finally:
        os.umask(before)
    for name in ("model", "merged"):
        files = [path for path in (tmp_path / name).rglob("*") if path.is_file()]
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {mode}
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o777 & ~umask


def test_parameters_are_those_of_the_loaded_model() -> None:
    summary = summarise("nano")
    assert summary.parameters == sum(tensor.numel() for tensor in load_model(summary.folder).parameters())


def test_pickled_weights_are_imported_once(rsmoe: Cli, tmp_path: Path) -> None:
    import torch

    release = tmp_path / "release"
    release.mkdir()
    torch.save({"layer.weight": torch.ones(3, 2)}, release / "pytorch_model.bin")
    (release / "config.json").write_text('{"model_type": "llama"}')
    result = rsmoe("models", "import", "release", "-o", "imported", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["tensors"] == 1
    assert "cannot be used as a base yet: 'imported' reads text only" in result.stderr
    assert sorted(path.name for path in (tmp_path / "imported").iterdir()) == ["config.json", "model.safetensors"]
    assert "exists already" in rsmoe("models", "import", "release", "-o", "imported").stderr


@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        ("nowhere", 2, "no folder 'nowhere'"),
        ("owner/name", 1, "run 'hf download owner/name --local-dir name'"),
        ("release", 1, "so it is not opened"),
    ],
)
def test_what_cannot_be_imported_leaves_nothing(
    rsmoe: Cli, tmp_path: Path, source: str, code: int, message: str
) -> None:
    import pickle

    (tmp_path / "release").mkdir()
    (tmp_path / "release" / "pytorch_model.bin").write_bytes(pickle.dumps({"run": os.system}))
    result = rsmoe("models", "import", source, "-o", "out")
    assert result.exit_code == code
    assert message in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["release"]


def test_check_prints_what_works_and_keeps_the_speed(
    rsmoe: Cli, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    result = rsmoe("models", "check", "model", "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    for text in (
        "images/s",
        "several images in a batch: the same texts",
        "static cache: yes",
        "caption of a harbour: ",
    ):
        assert text in result.stdout
    figures = json.loads(rsmoe("models", "check", "model", "--device", "cpu", "--json").stdout)
    assert console.printable(figures["captions"][0]) in result.stdout
    (speed,) = json.loads((tmp_path / "cache" / "rsmoe" / "speeds.json").read_text()).values()
    assert speed["images_per_second"] == pytest.approx(figures["images_per_second"], abs=1e-4)
    assert rsmoe("models", "check", "nowhere").exit_code == 2


def test_check_asks_a_server(rsmoe: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with ChatServer() as server:
        result = rsmoe("models", "check", "my-vlm", "--endpoint", server.url, "--mixture", "direct")
        assert result.exit_code == 0, result.stderr
        assert "caption of fields: A port." in result.stdout
        assert "several adapters in a batch: the server's matter" in result.stdout
        assert "for an image: 1 text, 100 tokens read and 5 tokens written" in result.stdout
        server.answer = lambda received: "I'm sorry, I can't help with that."
        refused = rsmoe("models", "check", "my-vlm", "--endpoint", server.url, "--mixture", "direct")
    assert refused.exit_code == 1
    assert "problem with caption: the model declined" in refused.stdout
    assert "an image got no caption" in refused.stderr
