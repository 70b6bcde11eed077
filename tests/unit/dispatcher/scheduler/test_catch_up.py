"""What still fires after an outage, and what is missed."""

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin_common import schedule
from tocsin_dispatcher.scheduler.catch_up import COUNT_LIMIT, Resolution, Terms, resolve
from tocsin_dispatcher.scheduler.revision import Policy, Revision, Span, When

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
GRACE = timedelta(seconds=60)
TERMS = Terms(NOON, GRACE, limit=3)
TASK = UUID(int=1)


def span(cron: str, start: datetime, end: datetime, catch_up: str = "latest") -> Span:
    policy = Policy(catch_up)
    return Span(Revision(TASK.bytes, 1, start, True, "discord.com/1", When(cron), policy), start, end)


def fired(resolution: Resolution) -> list[datetime]:
    return [owed.job.scheduled_for for owed in resolution.fire]


def minutes_ago(*minutes: float) -> list[datetime]:
    return [NOON - timedelta(minutes=minute) for minute in minutes]


@pytest.mark.parametrize(
    ("cron", "since_min", "expected", "missed"),
    [
        pytest.param("*/20 * * * * *", 0.9, [2 / 3, 1 / 3, 0], None, id="within the grace everything fires"),
        pytest.param("* * * * *", 10, [0], (1, 10, 10), id="one within the grace: all older ones are missed"),
        pytest.param("30 * * * *", 200, [30], (90, 150, 2), id="none within the grace: the newest fires"),
        pytest.param("30 11 * * *", 200, [30], None, id="the only one fires, however old"),
        pytest.param("0 0 1 1 *", 200, [], None, id="nothing was owed"),
    ],
)
def test_a_gap_is_resolved_by_age(cron, since_min, expected, missed):
    [start] = minutes_ago(since_min)

    resolution = resolve(span(cron, start, NOON), TERMS)

    assert fired(resolution) == minutes_ago(*expected)
    if missed is None:
        assert resolution.missed is None
    else:
        newest, oldest, count = missed
        assert resolution.missed is not None
        assert [resolution.missed.newest, resolution.missed.oldest] == minutes_ago(newest, oldest)
        assert resolution.missed.total == count


def test_instants_too_many_to_count_have_a_range_and_no_count():
    start = NOON - timedelta(days=30)

    resolution = resolve(span("* * * * * *", start, NOON), TERMS)

    assert len(resolution.fire) == 60
    assert resolution.missed is not None
    assert resolution.missed.total is None
    assert resolution.missed.oldest == start
    assert resolution.missed.newest == NOON - GRACE


def test_a_span_that_ended_long_ago_fires_its_newest():
    start, end = minutes_ago(200, 100)

    resolution = resolve(span("*/30 * * * *", start, end), TERMS)

    assert fired(resolution) == minutes_ago(120)
    assert resolution.missed is not None
    assert resolution.missed.total == 2


@pytest.mark.parametrize(
    ("catch_up", "expected", "missed"),
    [
        pytest.param("latest", [20], (40, 100, 4), id="latest: the newest"),
        pytest.param("all", [60, 40, 20], (80, 100, 2), id="all: up to the limit, the newest of them"),
        pytest.param("skip", [], (20, 100, 5), id="skip: none"),
    ],
)
def test_the_policy_decides_on_instants_older_than_the_grace(catch_up, expected, missed):
    [start, end] = minutes_ago(101, 10)

    resolution = resolve(span("*/20 * * * *", start, end, catch_up), TERMS)

    newest, oldest, count = missed
    assert fired(resolution) == minutes_ago(*expected)
    assert resolution.missed is not None
    assert [resolution.missed.newest, resolution.missed.oldest] == minutes_ago(newest, oldest)
    assert resolution.missed.total == count


@pytest.mark.parametrize(("catch_up", "fires"), [("latest", True), ("all", True), ("skip", False)])
def test_a_one_off_that_was_not_emitted_in_time_fires_unless_its_task_skips(catch_up: str, fires: bool):
    [start, run_at] = minutes_ago(101, 90)
    task = Revision(TASK.bytes, 1, start, True, "discord.com/1", When(None, run_at=run_at), Policy(catch_up))

    resolution = resolve(Span(task, start, NOON), TERMS)

    assert fired(resolution) == ([run_at] if fires else [])
    assert (resolution.missed is None) == fires
    assert {owed.kind for owed in resolution.fire} <= {"once"}


