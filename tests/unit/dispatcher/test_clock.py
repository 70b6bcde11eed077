"""Database time between two looks at it."""

from datetime import UTC, datetime, timedelta

from tocsin_dispatcher.clock import DatabaseClock

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_clock_goes_on_from_the_latest_bound():
    clock = DatabaseClock()
    clock.sample(NOON)
    clock.sample(NOON - timedelta(seconds=5))  # an answer that was long under way

    now = clock.now()

    assert NOON <= now < NOON + timedelta(seconds=1)
