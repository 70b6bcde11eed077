"""How many POSTs may begin at one address."""

import heapq
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin_dispatcher.sender.budget import INVALID_PERIOD, Group, Rules, admit, rate

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG_AGO = datetime.min.replace(tzinfo=UTC)
SECOND = timedelta(seconds=1)
RULES = Rules(per_s=10, invalid_most=1000)
FRESH = Group(LONG_AGO, 0, LONG_AGO, LONG_AGO, LONG_AGO, 0)


def test_as_many_as_the_limit_says_begin_at_once_and_the_others_are_spaced():
    decision = admit(FRESH, RULES, NOW, slotted=0, others=13)

    assert decision.admitted == 10
    assert decision.waits_s == pytest.approx([1.0, 1.1, 1.2])
    assert decision.group.next_slot_at == NOW + 1.3 * SECOND


def test_what_comes_later_in_the_second_finds_what_is_left_of_it():
    first = admit(FRESH, RULES, NOW, slotted=0, others=7).group

    second = admit(first, RULES, NOW + 0.5 * SECOND, slotted=0, others=4)

    assert (second.admitted, second.waits_s) == (3, [pytest.approx(0.5)])


def test_new_ones_do_not_overtake_a_queue_and_those_with_a_slot_go_on():
    queued = admit(FRESH, RULES, NOW, slotted=0, others=30).group
    later = NOW + 1.05 * SECOND

    decision = admit(queued, RULES, later, slotted=1, others=1)

    assert decision.admitted == 1
    assert decision.waits_s == [pytest.approx((queued.next_slot_at - later).total_seconds())]


def test_who_has_a_slot_and_finds_no_room_gets_the_next_window_and_not_the_end_of_the_queue():
    queued = admit(FRESH, RULES, NOW, slotted=0, others=100).group

    decision = admit(queued, RULES, NOW + 0.9 * SECOND, slotted=1, others=0)

    assert (decision.admitted, decision.waits_s) == (0, [pytest.approx(0.1)])
    assert decision.group.next_slot_at == queued.next_slot_at


def test_nothing_begins_while_the_address_is_blocked():
    blocked = FRESH._replace(blocked_until=NOW + 60 * SECOND)

    decision = admit(blocked, RULES, NOW, slotted=1, others=1)

    assert decision.admitted == 0
    assert min(decision.waits_s) == 60


@pytest.mark.parametrize(
    ("invalid", "ago_s", "per_s"),
    [
        pytest.param(0, 0, 10, id="nothing is spent"),
        pytest.param(499, 0, 10, id="less than half"),
        pytest.param(500, 0, 500 / 600, id="half: the rest lasts for the ten minutes"),
        pytest.param(500, 560, 10, id="half, and little time is left"),
        pytest.param(900, 300, 100 / 300, id="nearly all"),
        pytest.param(1000, 300, 0.01, id="all"),
        pytest.param(5000, 300, 0.01, id="more than all"),
        pytest.param(1000, 600, 10, id="the period is over"),
    ],
)
def test_from_half_of_the_budget_on_the_rest_must_last(invalid: int, ago_s: float, per_s: float):
    group = FRESH._replace(invalid=invalid, invalid_from=NOW - ago_s * SECOND)

    assert rate(group, RULES, NOW) == pytest.approx(per_s)


def test_where_less_than_one_a_second_may_begin_one_does_and_the_next_waits():
    group = FRESH._replace(invalid=900, invalid_from=NOW - INVALID_PERIOD / 2)

    decision = admit(group, RULES, NOW, slotted=0, others=2)

    assert (decision.admitted, decision.waits_s) == (1, [pytest.approx(3.0)])


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(1, 40)), min_size=1, max_size=12), st.integers(1, 20))
def test_all_begin_in_the_end_and_never_more_in_a_window_than_the_limit(
    bursts: list[tuple[float, int]], per_s: int
):
    rules = Rules(per_s, invalid_most=1000)
    group, began = FRESH, Counter[datetime]()
    # Instants, and whether those that come then had a slot: as the senders see them, one after the other.
    coming = [(NOW + at_s * SECOND, n, False, count) for n, (at_s, count) in enumerate(bursts)]
    heapq.heapify(coming)
    number = len(coming)
    while coming:
        now, _, has_slot, count = heapq.heappop(coming)
        decision = admit(group, rules, now, slotted=count * has_slot, others=count * (not has_slot))
        group = decision.group
        began[group.window_from] += decision.admitted
        for wait_s in decision.waits_s:
            number += 1
            assert wait_s > 0
            heapq.heappush(coming, (now + max(wait_s, 1e-6) * SECOND, number, True, 1))

    assert sum(began.values()) == sum(count for _, count in bursts)
    assert max(began.values()) <= per_s
    assert all(later - earlier >= SECOND for earlier, later in pairwise(sorted(at for at in began if began[at])))
