from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from PIL import Image

from rsmoe_core.backends.base import Backend
from rsmoe_core.checkpoint.catalogue import fingerprint
from rsmoe_core.checkpoint.load import save_model
from rsmoe_core.config import CaptionOptions
from rsmoe_core.engine import Engine
from rsmoe_core.errors import DataError, ImageError, ModelError, UsageError
from rsmoe_core.inference.batching import ThreadPool
from rsmoe_core.loading import load
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.questions.parser import parse_question
from rsmoe_core.roles import BASE, CAPTION_INSTRUCTION, DEFAULT_EXPERTS, FUSION, ROUTER, default_prompts
from rsmoe_core.types import UNKNOWN, Generation, Request
from rsmoe_core.words.replies import ANSWER, YES_OR_NO
from tests.core.fakes import FakeBackend, Text
from tests.tiny import texts_of


def test_every_image_gets_a_description(tiny_engine: Engine, images: list[np.ndarray]) -> None:
    described = tiny_engine.caption(images)
    assert len(described) == len(images)
    for one in described:
        assert one.caption
        assert set(one.prompts) == set(one.drafts) == set(DEFAULT_EXPERTS)
        assert 0 < one.confidence <= 1
    assert len({one.caption for one in described} | {one.draft("objects") for one in described}) > 1


def test_pil_images_and_arrays_are_described_alike(tiny_engine: Engine, images: list[np.ndarray]) -> None:
    assert tiny_engine.caption([Image.fromarray(image) for image in images]) == tiny_engine.caption(images)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_batch_size_does_not_change_the_texts(tiny_engine: Engine, images: list[np.ndarray], size: int) -> None:
    requests = [Request(image) for image in images]
    alone = [tiny_engine.describe([request])[0] for request in requests]
    together = tiny_engine.describe(requests, batch_size=size)
    assert texts_of(together) == texts_of(alone)
    assert np.allclose([one.confidence for one in together], [one.confidence for one in alone], atol=1e-4)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_threads_do_not_change_the_texts(tiny_folder, images: list[np.ndarray]) -> None:
    engine = load(tiny_folder, device="cpu")
    assert engine.threads.count == 2
    shared = engine.caption(images * 4)
    engine.threads = ThreadPool(1)
    assert texts_of(shared) == texts_of(engine.caption(images * 4))


def test_pixels_that_were_not_observed_do_not_matter(tiny_engine: Engine, images: list[np.ndarray]) -> None:
    image = images[0]
    valid = np.ones(image.shape[:2], bool)
    valid[:, 40:] = False
    other = image.copy()
    other[~valid] = 255
    assert tiny_engine.caption([image], [valid]) == tiny_engine.caption([other], [valid])


def test_no_image_gives_no_description(tiny_engine: Engine) -> None:
    assert tiny_engine.caption([]) == []


def test_an_image_of_the_wrong_shape_is_refused(tiny_engine: Engine) -> None:
    with pytest.raises(ImageError):
        tiny_engine.caption([np.zeros((4, 4), np.uint8)])


def test_an_unknown_name_is_refused_with_what_there_is() -> None:
    with pytest.raises(UsageError, match="built-in name"):
        load("no-such-model")


def test_an_unknown_device_is_refused(tiny_folder) -> None:
    with pytest.raises(UsageError, match="--device cpu"):
        load(tiny_folder, device="toaster")


def test_a_stage_1_model_is_refused(tmp_path, tiny_stage_1: RSMoE) -> None:
    save_model(tiny_stage_1, tmp_path)
    with pytest.raises(ModelError, match="train stage 2"):
        load(tmp_path)


def test_an_engine_says_what_it_computes_with(tiny_folder, tiny_engine: Engine) -> None:
    assert tiny_engine.name == str(tiny_folder)
    assert tiny_engine.revision == fingerprint(tiny_folder)
    assert (tiny_engine.device, tiny_engine.dtype, tiny_engine.image_size) == ("cpu", "float32", 64)
    assert tiny_engine.experts == DEFAULT_EXPERTS


