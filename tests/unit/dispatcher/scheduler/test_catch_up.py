"""What still fires after an outage, and what is missed."""

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin_common import schedule
from tocsin_dispatcher.scheduler.catch_up import COUNT_LIMIT, resolve
from tocsin_dispatcher.scheduler.heap import Revision, Span

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
GRACE = timedelta(seconds=60)
TASK = UUID(int=1)


def span(cron: str, start: datetime, end: datetime) -> Span:
    return Span(Revision(TASK, 1, start, "ACTIVE", cron, "UTC", "discord.com/1"), start, end)


def minutes_ago(*minutes: float) -> list[datetime]:
    return [NOON - timedelta(minutes=minute) for minute in minutes]


@pytest.mark.parametrize(
    ("cron", "since_min", "fired", "missed"),
    [
        pytest.param("*/20 * * * * *", 0.9, [2 / 3, 1 / 3, 0], None, id="within the grace everything fires"),
        pytest.param("* * * * *", 10, [0], (1, 10, 10), id="one within the grace: all older ones are missed"),
        pytest.param("30 * * * *", 200, [30], (90, 150, 2), id="none within the grace: the newest fires"),
        pytest.param("30 11 * * *", 200, [30], None, id="the only one fires, however old"),
        pytest.param("0 0 1 1 *", 200, [], None, id="nothing was owed"),
    ],
)
def test_a_gap_is_resolved_by_age(cron, since_min, fired, missed):
    [start] = minutes_ago(since_min)

    resolution = resolve(span(cron, start, NOON), decided_at=NOON, grace=GRACE)

    assert [job.scheduled_for for job in resolution.fire] == minutes_ago(*fired)
    if missed is None:
        assert resolution.missed is None
    else:
        newest, oldest, count = missed
        assert resolution.missed is not None
        assert [resolution.missed.newest, resolution.missed.oldest] == minutes_ago(newest, oldest)
        assert resolution.missed.total == count


def test_instants_too_many_to_count_have_a_range_and_no_count():
    start = NOON - timedelta(days=30)

    resolution = resolve(span("* * * * * *", start, NOON), decided_at=NOON, grace=GRACE)

    assert len(resolution.fire) == 60
    assert resolution.missed is not None
    assert resolution.missed.total is None
    assert resolution.missed.oldest == start
    assert resolution.missed.newest == NOON - GRACE


def test_a_span_that_ended_long_ago_fires_its_newest():
    start, end = minutes_ago(200, 100)

    resolution = resolve(span("*/30 * * * *", start, end), decided_at=NOON, grace=GRACE)

    assert [job.scheduled_for for job in resolution.fire] == minutes_ago(120)
    assert resolution.missed is not None
    assert resolution.missed.total == 2


@given(
    st.sampled_from(["*/7 * * * * *", "*/20 * * * * *", "* * * * *", "*/3 * * * *", "5 12 * * *"]),
    st.floats(0, 3000),
    st.floats(0, 3000),
)
def test_every_instant_fires_or_is_counted_as_missed(cron: str, back_s: float, length_s: float):
    start = NOON - timedelta(seconds=round(back_s, 6))
    end = min(NOON, start + timedelta(seconds=round(length_s, 6)))
    owed = list(takewhile(lambda at: at <= end, schedule.instants(cron, "UTC", start=start)))

    resolution = resolve(span(cron, start, end), decided_at=NOON, grace=GRACE)

    fired = [job.scheduled_for for job in resolution.fire]
    missed = [at for at in owed if at not in fired]
    assert set(fired) <= set(owed)
    assert all(at in fired for at in owed if at > NOON - GRACE)
    assert bool(fired) == bool(owed)
    assert (resolution.missed is None) == (not missed)
    if resolution.missed is not None:
        assert (resolution.missed.oldest, resolution.missed.newest) == (missed[0], missed[-1])
        assert resolution.missed.total == len(missed) <= COUNT_LIMIT
