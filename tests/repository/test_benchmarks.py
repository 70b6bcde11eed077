"""The page of all figures is what its texts and the kept reports make."""

import pytest

from bench import kept


def test_the_page_is_what_make_benchmarks_doc_would_leave() -> None:
    assert kept.PAGE.read_text(encoding="utf-8") == kept.text(), "run `make benchmarks-doc`"


@pytest.mark.parametrize("name", kept.NAMES)
def test_each_figure_is_kept_once_and_in_its_own_file(name: str) -> None:
    reports = kept.reports(name)
    figures = [row.name for report in reports for row in report.rows]

    assert {report.report for report in reports} <= {name}
    assert len(figures) == len(set(figures))


def test_what_is_kept_belongs_to_a_bench() -> None:
    found = {path.name for path in kept.FOLDER.iterdir()}

    assert found <= {"head.md.in", *(f"{name}{end}" for name in kept.NAMES for end in (".md.in", ".json"))}
