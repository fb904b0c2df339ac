from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from rsmoe_core.data.targets import derive
from torch import Tensor

from rsmoe_core.checkpoint.load import fingerprint, load_model
from rsmoe_core.errors import DataError, TrainingError
from rsmoe_core.model.rsmoe import build
from rsmoe_core.presets import tiny
from rsmoe_core.training import checkpoints, loop, run, samples
from rsmoe_core.training.run import TrainConfig, run_stage
from rsmoe_core.training.stages import Stage, stage

PHASES = stage("1").with_epochs(3).phases
STAGE_1 = Stage("1", None, tuple(dataclasses.replace(p, images_per_step=8, learning_rate=1e-2) for p in PHASES))
STAGE_2 = stage("2").with_epochs(1)


def first(data: Path, out: Path, stage: Stage = STAGE_1, **options: object) -> Path:
    chosen = TrainConfig((data,), out, **({"bf16": False, "holdout": 0.2} | options))
    return run_stage(stage, chosen, config=tiny(), say=lambda text: None)


def second(data: Path, out: Path, start: Path, **options: object) -> Path:
    chosen = TrainConfig((data,), out, **({"bf16": False, "holdout": 0.2} | options))
    return run_stage(STAGE_2, chosen, start=start, say=lambda text: None)


def log(work: Path) -> list[dict]:
    rows = [json.loads(line) for line in (work / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def weights(folder: Path) -> dict[str, Tensor]:
    return load_model(folder).state_dict()


@pytest.fixture
def stage_1(karpathy_folder: Path, tmp_path: Path) -> Path:
    return first(karpathy_folder, tmp_path / "first")


def test_stage_1_adapts_the_image_encoder_and_then_leaves_it_alone(stage_1: Path) -> None:
    work = stage_1.parent / "stage1-work" / "align"
    losses = [row["loss"] for row in log(work) if "loss" in row]
    assert losses[-1] < 0.8 * losses[0]
    validations = [row for row in log(work) if "validation_loss" in row]
    assert [row["epoch"] for row in validations] == [1, 2, 3]
    model = load_model(stage_1)
    assert not model.has_experts
    torch.manual_seed(0)  # the seed of the recipe: an untrained model starts from the same weights
    fresh, adapted = build(model.config, model.tokenizer), load_model(work.parent / "adapt" / "best")
    assert not torch.equal(adapted.vision.stem[0].weight, fresh.vision.stem[0].weight)
    assert torch.equal(adapted.qformer.queries, fresh.qformer.queries)
    assert all(torch.equal(v, adapted.vision.state_dict()[k]) for k, v in model.vision.state_dict().items())
    assert not torch.equal(model.qformer.queries, fresh.qformer.queries)


def test_stage_1_may_start_from_the_image_encoder_of_a_model(
    karpathy_folder: Path, stage_1: Path, tmp_path: Path
) -> None:
    chosen = TrainConfig((karpathy_folder,), tmp_path / "again", max_steps=1, holdout=0.2, bf16=False)
    aligned = dataclasses.replace(STAGE_1, phases=STAGE_1.phases[1:])
    again = run_stage(aligned, chosen, config=tiny(), backbone=stage_1, say=lambda text: None)
    learned, kept = load_model(stage_1), load_model(again)
    assert all(torch.equal(v, kept.vision.state_dict()[k]) for k, v in learned.vision.state_dict().items())
    assert not torch.equal(learned.qformer.queries, kept.qformer.queries)
    wider = dataclasses.replace(tiny(), vision=dataclasses.replace(tiny().vision, width=0.5))
    with pytest.raises(TrainingError, match="another image encoder"):
        run_stage(aligned, dataclasses.replace(chosen, out=tmp_path / "wider"), config=wider, backbone=stage_1)


def test_the_best_epoch_is_kept(stage_1: Path) -> None:
    work = stage_1.parent / "stage1-work" / "align"
    best = json.loads((work / "best.json").read_text())
    scores = {r["epoch"]: r.get("validation_cider", -r["validation_loss"]) for r in log(work) if "validation_loss" in r}
    assert best["score"] == max(scores.values()) == scores[best["epoch"]]
    assert json.loads((work / "finished.json").read_text()) == best
    assert fingerprint(work / "best") == fingerprint(stage_1)


def test_every_phase_leaves_its_curves(stage_1: Path) -> None:
    for phase in ("adapt", "align"):
        work = stage_1.parent / "stage1-work" / phase
        assert (work / "curves.png").is_file()
        assert list((work / "tensorboard").iterdir())


def test_a_run_killed_when_its_patience_was_spent_is_not_trained_further(
    karpathy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hopeless = Stage("1", None, (dataclasses.replace(PHASES[0], learning_rate=0.0, patience=1, epochs=9),))
    unbroken = first(karpathy_folder, tmp_path / "unbroken", hopeless)

    def killed(out: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "draw_curves", killed)
        with pytest.raises(KeyboardInterrupt):
            first(karpathy_folder, tmp_path / "broken", hopeless)
    assert fingerprint(first(karpathy_folder, tmp_path / "broken", hopeless)) == fingerprint(unbroken)
    works = [tmp_path / name / "stage1-work" / "adapt" for name in ("unbroken", "broken")]
    assert log(works[0]) == log(works[1])
    assert max(row["epoch"] for row in log(works[0])) < 9
    assert all((work / "finished.json").is_file() for work in works)


def test_stage_2_trains_nothing_but_adapters(karpathy_folder: Path, stage_1: Path) -> None:
    said: list[str] = []
    chosen = TrainConfig((karpathy_folder,), stage_1.parent, bf16=False, holdout=0.2)
    folder = run_stage(STAGE_2, chosen, start=stage_1, say=said.append)
    base, model = weights(stage_1), load_model(folder)
    after = {key.replace("base_model.model.", "").replace(".base_layer.", "."): v for key, v in weights(folder).items()}
    for key, value in base.items():  # a finished stage 2 keeps its matrices in float16
        is_matrix = value.is_floating_point() and value.ndim > 1
        assert torch.equal(value.half().float() if is_matrix else value, after[key]), key
    for role in model.roles:
        late = [v for key, v in after.items() if f".lora_B.{role}." in key]
        assert any(value.abs().max() > 0 for value in late), f"{role} still is as it started"
    trained = [line for line in said if "trains" in line]
    assert "trains router, theme, objects, relations: " in trained[0]
    assert "trains fusion: " in trained[1]
    assert len(log(folder.parent / "stage2-work" / "fusion")) > 0


def test_the_single_stage_trains_everything_but_the_image_encoder_at_once(
    karpathy_folder: Path, stage_1: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    chosen = TrainConfig((karpathy_folder,), tmp_path / "single", bf16=False, holdout=0.2)
    (together,) = stage("single").with_epochs(3).phases
    quick = dataclasses.replace(stage("single"), phases=(dataclasses.replace(together, images_per_step=8),))
    folder = run_stage(quick, chosen, config=tiny(), backbone=stage_1, say=said.append)
    assert "phase together: trains qformer, language, router, theme, objects, relations, fusion: " in said[-1]
    rows = log(tmp_path / "single" / "stagesingle-work" / "together")
    losses = [row["loss"] for row in rows if "loss" in row]
    assert losses[-1] < 0.9 * losses[0]
    assert sum("validation_cider" in row for row in rows) == 3

    learned, model = load_model(stage_1), load_model(folder)
    matrix = learned.vision.stem[0].weight
    assert torch.equal(model.vision.stem[0].weight, matrix.half().float())
    torch.manual_seed(0)  # the seed of the recipe
    fresh = build(model.config, model.tokenizer)
    assert not torch.allclose(model.qformer.queries, fresh.qformer.queries, atol=1e-3)
    embeddings = model.language.get_input_embeddings().weight, fresh.language.get_input_embeddings().weight
    assert not torch.allclose(*embeddings, atol=1e-3)
    for role in model.roles:
        late = [v for key, v in model.state_dict().items() if f".lora_B.{role}." in key]
        assert any(value.abs().max() > 0 for value in late), f"{role} still is as it started"


def test_a_finished_model_learns_again_in_all_its_parts(karpathy_folder: Path, stage_1: Path, tmp_path: Path) -> None:
    start = second(karpathy_folder, tmp_path / "second", stage_1)
    said: list[str] = []
    chosen = TrainConfig((karpathy_folder,), tmp_path / "again", bf16=False, holdout=0.2)
    folder = run_stage(stage("again"), chosen, start=start, say=said.append)
    phases = [line.split(":")[0] for line in said if "trains" in line]
    assert phases == ["phase adapt", "phase align", "phase experts", "phase fusion"]
    before, after = weights(start), weights(folder)
    assert before.keys() == after.keys()
    moved = {key for key, value in before.items() if not torch.equal(value, after[key])}
    for part in ("vision.", "qformer.", ".base_layer.", *(f".lora_B.{role}." for role in load_model(folder).roles)):
        assert any(part in key for key in moved), f"{part} is as it was"
    rows = [row for row in log(tmp_path / "again" / "stageagain-work" / "align") if "validation_loss" in row]
    assert rows
    assert all(row["validation_cider"] >= 0 for row in rows), "it writes without adapters too"
    aligned = weights(tmp_path / "again/stageagain-work/align/best")
    adapters = [key for key in aligned if ".lora_" in key]
    assert all(torch.equal(aligned[key], before[key]) for key in adapters), "align is for the model without adapters"


def test_a_finished_stage_is_not_run_again(
    karpathy_folder: Path, stage_1: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprint(stage_1)
    shutil.rmtree(stage_1)
    monkeypatch.setattr(run, "run_phase", lambda *_: pytest.fail("trained again"))
    assert fingerprint(first(karpathy_folder, stage_1.parent)) == before


def test_a_stage_stopped_by_max_steps_goes_on_without_it(karpathy_folder: Path, stage_1: Path, tmp_path: Path) -> None:
    stopped = first(karpathy_folder, tmp_path / "other", max_steps=5)
    assert max(row["step"] for row in log(tmp_path / "other/stage1-work/align")) == 5
    assert not (tmp_path / "other/stage1-work/align/finished.json").exists()
    assert fingerprint(stopped) != fingerprint(stage_1)
    assert fingerprint(first(karpathy_folder, tmp_path / "other")) == fingerprint(stage_1)
    assert log(tmp_path / "other/stage1-work/align") == log(stage_1.parent / "stage1-work/align")


def test_stage_2_stopped_in_every_phase_goes_on_as_if_it_had_not_been(
    karpathy_folder: Path, stage_1: Path, tmp_path: Path
) -> None:
    unbroken = second(karpathy_folder, tmp_path / "unbroken", stage_1)
    assert load_model(second(karpathy_folder, tmp_path / "broken", stage_1, max_steps=1)).has_experts
    assert fingerprint(second(karpathy_folder, tmp_path / "broken", stage_1)) == fingerprint(unbroken)
    assert log(tmp_path / "broken/stage2-work/fusion") == log(tmp_path / "unbroken/stage2-work/fusion")


@pytest.mark.parametrize("moment", ["best is half written", "best.json is missing", "last is missing"])
def test_a_kill_between_best_and_last_changes_nothing(
    karpathy_folder: Path, stage_1: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    save, place, out = checkpoints.save_whole, loop._save, tmp_path / "other"
    best = out / "stage1-work/align/best"

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    def killed_on_the_way(model: object, folder: Path) -> None:
        save(model, folder)
        if folder != best:
            return
        if moment == "best is half written":  # aside, where it is being written
            best.rename(best.with_name("best.part"))
            (best.with_name("best.part") / "tokenizer.json").unlink()
        killed()

    if moment == "last is missing":
        monkeypatch.setattr(loop, "_save", killed)
    else:
        monkeypatch.setattr(checkpoints, "save_whole", killed_on_the_way)
    with pytest.raises(KeyboardInterrupt):
        first(karpathy_folder, out)
    monkeypatch.setattr(checkpoints, "save_whole", save)
    monkeypatch.setattr(loop, "_save", place)
    assert fingerprint(first(karpathy_folder, out)) == fingerprint(stage_1)
    assert log(out / "stage1-work/align") == log(stage_1.parent / "stage1-work/align")


def test_a_run_goes_on_with_the_same_settings_only(
    karpathy_folder: Path, stage_1: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TrainingError, match="begun with other seed; give another --out"):
        first(karpathy_folder, stage_1.parent, seed=1)
    with pytest.raises(TrainingError, match="begun with other phases"):
        first(karpathy_folder, stage_1.parent, stage=STAGE_1.with_epochs(1))
    with pytest.raises(TrainingError, match="begun with other phases"):
        first(karpathy_folder, stage_1.parent, stage=STAGE_1.with_epochs(None, patience=2))
    with pytest.raises(TrainingError, match="begun with other processes x accumulate"):
        first(karpathy_folder, stage_1.parent, accumulate=2)
    with pytest.raises(TrainingError, match="begun with other data"):
        first(karpathy_folder, stage_1.parent, max_pictures=30)
    monkeypatch.setattr(samples, "derive", lambda sample: dataclasses.replace(derive(sample), theme="lake"))
    with pytest.raises(TrainingError, match="begun with other data"):
        first(karpathy_folder, stage_1.parent)


def test_a_run_that_knew_none_of_the_later_settings_goes_on(stage_1: Path) -> None:
    settings = json.loads((stage_1.parent / "stage1-work" / "settings.json").read_text())
    assert not {"average", "patience", "processes x accumulate"} & {*settings, *settings["phases"][0]}


def test_folders_of_one_name_have_caches_of_their_own(karpathy_folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / karpathy_folder.name
    shutil.copytree(karpathy_folder, other)
    chosen = TrainConfig((karpathy_folder, other), tmp_path / "run", holdout=0.2, bf16=False, max_steps=1)
    run_stage(STAGE_1, chosen, config=tiny(), say=lambda text: None)
    assert sorted(p.name for p in (tmp_path / "run/cache").iterdir()) == ["pictures", "pictures-2"]


def test_stage_2_needs_a_stage_1_model(karpathy_folder: Path, stage_1: Path, tmp_path: Path) -> None:
    chosen = TrainConfig((karpathy_folder,), tmp_path / "run")
    with pytest.raises(TrainingError, match=r"stage 2 needs the model of stage 1.*--from"):
        run_stage(STAGE_2, chosen)
    finished = second(karpathy_folder, tmp_path / "run", stage_1, max_steps=1)
    with pytest.raises(TrainingError, match="has been through stage 2"):
        run_stage(STAGE_2, TrainConfig((karpathy_folder,), tmp_path / "again", holdout=0.2), start=finished)


def test_stage_1_takes_no_model(karpathy_folder: Path, stage_1: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="starts from a preset"):
        run_stage(STAGE_1, TrainConfig((karpathy_folder,), tmp_path / "run"), config=tiny(), start=stage_1)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("holdout", [0.0, 1.0])
def test_something_must_be_held_out_and_something_left(karpathy_folder: Path, tmp_path: Path, holdout: float) -> None:
    with pytest.raises(TrainingError, match="another --holdout"):
        first(karpathy_folder, tmp_path / "run", holdout=holdout)
    assert not (tmp_path / "run").exists()


def test_what_the_data_lacks_is_said(karpathy_folder: Path, tmp_path: Path) -> None:
    (karpathy_folder / "train" / "pond_1.jpg").unlink()
    said: list[str] = []
    chosen = TrainConfig((karpathy_folder,), tmp_path / "run", holdout=0.2, max_steps=1, bf16=False)
    run_stage(STAGE_1, chosen, config=tiny(), say=said.append)
    assert "1 left out, the first: " in said[0]
    assert "pond_1.jpg is missing" in said[0]
    with pytest.raises(DataError, match="no such folder"):
        first(tmp_path / "nowhere", tmp_path / "run")
