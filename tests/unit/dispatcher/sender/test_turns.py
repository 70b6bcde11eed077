"""Whose turn it is where only so many may begin in a time."""

import heapq
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin_dispatcher.sender.limits import Window
from tocsin_dispatcher.sender.turns import MARGIN, Line, Turns, take_turns

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG_AGO = datetime.min.replace(tzinfo=UTC)
SECOND = timedelta(seconds=1)
WINDOW = Window(5, 2.0)
FRESH = Line(LONG_AGO, 0, LONG_AGO)
STEP_S = 2.0 * MARGIN / 5


def ask(
    line: Line = FRESH,
    *,
    at_s: float = 0.0,
    waited: int = 0,
    new: int = 0,
    blocked_s: float = -1.0,
    window: Window = WINDOW,
    is_guess: bool = False,
) -> Turns:
    now, blocked_until = NOW + at_s * SECOND, NOW + blocked_s * SECOND
    return take_turns(line, window, now, waited=waited, new=new, blocked_until=blocked_until, is_guess=is_guess)


def seconds(turns: Turns) -> list[float]:
    return [wait.seconds for wait in turns.waits]


def test_as_many_as_the_window_holds_begin_and_the_others_come_one_after_the_other():
    turns = ask(new=8)

    assert turns.admitted == 5
    assert seconds(turns) == pytest.approx([2.06, 2.06 + STEP_S, 2.06 + 2 * STEP_S])
    assert all(wait.is_turn for wait in turns.waits)


def test_what_comes_later_finds_what_is_left_of_the_window():
    line = ask(new=3).line

    turns = ask(line, at_s=1.5, new=3)

    assert (turns.admitted, seconds(turns)) == (2, [pytest.approx(0.56)])


def test_a_window_begins_with_the_first_that_begins_in_it():
    line = ask(new=5).line

    turns = ask(line, at_s=2.0, new=1)

    assert (turns.admitted, turns.line.window_from) == (1, NOW + 2 * SECOND)


def test_new_ones_do_not_overtake_a_queue():
    line = ask(new=30).line

    turns = ask(line, at_s=2.06, waited=1, new=1)

    assert turns.admitted == 1
    assert seconds(turns) == [pytest.approx(25 * STEP_S)]


def test_who_has_waited_and_finds_no_room_does_not_go_to_the_end_of_the_queue():
    line = ask(new=30).line

    turns = ask(line, at_s=1.9, waited=1)

    assert (turns.admitted, seconds(turns)) == (0, [pytest.approx(0.16)])
    assert turns.line.next_slot_at == line.next_slot_at


def test_nobody_owns_a_place_so_latecomers_find_what_room_there_is():
    queued = ask(new=100)
    long_after = 600.0

    turns = ask(queued.line, at_s=long_after, waited=95)

    assert turns.admitted == 5
    assert min(seconds(turns)) == pytest.approx(2.06)


def test_of_many_that_were_away_together_few_come_with_the_next_window_and_the_others_queue():
    line = ask(new=5).line

    turns = ask(line, at_s=0.0, waited=45)

    assert seconds(turns)[:5] == pytest.approx([2.06 + n * STEP_S for n in range(5)])
    assert seconds(turns)[5:] == pytest.approx([2.06 + n * STEP_S for n in range(40)])
    assert (turns.line.next_slot_at - NOW).total_seconds() == pytest.approx(2.06 + 40 * STEP_S)


def test_new_ones_queue_behind_those_that_have_waited():
    line = ask(ask(new=5).line, waited=45).line

    assert seconds(ask(line, new=1)) == pytest.approx([2.06 + 40 * STEP_S])


def test_a_queue_of_which_nobody_comes_holds_up_nobody():
    line = ask(new=1500).line
    too_early, late_enough = 2.06 + STEP_S - 0.01, 2.06 + STEP_S + 0.01

    assert ask(line, at_s=too_early, new=7).admitted == 0
    turns = ask(line, at_s=late_enough, new=7)

    assert (turns.admitted, seconds(turns)) == (5, pytest.approx([2.06, 2.06 + STEP_S]))


