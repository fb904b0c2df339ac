from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rsmoe_cli.main import app
from rsmoe_core.backends.base import Turn
from rsmoe_core.checkpoint.catalogue import fingerprint
from rsmoe_core.checkpoint.load import load_model, save_model
from rsmoe_core.checkpoint.validation import load_config
from rsmoe_core.engine import Engine
from rsmoe_core.errors import ModelError, UsageError
from rsmoe_core.loading import load
from rsmoe_core.roles import (
    DEFAULT_EXPERTS,
    EXPERTS,
    FUSION,
    RESERVED_NAMES,
    ROUTER,
    Expert,
    all_roles,
    default_prompts,
    expert_targets_of,
    register_expert,
)
from rsmoe_core.types import Generation
from rsmoe_core.words.expert_targets import AnnotationFacts
from tests.cli.rasters import noise, write_raster
from tests.tiny import make_tiny

NAMES = (*DEFAULT_EXPERTS, "hazards")


def test_roles_are_in_the_order_in_which_they_run() -> None:
    assert all_roles(("a", "b")) == ("router", "a", "b", "fusion")


def test_every_default_expert_is_registered_by_its_name() -> None:
    assert set(DEFAULT_EXPERTS) <= set(EXPERTS)
    assert all(name == expert.name for name, expert in EXPERTS.items())
    assert default_prompts(("relations", "theme")) == {
        "relations": "say how the objects lie to each other",
        "theme": "name the kind of place",
    }


@pytest.mark.parametrize("name", [*sorted(RESERVED_NAMES), "theme"])
def test_a_taken_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"the name '{name}' is taken"):
        register_expert(Expert(name, "name it", "a test", target=lambda facts: ""))


def test_targets_of_experts_are_derived_from_annotations() -> None:
    targets = expert_targets_of(AnnotationFacts.of(["two ships are near a pier ."], "port"))
    assert list(targets.drafts) == list(targets.prompts) == list(DEFAULT_EXPERTS)
    assert targets.drafts["theme"] == "port"
    assert all(targets.prompts.values())
    nothing = expert_targets_of(AnnotationFacts.of([]))
    assert set(nothing.drafts.values()) == {""}
    assert nothing.prompts == default_prompts(DEFAULT_EXPERTS), "where the router has nothing more specific to ask"


# A fourth expert: one entry of the registry, and its name in a configuration.


@pytest.fixture(scope="module")
def hazards() -> Iterator[Expert]:
    expert = Expert("hazards", "name the hazards", "what is dangerous", target=lambda facts: "")
    register_expert(expert)
    yield expert
    del EXPERTS[expert.name]


@pytest.fixture(scope="module")
def folder(hazards: Expert, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with four experts."""
    folder = tmp_path_factory.mktemp("models") / "four"
    save_model(make_tiny(expert_names=NAMES), folder)
    return folder


@pytest.fixture(scope="module")
def engine(folder: Path) -> Engine:
    return load(folder, device="cpu")


def test_a_fourth_expert_is_built_saved_and_loaded(folder: Path, engine: Engine) -> None:
    assert load_config(folder).experts == NAMES
    assert {path.name for path in (folder / "adapters").iterdir()} == set(all_roles(NAMES))
    trainable = load_model(folder)
    assert trainable.roles == all_roles(NAMES)
    assert len(trainable.tokenizer.encode("<hazards>")) == len(trainable.tokenizer.encode("<theme>"))
    assert engine.experts == NAMES
    assert engine.revision == fingerprint(folder)


def test_the_draft_of_a_fourth_expert_is_described_and_fused(
    engine: Engine, images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[Turn] = []
    generate = engine.backend.generate

    def spy(encoded: object, given: list[Turn], max_tokens: int) -> list[Generation]:
        turns.extend(given)
        return generate(encoded, given, max_tokens)

    prompts: list[list[int]] = []
    decode = engine.backend.decoders.generate

    def spy_on_ids(tokens: object, given: list[list[int]], *rest: object) -> object:
        prompts.extend(given)
        return decode(tokens, given, *rest)

    monkeypatch.setattr(engine.backend, "generate", spy)
    monkeypatch.setattr(engine.backend.decoders, "generate", spy_on_ids)
    (described,) = engine.caption(images[:1])
    assert list(described.drafts) == list(described.prompts) == list(NAMES)
    assert {turn.role for turn in turns} == set(all_roles(NAMES))
    (fused,) = (turn for turn in turns if turn.role == FUSION)
    assert fused.drafts == {name: described.draft(name) for name in NAMES}
    tokenizer = engine.backend.model.tokenizer
    marker = tokenizer.encode("<hazards>")[-1]
    assert [marker in ids for ids in prompts] == [turn.role == FUSION for turn in turns]


def test_a_fourth_expert_is_asked_its_default_prompt_or_what_the_router_writes(
    engine: Engine, images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    generate = engine.backend.generate
    for generated, prompt in (("", "name the hazards"), ("<hazards> is there a fire", "is there a fire")):

        def routed(encoded: object, turns: list[Turn], limit: int, text: str = generated) -> list[Generation]:
            if turns[0].role == ROUTER:
                return [Generation(text)] * len(turns)
            return generate(encoded, turns, limit)

        monkeypatch.setattr(engine.backend, "generate", routed)
        (described,) = engine.caption(images[:1])
        assert described.prompts["hazards"] == prompt


def test_a_fourth_expert_has_columns_in_the_layer(folder: Path, tmp_path: Path) -> None:
    write_raster(tmp_path / "scene.tif", noise(3, 64, 128))
    out = tmp_path / "out.gpkg"
    arguments = [str(tmp_path / "scene.tif"), "-o", str(out), "--model", str(folder), "--prompts", "--device", "cpu"]
    result = CliRunner().invoke(app, ["caption", *arguments])
    assert result.exit_code == 0, result.output
    with closing(sqlite3.connect(out)) as database:
        cursor = database.execute("select * from captions")
        columns, rows = [column[0] for column in cursor.description], cursor.fetchall()
    assert len(rows) == 2
    assert [name for name in columns if name in NAMES] == list(NAMES)
    assert [name for name in columns if name.startswith("prompt_")] == [f"prompt_{name}" for name in NAMES]
    assert all(row[columns.index("hazards")] for row in rows)
    assert all(row[columns.index("prompt_hazards")] for row in rows)


def test_an_expert_that_is_not_registered_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(EXPERTS, "hazards")
    with pytest.raises(ModelError, match="no expert 'hazards' is registered; choose from: theme, objects, relations"):
        load(folder)
