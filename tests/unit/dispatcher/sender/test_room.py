"""Whether a destination has room."""

from datetime import UTC, datetime, timedelta

import pytest

from tocsin_dispatcher.sender.limits import NO_LIMIT, Window
from tocsin_dispatcher.sender.room import MANY, PROBE_LOOK_S, Breaker, Known, Room, limit, must_ask, room
from tocsin_dispatcher.sender.turns import Line

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HERE, ELSEWHERE = "discord.com/1", "https://hooks.example.org"
BREAKER = Breaker(failures=3, first_s=10, most_s=35, probe_s=12)
NOTHING = Known()
LIMITED = Known(window=Window(5, 60.0))
FREE = Known(window=NO_LIMIT)
BLOCKED = NOTHING._replace(blocked_until=NOW + 100 * SECOND)
BROKEN = NOTHING._replace(failures=3, broken_until=NOW + 10 * SECOND)
TO_BE_PROBED = NOTHING._replace(failures=3, broken_until=NOW)


def ask(destination: str, known: Known, *, waited: int = 0, new: int = 0) -> Room:
    return room(destination, known, BREAKER, NOW, waited=waited, new=new)


def seconds(asked: Room) -> list[float]:
    return [wait.seconds for wait in asked.turns.waits]


@pytest.mark.parametrize(
    ("destination", "known", "expected"),
    [
        (HERE, None, Window(5, 2.0)),
        (ELSEWHERE, None, NO_LIMIT),
        (HERE, Window(1, 3.0), Window(1, 3.0)),
        (HERE, NO_LIMIT, NO_LIMIT),
    ],
)
def test_of_discord_a_limit_is_guessed_until_it_is_known(destination: str, known: Window | None, expected: Window):
    assert limit(destination, known) == expected


@pytest.mark.parametrize(
    ("destination", "known", "number", "is_recent", "expected"),
    [
        pytest.param(HERE, NOTHING, 1, False, False, id="a lone one"),
        pytest.param(HERE, NOTHING, 2, False, True, id="two"),
        pytest.param(HERE, NOTHING, 1, True, True, id="one after another"),
        pytest.param(HERE, Known(window=Window(4, 2.0)), 1, False, True, id="a lone one and a narrow limit"),
        pytest.param(HERE, LIMITED._replace(line=Line(NOW, 1, NOW)), 1, False, True, id="a window in use"),
        pytest.param(HERE, LIMITED._replace(line=Line(NOW, 0, NOW + SECOND)), 1, False, True, id="a queue"),
        pytest.param(HERE, FREE, 9, True, False, id="no limit"),
        pytest.param(ELSEWHERE, NOTHING, 9, True, False, id="nothing is guessed of others"),
        pytest.param(ELSEWHERE, BLOCKED, 1, False, True, id="blocked"),
        pytest.param(ELSEWHERE, BROKEN, 1, False, True, id="broken"),
        pytest.param(ELSEWHERE, TO_BE_PROBED, 1, False, True, id="to be probed"),
        pytest.param(ELSEWHERE, NOTHING._replace(failures=2), 9, True, False, id="not broken yet"),
    ],
)
def test_only_what_may_find_no_room_asks_for_it(
    destination: str, known: Known, number: int, *, is_recent: bool, expected: bool
):
    assert must_ask(destination, known, BREAKER, NOW, number=number, is_recent=is_recent) is expected


def test_without_a_limit_all_begin_and_nothing_changes():
    assert ask(ELSEWHERE, NOTHING, new=9) == Room(NOTHING, ask(ELSEWHERE, NOTHING, new=9).turns)
    assert ask(ELSEWHERE, NOTHING, new=9).turns.admitted == 9


def test_without_a_limit_all_come_when_a_block_ends():
    assert seconds(ask(ELSEWHERE, BLOCKED, waited=2, new=3)) == [100.0] * 5


def test_a_block_that_was_told_and_one_by_the_breaker_hold_side_by_side():
    both = BROKEN._replace(blocked_until=NOW + 100 * SECOND)

    assert seconds(ask(ELSEWHERE, both, new=1)) == [100.0]
    assert seconds(ask(ELSEWHERE, both._replace(blocked_until=NOW), new=1)) == [10.0]


def test_with_a_limit_turns_are_taken():
    asked = ask(HERE, LIMITED, new=6)

    assert (asked.turns.admitted, len(seconds(asked))) == (5, 1)
    assert asked.known.line.window_used == 5


@pytest.mark.parametrize(("waited", "new"), [(0, 4), (1, 3), (4, 0)])
def test_after_the_breakers_block_one_is_the_probe_and_the_others_wait_for_it(waited: int, new: int):
    asked = ask(ELSEWHERE, TO_BE_PROBED, waited=waited, new=new)

    assert (asked.is_probe, asked.turns.admitted) == (True, 1)
    assert seconds(asked) == [PROBE_LOOK_S] * 3
    assert asked.known.broken_until == NOW + 12 * SECOND


def test_where_many_wait_for_a_probe_they_come_when_it_must_have_ended():
    assert seconds(ask(ELSEWHERE, TO_BE_PROBED, new=MANY + 2)) == [12.0] * (MANY + 1)


def test_a_probe_needs_room_in_the_limit_too():
    used_up = LIMITED._replace(failures=3, broken_until=NOW, line=Line(NOW - SECOND, 5, NOW))

    asked = ask(HERE, used_up, new=1)

    assert (asked.is_probe, asked.turns.admitted) == (False, 0)
    assert asked.known.broken_until == NOW


def test_a_probe_uses_up_room():
    asked = ask(HERE, LIMITED._replace(failures=3, broken_until=NOW), new=3)

    assert asked.known.line.window_used == 1