def test_a_queue_that_waits_for_the_end_of_a_block_is_not_taken_for_one_of_which_nobody_comes():
    line = ask(ask(new=5).line, new=10, blocked_s=60).line

    assert ask(line, at_s=60.1, new=1, blocked_s=60).admitted == 0
    assert ask(line, at_s=60.1 + STEP_S, new=1, blocked_s=60).admitted == 1


def test_room_that_is_left_in_a_long_window_is_used_by_those_that_queue():
    window = Window(30, 60.0)
    line = ask(new=30, window=window).line
    line = ask(line, at_s=1.0, new=2, window=window).line

    turns = ask(line, at_s=61.9, waited=2, new=3, window=window)

    assert turns.admitted == 2
    assert seconds(turns) == pytest.approx([4.02, 6.08, 8.14], abs=0.01)


def test_a_block_while_a_window_is_in_use_holds_for_those_that_have_waited():
    line = ask(new=5).line

    assert seconds(ask(line, at_s=1.0, waited=1, new=1, blocked_s=60)) == pytest.approx([59.0, 59.0])


def test_those_that_queue_behind_others_that_waited_move_its_end():
    line = ask(new=5).line

    first = ask(line, at_s=0.1, waited=1, new=2)
    second = ask(first.line, at_s=0.1, waited=0, new=1)

    assert seconds(second) == pytest.approx([1.96 + 2 * STEP_S])


def test_in_a_block_nothing_begins_and_turns_are_taken_from_its_end():
    turns = ask(new=7, blocked_s=60)

    assert turns.admitted == 0
    assert seconds(turns) == pytest.approx([60 + n * STEP_S for n in range(7)])
    assert turns.line[:2] == FRESH[:2]


def test_after_a_window_that_is_guessed_all_ask_again():
    turns = ask(new=9, is_guess=True)

    assert turns.admitted == 5
    assert seconds(turns) == pytest.approx([2.06] * 4)
    assert not any(wait.is_turn for wait in turns.waits)
    assert turns.line.next_slot_at == LONG_AGO


def test_a_window_of_an_hour_lets_nobody_ask_before_it_ends():
    turns = ask(new=3, window=Window(1, 3600.0))

    assert turns.admitted == 1
    assert seconds(turns) == pytest.approx([3600 * MARGIN, 7200 * MARGIN])


@given(
    st.lists(st.tuples(st.floats(0, 20), st.integers(1, 60)), min_size=1, max_size=12),
    st.integers(1, 20),
    st.floats(0.1, 5),
    st.lists(st.floats(0, 3), min_size=1, max_size=5),
)
def test_all_begin_in_the_end_and_never_more_in_a_window_than_the_limit(
    bursts: list[tuple[float, int]], requests: int, length_s: float, delays_s: list[float]
):
    """However late they come again."""
    window, line, began = Window(requests, length_s), FRESH, Counter[datetime]()
    # Instants, and whether those that come then have waited: as senders see them, one after the other.
    coming = [(NOW + at_s * SECOND, n, False, count) for n, (at_s, count) in enumerate(bursts)]
    heapq.heapify(coming)
    number = len(coming)
    while coming:
        now, _, has_waited, count = heapq.heappop(coming)
        turns = take_turns(
            line, window, now, waited=count * has_waited, new=count * (not has_waited), blocked_until=LONG_AGO
        )
        line = turns.line
        began[line.window_from] += turns.admitted
        for wait in turns.waits:
            number += 1
            assert wait.seconds > 0
            late_s = delays_s[number % len(delays_s)]
            heapq.heappush(coming, (now + (wait.seconds + late_s) * SECOND, number, wait.is_turn, 1))

    assert sum(began.values()) == sum(count for _, count in bursts)
    assert max(began.values()) <= requests
    windows = sorted(at for at in began if began[at])
    assert all(later - earlier >= length_s * SECOND for earlier, later in pairwise(windows))
