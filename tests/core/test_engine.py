import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from rsmoe_core.checkpoint.load import load_model, save_model
from rsmoe_core.engine import Engine, as_sentence, load
from rsmoe_core.errors import ImageError, ModelError, UsageError
from rsmoe_core.inference.ablations import ablations
from rsmoe_core.inference.batching import ThreadPool
from rsmoe_core.questions.parser import parse_question
from rsmoe_core.roles import DEFAULT_PROMPTS
from rsmoe_core.types import EXPERTS, Request
from tests.core.conftest import make_tiny


@pytest.fixture(scope="module")
def engine(tiny_folder):
    return load(tiny_folder, device="cpu")


def test_every_picture_gets_a_description(engine, images):
    described = engine.caption(images)
    assert len(described) == len(images)
    for said in described:
        assert said.caption
        assert set(said.prompts) == set(EXPERTS)
        assert 0 < said.confidence <= 1
    assert len({said.caption for said in described} | {said.objects for said in described}) > 1


def test_pil_images_and_arrays_are_described_alike(engine, images):
    assert engine.caption([Image.fromarray(i) for i in images]) == engine.caption(images)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_batch_size_does_not_change_the_text(engine, images, size):
    requests = [Request(image) for image in images]
    alone = [engine.describe([request])[0] for request in requests]
    together = engine.describe(requests, batch_size=size)
    texts = [(said.caption, said.theme, said.objects, said.relations, said.prompts) for said in alone]
    assert [(s.caption, s.theme, s.objects, s.relations, s.prompts) for s in together] == texts
    assert np.allclose([s.confidence for s in together], [s.confidence for s in alone], atol=1e-4)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_a_model_for_use_is_shared_by_the_cores(two_threads, images, tmp_path):
    model = make_tiny()
    model.config = dataclasses.replace(model.config, decoding=dataclasses.replace(model.config.decoding, beams=1))
    save_model(model, tmp_path)
    engine = load(tmp_path, device="cpu")
    assert engine._workers.count == 2
    shared = engine.caption(images * 4)
    engine._workers = ThreadPool(1)
    alone = engine.caption(images * 4)
    assert [(s.caption, s.objects, s.prompts) for s in shared] == [(s.caption, s.objects, s.prompts) for s in alone]


def test_a_model_with_adapters_is_not(two_threads, tiny_folder):
    """peft keeps the adapters of the rows at hand in the model, for all threads."""
    assert Engine(load_model(tiny_folder), "tiny", "")._workers.count == 1


def test_pixels_that_were_not_observed_do_not_matter(engine, images):
    image = images[0]
    valid = np.ones(image.shape[:2], bool)
    valid[:, 40:] = False
    other = image.copy()
    other[~valid] = 255
    assert engine.caption([image], [valid]) == engine.caption([other], [valid])


def test_no_picture_gives_no_description(engine):
    assert engine.caption([]) == []


def test_a_bad_picture_is_refused(engine):
    with pytest.raises(ImageError):
        engine.caption([np.zeros((4, 4), np.uint8)])


def test_an_unknown_name_says_what_there_is():
    with pytest.raises(UsageError, match="built-in name"):
        load("no-such-model")


def test_an_unknown_device_is_refused(tiny_folder):
    with pytest.raises(UsageError, match="--device cpu"):
        load(tiny_folder, device="toaster")


def test_a_stage_1_model_is_no_engine(tmp_path):
    from rsmoe_core.checkpoint.load import save_model

    save_model(make_tiny(experts=False), tmp_path)
    with pytest.raises(ModelError, match="train stage 2"):
        load(tmp_path)


def test_a_hub_id_is_fetched_with_its_revision(monkeypatch, tiny_folder):
    import huggingface_hub

    asked = []

    def snapshot_download(hub_id, *, revision, allow_patterns):
        asked.append((hub_id, revision, allow_patterns))
        return str(tiny_folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert load("someone/their-model", revision="v2").name == "someone/their-model"
    assert asked[0][:2] == ("someone/their-model", "v2")
    assert not any("bin" in pattern or "pt" in pattern for pattern in asked[0][2])


def test_a_hub_that_cannot_be_reached_is_one_line(monkeypatch):
    import huggingface_hub

    def unreachable(*_, **__):
        raise OSError("no route\nto host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(ModelError, match="cannot fetch 'a/b'") as caught:
        load("a/b")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("a pond is near a road .", "A pond is near a road."),
        ("trees , houses", "Trees, houses."),
        ("", ""),
        ("is it ?", "Is it?"),
    ],
)
def test_captions_read_like_sentences(written, sentence):
    assert as_sentence(written) == sentence


