"""PURE. The page of all figures: hand-written text of each bench, and tables of its reports."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import NamedTuple

from tocsin_local.report import REPORTED, Machine, Report, Row

FIGURES = "{figures}\n"
"""Where the tables go in a bench's text."""
CONTENDERS = "{contenders}\n"
"""Where the table of contenders goes."""
GENERATED = "<!-- Made by `make benchmarks-doc` of the files in docs/benchmarks: change those. -->\n"
HEADING = ("row", "bound", "median", "least to greatest", "runs", "kept")
SIGNS = {"<=": "≤", ">=": "≥"}
LARGE = 1000  # from here on nobody reads what is after the point


class Section(NamedTuple):
    """One bench."""

    text: str
    reports: Sequence[Report]
    """Each of another run; none where nothing was kept yet: then it is not on the page."""


class Cell(NamedTuple):
    """Where a row named `subject.table.column` stands; the rows of a table have a subject each."""

    subject: str
    table: str
    column: str


def page(head: str, sections: Sequence[Section]) -> str:
    """All of it."""
    shown = (_shown(each) for each in sections if each.reports)
    return "\n".join([GENERATED + head, *shown])


def table_of(name: str) -> str:
    """The table that a row of that name belongs to, empty for a plain one."""
    return Cell(*name.split(".")).table if name.count(".") == 2 else ""


def _shown(section: Section) -> str:
    text = section.text.replace(FIGURES, _figures(section.reports))
    return text.replace(CONTENDERS, "".join(f"{line}\n" for line in _contenders(section.reports)))


def _contenders(reports: Sequence[Report]) -> Iterator[str]:
    """As the newest report has them."""
    known = next((each.contenders for each in reversed(reports) if each.contenders), {})
    columns = list(dict.fromkeys(column for texts in known.values() for column in texts))
    if known:
        lines = [[f"`{name}`", *(texts.get(column, "") for column in columns)] for name, texts in known.items()]
        yield from _table(["contender", *columns], lines)


def _figures(reports: Sequence[Report]) -> str:
    return "\n".join("\n".join([*_described(each), "", *_tables(each.rows), ""]) for each in reports)


def _described(report: Report) -> Iterator[str]:
    """When, on what, and of which commit."""
    day = date.fromisoformat(report.measured_on)
    machine = _machine(report.machine)
    yield f"{day.day} {day:%B %Y}, commit {report.commit}: {machine}."
    if report.versions:
        yield f"With {_listed([f'{name} {version}' for name, version in report.versions.items()])}."
    if report.settings:
        yield f"Settings: {'; '.join(_settings(report))}."
    if report.note:
        yield report.note


def _settings(report: Report) -> Iterator[str]:
    for owner, settings in report.settings.items():
        yield f"{owner}: {_listed([f'`{name}={value}`' for name, value in settings.items()])}"


def _machine(machine: Machine) -> str:
    servers = {"PostgreSQL": machine.postgresql, "RabbitMQ": machine.rabbitmq, "Python": machine.python}
    versions = _listed([f"{name} {version}" for name, version in servers.items()])
    return f"{machine.cpus} processors, {machine.memory_mib / 1024:.0f} GiB, {machine.system}; {versions}"


def _tables(rows: Sequence[Row]) -> Iterator[str]:
    """The plain rows in one table, then a table each of those that belong together."""
    plain = [each for each in rows if not table_of(each.name)]
    if plain:
        yield from _table(HEADING, map(_plain, plain))
    cells = {Cell(*each.name.split(".")): each for each in rows if table_of(each.name)}
    names = dict.fromkeys(cell.table for cell in cells)
    for n, name in enumerate(names):
        if plain or n:
            yield ""
        yield from _matrix(name, {cell: each for cell, each in cells.items() if cell.table == name})


def _matrix(name: str, cells: Mapping[Cell, Row]) -> Iterator[str]:
    columns = {cell.column: f"{cell.column}, {each.unit}" for cell, each in cells.items()}
    lines = []
    for subject, row in groupby(cells.items(), key=lambda item: item[0].subject):
        found = {cell.column: _cell(each) for cell, each in row}
        lines.append([f"`{subject}`", *(found.get(column, "") for column in columns)])
    yield from _table([f"`{name}`", *columns.values()], lines)


def _table(heading: Sequence[str], lines: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> Iterator[str]:
    for cells in (heading, ["---"] * len(heading), *lines):
        yield f"| {' | '.join(cells)} |"


def _plain(row: Row) -> Sequence[str]:
    judged = row.bound != REPORTED
    bound = f"{_bound(row.bound)} {row.unit}" if judged else ""
    kept = ("yes" if row.ok else "**no**") if judged else ""
    return [f"`{row.name}`", bound, f"{_number(row.value)} {row.unit}", _spread(row), str(row.runs), kept]


def _cell(row: Row) -> str:
    spread = f" ({_spread(row)})" if row.runs > 1 else ""
    return f"{_number(row.value)}{spread}{'' if row.ok else f' **not {_bound(row.bound)}**'}"


def _bound(bound: str) -> str:
    """`>= 40000` → `≥ 40,000`; what is in words stays as it is."""
    sign, _, limit = bound.partition(" ")
    return f"{SIGNS[sign]} {_number(float(limit))}" if sign in SIGNS else bound


def _spread(row: Row) -> str:
    return f"{_number(row.min)} to {_number(row.max)}" if row.runs > 1 else ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= LARGE else f"{value:.3g}"


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(texts)
