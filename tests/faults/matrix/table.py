"""PURE. Outcomes as tables: on the screen, and in the document about reliability."""

from collections.abc import Iterable, Sequence

from faults.matrix.fault import Fault
from faults.matrix.results import Kept, Outcome
from tocsin_local.report import Machine

BEGIN = "<!-- The rows of `make faults`: begin. `make reliability` writes them. -->"
END = "<!-- The rows of `make faults`: end. -->"
HEADINGS = (
    "what happens",
    "all well again after",
    "bound",
    "owed",
    "POSTs",
    "of these, the answer before was not received and recorded",
    "missed",
    "lost",
)


def for_people(outcomes: Sequence[Outcome]) -> list[str]:
    """A line for each."""
    heading = (
        f"  {'fault':<34} {'recovery':>9} {'bound':<7} {'':<6} {'runs':>4} {'owed':>7} {'POSTs':>7}"
        f" {'again':>6} {'unexpl.':>7} {'missed':>6} {'lost':>5} {'early':>5}"
    )
    return [heading, *map(_line, outcomes)]


def in_document(text: str, kept: Iterable[Kept], faults: Iterable[Fault]) -> str:
    """The document with these rows between the markers; ValueError where these are not in it."""
    return put_between(text, BEGIN, END, markdown(kept, faults))


def put_between(text: str, begin: str, end: str, lines: Iterable[str]) -> str:
    """The document with these lines between two markers; ValueError where these are not in it."""
    before, has_begin, rest = text.partition(begin)
    _, has_end, after = rest.partition(end)
    if not has_begin or not has_end:
        raise ValueError("the markers of the table are not there")
    return "\n".join([before + begin, "", *lines, "", end + after])


def markdown(kept: Iterable[Kept], faults: Iterable[Fault]) -> list[str]:
    """The table, and where its figures are from."""
    kept, words = list(kept), {fault.name: fault.what for fault in faults}
    places = sorted({place(each.machine) for each in kept})
    return [
        f"| {' | '.join(HEADINGS)} |",
        f"|{'---|' * len(HEADINGS)}",
        *(_cells(each.outcome, words[each.outcome.name]) for each in kept),
        "",
        "Measured on:",
        *places,
    ]


def _cells(outcome: Outcome, what: str) -> str:
    runs = "once" if outcome.runs == 1 else f"the slowest of {outcome.runs}"
    mark = "" if outcome.ok else " **broken**"
    cells = [
        what,
        f"{outcome.max:.1f} s ({runs}){mark}",
        outcome.bound.replace("<=", "≤") + " s",
        *(f"{number:,}" for number in (outcome.owed, outcome.posts, outcome.extra_explained)),
        *(f"{number:,}" for number in (outcome.missed, outcome.lost)),
    ]
    return f"| {' | '.join(cells)} |"


def place(machine: Machine) -> str:
    """Where figures are from, in words."""
    return (
        f"{machine.cpus} processors, {round(machine.memory_mib / 1024)} GiB, {machine.system.split(' ')[0]}, "
        f"Python {machine.python}, PostgreSQL {machine.postgresql.split(' ')[0]}, RabbitMQ {machine.rabbitmq}."
    )


def _line(outcome: Outcome) -> str:
    mark = "ok" if outcome.ok else "BROKEN" if outcome.problems else "SLOW"
    counts = (
        f"{outcome.runs:>4} {outcome.owed:>7} {outcome.posts:>7} {outcome.extra_explained:>6}"
        f" {outcome.extra_unexplained:>7} {outcome.missed:>6} {outcome.lost:>5} {outcome.early:>5}"
    )
    return f"  {outcome.name:<34} {outcome.max:>7.1f} s {outcome.bound:<7} {mark:<6} {counts}"