@given(
    st.sampled_from(["*/7 * * * * *", "*/20 * * * * *", "* * * * *", "*/3 * * * *", "5 12 * * *"]),
    st.floats(0, 3000),
    st.floats(0, 3000),
    st.sampled_from(["latest", "all", "skip"]),
)
def test_every_instant_fires_or_is_counted_as_missed(cron: str, back_s: float, length_s: float, catch_up: str):
    start = NOON - timedelta(seconds=round(back_s, 6))
    end = min(NOON, start + timedelta(seconds=round(length_s, 6)))
    owed = list(takewhile(lambda at: at <= end, schedule.instants(cron, "UTC", start=start)))

    resolution = resolve(span(cron, start, end, catch_up), TERMS)

    fires = fired(resolution)
    missed = [at for at in owed if at not in fires]
    assert fires == sorted(fires)
    assert set(fires) <= set(owed)
    assert all(at in fires for at in owed if at > NOON - GRACE)
    assert len([at for at in fires if at <= NOON - GRACE]) == old_that_fire(catch_up, owed)
    assert (resolution.missed is None) == (not missed)
    if resolution.missed is not None:
        assert (resolution.missed.oldest, resolution.missed.newest) == (missed[0], missed[-1])
        assert resolution.missed.total == len(missed) <= COUNT_LIMIT


@pytest.mark.parametrize(
    ("catch_up", "kept_min", "expected", "missed"),
    [
        pytest.param("latest", 50, [20], (40, 40, 1), id="what is missed begins with what is kept"),
        pytest.param("latest", 15, [], None, id="latest: the newest of what is kept, not of all"),
        pytest.param("all", 40, [40, 20], None, id="all: what is kept"),
        pytest.param("skip", 60, [], (20, 60, 3), id="skip: an instant right at the edge is kept"),
    ],
)
def test_what_the_retention_cuts_off_is_neither_fired_nor_missed(catch_up, kept_min, expected, missed):
    start, end, kept_from = minutes_ago(101, 10, kept_min)

    resolution = resolve(span("*/20 * * * *", start, end, catch_up), TERMS._replace(kept_from=kept_from))

    assert fired(resolution) == minutes_ago(*expected)
    if missed is None:
        assert resolution.missed is None
    else:
        newest, oldest, count = missed
        assert resolution.missed is not None
        assert [resolution.missed.newest, resolution.missed.oldest] == minutes_ago(newest, oldest)
        assert resolution.missed.total == count
    oldest_cut, newest_cut = resolution.beyond or ()
    assert [oldest_cut] == minutes_ago(100)
    assert newest_cut < kept_from <= newest_cut + timedelta(minutes=20)


@pytest.mark.parametrize(
    "kept_min", [pytest.param(500, id="all of the span is kept"), pytest.param(85, id="nothing was owed before")]
)
def test_nothing_is_cut_off_where_all_that_is_owed_is_kept(kept_min: int):
    start, end, kept_from = minutes_ago(95, 10, kept_min)
    owed = span("*/20 * * * *", start, end)

    assert resolve(owed, TERMS._replace(kept_from=kept_from)) == resolve(owed, TERMS)


@given(
    st.sampled_from(["*/7 * * * * *", "* * * * *", "*/3 * * * *", "5 12 * * *"]),
    st.floats(0, 3000),
    st.floats(0, 3000),
    st.sampled_from(["latest", "all", "skip"]),
)
def test_the_retention_changes_nothing_of_what_it_keeps(cron: str, back_s: float, kept_s: float, catch_up: str):
    """So a leader that decides on less than the one before does not contradict it."""
    start, kept_from = (NOON - timedelta(seconds=round(seconds, 6)) for seconds in (back_s, kept_s))
    owed = span(cron, start, NOON, catch_up)

    everything, kept = resolve(owed, TERMS), resolve(owed, TERMS._replace(kept_from=kept_from))

    assert fired(kept) == [at for at in fired(everything) if at >= kept_from]
    was_missed = everything.missed is not None and everything.missed.newest >= kept_from
    assert (kept.missed is not None) == was_missed
    if kept.missed is not None and everything.missed is not None:
        assert kept.missed.newest == everything.missed.newest
        assert kept.missed.oldest >= kept_from


def old_that_fire(catch_up: str, owed: list[datetime]) -> int:
    """Straight from the definition of the policies."""
    old = [at for at in owed if at <= NOON - GRACE]
    if catch_up == "all":
        return min(len(old), TERMS.limit)
    return int(catch_up == "latest" and bool(old) and len(old) == len(owed))
