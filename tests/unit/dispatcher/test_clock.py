"""Database time between two looks at it."""

from datetime import UTC, datetime, timedelta

from tocsin_dispatcher.clock import DatabaseClock, boottime

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_clock_goes_on_from_the_latest_bound():
    clock = DatabaseClock()
    clock.sample(NOON)
    clock.sample(NOON - timedelta(seconds=5))  # an answer that was long under way

    now = clock.now()

    assert NOON <= now < NOON + timedelta(seconds=1)


def test_a_clock_that_was_set_back_is_followed_with_the_first_answer_that_shows_it():
    clock = DatabaseClock()
    clock.sample(NOON)

    clock.sample(NOON - timedelta(seconds=20), sent_at=boottime())

    assert clock.now() < NOON - timedelta(seconds=19)


def test_an_answer_that_was_long_under_way_does_not_set_the_clock_back():
    clock = DatabaseClock()
    clock.sample(NOON)

    clock.sample(NOON - timedelta(seconds=20), sent_at=boottime() - 30)

    assert clock.now() >= NOON
