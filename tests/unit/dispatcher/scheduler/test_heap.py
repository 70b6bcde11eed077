"""The cron heap: what is owed when, and what a change makes owed."""

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin_common.messages import Job
from tocsin_common.schedule import REBOOT
from tocsin_dispatcher.scheduler.catch_up import Resolution, Terms, resolve
from tocsin_dispatcher.scheduler.heap import SPARE_ENTRIES, Heap
from tocsin_dispatcher.scheduler.revision import TICK, Gap, Policy, Revision, Span, When, join, split

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
A, B = UUID(int=1), UUID(int=2)
EVERY_SECOND, EVERY_5_S, DAILY = "* * * * * *", "*/5 * * * * *", "0 0 * * *"


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def revision(
    task_id: UUID = A,
    number: int = 1,
    *,
    since: float = -3600,
    cron: str = EVERY_5_S,
    status: str = "ACTIVE",
    destination: str = "discord.com/1",
) -> Revision:
    return Revision(task_id.bytes, number, at(since), status == "ACTIVE", destination, When(cron))


def apply(heap: Heap, revision: Revision) -> list[Span]:
    """Take in one change; returns what that makes owed outside the usual order."""
    change = heap.apply(revision)
    return heap.late([change]) if change is not None else []


def owed_in(spans: list[Span]) -> list[datetime]:
    return [
        instant
        for span in spans
        for instant in takewhile(
            lambda instant: instant <= span.end,  # noqa: B023 - used up at once
            span.revision.when.instants(span.start),
        )
    ]


def jobs_at(heap: Heap, instant: datetime) -> list[Job]:
    return [owed.job for owed in heap.owed_at(instant)]


def emit_until(heap: Heap, now: datetime) -> list[tuple[UUID, datetime]]:
    emitted = []
    while (instant := heap.head()) is not None and instant <= now:
        emitted += [(job.task_id, job.scheduled_for) for job in jobs_at(heap, instant)]
        heap.advance(instant)
    return emitted


def test_nothing_is_owed_without_tasks():
    heap = Heap(NOON)

    assert heap.head() is None
    assert len(heap) == 0


def test_the_head_is_the_earliest_instant_after_the_watermark():
    heap = Heap(NOON)

    heap.load(revision(A, cron=DAILY))
    heap.load(revision(B, cron=EVERY_5_S))

    assert heap.head() == at(5)  # noon itself is the watermark: it was emitted


def test_tasks_of_one_schedule_are_owed_together():
    heap = Heap(NOON)
    heap.load(revision(A, destination="discord.com/1"))
    heap.load(revision(B, destination="discord.com/2"))

    jobs = jobs_at(heap, at(5))

    assert [(job.task_id, job.scheduled_for, job.destination) for job in jobs] == [
        (A, at(5), "discord.com/1"),
        (B, at(5), "discord.com/2"),
    ]


def test_different_schedules_that_meet_are_owed_together():
    heap = Heap(NOON)
    heap.load(revision(A, cron=EVERY_5_S))
    heap.load(revision(B, cron=EVERY_SECOND))
    for second in range(1, 5):
        heap.advance(at(second))
    assert heap.head() == at(5)

    jobs = jobs_at(heap, at(5))

    assert {job.task_id for job in jobs} == {A, B}


def test_what_was_not_committed_is_owed_again():
    heap = Heap(NOON)
    heap.load(revision())

    first = jobs_at(heap, at(5))
    again = jobs_at(heap, at(5))

    assert first == again
    assert heap.head() == at(5)
    assert heap.watermark == NOON


def test_advancing_over_an_instant_moves_the_watermark_to_it():
    heap = Heap(NOON)
    heap.load(revision())

    heap.advance(at(5))

    assert heap.watermark == at(5)
    assert heap.head() == at(10)


def test_the_watermark_moves_through_idle_time():
    heap = Heap(NOON)
    heap.load(revision())

    heap.advance(at(4.9))

    assert heap.watermark == at(4.9)
    assert emit_until(heap, at(5)) == [(A, at(5))]


