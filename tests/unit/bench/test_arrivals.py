from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from bench import arrivals
from bench.arrivals import Arrival
from tocsin_common.messages import Job, execution_id
from tocsin_local.errors import StackError

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
FIRST, SECOND, STRANGER = (UUID(int=n) for n in (1, 2, 3))


def arrival(execution: UUID, ms: float = 0.0) -> Arrival:
    return Arrival(NOON + timedelta(milliseconds=ms), "127.1.0.1", execution)


def test_a_line_of_the_log_is_one_arrival() -> None:
    log = f"1795694400.007 127.1.3.250 {FIRST}\n1795694400.120 127.1.0.1 {SECOND}\n"

    assert arrivals.parse(log) == [
        Arrival(NOON + timedelta(milliseconds=7), "127.1.3.250", FIRST),
        Arrival(NOON + timedelta(milliseconds=120), "127.1.0.1", SECOND),
    ]


@pytest.mark.parametrize(
    "line", ["", "1795694400.007 127.1.0.1 -", "1795694400.007 127.1.0.1", f"127.1.0.1 {FIRST}"]
)
def test_a_post_without_an_execution_is_an_error(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the line lacks
        arrivals.parse(f"{line}\n")


def test_each_owed_execution_posted_once_is_all_right() -> None:
    arrivals.check([arrival(FIRST), arrival(SECOND)], {FIRST, SECOND})


@pytest.mark.parametrize(
    ("arrived", "wrong"),
    [
        ([FIRST], "^1 executions were not posted$"),
        ([FIRST, SECOND, SECOND, SECOND], "^1 executions were posted more than once$"),
        ([FIRST, SECOND, STRANGER], "^1 executions were posted and owed by nobody$"),
        ([FIRST, FIRST], "^1 executions were not posted, 1 executions were posted more than once$"),
    ],
)
def test_what_is_missing_doubled_or_strange_is_told(arrived: list[UUID], wrong: str) -> None:
    with pytest.raises(StackError, match=wrong):
        arrivals.check([arrival(each) for each in arrived], {FIRST, SECOND})


def test_an_execution_is_as_late_as_its_first_post_is_after_its_instant() -> None:
    owed = {FIRST: NOON, SECOND: NOON - timedelta(seconds=1)}
    arrived = [arrival(FIRST, 90), arrival(SECOND, 5), arrival(FIRST, 30), arrival(STRANGER, 1)]

    assert sorted(arrivals.lateness_ms(arrived, owed)) == [30, 1005]


def test_what_has_not_arrived_is_not_late() -> None:
    assert arrivals.lateness_ms([], {FIRST: NOON}) == []


def test_the_instants_of_jobs_are_by_execution() -> None:
    job = Job(UUID(int=7), NOON, "http://127.1.0.1:80")

    assert arrivals.instants([job]) == {execution_id(UUID(int=7), NOON): NOON}
