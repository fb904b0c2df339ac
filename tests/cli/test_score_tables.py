from __future__ import annotations

import dataclasses
import json

import numpy as np

from rsmoe_cli.reports import answer_report, caption_report, scene_report
from rsmoe_core.evaluation.answers import AnswerEvaluation
from rsmoe_core.evaluation.captions import Evaluation
from rsmoe_core.evaluation.scenes import Mistake, SceneEvaluation, SceneScore
from rsmoe_core.metrics.answers import Answered, score_answers, score_usual, usual_answers

CAPTIONS = Evaluation(
    pictures=4,
    tokenizer="simple",
    scores={"BLEU-1": 0.5, "CIDEr": 0.75},
    interval_95={"CIDEr": (0.5, 1.0)},
    baseline={"BLEU-1": 0.25, "CIDEr": 0.125},
    baseline_caption="a pond .",
    unique_captions=3,
    theme_accuracy=0.5,
    confidence_order=0.4,
    by_scene={"pond": {"pictures": 4, "theme_accuracy": 0.5, "CIDEr": 0.75}},
    by_agreement={"2": {"pictures": 4, "CIDEr": 0.75}},
    cider=np.zeros(4),
)


def test_captions() -> None:
    report = caption_report({"whole": CAPTIONS, "no router": CAPTIONS}, "nano on MINE")
    whole, ablation = report.tables
    assert whole.rows == (("BLEU-1", "0.5000", "", "0.2500"), ("CIDEr", "0.7500", "0.500 - 1.000", "0.1250"))
    assert ablation.columns == ("", "BLEU-1", "CIDEr", "CIDEr, 95 %")
    assert ablation.rows[1] == ("no router", "0.500", "0.750", "0.500 - 1.000")
    assert report.details[0].columns == ("kind of place", "pictures", "theme accuracy", "CIDEr")
    assert report.details[0].rows == (("pond", "4", "0.500", "0.750"),)
    assert report.facts[0] == "kind of place named by the theme expert: 50.0%"
    assert "rank correlation of confidence and CIDEr (Spearman): 0.40" in report.facts
    assert "cider" not in json.loads(json.dumps(report.figures))


def test_what_is_not_known_is_not_told() -> None:
    bare = dataclasses.replace(CAPTIONS, theme_accuracy=None, confidence_order=None)
    report = caption_report({"whole": bare}, "nano on MINE")
    assert len(report.tables) == 1
    assert len(report.facts) == 2
    assert "ablation" not in report.figures


def test_answers() -> None:
    rows = [Answered("1", "count", "2", "3", 0.5), Answered("1", "count", "4"), Answered("2", "presence", "yes", "yes")]
    usual = usual_answers(rows)
    result = AnswerEvaluation(2, score_answers(rows), score_usual(rows, usual), usual)
    report = answer_report(result, "a.jsonl on MINE", left_out=1200)
    accuracy, counts = report.tables
    assert [row[0] for row in accuracy.rows] == ["OA", "AA", "count", "presence"]
    assert accuracy.rows[2] == ("count", "2", "0.0000", "", "0.5000")
    assert counts.title == "Counts: 2 questions, 1 unreadable"
    assert [row[0] for row in counts.rows] == ["MAE", "MAPE", "exact", "within one"]
    assert report.facts == (
        "unanswered: 1; lines left out: 1,200",
        "expected calibration error: 0.5000 (1 answers)",
        "baseline: the usual answers (count '2', presence 'yes'); of count errors the median, 2",
    )
    assert json.loads(json.dumps(report.figures))["left_out"] == 1200


def test_kinds_of_places() -> None:
    result = SceneEvaluation(
        overall=SceneScore(20, None, 0.5),
        interval_95={"caption": (0.25, 0.75)},
        baseline=0.25,
        baseline_scene="harbor",
        classes={"harbor": SceneScore(20, None, 0.5)},
        names={"harbor": ("harbor", "port")},
        mistakes=tuple(Mistake("harbor", f"place {number}", 1) for number in range(20)),
    )
    report = scene_report(result, "said.jsonl on MINE")
    shares, classes, mistakes = report.tables
    assert shares.rows == (("named in the caption", "0.5000", "0.250 - 0.750", "0.2500"),)
    assert classes.rows == (("harbor", "20", "", "0.5000", "harbor, port"),)
    assert len(mistakes.rows) == 15
    assert len(report.figures["mistakes"]) == 20