def test_a_task_owes_nothing_before_its_effective_from():
    heap = Heap(NOON)

    late = apply(heap, revision(since=7))

    assert late == []
    assert emit_until(heap, at(15)) == [(A, at(10)), (A, at(15))]


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        pytest.param(0, [0, 5, 10], id="on an instant: that one too"),
        pytest.param(0.000001, [5, 10], id="just after an instant"),
        pytest.param(10, [10], id="the watermark itself"),
        pytest.param(10.5, [], id="after the watermark"),
    ],
)
def test_a_new_task_owes_at_once_what_the_watermark_has_passed_since_its_effective_from(
    since: float, expected: list[float]
):
    heap = Heap(at(10))

    late = apply(heap, revision(since=since))

    assert owed_in(late) == [at(second) for second in expected]
    assert heap.head() == at(15)


def test_an_edit_that_keeps_effective_from_makes_nothing_late_and_is_used_from_then_on():
    heap = Heap(NOON)
    heap.load(revision(destination="discord.com/1"))

    late = apply(heap, revision(number=2, destination="discord.com/2"))

    assert late == []
    assert [job.destination for job in jobs_at(heap, at(5))] == ["discord.com/2"]


def test_a_change_of_schedule_owes_the_old_instants_before_it_and_the_new_ones_after():
    heap = Heap(NOON)
    heap.load(revision(cron=EVERY_5_S))

    late = apply(heap, revision(number=2, cron="*/4 * * * * *", since=11))

    assert owed_in(late) == [at(5), at(10)]
    assert emit_until(heap, at(16)) == [(A, at(12)), (A, at(16))]


def test_a_change_seen_late_owes_the_new_instants_beside_what_the_old_ones_emitted():
    heap = Heap(NOON)
    heap.load(revision(cron=EVERY_5_S))
    emitted = emit_until(heap, at(12))

    late = apply(heap, revision(number=2, cron="*/4 * * * * *", since=7))

    assert emitted == [(A, at(5)), (A, at(10))]
    assert owed_in(late) == [at(8)]
    assert emit_until(heap, at(12)) == [(A, at(12))]


@pytest.mark.parametrize("status", ["INACTIVE", "FAILED", "DELETED"])
def test_a_task_that_stops_owes_its_instants_up_to_then(status: str):
    heap = Heap(NOON)
    heap.load(revision())

    late = apply(heap, revision(number=2, since=11, status=status))

    assert owed_in(late) == [at(5), at(10)]
    assert heap.head() is None
    assert len(heap) == 0


def test_a_task_that_starts_again_owes_nothing_of_the_pause():
    heap = Heap(NOON)
    heap.load(revision(status="INACTIVE"))
    heap.advance(at(12))

    late = apply(heap, revision(number=2, since=9))

    assert owed_in(late) == [at(10)]
    assert heap.head() == at(15)


def test_a_revision_that_is_known_changes_nothing():
    heap = Heap(NOON)
    apply(heap, revision(number=2, since=3, status="INACTIVE"))

    late = apply(heap, revision(number=1, since=-10))

    assert late == []
    assert heap.head() is None


def test_inactive_tasks_are_forgotten_once_the_feed_cannot_show_them_again():
    heap = Heap(NOON)
    heap.load(revision(status="INACTIVE", number=7))

    heap.forget_inactive(keep=set())

    assert owed_in(apply(heap, revision(number=1, since=0))) == [at(0)]


def test_a_schedule_that_was_left_by_all_starts_afresh_for_the_next_task():
    heap = Heap(NOON)
    heap.load(revision(A))
    apply(heap, revision(A, 2, since=1, status="DELETED"))
    heap.advance(at(22))

    apply(heap, revision(B, since=22))

    assert heap.head() == at(25)
    assert emit_until(heap, at(30)) == [(B, at(25)), (B, at(30))]


def test_tasks_that_come_and_go_leave_nothing_behind():
    heap = Heap(NOON)
    heap.load(revision(B))
    for number in range(1, 10_001, 2):
        apply(heap, revision(A, number, since=number / 1e6, cron="0 0 1 1 *"))
        apply(heap, revision(A, number + 1, since=(number + 1) / 1e6, status="DELETED"))

    assert len(heap._order) < 2 * SPARE_ENTRIES
    assert emit_until(heap, at(10)) == [(B, at(5)), (B, at(10))]


def test_a_gap_holds_what_every_task_owes_in_it():
    heap = Heap(NOON)
    heap.load(revision(A))
    heap.load(revision(B, since=9, cron="*/4 * * * * *"))
    apply(heap, revision(UUID(int=3), since=30))

    spans = list(heap.gap(at(20)))

    assert [(span.revision.task_id, span.start, span.end) for span in spans] == [
        (A, NOON + TICK, at(20)),
        (B, at(9), at(20)),
    ]


