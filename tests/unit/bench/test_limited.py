from datetime import UTC, datetime, timedelta

import pytest

from bench.limited import share_of_rate
from tocsin_local.limit import Limit

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
LIMIT = Limit(5, 2.0)


@pytest.mark.parametrize(
    ("posts", "window_s", "share"),
    [
        (300, 2.0, 100),
        (300, 2.5, 80),
        (298, 2.0, 100),  # the last window is not full
        (6, 4.0, 50),
    ],
)
def test_all_of_the_rate_is_used_where_each_window_follows_the_one_before_at_once(
    posts: int, window_s: float, share: float
) -> None:
    accepted = [NOON + n // LIMIT.requests * timedelta(seconds=window_s) for n in range(posts)]

    assert share_of_rate(accepted, LIMIT) == pytest.approx(share)
