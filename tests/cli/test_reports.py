from __future__ import annotations

import dataclasses
import json

import numpy as np

from rsmoe_cli.reports import Report, Table, answer_report, caption_report, scene_report
from rsmoe_core.evaluation.answers import AnswerEvaluation
from rsmoe_core.evaluation.captions import CaptionEvaluation
from rsmoe_core.evaluation.scenes import Mistake, SceneEvaluation, SceneScore
from rsmoe_core.metrics.answers import AnsweredQuestion, majority_baseline, score_answers, score_baseline

CAPTIONS = CaptionEvaluation(
    images=4,
    tokenizer="simple",
    scores={"BLEU-1": 0.5, "CIDEr": 0.75},
    interval_95={"CIDEr": (0.5, 1.0)},
    baseline={"BLEU-1": 0.25, "CIDEr": 0.125},
    baseline_caption="a pond .",
    unique_captions=3,
    theme_accuracy=0.5,
    confidence_rank_correlation=0.4,
    by_scene_class={"pond": {"images": 4, "theme_accuracy": 0.5, "CIDEr": 0.75}},
    by_unique_references={"2": {"images": 4, "CIDEr": 0.75}},
    cider=np.zeros(4),
)
SHORT = Table("Scores", ("metric", "score"), (("CIDEr", "0.5"), ("a|b", "")))


def test_a_table_is_padded_markdown() -> None:
    assert SHORT.markdown().splitlines() == [
        "Scores",
        "",
        "| metric | score |",
        "|--------|-------|",
        "| CIDEr  | 0.5   |",
        "| a\\|b   |       |",
    ]


def test_a_file_has_the_details_and_the_provenance() -> None:
    long = Table("Each class", ("class",), (("pond",),))
    report = Report("nano on MINE", {}, (SHORT,), ("different captions: 3",), (long,))
    assert "Each class" not in report.text()
    document = report.markdown(["model nano"])
    assert document.startswith("# nano on MINE\n\nmodel nano\n\n## Scores\n\n| metric")
    assert "## Each class" in document
    assert document.endswith("- different captions: 3\n")


def test_captions() -> None:
    report = caption_report({"full model": CAPTIONS, "no router": CAPTIONS}, "nano on MINE")
    full, ablation = report.tables
    assert full.rows == (("BLEU-1", "0.5000", "", "0.2500"), ("CIDEr", "0.7500", "0.500 - 1.000", "0.1250"))
    assert ablation.columns == ("", "BLEU-1", "CIDEr", "CIDEr, 95 %")
    assert ablation.rows[1] == ("no router", "0.500", "0.750", "0.500 - 1.000")
    assert report.details[0].columns == ("scene class", "images", "theme accuracy", "CIDEr")
    assert report.details[0].rows == (("pond", "4", "0.500", "0.750"),)
    assert report.facts[0] == "scene class named by the theme expert: 50.0%"
    assert "rank correlation of confidence and CIDEr (Spearman): 0.40" in report.facts
    assert "cider" not in json.loads(json.dumps(report.figures))


def test_unknown_figures_are_left_out() -> None:
    bare = dataclasses.replace(CAPTIONS, theme_accuracy=None, confidence_rank_correlation=None)
    report = caption_report({"full model": bare}, "nano on MINE")
    assert len(report.tables) == 1
    assert len(report.facts) == 2
    assert "ablations" not in report.figures


def test_answers() -> None:
    rows = [
        AnsweredQuestion("1", "count", "2", "3", 0.5),
        AnsweredQuestion("1", "count", "4"),
        AnsweredQuestion("2", "presence", "yes", "yes"),
    ]
    baseline = majority_baseline(rows)
    result = AnswerEvaluation(2, score_answers(rows), score_baseline(rows, baseline), baseline)
    report = answer_report(result, "a.jsonl on MINE", left_out=1200)
    accuracy, counts = report.tables
    assert [row[0] for row in accuracy.rows] == ["OA", "AA", "count", "presence"]
    assert accuracy.rows[2] == ("count", "2", "0.0000", "", "0.5000")
    assert counts.title == "Counts: 2 questions, 1 unreadable"
    assert [row[0] for row in counts.rows] == ["MAE", "MAPE", "exact", "within one"]
    assert report.facts == (
        "unanswered: 1; lines left out: 1,200",
        "expected calibration error: 0.5000 (1 answers)",
        "baseline: the majority answer of each question type (count '2', presence 'yes'); for count errors the median "
        "count, 2",
    )
    assert json.loads(json.dumps(report.figures))["left_out"] == 1200


def test_scene_classes() -> None:
    result = SceneEvaluation(
        overall=SceneScore(20, None, 0.5),
        interval_95={"caption": (0.25, 0.75)},
        baseline=0.25,
        baseline_class="harbor",
        classes={"harbor": SceneScore(20, None, 0.5)},
        accepted_names={"harbor": ("harbor", "port")},
        mistakes=tuple(Mistake("harbor", f"place {number}", 1) for number in range(20)),
    )
    report = scene_report(result, "predictions.jsonl on MINE")
    shares, classes, mistakes = report.tables
    assert shares.rows == (("named in the caption", "0.5000", "0.250 - 0.750", "0.2500"),)
    assert classes.rows == (("harbor", "20", "", "0.5000", "harbor, port"),)
    assert len(mistakes.rows) == 15
    assert len(report.figures["mistakes"]) == 20
