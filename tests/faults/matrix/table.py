"""PURE. Outcomes as tables: on the screen, and in the document about reliability."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from faults.matrix.fault import Fault
from faults.matrix.results import Kept, Outcome
from tocsin_local.report import Machine

BEGIN = "<!-- The rows of `make faults`: begin. `make reliability` writes them. -->"
END = "<!-- The rows of `make faults`: end. -->"
HEADINGS = (
    "`FAULT=`",
    "what happens",
    "settings",
    "recovery",
    "bound",
    "latest",
    "owed",
    "ends",
    "lost",
    "POSTs",
    "tried again",
    "not received",
    "not recorded",
    "broken",
    "commit",
)
AGAIN = ("retry", "not received", "not recorded")


def for_people(outcomes: Sequence[Outcome]) -> list[str]:
    """A line for each."""
    heading = (
        f"  {'fault':<34} {'recovery':>9} {'bound':<7} {'':<6} {'runs':>4} {'owed':>7} {'POSTs':>7} {'retry':>6}"
        f" {'not rcv':>7} {'not rec':>7} {'unexpl.':>7} {'missed':>6} {'failed':>6} {'lost':>5} {'early':>5}"
        f" {'latest':>8}"
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
    """The table, what was noticed on the way, and where the figures are from."""
    kept, words = list(kept), {fault.name: fault.what for fault in faults}
    places = sorted({place(each.machine) for each in kept})
    noticed = [(each.outcome.name, _noticed(each.outcome)) for each in kept]
    remarks = [f"- `{name}`: {'; '.join(found)}." for name, found in noticed]
    return [
        *_summary([each.outcome for each in kept]),
        "",
        f"| {' | '.join(HEADINGS)} |",
        f"|{'---|' * len(HEADINGS)}",
        *(_cells(each, words[each.outcome.name]) for each in kept),
        "",
        "What was noticed on the way:",
        "",
        *remarks,
        "",
        "Measured on:",
        *places,
    ]


def _summary(outcomes: Sequence[Outcome]) -> list[str]:
    """What most readers want to know."""
    states = Counter[str]()
    for outcome in outcomes:
        states.update(outcome.states)
    again = sum(sum(outcome.again.values()) for outcome in outcomes)
    return [
        f"{len(outcomes)} faults, {sum(outcome.owed for outcome in outcomes):,} executions owed: "
        f"{counted(_by_number(states))}; lost {sum(outcome.lost for outcome in outcomes):,}, "
        f"early {sum(outcome.early for outcome in outcomes):,}, posted again without a reason "
        f"{sum(outcome.extra_unexplained for outcome in outcomes):,}, with one {again:,}; "
        f"rows with anything broken, amiss or too slow: {sum(not outcome.ok for outcome in outcomes)}.",
    ]


def place(machine: Machine) -> str:
    """Where figures are from, in words."""
    return (
        f"{machine.cpus} processors, {round(machine.memory_mib / 1024)} GiB, {machine.system.split(' ')[0]}, "
        f"Python {machine.python}, PostgreSQL {machine.postgresql.split(' ')[0]}, RabbitMQ {machine.rabbitmq}."
    )


def counted(numbers: Mapping[str, int], *, code: bool = False) -> str:
    """Numbers with their names."""
    mark = "`" if code else ""
    return ", ".join(f"{mark}{name}{mark} {number:,}" for name, number in numbers.items())


def _cells(kept: Kept, what: str) -> str:
    outcome = kept.outcome
    cells = [
        f"`{outcome.name}`",
        what,
        settings(outcome.settings),
        f"{outcome.max:.1f} s" + (f" (the slowest of {outcome.runs})" if outcome.runs > 1 else ""),
        outcome.bound.replace("<=", "≤") + " s",
        f"{outcome.latest_s:.1f} s",
        f"{outcome.owed:,}",
        counted(_by_number(outcome.states)),
        f"{outcome.lost:,}",
        f"{outcome.posts:,}",
        *(f"{outcome.again.get(kind, 0):,}" for kind in AGAIN),
        _broken(outcome),
        kept.commit,
    ]
    return f"| {' | '.join(cells)} |"


def settings(changed: Mapping[str, str]) -> str:
    """Those that are not the product's defaults."""
    return "<br>".join(f"`{name}={value}`" for name, value in changed.items()) or "as they come"


def _noticed(outcome: Outcome) -> list[str]:
    ends = [f"{outcome.ends:,} times a process ended by itself and was started again"] if outcome.ends else []
    return [*outcome.remarks, *ends, f"`SEED={outcome.seed}`"]


def _broken(outcome: Outcome) -> str:
    """Nothing is broken where this is 0."""
    words = [f"**{outcome.problems:,}**" if outcome.problems else "0"]
    words += [f"**and {outcome.amiss:,} other things amiss**"] if outcome.amiss else []
    words += ["**too slow**"] if not outcome.ok and not outcome.problems and not outcome.amiss else []
    return ", ".join(words)


def _by_number(states: Mapping[str, int]) -> Mapping[str, int]:
    return dict(sorted(states.items(), key=lambda item: -item[1]))


def _line(outcome: Outcome) -> str:
    again = outcome.again
    mark = "ok" if outcome.ok else "BROKEN" if outcome.problems else "AMISS" if outcome.amiss else "SLOW"
    counts = (
        f"{outcome.runs:>4} {outcome.owed:>7} {outcome.posts:>7} {again.get('retry', 0):>6}"
        f" {again.get('not received', 0):>7} {again.get('not recorded', 0):>7} {outcome.extra_unexplained:>7}"
        f" {outcome.missed:>6} {outcome.failed:>6} {outcome.lost:>5} {outcome.early:>5} {outcome.latest_s:>6.1f} s"
    )
    return f"  {outcome.name:<34} {outcome.max:>7.1f} s {outcome.bound:<7} {mark:<6} {counts}"
