from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from tocsin_local.oracle import Owed, WatchedTask
from tocsin_local.post import Post
from tocsin_local.screen import GREEN, PLAIN, death, delivery, heading, introduction, window_over
from tocsin_local.urls import StackUrls

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
OWED = Owed(WatchedTask(UUID(int=7), "every-second", "* * * * * *", NOON), NOON)


def post(status: int | None, late_ms: float = 12.4) -> Post:
    return Post("1", None, 1, NOON + timedelta(milliseconds=late_ms), b"", {}, {}, status)


def test_a_delivery_stands_under_its_headings() -> None:
    line = delivery(OWED, post(200), colour=False)

    assert line.split() == ["12:00:00", "every-second", "12", "1", "200"]
    assert line.index("200") == heading().index("answer")
    assert line.index("every-second") == heading().index("task")


@pytest.mark.parametrize(
    ("owed", "status", "late_ms", "said"),
    [
        (OWED, 500, 1, "500 Internal Server Error"),
        (OWED, 429, 1, "429 rate limited"),
        (OWED, None, 1, "none, the sender went away"),
        (OWED, 200, -1, "200 EARLY"),
        (None, 404, 1, "404 NOBODY OWES THIS"),
    ],
)
def test_what_is_no_success_is_said_in_words(
    owed: Owed | None, status: int | None, late_ms: float, said: str
) -> None:
    line = delivery(owed, post(status, late_ms), colour=False)

    assert line.endswith(said)
    assert len(line) <= 80


def test_colour_changes_nothing_but_the_colour() -> None:
    plain = delivery(OWED, post(200), colour=False)

    assert delivery(OWED, post(200), colour=True) == f"{GREEN}{plain}{PLAIN}"


def test_a_first_post_that_waited_for_the_limit_says_so() -> None:
    line = delivery(OWED, post(200, late_ms=2018), held_back=True, colour=False)

    assert line.endswith("200, held back by the limit")


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        ("signal 9", "sender died (signal 9), started again (pid 12)"),
        ("", "sender died, started again (pid 12)"),
    ],
)
def test_a_death_is_told_with_its_cause_where_that_is_known(cause: str, said: str) -> None:
    assert death("sender", cause, 12) == said


@pytest.mark.parametrize(("arrived", "said"), [(64, "all 64"), (60, "60 of 64")])
def test_the_end_of_the_window_says_what_is_still_to_come(arrived: int, said: str) -> None:
    assert said in window_over(arrived, 64, 60)


@pytest.mark.parametrize("discord", [True, False])
def test_the_introduction_names_what_to_kill_and_fits_100_columns(discord: bool) -> None:
    urls = StackUrls("postgresql://…", "amqp://…", "http://127.0.0.1:20002", "tocsin", "p" * 32)
    pids = {"sender": 11, "rabbitmq": 12, "epmd": 13}

    lines = introduction(
        api_url="http://127.0.0.1:20001", api_key="k" * 32, urls=urls, logs="log", discord=discord, pids=pids
    )

    assert max(map(len, lines)) <= 100
    assert [line.split()[2:4] for line in lines if "kill -9" in line] == [["11", "sender"], ["12", "rabbitmq"]]
    assert any("Discord" in line for line in lines) is discord