def test_every_variant_leaves_out_its_part_and_nothing_else(engine, images):
    ablation_list = {ablation.name: ablation for ablation in ablations(EXPERTS)}
    said = dict(
        zip(ablation_list, engine.compare([Request(image) for image in images], ablation_list.values()), strict=True)
    )
    whole = said["whole"]
    assert whole == engine.caption(images)
    assert [dict(s.prompts) for s in said["no router"]] == [dict(DEFAULT_PROMPTS)] * len(images)
    for name in EXPERTS:
        assert {getattr(s, name) for s in said[f"no {name}"]} == {""}
        others = [other for other in EXPERTS if other != name]
        assert [[getattr(s, o) for o in others] for s in said[f"no {name}"]] == [
            [getattr(s, o) for o in others] for s in whole
        ]
        assert [getattr(s, name) for s in said[f"{name} alone"]] == [getattr(s, name) for s in whole]
    initialised = said["join instead of fusion"]
    assert [s.caption.lower().rstrip(".") for s in initialised] == [
        as_sentence(", ".join(filter(None, (s.theme, s.objects, s.relations)))).lower().rstrip(".") for s in whole
    ]
    assert [s.caption for s in said["stage 1 only"]] != [s.caption for s in whole]


def test_every_question_about_a_picture_gets_an_answer(engine, images):
    answers = engine.ask(images, "Is there a bridge?")
    assert [answer.text for answer in answers] == [answer.text for answer in engine.ask(images, "any bridges?")]
    for answer in answers:
        assert answer.text in ("yes", "no")
        assert 0.5 <= answer.confidence <= 1
        assert answer.evidence
        assert set(answer.prompts) <= set(EXPERTS)


def test_answers_come_in_the_order_of_the_questions(engine, images):
    questions = ["what kind of place is this?", "who owns the port?", "describe the picture"]
    theme, owner, words = engine.ask([images[0]] * 3, questions)
    assert owner.text == "unknown"
    assert "who" in owner.evidence
    assert words.text == engine.caption(images[:1])[0].caption
    assert theme == engine.ask([images[0]], questions[0])[0]


@pytest.mark.parametrize("size", [1, 3])
def test_batch_size_does_not_change_answers(engine, images, size):
    parsed = parse_question("what color is the building?")
    requests = [Request(image, parsed=parsed) for image in images]
    assert [a.text for a in engine.answer(requests, size)] == [a.text for a in engine.answer(requests)]


def test_what_a_pixel_hides_is_not_answered(engine, images):
    (answer,) = engine.ask(images[:1], "how many cars are there?", metres_per_pixel=300.0)
    assert (answer.text, answer.evidence) == (
        "unknown",
        "a car cannot be told from its surroundings at 300 m per pixel",
    )


def test_questions_and_pictures_must_match(engine, images):
    with pytest.raises(UsageError, match="2 questions for 7 pictures"):
        engine.ask(images, ["any ships?", "any cars?"])
    with pytest.raises(UsageError, match="empty"):
        engine.ask(images, " ")


class Scarce:
    """Takes the place of the workers on a machine that has memory for so many pictures at a time."""

    def __init__(self, pictures):
        self.pictures, self.tried = pictures, []

    def map(self, compute, batch):
        self.tried.append(len(batch))
        if len(batch) > self.pictures:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return compute(batch)


def test_a_batch_too_large_for_memory_is_halved_and_nothing_is_lost(tiny_folder, images):
    engine = load(tiny_folder, device="cpu")
    requests = [Request(image) for image in [*images, *images, *images]]
    expected = engine.describe(requests)
    engine.batch_size = 8
    engine._workers = Scarce(3)
    said = engine.describe(requests)
    assert [s.caption for s in said] == [s.caption for s in expected]
    assert engine._workers.tried[:3] == [8, 4, 2]
    assert max(engine._workers.tried[2:]) == 2, "what was too large once is not tried again"
    assert sum(engine._workers.tried[2:]) == len(requests)
    assert engine.batch_size == 2


def test_one_picture_too_large_for_memory_is_an_error(tiny_folder, images):
    engine = load(tiny_folder, device="cpu")
    engine._workers = Scarce(0)
    with pytest.raises(torch.OutOfMemoryError):
        engine.describe([Request(images[0])])
