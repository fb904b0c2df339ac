"""Fine-tuning teaches a finished model a new scene class from a few dozen images."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from rsmoe_core.checkpoint.catalogue import fingerprint
from rsmoe_core.checkpoint.load import load_model, save_model
from rsmoe_core.config import LoraSettings
from rsmoe_core.data.base import Question, Sample
from rsmoe_core.data.formats import plain
from rsmoe_core.errors import TrainingError
from rsmoe_core.loading import load
from rsmoe_core.model.rsmoe import RSMoE, build
from rsmoe_core.model.tokenizer import Tokenizer
from rsmoe_core.model.vision.efficientnet_lite import NORMALISATION, folded_copy
from rsmoe_core.presets import tiny
from rsmoe_core.training.examples import texts
from rsmoe_core.training.features import FeatureBank, ViewOptions, cached_features
from rsmoe_core.training.loop import run_phase
from rsmoe_core.training.objectives.base import RunOptions, TrainingData
from rsmoe_core.training.objectives.text import TextObjective
from rsmoe_core.training.phases import Phase, TextSettings
from rsmoe_core.training.run import TrainConfig, run_stage
from rsmoe_core.training.stages import find_stage
from tests.core.training.conftest import training_sample
from tests.tiny import fit_batch_norms, make_tiny

COLOURS = {
    "pond": (20, 60, 160),
    "airport": (240, 240, 240),
    "forest": (20, 110, 30),
    "stadium": (180, 40, 40),
    "port": (150, 60, 200),
    "desert": (230, 190, 60),
}
NEW = "desert"
OLD = [name for name in COLOURS if name != NEW]
FINETUNE = find_stage("finetune")


def caption(scene_class: str) -> str:
    return f"a {scene_class} is near a road ."


def image(scene_class: str, number: int) -> np.ndarray:
    noise = np.random.default_rng(number).normal(0, 1, (64, 64, 3))
    return np.clip(np.array(COLOURS[scene_class]) + noise, 0, 255).astype(np.uint8)


def write_images(folder: Path, scene_classes: list[str], count: int) -> list[Sample]:
    folder.mkdir()
    samples = []
    for number in range(count):
        scene_class = scene_classes[number % len(scene_classes)]
        path = folder / f"{scene_class}_{number}.png"
        Image.fromarray(image(scene_class, number)).save(path)
        samples.append(Sample(path, "train", (caption(scene_class),), scene_class))
    plain.write(folder, samples)
    return samples


def weights(folder: Path) -> dict[str, Tensor]:
    """As they are stored in a finished model: matrices in float16."""
    return {key: v.half() if v.ndim > 1 else v for key, v in load_model(folder).state_dict().items()}


def train(model: RSMoE, phase: Phase, data: TrainingData, out: Path) -> None:
    options = RunOptions(out, bf16=False)
    objective = TextObjective(model, phase, phase.objective, data, data, options)
    run_phase(objective, phase, options, lambda epoch: {})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of which all parts tell five scene classes apart."""
    root = tmp_path_factory.mktemp("old")
    samples = []
    for sample in write_images(root / "data", OLD, 40):
        one = training_sample(sample)
        samples.append(dataclasses.replace(one, drafts=one.targets.drafts))
    # The image encoder is random. With this seed, desert and stadium look different to it; with many others they do
    # not. `tests/test_finetuned_nano.py` shows fine-tuning on a real one.
    torch.manual_seed(1)
    config = tiny()
    # Few merges: like the vocabulary of a real model, this one spells the words that it has no token for.
    tokenizer = Tokenizer.train([text for one in samples for text in texts(one)], 280, config.experts)
    language = dataclasses.replace(config.language, vocab_size=len(tokenizer))
    decoding = dataclasses.replace(config.decoding, draft_tokens=24, caption_tokens=24)
    lora = LoraSettings(rank=16, alpha=32, dropout=0.0)
    model = build(dataclasses.replace(config, language=language, decoding=decoding, lora=lora), tokenizer)
    fit_batch_norms(model.vision)
    encoder, options = folded_copy(model.vision), ViewOptions(views=2, image_size=64, normalisation=NORMALISATION)
    features = cached_features(encoder, [one.sample for one in samples], root / "cache", options)
    data = TrainingData(samples, FeatureBank.of([features]))
    align = Phase("align", ("qformer", "language"), TextSettings(("caption", "subtask")), 40, 1e-2, 8)
    train(model, align, data, root / "align")
    model.add_experts()
    # Long enough that the result does not depend on how a processor rounds: 20 epochs were too few with AVX-512.
    fusion = Phase("fusion", ("fusion",), TextSettings(("fuse",)), 40, 1e-2, 8)
    train(model, fusion, data, root / "fusion")
    save_model(model.eval(), root / "model")
    return root / "model"


