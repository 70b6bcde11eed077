"""Windows of a minute: what they count, how many are kept, and what is said of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin_api.errors import TooManyRequestsError
from tocsin_api.rate_limits import MAX_WINDOWS, WINDOW_S, Limit, Tally, Windows, judge

LIMIT = Limit("address", "from this address", 3)


def test_window_begins_with_the_first_request_and_lasts_a_minute() -> None:
    windows = Windows()

    counts = [windows.count("a", now) for now in (100.0, 101.0, 159.9, 160.0, 161.0)]

    assert counts == [
        Tally(1, 60),
        Tally(2, 59),
        Tally(3, pytest.approx(0.1)),
        Tally(1, 60),
        Tally(2, 59),
    ]


def test_everybody_has_a_window_of_his_own() -> None:
    windows = Windows()

    counts = [windows.count(who, 0).used for who in ("a", "b", "a", "c", "b")]

    assert counts == [1, 1, 2, 1, 2]


def test_only_so_many_windows_are_kept_and_the_oldest_go_first() -> None:
    windows = Windows()
    for number in range(MAX_WINDOWS + 1):
        windows.count(str(number), 0)

    assert windows.count(str(MAX_WINDOWS), 1).used == 2
    assert windows.count("1", 1).used == 2
    assert windows.count("0", 1).used == 1


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 30)), max_size=60))
def test_count_is_that_of_the_requests_since_the_window_began(requests: list[tuple[str, float]]) -> None:
    windows = Windows()
    began: dict[str, float] = {}
    seen: dict[str, int] = {}
    now = 0.0

    for who, pause in requests:
        now += pause
        if who not in began or began[who] + WINDOW_S <= now:
            began[who], seen[who] = now, 0
        seen[who] += 1
        tally = windows.count(who, now)

        assert tally.used == seen[who]
        assert 0 < tally.seconds_left <= WINDOW_S


@pytest.mark.parametrize(
    ("tally", "standing"),
    [
        (Tally(1, 60), '"address";r=2;t=60'),
        (Tally(3, 0.2), '"address";r=0;t=1'),
        (Tally(3, 0.0), '"address";r=0;t=1'),
    ],
)
def test_what_is_within_the_limit_is_told_what_is_left(tally: Tally, standing: str) -> None:
    assert judge(LIMIT, tally) == {"RateLimit-Policy": '"address";q=3;w=60', "RateLimit": standing}


def test_what_is_too_much_is_refused_with_when_to_try_again() -> None:
    with pytest.raises(TooManyRequestsError) as caught:
        judge(LIMIT, Tally(4, 12.3))

    assert str(caught.value) == "more than 3 requests a minute from this address; try again in 13 s"
    assert caught.value.headers == {
        "RateLimit-Policy": '"address";q=3;w=60',
        "RateLimit": '"address";r=0;t=13',
        "Retry-After": "13",
    }
