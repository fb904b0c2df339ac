from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from rsmoe_core.metrics.cider import CiderReward
from rsmoe_core.training.loop import run_phase
from rsmoe_core.training.objectives import Material, Session
from rsmoe_core.training.reward import Reward
from rsmoe_core.training.stages import Phase
from rsmoe_core.training.teaching import Teaching
from tests.core.conftest import make_tiny
from tests.core.training.conftest import ALIGN, changed, state

POLISH = Phase("polish", "reward", ("fusion",), lessons=("fuse",), epochs=3, learning_rate=1e-2, images_per_step=10)


@pytest.fixture
def drafted(material: Material) -> Material:
    """The classroom, in which each picture's theme was drafted and one sentence of it is said by most."""
    studies = [dataclasses.replace(s, drafts={"theme": s.sample.scene}) for s in material.studies]
    return Material(studies, material.features)


def expected_reward(objective: Reward, material: Material) -> float:
    """Mean reward of many captions drawn for the same pictures."""
    torch.manual_seed(0)
    cider = CiderReward([study.sample.captions for study in material.studies])
    model = objective._model.eval()
    patches = material.features.patches(range(len(material)))
    with torch.no_grad():
        tokens = model.encode(patches, ["describe the picture"] * len(material))
        written = objective._write(tokens, [f"describe the picture <theme> {s.sample.scene}" for s in material.studies])
    codec = model.codec
    return float(np.mean([cider(i, codec.decode(text.ids)) for i, own in enumerate(written) for text in own]))


def test_captions_become_better_and_only_the_fusion_adapter_changes(drafted: Material, tmp_path: Path) -> None:
    model, session = make_tiny(experts=False), Session(tmp_path, bf16=False)
    learn = dataclasses.replace(ALIGN, lessons=("caption",))
    run_phase(Teaching(model, learn, drafted, drafted, session), learn, session, lambda epoch: {})
    model.add_experts()
    before = state(model)
    objective = Reward(model, POLISH, drafted, drafted, session)
    start = expected_reward(objective, drafted)
    run_phase(objective, POLISH, session, lambda epoch: {})
    assert expected_reward(objective, drafted) > start + 0.02
    found = changed(before, model)
    assert found
    assert all(".fusion." in key for key in found)


def test_a_caption_is_weighed_against_the_others_of_its_picture(drafted: Material, tmp_path: Path) -> None:
    objective = Reward(make_tiny(), POLISH, drafted, drafted, Session(tmp_path, bf16=False))
    codec, truth = objective._model.codec, drafted.studies[0].sample.captions[0]
    texts = [truth, "trees", "trees", "trees", "trees"]
    written = [[_Text(tuple(codec.encode(text))) for text in texts]]
    (weights,) = objective._advantages(np.array([0]), written)  # type: ignore[arg-type]
    assert weights[0] > 0 > weights[1]
    assert np.ptp(weights[1:]) < 1e-9
    assert weights.sum() == pytest.approx(0, abs=1e-9)


@dataclasses.dataclass(frozen=True)
class _Text:
    ids: tuple[int, ...]


def test_a_stopped_run_goes_on_as_if_it_had_not_been(drafted: Material, tmp_path: Path) -> None:
    def polish(out: Path, **options: int) -> dict[str, torch.Tensor]:
        model, session = make_tiny(), Session(out, bf16=False, **options)
        run_phase(Reward(model, POLISH, drafted, drafted, session), POLISH, session, lambda epoch: {})
        return state(model)

    unbroken = polish(tmp_path / "unbroken")
    polish(tmp_path / "broken", max_steps=4)
    resumed = polish(tmp_path / "broken")
    assert all(torch.equal(value, resumed[key]) for key, value in unbroken.items())


def test_pictures_that_one_person_described_are_passed_over(drafted: Material, tmp_path: Path) -> None:
    several = [0, 7, 12]
    studies = [
        dataclasses.replace(s, sample=dataclasses.replace(s.sample, captions=(*s.sample.captions, "a place .")))
        if row in several
        else s
        for row, s in enumerate(drafted.studies)
    ]
    objective = Reward(make_tiny(), POLISH, Material(studies, drafted.features), drafted, Session(tmp_path, bf16=False))
    assert [study.sample.image for study in objective._train.studies] == [studies[row].sample.image for row in several]
    assert objective._train.features.patches([1]).equal(drafted.features.patches([7]))
    assert len(Reward(make_tiny(), POLISH, drafted, drafted, Session(tmp_path, bf16=False))) == 30
