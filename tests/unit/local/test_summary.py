from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from tocsin_local.oracle import Fate, Owed, WatchedTask
from tocsin_local.post import Post
from tocsin_local.report import Row
from tocsin_local.summary import broken, log_rows, percentile, rows, table

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
TASK = WatchedTask(UUID(int=7), "every-second", "* * * * * *", NOON)


def fate(*statuses: int, late_ms: float = 10, held_back: bool = False) -> Fate:
    posts = [
        Post("1", None, n, NOON + timedelta(milliseconds=late_ms), b"", {}, {}, status)
        for n, status in enumerate(statuses, 1)
    ]
    return Fate(Owed(TASK, NOON), tuple(posts), held_back)


def figures(fates: list[Fate], unexpected: int = 0) -> dict[str, Row]:
    return {row.name: row for row in rows(fates, unexpected=unexpected)}


def test_a_clean_run_is_ok_in_every_row() -> None:
    found = figures([fate(200), fate(500, 200), fate(429, 200), fate(200, held_back=True)])

    assert all(row.ok for row in found.values())
    assert {name: row.value for name, row in found.items()} == {
        "owed": 4,
        "delivered": 4,
        "retried": 1,
        "limited": 2,
        "answered_429": 1,
        "lost": 0,
        "doubled": 0,
        "early": 0,
        "unexpected": 0,
        "lateness_p50": 10.0,
        "lateness_p99": 10.0,
    }


@pytest.mark.parametrize(
    ("fates", "unexpected", "broken"),
    [
        ([], 0, {"owed"}),
        ([fate(200), fate()], 0, {"delivered", "lost"}),
        ([fate(500, 500)], 0, {"delivered", "lost"}),
        ([fate(200, 200)], 0, {"doubled"}),
        ([fate(200, late_ms=-1)], 0, {"early"}),
        ([fate(200)], 1, {"unexpected"}),
    ],
)
def test_what_is_broken_is_not_ok(fates: list[Fate], unexpected: int, broken: set[str]) -> None:
    assert {name for name, row in figures(fates, unexpected).items() if not row.ok} == broken


def test_lateness_is_of_executions_that_were_neither_retried_nor_limited() -> None:
    others = [
        fate(500, 200, late_ms=900),
        fate(429, 200, late_ms=900),
        fate(200, late_ms=900, held_back=True),
    ]

    found = figures([fate(200, late_ms=20), *others])

    assert found["lateness_p99"].value == 20.0


@pytest.mark.parametrize(("percent", "value"), [(50, 2), (99, 4), (75, 3), (1, 1)])
def test_percentile_is_the_nearest_rank(percent: float, value: float) -> None:
    assert percentile([4, 1, 3, 2], percent) == value


def test_table_fits_a_narrow_terminal_and_names_what_broke() -> None:
    lines = table(rows([fate(200, 200)], unexpected=0))

    assert max(map(len, lines)) <= 90
    assert [line.split()[0] for line in lines if "BROKEN" in line] == ["doubled"]


ONE, TWO, THREE = (UUID(int=number) for number in range(3))


@pytest.mark.parametrize(
    ("discord", "in_log", "values", "broken"),
    [
        (None, {ONE, TWO}, [2], set()),
        (None, {ONE}, [1], {"logged"}),
        ({THREE}, {ONE, TWO, THREE}, [2, 1, 1], set()),
        ({THREE}, {ONE, TWO}, [2, 1, 0], {"discord_delivered"}),
        (set(), {ONE, TWO}, [2, 0, 0], set()),
    ],
)
def test_the_log_must_tell_of_every_execution(
    discord: set[UUID] | None, in_log: set[UUID], values: list[int], broken: set[str]
) -> None:
    found = log_rows({ONE, TWO}, discord, in_log)

    assert [row.value for row in found] == values
    assert {row.name for row in found if not row.ok} == broken


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (fate(), "no POST"),
        (fate(500), "500 at 12:00:00.010000"),
        (fate(200, 204), "200 at 12:00:00.010000, 204 at 12:00:00.010000"),
        (fate(200, late_ms=-1), "200 at 11:59:59.999000"),
    ],
)
def test_what_broke_is_named_with_its_posts(one: Fate, told: str) -> None:
    assert broken([fate(200), one]) == [f"BROKEN: every-second, scheduled for 12:00:00: {told}"]


def test_a_clean_run_names_nothing() -> None:
    assert broken([fate(200), fate(500, 200)]) == []
