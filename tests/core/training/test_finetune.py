"""Fine-tuning teaches a finished model a new kind of place from a few dozen pictures."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rsmoe_core.data.targets import derive
from torch import Tensor

from rsmoe_core.checkpoint.load import fingerprint, load_model, save_model
from rsmoe_core.config import LoraSettings
from rsmoe_core.data.base import Question, Sample
from rsmoe_core.data.formats import plain
from rsmoe_core.engine import load
from rsmoe_core.errors import TrainingError
from rsmoe_core.model.rsmoe import RSMoE, build
from rsmoe_core.model.tokenizer import Tokenizer
from rsmoe_core.model.vision.efficientnet_lite import folded_copy
from rsmoe_core.presets import tiny
from rsmoe_core.training.examples import TrainingSample, texts
from rsmoe_core.training.features import FeatureBank, cached_features
from rsmoe_core.training.loop import run_phase
from rsmoe_core.training.objectives.base import RunOptions, TrainingData
from rsmoe_core.training.objectives.text import TextObjective
from rsmoe_core.training.run import TrainConfig, run_stage
from rsmoe_core.training.stages import Phase, stage
from tests.tiny import make_tiny, wake

COLOURS = {
    "pond": (20, 60, 160),
    "airport": (240, 240, 240),
    "forest": (20, 110, 30),
    "stadium": (180, 40, 40),
    "port": (150, 60, 200),
    "desert": (230, 190, 60),
}
NEW = "desert"
OLD = [place for place in COLOURS if place != NEW]
TUNING = stage("finetune")


def sentence(place: str) -> str:
    return f"a {place} is near a road ."


def picture(place: str, number: int) -> np.ndarray:
    noise = np.random.default_rng(number).normal(0, 1, (64, 64, 3))
    return np.clip(np.array(COLOURS[place]) + noise, 0, 255).astype(np.uint8)


def write_pictures(folder: Path, places: list[str], count: int) -> list[Sample]:
    folder.mkdir()
    samples = []
    for number in range(count):
        place = places[number % len(places)]
        image = folder / f"{place}_{number}.png"
        Image.fromarray(picture(place, number)).save(image)
        samples.append(Sample(image, "train", (sentence(place),), place))
    plain.write(folder, samples)
    return samples


def weights(folder: Path) -> dict[str, Tensor]:
    """As they are stored in a finished model: matrices in float16."""
    return {key: v.half() if v.ndim > 1 else v for key, v in load_model(folder).state_dict().items()}


def learn(model: RSMoE, phase: Phase, material: TrainingData, out: Path) -> None:
    session = RunOptions(out, bf16=False)
    run_phase(TextObjective(model, phase, material, material, session), phase, session, lambda epoch: {})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that tells three kinds of places apart, through all of its parts."""
    root = tmp_path_factory.mktemp("old")
    training_samples = [
        TrainingSample(s, t := derive(s), {"theme": t.theme, "objects": t.objects, "relations": t.relations})
        for s in write_pictures(root / "data", OLD, 40)
    ]
    # The image encoder is random: this seed gives one to which desert and stadium look different, as not all do.
    # `tests/test_finetuned_nano.py` shows fine-tuning on a real one.
    torch.manual_seed(1)
    config = tiny()
    # Few merges: like the vocabulary of a real model, this one spells what it has no token for.
    tokenizer = Tokenizer.train(
        [text for training_sample in training_samples for text in texts(training_sample)], 280, config.experts
    )
    language = dataclasses.replace(config.language, vocab_size=len(tokenizer))
    decoding = dataclasses.replace(config.decoding, draft_tokens=24, caption_tokens=24)
    lora = LoraSettings(rank=16, alpha=32, dropout=0.0)
    model = build(dataclasses.replace(config, language=language, decoding=decoding, lora=lora), tokenizer)
    wake(model.vision)
    samples = [training_sample.sample for training_sample in training_samples]
    features = cached_features(folded_copy(model.vision), samples, root / "cache", views=2, image_size=64, seed=0)
    material = TrainingData(training_samples, FeatureBank.of([features]))
    align = Phase("align", "teach", ("qformer", "language"), 40, 1e-2, 8, ("caption", "subtask"))
    learn(model, align, material, root / "align")
    model.add_experts()
    # Long enough that what it learned does not hang on how a processor rounds: 20 epochs were too few with AVX-512.
    fusion = Phase("fusion", "teach", ("fusion",), 40, 1e-2, 8, ("fuse",))
    learn(model, fusion, material, root / "mixture")
    save_model(model.eval(), root / "model")
    return root / "model"


