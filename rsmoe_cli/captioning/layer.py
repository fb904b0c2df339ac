"""The journal of a captioning run → the layer `captions` and the metadata of the output.

TileRecord → one row; the columns of the drafts and prompts follow from the model's experts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rsmoe_cli.formats.base import Row, rounded, tile_values
from rsmoe_cli.pipeline.provenance import scene_names, without_paths
from rsmoe_cli.pipeline.records import Codec, TileRecord
from rsmoe_cli.pipeline.session import Session
from rsmoe_cli.pipeline.stats import TileStats
from rsmoe_core.types import Description, Generation

LAYER = "captions"
"""Name of the layer."""


def caption_columns(experts: Sequence[str], prompts: bool = False, problems: bool = False) -> dict[str, type]:
    """The columns of the layer and their types; any but id, scene, tile_id, row, col and status may be null.

    `prompts` adds the router's prompt for each expert, `problems` why an expert has no draft, for models whose
    replies are checked.
    """
    return {
        "id": str,  # such as 1.r0003c0012
        "scene": str,  # name of its file
        "tile_id": str,  # such as r0003c0012
        "row": int,
        "col": int,
        "tile_m": float,  # metres a side
        "caption": str,  # the fused sentence
        **dict.fromkeys(experts, str),  # their drafts
        "confidence": float,  # geometric mean of the probabilities of the caption's tokens, 0-1
        "valid_fraction": float,  # share of the tile's pixels within the scene that are valid; null if unreadable
        "status": str,  # ok or failed
        "error": str,
        **({"problems": str} if problems else {}),  # such as: objects: the model wrote nothing
        **({f"prompt_{expert}": str for expert in experts} if prompts else {}),
    }


def caption_row(record: TileRecord[Description], number: int, scene: str, metres_per_pixel: float | None = None) -> Row:
    """The row of a tile of the scene with this number, from 0, and this name."""
    [outcome] = record.outcomes
    row_id = f"{number + 1}.{record.tile.id}"
    values = {
        "id": row_id,
        "scene": scene,
        **tile_values(record.tile, record.valid_fraction, outcome.error, metres_per_pixel),
    }
    if (description := outcome.value) is not None:
        values |= {"caption": description.caption, "confidence": rounded(description.confidence, 3)}
        values |= {role: draft.text for role, draft in description.drafts.items()}
        values |= {f"prompt_{role}": prompt for role, prompt in description.prompts.items()}
        values["problems"] = _listed(description.problems)
    return Row(row_id, values, record.footprint)


def _listed(problems: Mapping[str, str]) -> str | None:
    """Each reason once, after the roles that it concerns; None if there is none."""
    roles: dict[str, list[str]] = {}
    for role, reason in problems.items():
        roles.setdefault(reason, []).append(role)
    return "; ".join(f"{', '.join(own)}: {reason}" for reason, own in roles.items()) or None


def write_layer(session: Session[Description], prompts: bool) -> None:
    """Write the rows of all tiles in their order, and the metadata.

    Raises:
        OutputError: the file cannot be written; the journal stays as it is.
    """
    engine = session.engine
    assert engine is not None, "captions need an engine"
    columns = caption_columns(engine.experts, prompts, problems=engine.checks_replies)
    with session.open_output(LAYER, columns) as output:
        output.write(_rows(session))
        output.finish(_metadata(session))


def _rows(session: Session[Description]) -> Iterator[Row]:
    names = scene_names(session.job.scenes)
    for number, scene in session.journal.scenes():
        for record in session.journal.tiles(number):
            yield caption_row(record, number, names[scene.path], scene.metres_per_pixel)


def _metadata(session: Session[Description]) -> Mapping[str, object]:
    journal, names = session.journal, scene_names(session.job.scenes)
    scenes = [
        {**scene.facts, "source": names[scene.path], **_counts(journal.stats(number))}
        for number, scene in journal.scenes()
    ]
    if len(names) == 1:
        return scenes[0]
    failed = {names[path]: without_paths(error, names) for path, error in journal.failed_scenes().items()}
    return {"scenes": scenes, "scenes_failed": failed, **_counts(journal.stats())}


def _counts(stats: TileStats) -> dict[str, object]:
    return {
        "tiles_captioned": stats.answered,
        "tiles_skipped": stats.skipped,
        "tiles_failed": stats.failed,
        "coverage": rounded(stats.coverage, 4),
    }


def _encode(description: Description) -> dict[str, object]:
    drafts = {role: [draft.text, draft.confidence, draft.tokens] for role, draft in description.drafts.items()}
    return {
        "caption": description.caption,
        "drafts": drafts,
        "confidence": description.confidence,
        "prompts": dict(description.prompts),
        "problems": dict(description.problems),
    }


def _decode(fields: dict[str, Any]) -> Description:
    drafts = {role: Generation(*draft) for role, draft in fields["drafts"].items()}
    return Description(fields["caption"], drafts, fields["confidence"], fields["prompts"], fields["problems"])


DESCRIPTIONS = Codec(_encode, _decode)
"""How descriptions are recorded in the journal."""
