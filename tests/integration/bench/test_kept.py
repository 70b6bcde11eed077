from pathlib import Path

import pytest

from bench import kept
from bench.figures import row
from tocsin_local.report import Machine, Report

MACHINE = Machine(cpus=2, memory_mib=2048, system="Linux", python="3.11.7", postgresql="15.1", rabbitmq="3.10.8")


def report(commit: str, bench: str = "sender", **figures: float) -> Report:
    rows = [row(name.replace("__", "."), [value], "s") for name, value in figures.items()]
    return Report(bench, commit, MACHINE, rows)


def values(folder: Path, bench: str = "sender") -> dict[str, dict[str, float]]:
    return {each.commit: {row.name: row.value for row in each.rows} for each in kept.reports(bench, folder)}


def test_of_a_figure_that_is_measured_again_the_new_one_is_kept(tmp_path: Path) -> None:
    kept.keep(report("first", drain=1, burst=2), tmp_path)
    kept.keep(report("second", burst=3), tmp_path)

    assert values(tmp_path) == {"first": {"drain": 1}, "second": {"burst": 3}}


def test_a_report_of_which_nothing_is_left_goes(tmp_path: Path) -> None:
    kept.keep(report("first", drain=1), tmp_path)
    kept.keep(report("second", drain=2, burst=3), tmp_path)

    assert values(tmp_path) == {"second": {"drain": 2, "burst": 3}}


@pytest.mark.parametrize(("bench", "stays"), [("peers", False), ("growth", True)])
def test_a_table_that_compares_is_kept_as_a_whole(bench: str, stays: bool, tmp_path: Path) -> None:
    kept.keep(report("first", bench, limit=1, a__burst__rate=2, b__burst__rate=3, b__kill__lost=4), tmp_path)

    kept.keep(report("second", bench, a__burst__rate=5), tmp_path)

    left = {"b.burst.rate": 3} if stays else {}
    assert values(tmp_path, bench) == {
        "first": {"limit": 1, **left, "b.kill.lost": 4},
        "second": {"a.burst.rate": 5},
    }


def test_of_another_bench_nothing_is_known(tmp_path: Path) -> None:
    kept.keep(report("first", drain=1), tmp_path)

    assert kept.reports("api", tmp_path) == []