def said(folder: Path) -> dict[str, set[str]]:
    """What a model says of unseen pictures of each kind."""
    engine = load(folder, device="cpu")
    unseen = {place: [picture(place, 1000 + number) for number in range(3)] for place in COLOURS}
    return {place: {text.caption for text in engine.caption(pictures)} for place, pictures in unseen.items()}


def tune(
    folder: Path,
    start: Path,
    data: Path,
    say: Callable[[str], None] = print,
    epochs: int | None = None,
    views: int = 2,
) -> Path:
    """A model of some thousand parameters takes larger steps than a real one."""
    phases = tuple(dataclasses.replace(phase, learning_rate=1e-2) for phase in TUNING.phases)
    chosen = TrainConfig((data,), folder, bf16=False, holdout=0.15, views=views)
    return run_stage(dataclasses.replace(TUNING, phases=phases).with_epochs(epochs), chosen, start=start, say=say)


def test_a_few_dozen_pictures_of_a_new_kind_make_the_model_name_it(finished: Path, tmp_path: Path) -> None:
    old = said(finished)
    assert {place: old[place] for place in OLD} == {place: {f"A {place} is near a road."} for place in OLD}
    assert NEW not in " ".join(old[NEW])
    before = weights(finished)
    write_pictures(tmp_path / "mine", [NEW] * 10 + OLD, 45)
    told: list[str] = []
    tuned = tune(tmp_path / "tuned", finished, tmp_path / "mine", told.append)
    new = said(tuned)
    assert new[NEW] == {f"A {NEW} is near a road."}
    # What the frozen image encoder and Q-Former took for the same as the new kind is called by its name from now on.
    kept = [place for place in OLD if new[place] == old[place]]
    assert "pond" in kept
    assert len(kept) >= 3
    assert told[0] == "stage finetune: 45 pictures, 4 of them held out by series"
    assert "trains theme, objects, relations: " in told[1]
    assert tuned == tmp_path / "tuned"
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "tuned", "tuned-work"}
    changed = {key.split(".")[-2] for key, value in weights(tuned).items() if not torch.equal(value, before[key])}
    assert changed == {"theme", "objects", "relations", "fusion"}, "base and router stay as they were"

    revision = fingerprint(tuned)
    shutil.rmtree(tuned)
    assert fingerprint(tune(tuned, finished, tmp_path / "mine")) == revision, "what is finished is not done again"


ROADS = {"pond": "blue", "airport": "white", "stadium": "red"}


def write_questions(folder: Path, count: int) -> None:
    """Pictures of which nothing is known but what people asked, one of the questions without an answer in any model."""
    samples = write_pictures(folder, list(ROADS), count)
    asked = [
        dataclasses.replace(
            sample,
            captions=(),
            scene_class=None,
            questions=(
                Question("what is the colour of the roads ?", ROADS[str(sample.scene_class)], "color"),
                Question("how many quokkas are there ?", "3", "count"),
            ),
        )
        for sample in samples
    ]
    plain.write(folder, asked)


def test_questions_alone_teach_the_experts_to_answer_them(finished: Path, tmp_path: Path) -> None:
    write_questions(tmp_path / "asked", 36)
    told: list[str] = []
    tuned = tune(tmp_path / "tuned", finished, tmp_path / "asked", told.append, epochs=30, views=1)
    assert told[0] == "questions left out, as no expert could answer them: 36; the first: how many quokkas are there ?"
    assert [line.split(":")[0] for line in told[1:]] == ["stage finetune", "phase experts"], "no captions, no fusion"
    unseen = {place: picture(place, 2000) for place in ROADS}
    answers = {
        folder: load(folder, device="cpu").ask(list(unseen.values()), ["What color is the road?"] * len(unseen))
        for folder in (finished, tuned)
    }
    told_of = {folder: dict(zip(unseen, (a.text for a in own), strict=True)) for folder, own in answers.items()}
    assert told_of[tuned] == ROADS
    assert told_of[finished] != ROADS


def test_only_a_finished_model_is_fine_tuned(tmp_path: Path) -> None:
    write_pictures(tmp_path / "mine", OLD, 10)
    save_model(make_tiny(experts=False), tmp_path / "stage1")
    with pytest.raises(TrainingError, match="train stage 2 from it first"):
        tune(tmp_path / "tuned", tmp_path / "stage1", tmp_path / "mine")
    assert not (tmp_path / "tuned").exists()


def test_what_lies_where_the_model_is_to_be_is_left_alone(tmp_path: Path) -> None:
    write_pictures(tmp_path / "mine", OLD, 10)
    save_model(make_tiny(), tmp_path / "model")
    with pytest.raises(TrainingError, match="there already"):
        tune(tmp_path / "mine", tmp_path / "model", tmp_path / "mine")
    assert (tmp_path / "mine" / "annotations.jsonl").is_file()
