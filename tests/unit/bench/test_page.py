from dataclasses import dataclass

import msgspec

from bench import page
from bench.figures import at_least, at_most, row
from bench.page import Section
from tocsin_local.report import Machine, Report, Row

MACHINE = Machine(
    cpus=2, memory_mib=24_105, system="Linux", python="3.11.7", postgresql="15.18", rabbitmq="3.10.8"
)


@dataclass
class Made:
    """The lines of a page with one bench."""

    lines: list[str]

    def table(self, heading: str) -> list[str]:
        """What follows a heading's dashes."""
        first = self.lines.index(heading) + 2
        return self.lines[first : self.lines.index("", first)]


def report(*rows: Row, note: str = "", versions: dict[str, str] | None = None) -> Report:
    return Report("sender", "abc", MACHINE, rows, "2026-11-07", versions or {}, note)


def made(*reports: Report) -> Made:
    return Made(page.page("# All\n", [Section("## One\n\n{figures}\n\nThat is why.\n", reports)]).splitlines())


def test_a_run_says_when_on_what_with_what_and_of_which_commit_it_is() -> None:
    shown = made(report(row("ready", [1.0], "s"), note="It was hot.", versions={"nginx": "1.22", "wrk": "4.1"}))

    assert "7 November 2026, commit abc: 2 processors, 24 GiB, Linux; PostgreSQL 15.18, " in "\n".join(shown.lines)
    assert "With nginx 1.22, wrk 4.1." in shown.lines
    assert "It was hot." in shown.lines


def test_a_figure_has_a_line_with_its_bound_its_spread_and_whether_it_is_kept() -> None:
    shown = made(
        report(
            row("rate", [41_000, 52_000.4, 45_000], "jobs/s", at_least(40_000)),
            row("p99", [1.25], "s", at_most(1.2)),
            row("memory", [104.81, 99.0, 110.0], "MB"),
        )
    )

    assert shown.table("| row | bound | median | least to greatest | runs | kept |") == [
        "| `rate` | ≥ 40,000 jobs/s | 45,000 jobs/s | 41,000 to 52,000 | 3 | yes |",
        "| `p99` | ≤ 1.2 s | 1.25 s |  | 1 | **no** |",
        "| `memory` |  | 105 MB | 99 to 110 | 3 |  |",
    ]


def test_figures_of_three_words_stand_in_a_table_of_the_second_with_a_line_for_the_first() -> None:
    shown = made(
        report(
            row("a.burst.rate", [10, 20, 30], "jobs/s"),
            row("a.burst.p99", [1], "s"),
            row("a.kill.lost", [3], "jobs", at_most(0)),
            row("b.burst.rate", [5], "jobs/s"),
            row("b.kill.lost", [0], "jobs"),
        )
    )

    assert shown.table("| `burst` | rate, jobs/s | p99, s |") == ["| `a` | 20 (10 to 30) | 1 |", "| `b` | 5 |  |"]
    assert shown.table("| `kill` | lost, jobs |") == ["| `a` | 3 **not ≤ 0** |", "| `b` | 0 |"]


def test_each_run_has_a_table_of_its_own() -> None:
    shown = made(report(row("old", [1], "s")), report(row("new", [2], "s")))

    assert sum(line.startswith("| row |") for line in shown.lines) == 2


def test_settings_are_told_by_whose_they_are() -> None:
    settings = {"Tocsin": {"POST_SLOTS": "100", "LOG_LEVEL": "info"}, "PostgreSQL": {"fsync": "on"}}

    shown = made(msgspec.structs.replace(report(row("ready", [1], "s")), settings=settings))

    assert "Settings: Tocsin: `POST_SLOTS=100`, `LOG_LEVEL=info`; PostgreSQL: `fsync=on`." in shown.lines


def test_contenders_stand_in_a_table_as_the_newest_report_has_them() -> None:
    old, new = report(row("a.burst.rate", [1], "jobs/s")), report(row("limit", [2], "jobs/s"))
    old = msgspec.structs.replace(old, contenders={"a": {"client": "curl", "server": "none"}})
    section = Section("## One\n\n{contenders}\n\n{figures}\n", [old, new])

    shown = Made(page.page("# All\n", [section]).splitlines())

    assert shown.table("| contender | client | server |") == ["| `a` | curl | none |"]


def test_a_bench_of_which_nothing_is_kept_is_not_on_the_page() -> None:
    shown = page.page("# All\n", [Section("## One\n\n{figures}\n", [])])

    assert "# All" in shown
    assert "One" not in shown