def test_a_gap_takes_the_tasks_of_one_schedule_together_and_leaves_out_schedules_that_owe_nothing_in_it():
    heap = Heap(NOON)
    tasks = [UUID(int=n) for n in range(6)]
    for task, cron in zip(tasks, [EVERY_5_S, DAILY, EVERY_SECOND] * 2, strict=True):
        heap.load(revision(task, cron=cron))
    apply(heap, revision(tasks[5], 2, status="INACTIVE"))

    spans = list(heap.gap(at(20)))

    assert [span.revision.task_id for span in spans] == [tasks[0], tasks[3], tasks[2]]


@given(
    crons=st.lists(st.sampled_from([EVERY_SECOND, EVERY_5_S, DAILY, "*/7 * * * * *", "1 0 12 * * *"]), max_size=8),
    advanced=st.integers(0, 20),
    length=st.integers(0, 20),
)
def test_a_gap_leaves_out_nothing_that_is_owed_in_it(crons: list[str], advanced: int, length: int):
    heap, tasks = Heap(NOON), [revision(UUID(int=n), cron=cron) for n, cron in enumerate(crons)]
    for task in tasks:
        heap.load(task)
    heap.advance(at(advanced))
    end = at(advanced + length)

    spans = list(heap.gap(end))

    owed = [owed_in([Span(task, at(advanced) + TICK, end)]) for task in tasks]
    by_task = {span.revision.task_id: owed_in([span]) for span in spans}
    assert [by_task.get(task.task_id, []) for task in tasks] == owed


@pytest.mark.parametrize(
    "when", [When("61 * * * *"), When("* * * * *", "Nowhere/Never")], ids=["schedule", "time zone"]
)
def test_a_schedule_that_cannot_be_read_owes_nothing_and_keeps_nobody_else_from_it(when: When):
    heap = Heap(NOON)
    broken = [Revision(UUID(int=n).bytes, 1, at(-60), True, "discord.com/1", when) for n in (7, 8)]

    heap.load(broken[0])
    heap.load(revision(A))
    spans = apply(heap, broken[1])

    assert emit_until(heap, at(10)) == [(A, at(5)), (A, at(10))]
    assert [task.task_id for task, _ in heap.unreadable] == [UUID(int=7)]
    assert [resolve(span, Terms(at(10), timedelta(seconds=60), 100)) for span in spans] == [Resolution([], None)]


@pytest.mark.parametrize(
    ("where", "before", "after"),
    [
        (-1, [], [(0, 10)]),
        (0, [(0, 0)], [(TICK.total_seconds(), 10)]),
        (4, [(0, 4)], [(4 + TICK.total_seconds(), 10)]),
        (10, [(0, 10)], []),
        (11, [(0, 10)], []),
    ],
)
def test_a_span_is_split_without_losing_or_doubling_an_instant(where, before, after):
    task = revision()

    parts = split([Span(task, at(0), at(10))], at(where))

    assert parts == tuple([Span(task, at(start), at(end)) for start, end in part] for part in (before, after))


def test_what_is_owed_late_and_in_a_gap_by_one_revision_is_decided_on_as_one():
    heap = Heap(NOON)
    heap.advance(at(10))
    late = apply(heap, revision(since=3))
    other = revision(B)
    heap.load(other)

    spans = list(join(late, heap.gap(at(40))))

    assert [(span.revision.task_id, span.start, span.end) for span in spans] == [
        (A, at(3), at(40)),
        (B, at(10) + TICK, at(40)),
    ]


@pytest.mark.parametrize(
    ("snapshot", "known"),
    [
        ("", [698, 699, 700, 701, 702, 703, 704]),
        ("700:700:", [698, 699]),
        ("700:703:700,702", [698, 699, 701]),
    ],
)
def test_a_gap_knows_what_had_committed_when_it_was_decided_on(snapshot: str, known: list[int]):
    gap = Gap(NOON, snapshot)

    assert [xid for xid in range(698, 705) if gap.knows(xid)] == known


