from pathlib import Path

from bench import kept
from bench.figures import row
from tocsin_local.report import Machine, Report

MACHINE = Machine(cpus=2, memory_mib=2048, system="Linux", python="3.11.7", postgresql="15.1", rabbitmq="3.10.8")


def report(commit: str, **figures: float) -> Report:
    return Report("sender", commit, MACHINE, [row(name, [value], "s") for name, value in figures.items()])


def values(folder: Path) -> dict[str, dict[str, float]]:
    return {each.commit: {row.name: row.value for row in each.rows} for each in kept.reports("sender", folder)}


def test_of_a_figure_that_is_measured_again_the_new_one_is_kept(tmp_path: Path) -> None:
    kept.keep(report("first", drain=1, burst=2), tmp_path)
    kept.keep(report("second", burst=3), tmp_path)

    assert values(tmp_path) == {"first": {"drain": 1}, "second": {"burst": 3}}


def test_a_report_of_which_nothing_is_left_goes(tmp_path: Path) -> None:
    kept.keep(report("first", drain=1), tmp_path)
    kept.keep(report("second", drain=2, burst=3), tmp_path)

    assert values(tmp_path) == {"second": {"drain": 2, "burst": 3}}


def test_of_another_bench_nothing_is_known(tmp_path: Path) -> None:
    kept.keep(report("first", drain=1), tmp_path)

    assert kept.reports("api", tmp_path) == []
