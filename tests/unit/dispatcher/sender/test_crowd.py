"""POSTs in flight at each destination, and who waits for one to end."""

from collections import Counter, deque
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tocsin_common.messages import Job
from tocsin_dispatcher.sender.crowd import Crowd

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HERE, THERE = "discord.com/1", "discord.com/2"


class Stage:
    """A crowd, and the inbox that it brings jobs back to."""

    def __init__(self, *, most_each: int = 2, most_waiting: int = 100) -> None:
        self.inbox: deque[Job] = deque()
        self.crowd = Crowd(most_each=most_each, most_waiting=most_waiting, bring_back=self.inbox.append)
        self.in_flight: list[Job] = []
        self._number = 0

    def new(self, count: int, destination: str = HERE) -> list[Job]:
        self._number += count
        return [
            Job(UUID(int=n), NOON + timedelta(seconds=n), destination)
            for n in range(self._number - count, self._number)
        ]

    def round(self, jobs: list[Job], *, granted: int = 1000) -> tuple[list[Job], list[Job], list[Job]]:
        """As the gate does: of those that there is room for, `granted` begin."""
        begin, wait_here, too_many = self.crowd.split(jobs)
        self.in_flight += begin[:granted]
        for job in begin[granted:]:
            self.crowd.leave(job.destination)
        self.crowd.hold(wait_here)
        return begin, wait_here, too_many

    def end(self, number: int = 0) -> None:
        """A POST ends."""
        self.crowd.leave(self.in_flight.pop(number).destination)

    def take(self) -> list[Job]:
        jobs = list(self.inbox)
        self.inbox.clear()
        return jobs


def test_as_many_as_allowed_begin_and_the_others_wait_until_a_post_ends():
    stage = Stage()
    jobs = stage.new(4)
    assert stage.round(jobs) == (jobs[:2], jobs[2:], [])
    assert stage.take() == []

    stage.end()

    assert stage.take() == [jobs[2]]


def test_each_destination_has_room_of_its_own():
    stage = Stage()
    stage.round(stage.new(3))
    others = stage.new(2, THERE)

    assert stage.round(others) == (others, [], [])


def test_who_comes_later_does_not_overtake_who_waits():
    stage = Stage()
    first = stage.new(3)
    stage.round(first)
    stage.end()
    later = stage.new(1)

    assert stage.round(later) == ([], later, [])
    assert stage.round(stage.take()) == ([first[2]], [], [])


def test_where_who_was_brought_back_is_not_granted_the_next_one_comes():
    stage = Stage(most_each=1)
    jobs = stage.new(3)
    stage.round(jobs)
    stage.end()
    assert stage.round(stage.take(), granted=0) == ([jobs[1]], [], [])

    assert stage.take() == [jobs[2]]


def test_no_more_wait_here_than_may():
    stage = Stage(most_each=1, most_waiting=2)
    jobs = stage.new(5)

    assert stage.round(jobs) == (jobs[:1], jobs[1:3], jobs[3:])
    assert stage.crowd.take_all() == jobs[1:3]
    assert stage.crowd.take_all() == []


def test_who_finds_room_when_it_comes_to_wait_is_brought_back_at_once():
    stage = Stage(most_each=1)
    first, second = stage.new(2)
    [begun], [held], _ = stage.crowd.split([first, second])
    stage.crowd.leave(begun.destination)

    stage.crowd.hold([held])

    assert stage.take() == [second]


def test_one_that_waits_already_is_not_there_twice():
    stage = Stage(most_each=1)
    jobs = stage.new(2)
    stage.round(jobs)

    assert stage.round(jobs[1:]) == ([], [], [])
    stage.end()
    assert stage.take() == [jobs[1]]


def test_those_that_wait_already_count_among_those_that_may():
    stage = Stage(most_each=1, most_waiting=2)
    stage.round(stage.new(2))

    later = stage.new(2)

    assert stage.round(later) == ([], later[:1], later[1:])


def test_who_was_brought_back_and_goes_elsewhere_by_now_leaves_its_room_to_the_next_one():
    stage = Stage(most_each=1)
    jobs = stage.new(3)
    stage.round(jobs)
    stage.end()
    [back] = stage.take()
    moved = Job(back.task_id, back.scheduled_for, THERE)

    assert stage.round([moved]) == ([moved], [], [])
    assert stage.take() == [jobs[2]]
    assert stage.round([back]) == ([], [back], [])


def test_who_was_brought_back_has_its_room_once():
    stage = Stage(most_each=1)
    jobs = stage.new(2)
    stage.round(jobs)
    stage.end()
    stage.round(stage.take())

    assert stage.round([jobs[1]]) == ([], [jobs[1]], [])


def test_those_that_wait_for_a_destination_can_be_taken_out():
    stage = Stage(most_each=1)
    here, there = stage.new(4), stage.new(3, THERE)
    stage.round([*here, *there])

    assert stage.crowd.take_out([HERE], 2) == here[1:3]
    assert stage.crowd.take_out([HERE], 5) == here[3:]
    assert stage.crowd.take_all() == there[1:]


@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from([HERE, THERE]), st.integers(0, 3)), max_size=30))
def test_never_too_many_are_in_flight_and_all_begin_in_the_end(steps: list[tuple[int, str, int]]):
    stage = Stage()
    begun: list[Job] = []
    arrived: list[Job] = []
    for count, destination, ending in steps:
        jobs = stage.new(count, destination)
        arrived += jobs
        begun += stage.round([*stage.take(), *jobs])[0]
        assert max(Counter(job.destination for job in stage.in_flight).values(), default=0) <= 2
        for _ in range(min(ending, len(stage.in_flight))):
            stage.end()
    while stage.in_flight or stage.inbox:
        begun += stage.round(stage.take())[0]
        if stage.in_flight:
            stage.end()

    assert sorted(begun, key=str) == sorted(arrived, key=str)
    assert stage.crowd.take_all() == []