@pytest.mark.parametrize(
    ("new", "owed_by_new"),
    [
        pytest.param({"cron": EVERY_SECOND, "since": 12}, (12, 20), id="another schedule"),
        pytest.param({"status": "INACTIVE", "since": 12}, None, id="stopped"),
        pytest.param({"destination": "discord.com/2"}, None, id="an edit that leaves the schedule alone"),
    ],
)
def test_what_was_decided_on_a_gap_stays_when_a_change_in_it_becomes_known_later(new, owed_by_new):
    heap, old = Heap(NOON), revision()
    heap.load(old)
    change = heap.apply(revision(number=2, **new))._replace(xid=701)

    in_gap, after, frozen = heap.late_about([change], Gap(at(20), "700:700:"))

    spans = list(join(in_gap, heap.gap(at(20), frozen)))
    assert Span(old, NOON + TICK, at(20)) in spans
    others = [(span.start, span.end) for span in spans if span.revision is not old]
    assert others == ([] if owed_by_new is None else [(at(owed_by_new[0]), at(owed_by_new[1]))])
    assert after == []


def test_a_change_that_was_known_when_a_gap_was_decided_on_ends_what_was_owed_before_it():
    heap, old = Heap(NOON), revision()
    heap.load(old)
    change = heap.apply(revision(number=2, cron=EVERY_SECOND, since=12))._replace(xid=699)

    in_gap, after, frozen = heap.late_about([change], Gap(at(20), "700:700:"))

    spans = list(join(in_gap, heap.gap(at(20), frozen)))
    assert [(span.start, span.end) for span in spans if span.revision is old] == [(NOON + TICK, at(12) - TICK)]
    assert [(span.start, span.end) for span in spans if span.revision is not old] == [(at(12), at(20))]
    assert after == []


def test_skipping_a_gap_goes_on_after_it():
    heap = Heap(NOON)
    heap.load(revision(A))
    heap.load(revision(B, cron=DAILY))

    heap.advance(at(20))

    assert heap.watermark == at(20)
    assert emit_until(heap, at(30)) == [(A, at(25)), (A, at(30))]


def test_tasks_with_a_window_owe_what_lies_in_it_both_ends_included():
    heap = Heap(NOON)
    when = When(EVERY_5_S, starts_at=at(10), ends_at=at(20))
    heap.load(Revision(A.bytes, 1, NOON, True, "discord.com/1", when))

    assert emit_until(heap, at(60)) == [(A, at(10)), (A, at(15)), (A, at(20))]
    assert heap.head() is None
    assert len(heap) == 1


def test_a_one_off_is_owed_once():
    heap = Heap(NOON)
    heap.load(Revision(A.bytes, 1, NOON, True, "discord.com/1", When(None, run_at=at(7.25))))

    kinds = [owed.kind for owed in heap.owed_at(at(7.25))]

    assert kinds == ["once"]
    assert emit_until(heap, at(60)) == [(A, at(7.25))]


def test_a_reboot_is_owed_at_the_moment_when_scheduling_starts_anew_and_no_second_time():
    heap = Heap(NOON)
    heap.load(revision(A, cron=REBOOT))
    heap.load(revision(B, since=2, cron=REBOOT))  # it was not there yet

    assert emit_until(heap, at(1)) == []
    heap.reboot(at(1))

    assert [owed.kind for owed in heap.owed_at(at(1))] == ["reboot"]
    assert emit_until(heap, at(60)) == [(A, at(1))]
    heap.reboot(at(1))
    assert emit_until(heap, at(120)) == []


def test_a_reboot_that_is_heard_of_late_is_owed_all_the_same():
    heap = Heap(at(10), reboot_at=at(5))

    late = apply(heap, revision(since=3, cron=REBOOT))

    assert owed_in(late) == [at(5)]


def test_a_task_that_changes_twice_before_the_leader_hears_of_it_owes_each_schedule_its_own_time():
    heap = Heap(NOON)
    heap.load(revision(cron=EVERY_5_S))
    changes = [
        heap.apply(revision(number=2, since=7, cron="*/4 * * * * *")),
        heap.apply(revision(number=3, since=13, status="INACTIVE")),
    ]
    heap.advance(at(20))

    late = heap.late([change for change in changes if change is not None])

    assert owed_in(late) == [at(8), at(12)]


