from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from bench.kills import Kill, last_of, unexplained

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
FIRST, SECOND = UUID(int=1), UUID(int=2)


def kill(*in_flight: UUID) -> Kill:
    return Kill(NOON, frozenset(in_flight))


@pytest.mark.parametrize(
    ("posts", "kills", "expected"),
    [
        ({FIRST: 1, SECOND: 1}, [kill(FIRST)], 0),
        ({FIRST: 2, SECOND: 1}, [kill(FIRST), kill(SECOND)], 0),
        ({FIRST: 1, SECOND: 2}, [kill(FIRST)], 1),
        ({FIRST: 3}, [kill(FIRST), kill(FIRST)], 0),
        ({FIRST: 4, SECOND: 3}, [kill(FIRST)], 4),
    ],
)
def test_each_kill_explains_one_more_post_of_what_was_in_flight(
    posts: dict[UUID, int], kills: list[Kill], expected: int
) -> None:
    assert unexplained(Counter(posts), kills) == expected


def test_a_kill_is_over_when_the_last_of_what_was_in_flight_is_done() -> None:
    done = {FIRST: NOON + timedelta(seconds=31), SECOND: NOON + timedelta(seconds=35)}

    assert last_of(kill(FIRST, SECOND), done) == NOON + timedelta(seconds=35)
    assert last_of(kill(), done) == NOON
