"""ADAPTER. Reports that are kept beside the documents, and the page that is made of them.

`python -m bench.kept` writes the page.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench import page
from bench.page import Section
from tocsin_local.instance import ROOT
from tocsin_local.report import Report, Row

PAGE = ROOT / "docs" / "benchmarks.md"
FOLDER = ROOT / "docs" / "benchmarks"
NAMES = ("scheduler", "sender", "api", "peers", "growth")
"""The benches in the order of the page: NAME.json has the reports, NAME.md.in the text."""
OF_ONE_RUN = {"peers"}
"""Benches whose lines are compared with one another: a table is kept as a whole."""


def keep(report: Report, folder: Path = FOLDER) -> None:
    """Add a report; what it has measured anew is taken from those before."""
    known = [without(each, _replaced(each, report)) for each in reports(report.report, folder)]
    lines = [msgspec.json.format(msgspec.json.encode(each)) for each in (*known, report) if each.rows]
    folder.joinpath(f"{report.report}.json").write_bytes(b"[" + b",\n".join(lines) + b"]\n")


def without(report: Report, names: set[str]) -> Report:
    """It has no rows of these names."""
    rows: Sequence[Row] = [row for row in report.rows if row.name not in names]
    return msgspec.structs.replace(report, rows=rows)


def _replaced(old: Report, new: Report) -> set[str]:
    """Names of rows in `old` in whose place those of `new` come."""
    names = {row.name for row in new.rows}
    if new.report in OF_ONE_RUN:
        tables = {page.table_of(name) for name in names} - {""}
        names |= {row.name for row in old.rows if page.table_of(row.name) in tables}
    return names


def reports(name: str, folder: Path = FOLDER) -> list[Report]:
    """What is kept of a bench, the oldest first."""
    file = folder / f"{name}.json"
    return msgspec.json.decode(file.read_bytes(), type=list[Report]) if file.exists() else []


def text() -> str:
    """What the page is to be."""
    sections = [Section((FOLDER / f"{name}.md.in").read_text(), reports(name)) for name in NAMES]
    return page.page((FOLDER / "head.md.in").read_text(), sections)


def today() -> str:
    """As a report tells it."""
    return f"{datetime.now(UTC):%Y-%m-%d}"


if __name__ == "__main__":
    PAGE.write_text(text())