@pytest.mark.parametrize("edits", [1, 2])
def test_an_edit_does_not_hide_what_the_late_change_before_it_owes(edits: int):
    heap = Heap(NOON)
    changes = [heap.apply(revision(number=1, since=3))]
    changes += [heap.apply(revision(number=2 + n, since=3, destination="discord.com/2")) for n in range(edits)]
    heap.advance(at(12))

    late = heap.late([change for change in changes if change is not None])

    assert owed_in(late) == [at(5), at(10)]
    assert [span.revision.destination for span in late] == ["discord.com/2"]


def test_jitter_is_the_same_whenever_it_is_asked_for_and_differs_between_tasks_and_instants():
    policy = Policy(jitter_s=10)
    tasks = [
        Revision(UUID(int=n).bytes, 1, NOON, True, "discord.com/1", When(EVERY_5_S), policy) for n in range(300)
    ]

    jitters = [task.owed_at(at(5)).jitter_ms for task in tasks]

    assert jitters == [task.owed_at(at(5)).jitter_ms for task in tasks]
    assert jitters != [task.owed_at(at(10)).jitter_ms for task in tasks]
    assert all(0 <= jitter < 10_000 for jitter in jitters)
    assert len(set(jitters)) > 200
    assert min(jitters) < 1000
    assert max(jitters) >= 9000


def test_the_tally_follows_every_change():
    heap, afresh = Heap(NOON), Heap(NOON)
    heap.load(revision(A))
    heap.load(revision(B))
    heap.apply(revision(A, 2, status="INACTIVE"))
    heap.apply(revision(B, 5, cron=DAILY))
    heap.apply(revision(A, 3))

    afresh.load(revision(A, 3))
    afresh.load(revision(B, 5))

    assert heap.tally() == afresh.tally() == {1: (1, 3), 2: (1, 5)}
    assert heap.revisions_in({1}) == {A.bytes: 3}


CRONS = st.sampled_from([EVERY_SECOND, EVERY_5_S, "*/7 * * * * *", "3 * * * * *", "* * * * *"])
STATUSES = st.sampled_from(["ACTIVE", "ACTIVE", "INACTIVE", "DELETED"])


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Revision], list[float]]:
    """A task's revisions, and when the leader hears of each (never before it is made)."""
    gaps = draw(st.lists(st.floats(0.001, 20), min_size=1, max_size=6))
    delays = draw(st.lists(st.floats(0, 15), min_size=len(gaps), max_size=len(gaps)))
    revisions, heard, since = [], [], 0.0
    for number, (gap, delay) in enumerate(zip(gaps, delays, strict=True), 1):
        since += gap
        revisions.append(revision(number=number, since=round(since, 6), cron=draw(CRONS), status=draw(STATUSES)))
        heard.append(max(since + delay, heard[-1] if heard else 0.0))
    return revisions, heard


@given(histories())
def test_every_owed_instant_is_emitted_whenever_the_leader_hears_of_the_changes(
    history: tuple[list[Revision], list[float]],
):
    revisions, heard = history
    end = heard[-1] + 10
    heap = Heap(NOON)
    emitted: list[datetime] = []
    for change, second in zip(revisions, heard, strict=True):
        emitted += [instant for _, instant in emit_until(heap, at(second))]
        heap.advance(min(at(second), (heap.head() or at(second + 1)) - TICK))
        emitted += owed_in(apply(heap, change))

    emitted += [instant for _, instant in emit_until(heap, at(end))]

    owed = owed_by(revisions, at(end))
    also_allowed = {  # until the leader hears of a change, the old schedule counts as well
        instant
        for old, new, second in zip(revisions, revisions[1:], heard[1:], strict=False)
        for instant in instants_of(old, new.effective_from, at(second))
    }
    assert owed <= set(emitted)
    assert set(emitted) <= owed | also_allowed


def owed_by(revisions: list[Revision], end: datetime) -> set[datetime]:
    """Straight from the definition: the instants of each revision while it was in force."""
    ends = [following.effective_from - TICK for following in revisions[1:]] + [end]
    return {
        instant
        for in_force, until in zip(revisions, ends, strict=True)
        for instant in instants_of(in_force, in_force.effective_from, until)
    }


def instants_of(owner: Revision, start: datetime, end: datetime) -> set[datetime]:
    if not owner.is_active:
        return set()
    return set(takewhile(lambda instant: instant <= end, owner.when.instants(start)))
