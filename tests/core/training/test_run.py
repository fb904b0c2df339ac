from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from rsmoe_core.checkpoint.catalogue import fingerprint
from rsmoe_core.checkpoint.load import load_model
from rsmoe_core.errors import DataError, TrainingError
from rsmoe_core.model.rsmoe import build
from rsmoe_core.presets import tiny
from rsmoe_core.training import checkpoints, loop, run, samples
from rsmoe_core.training.phases import Stage
from rsmoe_core.training.run import TrainConfig, run_stage
from rsmoe_core.training.samples import expert_targets_of
from rsmoe_core.training.stages import find_stage
from tests.core.training.conftest import log_without_times
from tests.tiny import write_karpathy

PHASES = find_stage("1").with_limits(epochs=3).phases
STAGE_1 = Stage("1", None, tuple(dataclasses.replace(p, images_per_step=8, learning_rate=1e-2) for p in PHASES))
STAGE_2 = find_stage("2").with_limits(epochs=1)


def silent(line: str) -> None:
    pass


def config(data: Path, out: Path, **options: object) -> TrainConfig:
    return TrainConfig((data,), out, **({"bf16": False, "validation_split": 0.2} | options))


def train_1(data: Path, out: Path, stage: Stage = STAGE_1, **options: object) -> Path:
    return run_stage(stage, config(data, out, **options), preset=tiny(), report=silent)


def train_2(data: Path, out: Path, start: Path, **options: object) -> Path:
    return run_stage(STAGE_2, config(data, out, **options), start=start, report=silent)


