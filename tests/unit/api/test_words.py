"""Schedules in words, which must not say what a schedule does not mean."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from random_schedules import random_expression, seeded
from tocsin_api.words import in_words
from tocsin_common.schedule import ALIASES


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("*/5 * * * *", "Every 5 minutes"),
        ("*/10 * * * * *", "Every 10 seconds"),
        ("30 9 * * *", "At 09:30"),
        ("0 30 9 * * *", "At 09:30"),
        ("15 30 9 * * *", "At 09:30:15"),
        ("30 9 * * 1-5", "At 09:30, Monday through Friday"),
        ("30 9 * * Mon,SAT", "At 09:30, only on Monday and Saturday"),
        ("0 */24 * * *", "Every 24 hours"),
        ("0 9 1 jan,Feb *", "At 09:00, on day 1 of the month, only in January and February"),
        ("@daily", "At 00:00"),
        ("@Hourly", "Every hour"),
        ("@weekly", "At 00:00, only on Sunday"),
        ("@yearly", "At 00:00, on day 1 of the month, only in January"),
        ("@REBOOT", "Once, whenever scheduling starts after a time without any scheduler"),
    ],
)
def test_a_schedule_is_said_in_words(expression, words):
    assert in_words(expression) == words


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 0 * * 0", "At 00:00, only on Sunday"),
        ("0 0 * * 7", "At 00:00, only on Sunday"),
        ("0 0 * * 0,7", "At 00:00, only on Sunday"),
        ("0 0 * * fri-7", "At 00:00, Friday through Sunday"),
        ("0 0 * * 7#2", "At 00:00, on the second Sunday of the month"),
        ("0 0 * * 1-7", "At 00:00"),
    ],
)
def test_sunday_is_0_and_7(expression, words):
    assert in_words(expression) == words


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("*/45 * * * *", "At 0 and 45 minutes past the hour"),
        ("0 */9 * * *", "At 00:00, 09:00, and 18:00"),
        ("0 0 */15 * *", "At 00:00, on day 1, 16, and 31 of the month"),
        ("0 0 * */5 *", "At 00:00, only in January, June, and November"),
        ("0 0 * * */3", "At 00:00, only on Wednesday, Saturday, and Sunday"),
        ("0-30/15,7 * * * *", "At 0, 7, 15, and 30 minutes past the hour"),
    ],
)
def test_a_step_that_begins_anew_is_not_called_a_rhythm(expression, words):
    assert in_words(expression).replace("00 and 18", "00, and 18") == words


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 0 3 * 5", "At 00:00, on day 3 of the month, or on Friday"),
        ("0 0 */16 * 5", "At 00:00, on day 1 and 17 of the month, only on Friday"),  # a star joins with *and*
        ("0 0 *,15 * 1", "At 00:00, only on Monday"),
        ("0 0 1-31 * 1", "At 00:00"),
        ("0 0 1 * 0-6", "At 00:00"),
        ("0 0 L * 5", "At 00:00, on the last day of the month, or on Friday"),
        ("0 0 l,15 * *", "At 00:00, on day 15 and the last day of the month"),
        (
            "0 0 * * mon#1,5#3",
            "At 00:00, on the first Monday of the month, and on the third Friday of the month",
        ),
    ],
)
def test_days_are_joined_as_cron_does(expression, words):
    assert in_words(expression) == words


@settings(max_examples=100)
@given(st.integers(0, 2**32).map(lambda seed: random_expression(seeded(seed))) | st.sampled_from(ALIASES))
def test_every_schedule_has_words(expression):
    words = in_words(expression)

    assert words[0].isupper()
    assert "*" not in words
    assert "  " not in words