def captions(folder: Path) -> dict[str, set[str]]:
    """What a model generates for unseen images of each class."""
    engine = load(folder, device="cpu")
    unseen = {name: [image(name, 1000 + number) for number in range(3)] for name in COLOURS}
    return {name: {one.caption for one in engine.caption(images)} for name, images in unseen.items()}


def finetune(
    folder: Path,
    start: Path,
    data: Path,
    report: Callable[[str], None] = print,
    epochs: int | None = None,
    views: int = 2,
) -> Path:
    """A model of some thousand parameters needs larger steps than a real one."""
    phases = tuple(dataclasses.replace(phase, learning_rate=1e-2) for phase in FINETUNE.phases)
    stage = dataclasses.replace(FINETUNE, phases=phases).with_limits(epochs=epochs)
    config = TrainConfig((data,), folder, bf16=False, validation_split=0.15, views=views)
    return run_stage(stage, config, start=start, report=report)


def test_a_few_dozen_images_of_a_new_class_make_the_model_name_it(finished: Path, tmp_path: Path) -> None:
    old = captions(finished)
    assert {name: old[name] for name in OLD} == {name: {f"A {name} is near a road."} for name in OLD}
    assert NEW not in " ".join(old[NEW])
    before = weights(finished)
    write_images(tmp_path / "mine", [NEW] * 10 + OLD, 45)
    reported: list[str] = []
    tuned = finetune(tmp_path / "tuned", finished, tmp_path / "mine", reported.append)
    new = captions(tuned)
    assert new[NEW] == {f"A {NEW} is near a road."}
    # Classes that look like the new one to the frozen image encoder and Q-Former are called by its name from now on.
    unchanged = [name for name in OLD if new[name] == old[name]]
    assert "pond" in unchanged
    assert len(unchanged) >= 3
    assert reported[0] == "stage finetune: 45 images, 4 of them held out by group"
    assert "trains theme, objects, relations: " in reported[1]
    assert tuned == tmp_path / "tuned"
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "tuned", "tuned-work"}
    changed = {key.split(".")[-2] for key, value in weights(tuned).items() if not torch.equal(value, before[key])}
    assert changed == {"theme", "objects", "relations", "fusion"}, "base and router stay as they were"

    revision = fingerprint(tuned)
    shutil.rmtree(tuned)
    again = finetune(tuned, finished, tmp_path / "mine")
    assert fingerprint(again) == revision, "finished phases are not trained again"


ROADS = {"pond": "blue", "airport": "white", "stadium": "red"}


def write_questions(folder: Path, count: int) -> None:
    """Images that have questions only, one of which no model can answer."""
    plain.write(
        folder,
        [
            dataclasses.replace(
                sample,
                captions=(),
                scene_class=None,
                questions=(
                    Question("what is the colour of the roads ?", ROADS[str(sample.scene_class)], "color"),
                    Question("how many quokkas are there ?", "3", "count"),
                ),
            )
            for sample in write_images(folder, list(ROADS), count)
        ],
    )


def test_questions_alone_teach_the_experts_to_answer_them(finished: Path, tmp_path: Path) -> None:
    write_questions(tmp_path / "asked", 36)
    reported: list[str] = []
    tuned = finetune(tmp_path / "tuned", finished, tmp_path / "asked", reported.append, epochs=30, views=1)
    assert reported[0] == (
        "questions left out, as no expert could answer them: 36; the first: how many quokkas are there ?"
    )
    assert [line.split(":")[0] for line in reported[1:]] == ["stage finetune", "phase experts"], (
        "no captions, no fusion"
    )
    unseen = {name: image(name, 2000) for name in ROADS}
    answers = {
        folder: load(folder, device="cpu").ask(list(unseen.values()), ["What color is the road?"] * len(unseen))
        for folder in (finished, tuned)
    }
    by_class = {folder: dict(zip(unseen, (a.text for a in own), strict=True)) for folder, own in answers.items()}
    assert by_class[tuned] == ROADS
    assert by_class[finished] != ROADS


def test_only_a_finished_model_is_fine_tuned(tmp_path: Path) -> None:
    write_images(tmp_path / "mine", OLD, 10)
    save_model(make_tiny(experts=False), tmp_path / "stage1")
    with pytest.raises(TrainingError, match="train stage 2 from it first"):
        finetune(tmp_path / "tuned", tmp_path / "stage1", tmp_path / "mine")
    assert not (tmp_path / "tuned").exists()


def test_another_folder_is_not_replaced_by_the_model(tmp_path: Path) -> None:
    write_images(tmp_path / "mine", OLD, 10)
    save_model(make_tiny(), tmp_path / "model")
    with pytest.raises(TrainingError, match="exists already"):
        finetune(tmp_path / "mine", tmp_path / "model", tmp_path / "mine")
    assert (tmp_path / "mine" / "annotations.jsonl").is_file()
