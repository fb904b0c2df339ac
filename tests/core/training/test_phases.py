from __future__ import annotations

import dataclasses

from rsmoe_core.training.phases import ClassificationSettings, DetectionSettings, Phase, Stage, TextSettings

EXPERTS = Phase("experts", ("router", "experts", "fusion"), TextSettings(tasks=("draft",)), 3, 1e-3, 8)
CAPTIONS = dataclasses.replace(EXPERTS, objective=TextSettings(tasks=("fuse",)))


def test_experts_stand_for_those_of_the_model() -> None:
    assert EXPERTS.trained_parts(("theme", "weather")) == ("router", "theme", "weather", "fusion")
    assert Phase("adapt", ("vision",), ClassificationSettings(), 1, 1e-3, 8).trained_parts(("theme",)) == ("vision",)


def test_settings_say_what_has_to_be_prepared() -> None:
    for settings in (ClassificationSettings(), DetectionSettings(crops=(8,))):
        needs = (settings.needs_features, settings.needs_questions, settings.needs_drafts, settings.needs_consensus)
        assert not any(needs)
        assert not settings.trains_captions
    caption = TextSettings(tasks=("caption", "question"), consensus=True)
    assert caption.needs_features
    assert caption.needs_questions
    assert caption.needs_consensus
    assert caption.trains_captions
    assert not caption.needs_drafts
    fuse, fuse_targets = TextSettings(tasks=("fuse",)), TextSettings(tasks=("fuse_targets",))
    assert fuse.needs_drafts
    assert not fuse_targets.needs_drafts
    assert fuse.trains_fusion
    assert fuse_targets.trains_fusion
    assert not TextSettings(tasks=("route", "draft")).trains_captions


def test_epochs_and_patience_can_be_set_for_every_phase() -> None:
    stage = Stage("2", "1", (EXPERTS, CAPTIONS))
    assert [phase.epochs for phase in stage.with_limits(epochs=7).phases] == [7, 7]
    assert [phase.patience for phase in stage.with_limits(epochs=7).phases] == [None, None]
    patient = stage.with_limits(patience=2)
    assert [(phase.epochs, phase.patience) for phase in patient.phases] == [(3, 2), (3, 2)]
    assert patient.phases[0].learning_rate == EXPERTS.learning_rate
    assert stage.with_limits() == stage


def test_phases_that_need_captions_can_be_left_out() -> None:
    assert Stage("2", "1", (EXPERTS, CAPTIONS)).without_caption_phases().phases == (EXPERTS,)
