"""Evaluations → reports: tables as Markdown, padded so that they read well in a terminal too, and figures as JSON."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsmoe_core.evaluation.answers import AnswerEvaluation
    from rsmoe_core.evaluation.captions import CaptionEvaluation
    from rsmoe_core.evaluation.scenes import SceneEvaluation
    from rsmoe_core.metrics.answers import AnswerScores, CountError

_MAX_MISTAKES = 15
"""Rows of the table of mistakes."""


@dataclass(frozen=True)
class Table:
    """A table of texts; the first column names the row."""

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
    """The result of an evaluation, for people and for programs."""

    title: str
    figures: dict[str, Any]
    """Everything, as JSON."""
    tables: tuple[Table, ...]
    facts: tuple[str, ...]
    """What is in no table, a line each."""
    details: tuple[Table, ...] = ()
    """Long tables, which are written to files only."""

    def text(self) -> str:
        """For a terminal."""
        return "\n\n".join([self.title, *(table.markdown() for table in self.tables), "\n".join(self.facts)])

    def markdown(self, provenance: Iterable[str]) -> str:
        """For a Markdown file; `provenance` are paragraphs about how the report was made."""
        facts = "\n".join(f"- {fact}" for fact in self.facts)
        tables = [f"## {table.markdown()}" for table in (*self.tables, *self.details)]
        return "\n\n".join([f"# {self.title}", *provenance, *tables, facts]) + "\n"


def caption_report(results: Mapping[str, CaptionEvaluation], title: str) -> Report:
    """The report on captions; `results` has the full model first, then its ablations, if there are any."""
    full = next(iter(results.values()))
    facts = [f"different captions: {full.unique_captions}"]
    if full.theme_accuracy is not None:
        facts.insert(0, f"scene class named by the theme expert: {full.theme_accuracy:.1%}")
    if full.confidence_rank_correlation is not None:
        facts.append(f"rank correlation of confidence and CIDEr (Spearman): {full.confidence_rank_correlation:.2f}")
    facts.append(f"tokenizer: {full.tokenizer}; baseline: the caption '{full.baseline_caption}' for every image")
    metrics = tuple(
        (name, f"{value:.4f}", _interval(full.interval_95.get(name)), f"{full.baseline[name]:.4f}")
        for name, value in full.scores.items()
    )
    tables = [Table("Captions", ("metric", "score", "95 % interval", "baseline"), metrics)]
    figures = {name: value for name, value in vars(full).items() if name != "cider"}
    if len(results) > 1:
        figures["ablations"] = {
            name: {"scores": result.scores, "interval_95": result.interval_95} for name, result in results.items()
        }
        tables.append(_ablation_table(results))
    details = (
        _group_table("Scene classes", "scene class", full.by_scene_class),
        _group_table("Number of different references", "different references", full.by_unique_references),
    )
    return Report(f"{title}: {full.images} images", figures, tuple(tables), tuple(facts), details)


def answer_report(result: AnswerEvaluation, title: str, left_out: int = 0) -> Report:
    """The report on answers to questions; `left_out` lines of the file of predictions could not be used."""
    scores, baseline = result.scores, result.baseline
    rows = [
        ("OA", scores.questions, scores.overall_accuracy, _interval(scores.interval_95), baseline.overall_accuracy),
        ("AA", scores.questions, scores.average_accuracy, "", baseline.average_accuracy),
        *(
            (name, score.questions, score.accuracy, "", baseline.types[name].accuracy)
            for name, score in scores.types.items()
        ),
    ]
    accuracy = tuple(
        (name, f"{questions:,}", f"{share:.4f}", interval, f"{by_baseline:.4f}")
        for name, questions, share, interval, by_baseline in rows
    )
    tables = [Table("Answers", ("accuracy", "questions", "score", "95 % interval", "baseline"), accuracy)]
    if scores.counts is not None and baseline.counts is not None:
        tables.append(_count_table(scores.counts, baseline.counts))
    return Report(
        f"{title}: {scores.questions:,} questions about {result.images:,} images",
        {**dataclasses.asdict(result), "left_out": left_out},
        tuple(tables),
        tuple(_answer_facts(result, scores, left_out)),
    )


def scene_report(result: SceneEvaluation, title: str) -> Report:
    """The report on scene classes."""
    overall, baseline = result.overall, f"{result.baseline:.4f}"
    shares = [("named by the theme", "theme", overall.theme), ("named in the caption", "caption", overall.caption)]
    rows = tuple(
        (name, f"{share:.4f}", _interval(result.interval_95[key]), baseline)
        for name, key, share in shares
        if share is not None
    )
    mistakes = tuple((m.scene_class, m.prediction, str(m.images)) for m in result.mistakes[:_MAX_MISTAKES])
    tables = [
        Table("Scene classes", ("share of images", "score", "95 % interval", "baseline"), rows),
        _class_table(result),
    ]
    if mistakes:
        tables.append(Table("Most frequent mistakes", ("scene class", "theme", "images"), mistakes))
    return Report(
        f"{title}: scene classes of {overall.images:,} images",
        dataclasses.asdict(result),
        tuple(tables),
        (f"baseline: '{result.baseline_class}' for every image",),
    )


def _ablation_table(results: Mapping[str, CaptionEvaluation]) -> Table:
    metrics = tuple(next(iter(results.values())).scores)
    rows = tuple(
        (
            name,
            *(f"{result.scores[metric]:.3f}" for metric in metrics),
            _interval(result.interval_95["CIDEr"]),
        )
        for name, result in results.items()
    )
    return Table("Ablations", ("", *metrics, "CIDEr, 95 %"), rows)


def _group_table(title: str, group: str, groups: Mapping[str, Mapping[str, float]]) -> Table:
    figures = tuple(name for name in next(iter(groups.values())) if name != "images")
    rows = tuple(
        (name, f"{found['images']:.0f}", *(f"{found[figure]:.3f}" for figure in figures))
        for name, found in groups.items()
    )
    return Table(title, (group, "images", *(figure.replace("_", " ") for figure in figures)), rows)


def _count_table(found: CountError, baseline: CountError) -> Table:
    rows = (
        ("MAE", _figure(found.mae), _interval(found.mae_interval_95), _figure(baseline.mae)),
        ("MAPE", _figure(found.mape), "", _figure(baseline.mape)),
        ("exact", f"{found.exact:.4f}", "", f"{baseline.exact:.4f}"),
        ("within one", f"{found.within_one:.4f}", "", f"{baseline.within_one:.4f}"),
    )
    title = f"Counts: {found.questions:,} questions, {found.unreadable:,} unreadable"
    return Table(title, ("count", "score", "95 % interval", "baseline"), rows)


def _answer_facts(result: AnswerEvaluation, scores: AnswerScores, left_out: int) -> Iterable[str]:
    yield f"unanswered: {scores.unanswered:,}; lines left out: {left_out:,}"
    if scores.calibration_error is not None:
        yield f"expected calibration error: {scores.calibration_error:.4f} ({scores.with_confidence:,} answers)"
    baseline = result.majority_baseline
    answers = ", ".join(f"{name} '{answer}'" for name, answer in sorted(baseline.answers.items()))
    median = "" if baseline.median_count is None else f"; for count errors the median count, {baseline.median_count}"
    yield f"baseline: the majority answer of each question type ({answers}){median}"


def _class_table(result: SceneEvaluation) -> Table:
    rows = tuple(
        (name, str(score.images), _figure(score.theme), f"{score.caption:.4f}", ", ".join(result.accepted_names[name]))
        for name, score in result.classes.items()
    )
    return Table("Each class", ("scene class", "images", "theme", "caption", "accepted names"), rows)


def _interval(low_high: tuple[float, float] | None) -> str:
    return f"{low_high[0]:.3f} - {low_high[1]:.3f}" if low_high else ""


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |"


def _escaped(cell: str) -> str:
    """Text that stays in its cell, and is neither markup nor HTML to a Markdown reader."""
    return re.sub(r"([\\|<\[\]`])", r"\\\1", " ".join(cell.split()))
