"""Tables as Markdown, padded so that they read well in a terminal too.

Evaluations → reports: which figures stand in which table.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsmoe_core.evaluation.answers import AnswerEvaluation
    from rsmoe_core.evaluation.captions import Evaluation
    from rsmoe_core.evaluation.scenes import SceneEvaluation
    from rsmoe_core.metrics.answers import AnswerScores, CountError


@dataclass(frozen=True)
class Table:
    """A table of texts; the first column says what a row is."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """The table under its title."""
        cells = [[_escaped(cell) for cell in row] for row in (self.columns, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        head, *body = (_line(row, widths) for row in cells)
        return "\n".join([self.title, "", head, f"|{'|'.join('-' * (width + 2) for width in widths)}|", *body])


@dataclass(frozen=True)
class Report:
    """An evaluation for people and for programs to read."""

    title: str
    figures: dict[str, Any]
    """All figures, as JSON has them."""
    tables: tuple[Table, ...]
    facts: tuple[str, ...]
    """What no table holds, a line each."""
    details: tuple[Table, ...] = ()
    """Long tables, which only a file has room for."""

    def shown(self) -> str:
        """For a terminal."""
        return "\n\n".join([self.title, *(table.markdown() for table in self.tables), "\n".join(self.facts)])

    def document(self, made_by: Iterable[str]) -> str:
        """For a Markdown file; `made_by` are lines that say how it was made."""
        facts = "\n".join(f"- {fact}" for fact in self.facts)
        tables = [f"## {table.markdown()}" for table in (*self.tables, *self.details)]
        return "\n\n".join([f"# {self.title}", *made_by, *tables, facts]) + "\n"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |"


def _escaped(cell: str) -> str:
    """Text that stays in its cell, and is neither markup nor HTML to a Markdown reader."""
    return re.sub(r"([\\|<\[\]`])", r"\\\1", " ".join(cell.split()))


_MOST_MISTAKES = 15


def caption_report(results: Mapping[str, Evaluation], title: str) -> Report:
    """Of captions: `results` holds the whole model first, then what an ablation made of it, if there was one."""
    whole = next(iter(results.values()))
    facts = [f"different captions: {whole.unique_captions}"]
    if whole.theme_accuracy is not None:
        facts.insert(0, f"kind of place named by the theme expert: {whole.theme_accuracy:.1%}")
    if whole.confidence_order is not None:
        facts.append(f"rank correlation of confidence and CIDEr (Spearman): {whole.confidence_order:.2f}")
    facts.append(f"tokenizer: {whole.tokenizer}; baseline: '{whole.baseline_caption}' said of every picture")
    metrics = tuple(
        (name, f"{value:.4f}", _interval(whole.interval_95.get(name)), f"{whole.baseline[name]:.4f}")
        for name, value in whole.scores.items()
    )
    tables = [Table("Captions", ("metric", "score", "95 % interval", "baseline"), metrics)]
    figures = {name: value for name, value in vars(whole).items() if name != "cider"}
    if len(results) > 1:
        figures["ablation"] = {
            name: {"scores": result.scores, "interval_95": result.interval_95} for name, result in results.items()
        }
        tables.append(_ablation(results))
    details = (
        _by("Kinds of place", "kind of place", whole.by_scene),
        _by("Agreement of the people", "different sentences", whole.by_agreement),
    )
    return Report(f"{title}: {whole.pictures} pictures", figures, tuple(tables), tuple(facts), details)


def answer_report(result: AnswerEvaluation, title: str, left_out: int) -> Report:
    """Of answers to questions; `left_out` lines of the file could not be used."""
    scores, blind = result.scores, result.baseline
    rows = [
        ("OA", scores.questions, scores.overall_accuracy, _interval(scores.interval_95), blind.overall_accuracy),
        ("AA", scores.questions, scores.average_accuracy, "", blind.average_accuracy),
        *(
            (kind, found.questions, found.accuracy, "", blind.types[kind].accuracy)
            for kind, found in scores.types.items()
        ),
    ]
    accuracy = tuple(
        (name, f"{asked:,}", f"{share:.4f}", interval, f"{usual:.4f}") for name, asked, share, interval, usual in rows
    )
    tables = [Table("Answers", ("accuracy", "questions", "score", "95 % interval", "baseline"), accuracy)]
    if scores.counts is not None and blind.counts is not None:
        tables.append(_counts(scores.counts, blind.counts))
    return Report(
        f"{title}: {scores.questions:,} questions about {result.pictures:,} pictures",
        {**dataclasses.asdict(result), "left_out": left_out},
        tuple(tables),
        tuple(_answer_facts(result, scores, left_out)),
    )


def scene_report(result: SceneEvaluation, title: str) -> Report:
    """Of kinds of places."""
    overall, baseline = result.overall, f"{result.baseline:.4f}"
    shares = [("named by the theme", "theme", overall.theme), ("named in the caption", "caption", overall.caption)]
    rows = tuple(
        (name, f"{share:.4f}", _interval(result.interval_95[key]), baseline)
        for name, key, share in shares
        if share is not None
    )
    wrong = tuple((m.scene, m.said, str(m.pictures)) for m in result.mistakes[:_MOST_MISTAKES])
    mistakes = Table("Commonest mistakes", ("kind of place", "theme said", "pictures"), wrong)
    return Report(
        f"{title}: kinds of place of {overall.pictures:,} pictures",
        dataclasses.asdict(result),
        (
            Table("Kinds of place", ("share of pictures", "score", "95 % interval", "baseline"), rows),
            _classes(result),
            *((mistakes,) if wrong else ()),
        ),
        (f"baseline: '{result.baseline_scene}' said of every picture",),
    )


def _ablation(results: Mapping[str, Evaluation]) -> Table:
    metrics = tuple(next(iter(results.values())).scores)
    rows = tuple(
        (
            name,
            *(f"{result.scores[metric]:.3f}" for metric in metrics),
            _interval(result.interval_95["CIDEr"]),
        )
        for name, result in results.items()
    )
    return Table("Without each part", ("", *metrics, "CIDEr, 95 %"), rows)


def _by(title: str, group: str, groups: Mapping[str, Mapping[str, float]]) -> Table:
    figures = tuple(name for name in next(iter(groups.values())) if name != "pictures")
    rows = tuple(
        (name, f"{found['pictures']:.0f}", *(f"{found[figure]:.3f}" for figure in figures))
        for name, found in groups.items()
    )
    return Table(title, (group, "pictures", *(figure.replace("_", " ") for figure in figures)), rows)


def _counts(found: CountError, blind: CountError) -> Table:
    pairs = (("exact", found.exact, blind.exact), ("within one", found.within_one, blind.within_one))
    errors = (
        ("MAE", _figure(found.mae), _interval(found.mae_interval_95), _figure(blind.mae)),
        ("MAPE", _figure(found.mape), "", _figure(blind.mape)),
    )
    rows = (*errors, *((name, f"{share:.4f}", "", f"{usual:.4f}") for name, share, usual in pairs))
    title = f"Counts: {found.questions:,} questions, {found.unreadable:,} unreadable"
    return Table(title, ("count", "score", "95 % interval", "baseline"), rows)


def _answer_facts(result: AnswerEvaluation, scores: AnswerScores, left_out: int) -> Iterable[str]:
    yield f"unanswered: {scores.unanswered:,}; lines left out: {left_out:,}"
    if scores.calibration_error is not None:
        yield f"expected calibration error: {scores.calibration_error:.4f} ({scores.with_confidence:,} answers)"
    usual = ", ".join(f"{kind} '{answer}'" for kind, answer in sorted(result.usual.majority.items()))
    median = "" if result.usual.median_count is None else f"; of count errors the median, {result.usual.median_count}"
    yield f"baseline: the usual answers ({usual}){median}"


def _classes(result: SceneEvaluation) -> Table:
    rows = tuple(
        (scene, str(found.pictures), _figure(found.theme), f"{found.caption:.4f}", ", ".join(result.names[scene]))
        for scene, found in result.classes.items()
    )
    return Table("Each kind", ("kind of place", "pictures", "theme", "caption", "right names"), rows)


def _interval(low_high: tuple[float, float] | None) -> str:
    return f"{low_high[0]:.3f} - {low_high[1]:.3f}" if low_high else ""


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
