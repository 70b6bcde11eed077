"""How late POSTs were, told by the first of each execution."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from faults.matrix import latenesses
from tocsin_common.messages import execution_id
from tocsin_local.oracle import WatchedTask
from tocsin_local.post import Post

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
TASK = WatchedTask(UUID(int=7), "every second", "* * * * * *", NOON)


def post(second: int, late_s: float) -> Post:
    at = NOON + timedelta(seconds=second)
    return Post("1", execution_id(TASK.task_id, at), 1, at + timedelta(seconds=late_s), b"", {}, {}, 200)


def test_the_first_post_of_what_was_owed_in_between_counts():
    posts = [post(0, 9), post(1, 0.5), post(2, 0.25), post(2, 4), post(3, 9)]

    found = latenesses.of_first_posts([TASK], posts, since=NOON, until=NOON + timedelta(seconds=2))

    assert found == [0.25, 0.5]


def test_words_name_the_median_the_tail_and_the_last():
    found = latenesses.in_words([0.1] * 60 + [0.2] * 39 + [3.0])

    assert found == "0.10 s (median), 3.00 s (99 of 100), 3.00 s (the last)"