def weights(folder: Path) -> dict[str, Tensor]:
    return load_model(folder).state_dict()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with stages 1 and 2, made once for all tests."""
    root = tmp_path_factory.mktemp("trained")
    data = write_karpathy(root / "images")
    train_2(data, root / "run", train_1(data, root / "run"))
    return root / "run"


@pytest.fixture
def stage_1(trained: Path, tmp_path: Path) -> Path:
    """A model folder in a run that a test may change."""
    ignored = shutil.ignore_patterns("stage2*")
    return Path(shutil.copytree(trained, tmp_path / "first", ignore=ignored)) / "stage1"


def test_stage_1_trains_the_image_encoder_and_then_leaves_it_alone(trained: Path) -> None:
    log = log_without_times(trained / "stage1-work/align")
    losses = [row["loss"] for row in log if "loss" in row]
    assert losses[-1] < 0.8 * losses[0]
    assert [row["epoch"] for row in log if "validation_loss" in row] == [1, 2, 3]
    model = load_model(trained / "stage1")
    assert not model.has_experts
    torch.manual_seed(0)  # the seed of the run: an untrained model starts from the same weights
    fresh, adapted = build(model.config, model.tokenizer), load_model(trained / "stage1-work/adapt/best")
    assert not torch.equal(adapted.vision.stem[0].weight, fresh.vision.stem[0].weight)
    assert torch.equal(adapted.qformer.queries, fresh.qformer.queries)
    assert all(torch.equal(v, adapted.vision.state_dict()[k]) for k, v in model.vision.state_dict().items())
    assert not torch.equal(model.qformer.queries, fresh.qformer.queries)


def test_stage_1_may_start_from_the_image_encoder_of_a_model(
    karpathy_folder: Path, trained: Path, tmp_path: Path
) -> None:
    options = config(karpathy_folder, tmp_path / "again", max_steps=1)
    aligned = dataclasses.replace(STAGE_1, phases=STAGE_1.phases[1:])
    again = run_stage(aligned, options, preset=tiny(), backbone=trained / "stage1", report=silent)
    source, model = load_model(trained / "stage1"), load_model(again)
    assert all(torch.equal(v, model.vision.state_dict()[k]) for k, v in source.vision.state_dict().items())
    assert not torch.equal(source.qformer.queries, model.qformer.queries)
    wider = dataclasses.replace(tiny(), vision=dataclasses.replace(tiny().vision, width=0.5))
    options = dataclasses.replace(options, out=tmp_path / "wider")
    with pytest.raises(TrainingError, match="another image encoder"):
        run_stage(aligned, options, preset=wider, backbone=trained / "stage1", report=silent)


def test_the_model_is_that_of_the_best_epoch(trained: Path) -> None:
    work = trained / "stage1-work/align"
    best = json.loads((work / "best.json").read_text())
    rows = [row for row in log_without_times(work) if "validation_loss" in row]
    scores = {row["epoch"]: row.get("validation_cider", -row["validation_loss"]) for row in rows}
    assert best["score"] == max(scores.values()) == scores[best["epoch"]]
    assert json.loads((work / "finished.json").read_text()) == best
    assert fingerprint(work / "best") == fingerprint(trained / "stage1")


def test_every_phase_has_curves(trained: Path) -> None:
    for phase in ("stage1-work/adapt", "stage1-work/align", "stage2-work/experts", "stage2-work/fusion"):
        assert (trained / phase / "curves.png").is_file()
        assert list((trained / phase / "tensorboard").iterdir())


def test_stage_2_trains_nothing_but_adapters(karpathy_folder: Path, stage_1: Path) -> None:
    reported: list[str] = []
    folder = run_stage(STAGE_2, config(karpathy_folder, stage_1.parent), start=stage_1, report=reported.append)
    base, model = weights(stage_1), load_model(folder)
    after = {key.replace("base_model.model.", "").replace(".base_layer.", "."): v for key, v in weights(folder).items()}
    for key, value in base.items():  # a finished stage 2 stores its matrices in float16
        is_matrix = value.is_floating_point() and value.ndim > 1
        assert torch.equal(value.half().float() if is_matrix else value, after[key]), key
    for role in model.roles:
        late = [v for key, v in after.items() if f".lora_B.{role}." in key]
        assert any(value.abs().max() > 0 for value in late), f"{role} is as it started"
    lines = [line for line in reported if "trains" in line]
    assert "trains router, theme, objects, relations: " in lines[0]
    assert "trains fusion: " in lines[1]


def test_the_joint_stage_trains_everything_but_the_image_encoder_at_once(
    karpathy_folder: Path, trained: Path, tmp_path: Path
) -> None:
    reported: list[str] = []
    joint = find_stage("joint").with_limits(epochs=3)
    quick = dataclasses.replace(joint, phases=tuple(dataclasses.replace(p, images_per_step=8) for p in joint.phases))
    options = config(karpathy_folder, tmp_path / "run")
    folder = run_stage(quick, options, preset=tiny(), backbone=trained / "stage1", report=reported.append)
    assert folder == tmp_path / "run/joint"
    assert "phase joint: trains qformer, language, router, theme, objects, relations, fusion: " in reported[-1]
    rows = log_without_times(tmp_path / "run/joint-work/joint")
    losses = [row["loss"] for row in rows if "loss" in row]
    assert losses[-1] < 0.9 * losses[0]
    assert sum("validation_cider" in row for row in rows) == 3

    source, model = load_model(trained / "stage1"), load_model(folder)
    assert torch.equal(model.vision.stem[0].weight, source.vision.stem[0].weight.half().float())
    torch.manual_seed(0)  # the seed of the run
    fresh = build(model.config, model.tokenizer)
    assert not torch.allclose(model.qformer.queries, fresh.qformer.queries, atol=1e-3)
    embeddings = model.language.get_input_embeddings().weight, fresh.language.get_input_embeddings().weight
    assert not torch.allclose(*embeddings, atol=1e-3)
    for role in model.roles:
        late = [v for key, v in model.state_dict().items() if f".lora_B.{role}." in key]
        assert any(value.abs().max() > 0 for value in late), f"{role} is as it started"


def test_a_finished_model_continues_in_all_its_parts(karpathy_folder: Path, trained: Path, tmp_path: Path) -> None:
    reported: list[str] = []
    options = config(karpathy_folder, tmp_path / "run")
    folder = run_stage(find_stage("continue"), options, start=trained / "stage2", report=reported.append)
    phases = [line.split(":")[0] for line in reported if "trains" in line]
    assert phases == ["phase adapt", "phase align", "phase experts", "phase fusion"]
    before, after = weights(trained / "stage2"), weights(folder)
    assert before.keys() == after.keys()
    moved = {key for key, value in before.items() if not torch.equal(value, after[key])}
    for part in ("vision.", "qformer.", ".base_layer.", *(f".lora_B.{role}." for role in load_model(folder).roles)):
        assert any(part in key for key in moved), f"{part} is as it was"
    rows = [row for row in log_without_times(tmp_path / "run/continue-work/align") if "validation_loss" in row]
    assert rows
    assert all(row["validation_cider"] >= 0 for row in rows), "it captions without adapters too"
    aligned = weights(tmp_path / "run/continue-work/align/best")
    adapters = [key for key in aligned if ".lora_" in key]
    assert all(torch.equal(aligned[key], before[key]) for key in adapters), "align is for the model without adapters"


def test_a_finished_stage_is_not_trained_again(
    karpathy_folder: Path, stage_1: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprint(stage_1)
    shutil.rmtree(stage_1)
    monkeypatch.setattr(run, "run_phase", lambda *_: pytest.fail("trained again"))
    assert fingerprint(train_1(karpathy_folder, stage_1.parent)) == before


def test_a_stage_stopped_by_max_steps_is_resumed_without_it(
    karpathy_folder: Path, trained: Path, tmp_path: Path
) -> None:
    work = tmp_path / "other/stage1-work/align"
    stopped = train_1(karpathy_folder, tmp_path / "other", max_steps=5)
    assert max(row["step"] for row in log_without_times(work)) == 5
    assert not (work / "finished.json").exists()
    assert fingerprint(stopped) != fingerprint(trained / "stage1")
    assert fingerprint(train_1(karpathy_folder, tmp_path / "other")) == fingerprint(trained / "stage1")
    assert log_without_times(work) == log_without_times(trained / "stage1-work/align")


def test_stage_2_stopped_in_every_phase_is_resumed(karpathy_folder: Path, trained: Path, tmp_path: Path) -> None:
    start = trained / "stage1"
    assert load_model(train_2(karpathy_folder, tmp_path, start, max_steps=1)).has_experts
    assert fingerprint(train_2(karpathy_folder, tmp_path, start)) == fingerprint(trained / "stage2")
    assert log_without_times(tmp_path / "stage2-work/fusion") == log_without_times(trained / "stage2-work/fusion")


def test_a_run_killed_when_its_patience_had_run_out_is_not_trained_further(
    karpathy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hopeless = Stage("1", None, (dataclasses.replace(PHASES[0], learning_rate=0.0, patience=1, epochs=9),))
    uninterrupted = train_1(karpathy_folder, tmp_path / "whole", hopeless)

    def killed(out: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "draw_curves", killed)
        with pytest.raises(KeyboardInterrupt):
            train_1(karpathy_folder, tmp_path / "killed", hopeless)
    assert fingerprint(train_1(karpathy_folder, tmp_path / "killed", hopeless)) == fingerprint(uninterrupted)
    works = [tmp_path / name / "stage1-work" / "adapt" for name in ("whole", "killed")]
    assert log_without_times(works[0]) == log_without_times(works[1])
    assert max(row["epoch"] for row in log_without_times(works[0])) < 9
    assert all((work / "finished.json").is_file() for work in works)


@pytest.mark.parametrize("moment", ["best is half written", "best.json is missing", "last is missing"])
def test_a_kill_between_best_and_last_changes_nothing(
    karpathy_folder: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    save_best, save_last, out = checkpoints.save_model_atomically, loop._save, tmp_path / "other"
    best = out / "stage1-work/align/best"

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    def killed_on_the_way(model: object, folder: Path) -> None:
        save_best(model, folder)
        if folder != best:
            return
        if moment == "best is half written":
            best.rename(best.with_name("best.part"))
            (best.with_name("best.part") / "tokenizer.json").unlink()
        killed()

    if moment == "last is missing":
        monkeypatch.setattr(loop, "_save", killed)
    else:
        monkeypatch.setattr(checkpoints, "save_model_atomically", killed_on_the_way)
    with pytest.raises(KeyboardInterrupt):
        train_1(karpathy_folder, out)
    monkeypatch.setattr(checkpoints, "save_model_atomically", save_best)
    monkeypatch.setattr(loop, "_save", save_last)
    assert fingerprint(train_1(karpathy_folder, out)) == fingerprint(trained / "stage1")
    assert log_without_times(out / "stage1-work/align") == log_without_times(trained / "stage1-work/align")


def test_a_run_is_resumed_with_the_same_settings_only(
    karpathy_folder: Path, stage_1: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: list[tuple[str, dict]] = [
        ("seed; give another --out", {"seed": 1}),
        ("phases", {"stage": STAGE_1.with_limits(epochs=1)}),
        ("phases", {"stage": STAGE_1.with_limits(patience=2)}),
        ("processes x accumulate", {"accumulate": 2}),
        ("validation split", {"validation_split": 0.3}),
        ("data", {"max_images": 30}),
    ]
    for name, options in changes:
        with pytest.raises(TrainingError, match=f"started with other {name}"):
            train_1(karpathy_folder, stage_1.parent, **options)

    def other_rules(facts: object, experts: object) -> object:
        targets = expert_targets_of(facts, experts)
        return dataclasses.replace(targets, drafts={**targets.drafts, "theme": "lake"})

    monkeypatch.setattr(samples, "expert_targets_of", other_rules)
    with pytest.raises(TrainingError, match="started with other data"):
        train_1(karpathy_folder, stage_1.parent)


def test_folders_of_one_name_have_caches_of_their_own(karpathy_folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / karpathy_folder.name
    shutil.copytree(karpathy_folder, other)
    options = config(karpathy_folder, tmp_path / "run", max_steps=1)
    options = dataclasses.replace(options, data=(karpathy_folder, other))
    run_stage(STAGE_1, options, preset=tiny(), report=silent)
    assert sorted(p.name for p in (tmp_path / "run/cache").iterdir()) == [other.name, f"{other.name}-2"]


def test_stage_2_needs_a_stage_1_model(karpathy_folder: Path, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"stage 2 needs the model of stage 1.*--from"):
        run_stage(STAGE_2, config(karpathy_folder, tmp_path / "run"))
    with pytest.raises(TrainingError, match="has been through stage 2"):
        train_2(karpathy_folder, tmp_path / "run", trained / "stage2")
    with pytest.raises(TrainingError, match="train stage 2 from it first"):
        run_stage(find_stage("detect"), config(karpathy_folder, tmp_path / "run"), start=trained / "stage1")


def test_stage_1_takes_no_model(karpathy_folder: Path, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="starts from a preset"):
        run_stage(STAGE_1, config(karpathy_folder, tmp_path / "run"), preset=tiny(), start=trained / "stage1")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("images", [45, 12], ids=["words", "nothing for the image encoder"])
def test_captions_without_scene_classes_are_enough_for_stage_1(tmp_path: Path, images: int) -> None:
    rows = []
    for number in range(images):
        pixels = np.random.default_rng(number).integers(0, 255, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        rows.append({"image": f"{number}.png", "split": "train", "captions": [f"a field with {number} hedges ."]})
    (tmp_path / "annotations.jsonl").write_text("\n".join(map(json.dumps, rows)))
    stage = find_stage("1").with_limits(epochs=1)
    reported: list[str] = []
    options = config(tmp_path, tmp_path / "run", views=1)
    folder = run_stage(stage, options, preset=tiny(), report=reported.append)
    assert not load_model(folder).has_experts
    left_out = [line for line in reported if "left out" in line]
    assert (tmp_path / "run/stage1-work/adapt").exists() == (not left_out) == (images == 45)
    assert all(line.startswith("phase adapt: left out, ") for line in left_out)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_both_sides_of_the_validation_split_need_images(karpathy_folder: Path, tmp_path: Path, share: float) -> None:
    with pytest.raises(TrainingError, match="another --validation-split"):
        train_1(karpathy_folder, tmp_path / "run", validation_split=share)
    assert not (tmp_path / "run").exists()


def test_problems_of_the_data_are_reported(karpathy_folder: Path, tmp_path: Path) -> None:
    (karpathy_folder / "train" / "pond_1.jpg").unlink()
    reported: list[str] = []
    options = config(karpathy_folder, tmp_path / "run", max_steps=1)
    run_stage(STAGE_1, options, preset=tiny(), report=reported.append)
    assert "1 left out, the first: " in reported[0]
    assert "pond_1.jpg is missing" in reported[0]
    with pytest.raises(DataError, match="no such folder"):
        train_1(tmp_path / "nowhere", tmp_path / "run")
