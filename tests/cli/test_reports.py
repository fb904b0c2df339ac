from __future__ import annotations

from rsmoe_cli.reports import Report, Table

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


def test_a_file_has_the_details_and_says_how_it_was_made() -> None:
    long = Table("Each kind", ("kind",), (("pond",),))
    report = Report("nano on MINE", {}, (SHORT,), ("different captions: 3",), (long,))
    assert "Each kind" not in report.shown()
    document = report.document(["model nano"])
    assert document.startswith("# nano on MINE\n\nmodel nano\n\n## Scores\n\n| metric")
    assert "## Each kind" in document
    assert document.endswith("- different captions: 3\n")
