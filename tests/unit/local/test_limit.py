from tocsin_local.limit import Limit, Window, headers

NOW = 1_700_000_000.25


def test_a_window_allows_so_many_requests_and_refuses_the_next() -> None:
    window = Window(Limit(5, 2.0))

    turns = [window.take(NOW + n / 10) for n in range(6)]

    assert [turn.allowed for turn in turns] == [True] * 5 + [False]
    assert [turn.remaining for turn in turns] == [4, 3, 2, 1, 0, 0]


def test_a_window_is_fixed_from_its_first_request_on() -> None:
    window = Window(Limit(1, 2.0))
    window.take(NOW)

    refused = window.take(NOW + 1.75)
    allowed = window.take(NOW + 2.0)

    assert (refused.allowed, refused.reset_at, refused.reset_after_s) == (False, NOW + 2.0, 0.25)
    assert (allowed.allowed, allowed.reset_at) == (True, NOW + 4.0)


def test_refused_requests_do_not_move_the_window() -> None:
    window = Window(Limit(1, 2.0))
    window.take(NOW)

    for n in range(10):
        window.take(NOW + n / 10)

    assert window.take(NOW + 2.0).allowed


def test_headers_tell_the_limit() -> None:
    turn = Window(Limit(5, 2.0)).take(NOW)

    assert headers(turn) == {
        "X-RateLimit-Limit": "5",
        "X-RateLimit-Remaining": "4",
        "X-RateLimit-Reset": "1700000002.250",
        "X-RateLimit-Reset-After": "2.000",
        "X-RateLimit-Bucket": "tocsin-local",
    }


def test_headers_of_a_refusal_say_when_to_come_back_in_whole_seconds() -> None:
    window = Window(Limit(1, 2.0))
    window.take(NOW)

    told = headers(window.take(NOW + 0.5))

    assert told["Retry-After"] == "2"
    assert told["X-RateLimit-Reset-After"] == "1.500"