def test_a_hub_id_is_downloaded_in_its_revision(monkeypatch: pytest.MonkeyPatch, tiny_folder) -> None:
    calls = []

    def snapshot_download(hub_id, *, revision, allow_patterns, **_):
        calls.append((hub_id, revision, allow_patterns))
        return str(tiny_folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert load("someone/their-model", revision="v2").name == "someone/their-model"
    assert calls[0][:2] == ("someone/their-model", "v2")
    assert not any("bin" in pattern or "pt" in pattern for pattern in calls[0][2])


def test_a_hub_that_cannot_be_reached_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_, **__):
        raise OSError("no route\nto host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(ModelError, match="cannot fetch 'a/b'") as caught:
        load("a/b")
    assert "\n" not in str(caught.value)


def test_a_question_about_every_image_gets_an_answer_for_each(tiny_engine: Engine, images: list[np.ndarray]) -> None:
    answers = tiny_engine.ask(images, "Is there a bridge?")
    assert [answer.text for answer in answers] == [answer.text for answer in tiny_engine.ask(images, "any bridges?")]
    for answer in answers:
        assert answer.text in ("yes", "no", UNKNOWN)
        assert (0 if answer.text == UNKNOWN else 0.5) <= answer.confidence <= 1
        assert answer.evidence
        assert set(answer.prompts) <= set(DEFAULT_EXPERTS)


def test_answers_are_in_the_order_of_the_questions(tiny_engine: Engine, images: list[np.ndarray]) -> None:
    questions = ["what kind of place is this?", "who owns the port?", "describe the picture"]
    theme, owner, caption = tiny_engine.ask([images[0]] * 3, questions)
    assert owner.text == "unknown"
    assert "who" in owner.evidence
    assert caption.text == tiny_engine.caption(images[:1])[0].caption
    assert theme == tiny_engine.ask([images[0]], questions[0])[0]


@pytest.mark.parametrize("size", [1, 3])
def test_batch_size_does_not_change_answers(tiny_engine: Engine, images: list[np.ndarray], size: int) -> None:
    questions = tuple(map(parse_question, ("what color is the building?", "any ships?")))
    requests = [Request(image, questions=questions[number % 3 :]) for number, image in enumerate(images)]
    answers = tiny_engine.answer(requests)
    assert [len(own) for own in answers] == [2, 1, 0, 2, 1, 0, 2]
    in_batches = tiny_engine.answer(requests, size)
    assert [[a.text for a in own] for own in in_batches] == [[a.text for a in own] for own in answers]


def test_an_object_smaller_than_a_pixel_is_not_answered(tiny_engine: Engine, images: list[np.ndarray]) -> None:
    (answer,) = tiny_engine.ask(images[:1], "how many cars are there?", metres_per_pixel=300.0)
    assert (answer.text, answer.confidence, answer.evidence) == (
        "unknown",
        1.0,
        "a car cannot be told from its surroundings at 300 m per pixel",
    )


def test_there_is_a_question_for_every_image(tiny_engine: Engine, images: list[np.ndarray]) -> None:
    with pytest.raises(UsageError, match="2 questions for 7 images"):
        tiny_engine.ask(images, ["any ships?", "any cars?"])
    with pytest.raises(UsageError, match="empty"):
        tiny_engine.ask(images, " ")


class LittleMemory:
    """Replaces the threads: a machine with memory for only so many images at a time."""

    def __init__(self, images: int) -> None:
        self.images, self.tried = images, []

    def map(self, compute, batch):
        self.tried.append(len(batch))
        if len(batch) > self.images:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return compute(batch)


def test_a_batch_too_large_for_memory_is_halved_and_nothing_is_lost(tiny_folder, images: list[np.ndarray]) -> None:
    engine = load(tiny_folder, device="cpu")
    requests = [Request(image) for image in [*images, *images, *images]]
    expected = engine.describe(requests)
    engine.batch_size = 8
    engine.threads = LittleMemory(3)
    described = engine.describe(requests)
    assert [one.caption for one in described] == [one.caption for one in expected]
    assert engine.threads.tried[:3] == [8, 4, 2]
    assert max(engine.threads.tried[2:]) == 2, "a size that was too large is not tried again"
    assert sum(engine.threads.tried[2:]) == len(requests)
    assert engine.batch_size == 2


def test_one_image_too_large_for_memory_is_an_error(tiny_folder, images: list[np.ndarray]) -> None:
    engine = load(tiny_folder, device="cpu")
    engine.threads = LittleMemory(0)
    with pytest.raises(torch.OutOfMemoryError):
        engine.describe([Request(images[0])])


# An engine on a backend from outside.

CANNED: dict[str, Text] = {
    ROUTER: lambda image, turn: "<objects> count the ships" if turn.prompt == CAPTION_INSTRUCTION else "<objects> any?",
    "theme": "port",
    "objects": lambda image, turn: "no" if turn.prompt == "any?" else f"{image} ships",
    "relations": "ships near a pier",
    FUSION: lambda image, turn: f"{turn.drafts['objects']} in a {turn.drafts['theme']} .",
}


def constant_images(*values: int) -> list[np.ndarray]:
    return [np.full((16, 16, 3), value, np.uint8) for value in values]


def test_any_backend_captions_through_router_experts_and_fusion() -> None:
    backend: Backend = (fake := FakeBackend(CANNED))
    described = Engine(backend).caption(constant_images(2, 3))
    assert [one.caption for one in described] == ["2 ships in a port.", "3 ships in a port."]
    drafts = {"theme": "port", "objects": "2 ships", "relations": "ships near a pier"}
    assert {name: draft.text for name, draft in described[0].drafts.items()} == drafts
    assert described[0].prompts == default_prompts(DEFAULT_EXPERTS) | {"objects": "count the ships"}
    assert [turn.prompt for turn in fake.turns_of("objects")] == ["count the ships"] * 2
    assert [turn.prompt for turn in fake.turns_of("theme")] == [default_prompts(DEFAULT_EXPERTS)["theme"]] * 2
    assert fake.turns_of(FUSION)[0].drafts == drafts
    assert described[0].confidence is None
    assert described[0].drafts["theme"] == Generation("port", None, 1)


def test_any_backend_answers_through_router_and_experts() -> None:
    backend = FakeBackend(CANNED)
    bridge, caption, owner = Engine(backend).ask(
        constant_images(2) * 3, ["is there a bridge?", "describe the picture", "who owns the port?"]
    )
    assert (bridge.text, bridge.confidence, bridge.prompts) == ("no", None, {"objects": "any?"})
    assert (caption.text, caption.confidence) == ("2 ships in a port.", None)
    assert owner.text == "unknown"
    assert [turn.prompt for turn in backend.turns_of(ROUTER)].count("is there any bridge?") == 1
    assert len(backend.turns_of("theme")) == 1, "only for the caption"


def test_all_questions_about_an_image_share_one_encoding() -> None:
    backend = FakeBackend(CANNED)
    image, other = constant_images(2, 3)
    questions = ["is there a bridge?", "who owns the port?", "describe the picture", "is there a road?"]
    Engine(backend).ask([image, other, image, image], questions)
    assert sum(backend.encoded) == 1, "an image whose questions have no answer is not encoded at all"


def test_an_engine_takes_its_sizes_and_limits_from_its_backend() -> None:
    backend = FakeBackend(CANNED, threads=2, batch_sizes=(3, 6))
    engine = Engine(backend)
    assert (engine.name, engine.revision, engine.device, engine.image_size) == ("fake", "1", "cpu", 32)
    assert engine.batch_size == 6, "two threads, three images each"
    engine.caption(constant_images(*range(13)))
    assert sorted(backend.encoded) == [1, 3, 3, 3, 3]
    engine.batch_size = 5
    assert engine.batch_size == 5


def test_an_image_may_be_a_path_and_one_image_needs_no_list(
    tiny_engine: Engine, images: list[np.ndarray], tmp_path: Path
) -> None:
    path = tmp_path / "one.png"
    Image.fromarray(images[0]).save(path)
    [expected] = tiny_engine.caption([images[0]])
    mask = np.ones(images[0].shape[:2], bool)
    for given in (path, str(path), [path], images[0], Image.open(path), [str(path)], images[0][None]):
        assert tiny_engine.caption(given) == [expected]
    assert len(tiny_engine.caption(path, mask)) == len(tiny_engine.caption(path, [mask])) == 1
    assert tiny_engine.ask(str(path), "How many roads?") == tiny_engine.ask([images[0]], "How many roads?")
    with pytest.raises(DataError, match=r"nowhere\.png"):
        tiny_engine.caption("nowhere.png")
    for wrong in (images[0][..., 0], images[0].astype(float)):
        with pytest.raises(ImageError):
            tiny_engine.caption(wrong)


def test_a_mixture_may_be_used_in_part() -> None:
    image = constant_images(2)
    without_router = FakeBackend(CANNED)
    (described,) = Engine(without_router, options=CaptionOptions("experts")).caption(image)
    assert without_router.turns_of(ROUTER) == []
    assert described.prompts == default_prompts(DEFAULT_EXPERTS)
    direct = FakeBackend(CANNED | {BASE: "a port"})
    (described,) = Engine(direct, options=CaptionOptions("direct")).caption(image)
    assert [turn.role for turn in direct.turns] == [BASE]
    assert (described.caption, described.drafts, described.prompts) == ("A port.", {}, {})


def test_the_length_of_captions_is_bounded() -> None:
    backend = FakeBackend(CANNED | {BASE: "ships lie at a quay of the port , where cranes stand in a long row"})
    (described,) = Engine(backend, options=CaptionOptions("direct", words=10)).caption(constant_images(2))
    assert described.caption == "Ships lie at a quay of the port."


def test_a_prompt_in_free_words_reaches_a_model_that_follows_instructions() -> None:
    backend = FakeBackend(CANNED, follows_instructions=True)
    Engine(backend, options=CaptionOptions(prompt="Describe damage")).caption(constant_images(2))
    assert {turn.prompt for turn in (*backend.turns_of(ROUTER), *backend.turns_of(FUSION))} == {"Describe damage"}
    with pytest.raises(UsageError, match="takes no --prompt"):
        Engine(FakeBackend(CANNED), options=CaptionOptions(prompt="Describe damage"))


def test_a_reply_that_cannot_be_used_is_recorded_and_not_fused() -> None:
    backend = FakeBackend(CANNED | {"objects": Generation("", error="not a list"), FUSION: "a port"})
    (described,) = Engine(backend).caption(constant_images(2))
    assert set(described.drafts) == {"theme", "relations"}
    assert set(backend.turns_of(FUSION)[0].drafts) == {"theme", "relations"}
    assert described.problems == {"objects": "not a list"}
    assert described.error is None


def test_without_a_fused_text_there_is_no_caption_but_an_error() -> None:
    failed = Generation("", error="the server says 500", failed=True)
    (described,) = Engine(FakeBackend(CANNED | {FUSION: failed})).caption(constant_images(2))
    assert (described.caption, described.error) == ("", "the server says 500")


def untrained(**replies: Text) -> FakeBackend:
    """A model that follows instructions, without weights of its own for any role."""
    return FakeBackend({BASE: "yes", **replies}, 0.9, follows_instructions=True, trained_roles=frozenset())


def test_an_untrained_model_is_asked_once_in_the_form_of_the_answer() -> None:
    backend = untrained()
    flood, bridge = Engine(backend).ask(constant_images(2) * 2, ["Is there flood damage?", "any bridges?"])
    assert (flood.text, bridge.text) == ("yes", "yes")
    assert [(turn.role, turn.prompt, turn.form) for turn in backend.turns] == [
        (BASE, "Is there flood damage?", ANSWER),
        (BASE, "is there any bridge?", YES_OR_NO),
    ]
    assert flood.evidence.startswith("model: yes (")


def test_what_no_image_shows_is_not_asked_even_of_a_model_that_follows_instructions() -> None:
    backend = untrained()
    (owner,) = Engine(backend).ask(constant_images(2), "who owns the port?")
    assert owner.text == "unknown"
    assert backend.turns == []


@pytest.mark.parametrize("failed", [True, False])
def test_an_answer_that_cannot_be_used_is_unknown_and_one_that_failed_has_an_error(failed: bool) -> None:
    backend = untrained(**{BASE: Generation("", error="no use", failed=failed)})
    (answer,) = Engine(backend).ask(constant_images(2), "any bridges?")
    assert (answer.text, answer.evidence) == ("unknown", "no use")
    assert answer.error == ("no use" if failed else None)
