"""Mixtures on a base in training: the numbers of transformers, and the prompts and answers of inference."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from rsmoe_core.backends.base import Turn
from rsmoe_core.model import lora
from rsmoe_core.model.mixture_model import MixtureModel
from rsmoe_core.preprocess import normalise
from rsmoe_core.roles import BASE
from rsmoe_core.training.examples import TrainingExample
from rsmoe_core.training.mixtures import reply_batches
from rsmoe_core.training.mixtures.backend import mixture_backend
from rsmoe_core.training.mixtures.mixture import MixtureTrainee
from rsmoe_core.types import Request
from tests.mixtures import random_mixture

PROMPT = "name the kind of place"


@pytest.fixture(scope="module")
def instructblip(vlm: Callable[[str], Path]) -> MixtureModel:
    return random_mixture(vlm("instructblip"))


def image(seed: int = 0, size: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)


def test_encoder_qformer_and_projection_give_the_numbers_of_transformers(
    instructblip: MixtureModel, vlm: Callable[[str], Path]
) -> None:
    """Through the features that training stores, from the checkpoint that transformers wrote."""
    base = AutoModelForImageTextToText.from_pretrained(vlm("instructblip"))
    processor = AutoProcessor.from_pretrained(vlm("instructblip"))
    inputs = processor(images=[image()], text=[PROMPT], return_tensors="pt")
    expected = base.get_image_features(
        inputs["pixel_values"], inputs["qformer_input_ids"], inputs["qformer_attention_mask"], return_dict=True
    )
    encoder = MixtureTrainee(instructblip, bf16=False).feature_encoder(views=1, seed=0)
    assert encoder is not None
    assert encoder.options.image_size == 32
    patches = encoder.network(normalise(image()[None], encoder.options.normalisation))
    torch.testing.assert_close(patches, expected.last_hidden_state, rtol=0, atol=1e-5)
    encoded = instructblip.encode_patches(patches)
    with encoded.reused(instructblip.base, [0]):
        found = instructblip.base.get_image_features(
            **encoded.arguments([0]),
            qformer_input_ids=inputs["qformer_input_ids"],
            qformer_attention_mask=inputs["qformer_attention_mask"],
            return_dict=True,
        )
    torch.testing.assert_close(found.qformer_outputs[0], expected.qformer_outputs[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(found.pooler_output, expected.pooler_output, rtol=0, atol=1e-5)


def test_a_single_expert_writes_what_transformers_generates(
    instructblip: MixtureModel, vlm: Callable[[str], Path]
) -> None:
    processor = AutoProcessor.from_pretrained(vlm("instructblip"))
    backend = mixture_backend(instructblip)
    lora.activate(instructblip.model, "theme")
    for seed in range(3):
        inputs = processor(images=[image(seed)], text=[PROMPT], return_tensors="pt")
        ids = instructblip.base.generate(**inputs, max_new_tokens=12, do_sample=False)
        expected = processor.batch_decode(ids[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        (written,) = backend.generate(backend.encode([Request(image(seed))]), [Turn(0, "theme", PROMPT)], 12)
        assert written.text == expected[0].strip()


@pytest.mark.parametrize("name", ["instructblip", "qwen2_5_vl", "paligemma", "florence2"])
def test_the_loss_of_an_answer_is_the_confidence_with_which_it_was_written(
    vlm: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """So training reads image and prompt just as inference does, whatever the class; batches change nothing."""
    model = random_mixture(vlm(name))
    for penalty in ("repetition_penalty", "no_repeat_ngram_size"):  # they would change probabilities
        setattr(model.base.generation_config, penalty, None)
    backend = mixture_backend(model)
    size = backend.image_size
    turns = [Turn(number % 2, role, PROMPT) for number, role in enumerate(("theme", "objects", BASE) * 2)]
    encoded = backend.encode([Request(image(seed, size)) for seed in range(2)])
    decoded: list[list[int]] = []
    decode = backend.prompting.decode
    monkeypatch.setattr(backend.prompting, "decode", lambda ids: decoded.append(list(ids)) or decode(ids))
    written = backend.generate(encoded, turns, 20)
    end = model.prompting.tokenizer.convert_tokens_to_ids(model.prompting.end)
    answers = [ids if len(ids) == 20 else [*ids, end] for ids in decoded]
    assert len({tuple(ids) for ids in answers}) > 2
    for role in {turn.role for turn in turns}:
        rows = [row for row, turn in enumerate(turns) if turn.role == role]
        of_rows = iter([answers[row] for row in rows])
        monkeypatch.setattr(reply_batches, "answer_ids", lambda *_, own=of_rows: next(own))
        examples = [TrainingExample(role, turns[row].prompt, "", 1.0) for row in rows]
        batch = reply_batches.reply_batch(model.prompting, examples, is_encoder_decoder=model.is_encoder_decoder)
        images = model.encode_images(model.prompting.image_inputs([image(seed, size) for seed in range(2)]), 2)
        with torch.no_grad():
            loss = float(model.loss(role, batch, images, [turns[row].image for row in rows]))
        tokens = [len(answers[row]) for row in rows]
        log_confidences = [math.log(written[row].confidence or 0.0) for row in rows]
        expected = -sum(n * one for n, one in zip(tokens, log_confidences, strict=True)) / sum(tokens)
        assert loss == pytest.approx(expected, abs=1e-4)


def test_new_experts_begin_as_copies_of_the_first_adapter(vlm: Callable[[str], Path]) -> None:
    model = random_mixture(vlm("llava"))
    before = {name: value.clone() for name, value in model.parameters_of(["language"])}
    model.model.delete_adapter("theme")
    model.add_experts()
    copied = dict(model.parameters_of(["theme"]))
    assert len(copied) == len(before) > 0
    for name, value in before.items():
        assert torch.equal(copied[name.replace(".stage1.", ".theme.")], value)
