"""PURE. The last line of a demo, a bench or a fault run: one JSON object for programs."""

from collections.abc import Mapping, Sequence

import msgspec

REPORTED = "reported"
"""The bound of a value that is told and not judged."""


class Machine(msgspec.Struct, frozen=True):
    """What the figures were measured on. Memory in MiB."""

    cpus: int
    memory_mib: int
    system: str
    python: str
    postgresql: str
    rabbitmq: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure: the median of `runs` runs. `bound` says in words or signs when it is `ok`."""

    name: str
    value: float
    unit: str
    bound: str
    ok: bool
    runs: int
    min: float
    max: float


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """All of one run."""

    report: str
    commit: str
    machine: Machine
    rows: Sequence[Row]
    measured_on: str = ""
    """A day as YYYY-MM-DD, where it is told."""
    versions: Mapping[str, str] = {}
    """Of what was measured beside Tocsin and its servers."""
    note: str = ""
    """What a reader has to know of this run."""
    settings: Mapping[str, Mapping[str, str]] = {}
    """Of servers and processes, by whose they are: those that matter, or are not the defaults."""
    contenders: Mapping[str, Mapping[str, str]] = {}
    """How each contender is set up, where a bench has several: by name, the columns of a table."""


def once(name: str, value: float, unit: str, *, bound: str = REPORTED, ok: bool = True) -> Row:
    """The row of a figure that was taken once."""
    return Row(name=name, value=value, unit=unit, bound=bound, ok=ok, runs=1, min=value, max=value)


def line(report: str, *, commit: str, machine: Machine, rows: Sequence[Row]) -> str:
    """The report as one line of JSON."""
    return text(Report(report, commit, machine, rows))


def text(report: Report) -> str:
    """The report as one line of JSON."""
    return msgspec.json.encode(report).decode()
