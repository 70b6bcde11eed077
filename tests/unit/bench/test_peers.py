from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.arrivals import Arrival
from bench.figures import row
from bench.peers import compared, race, runs, work
from bench.peers.confirms import Confirms
from bench.peers.known import PEERS
from bench.peers.peer import Setup
from bench.peers.runs import Runner
from bench.peers.tocsin import SETTINGS, Tocsin
from bench.peers.work import Speed, Survived
from tocsin_local.errors import StackError

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
IDS = [UUID(int=n) for n in range(1, 101)]
A_SECOND = timedelta(seconds=1)


def arrival(execution: UUID, seconds: float) -> Arrival:
    return Arrival(NOON + seconds * A_SECOND, "127.1.0.1", execution)


def test_a_body_has_600_bytes() -> None:
    assert len(work.BODY.encode()) == 600


def test_at_once_goes_to_all_receivers_in_turn() -> None:
    assert work.at_once(["a", "b"], 3) == [("a", timedelta()), ("b", timedelta()), ("a", timedelta())]


def test_steadily_has_as_many_in_each_second() -> None:
    offsets = work.steadily(["a", "b", "c"], 2, 3)

    assert [offset / A_SECOND for _, offset in offsets] == [0, 0, 1, 1, 2, 2]
    assert [url for url, _ in offsets] == ["a", "b", "c", "a", "b", "c"]


def test_the_rate_is_from_the_first_instant_to_the_last_arrival() -> None:
    owed = dict.fromkeys(IDS, NOON)
    arrived = [arrival(each, n / 50) for n, each in enumerate(IDS, 1)]

    assert work.speed(arrived, owed) == Speed(rate=50, p50_ms=1000, p99_ms=1980, max_ms=2000)


@pytest.mark.parametrize("arrived", [IDS[:1], [IDS[0], IDS[1], IDS[1]]])
def test_there_is_no_speed_where_something_is_lost_or_doubled(arrived: list[UUID]) -> None:
    with pytest.raises(StackError):
        work.speed([arrival(each, 1) for each in arrived], dict.fromkeys(IDS[:2], NOON))


def test_of_a_kill_the_lost_the_doubled_and_the_last_first_post_count() -> None:
    arrived = [
        arrival(IDS[0], -1),
        arrival(IDS[1], -1),
        arrival(IDS[1], 9),
        arrival(IDS[2], 4),
        arrival(IDS[2], 5),
    ]

    assert work.survived(arrived, IDS[:5], NOON) == Survived(lost=2, doubled=2, last_after_s=4, share=0.4)


def test_where_nothing_comes_after_the_kill_the_last_was_there_at_once() -> None:
    arrived = [arrival(IDS[0], -1)]

    assert work.survived(arrived, IDS[:2], NOON) == Survived(lost=1, doubled=0, last_after_s=0, share=0.5)


def test_each_peer_is_compared_with_tocsin() -> None:
    measured = [
        row("tocsin.burst_5k.rate", [4000], "jobs/s"),
        row("tocsin.burst_5k.p99", [1.2], "s"),
        row("celery.burst_5k.rate", [500], "jobs/s"),
        row("celery.burst_5k.p99", [12], "s"),
        row("quick.burst_5k.rate", [5000], "jobs/s"),
        row("quick.burst_5k.p99", [0.6], "s"),
        row("limit_sink", [9], "POSTs/s"),
    ]

    found = {each.name: (each.value, each.ok) for each in compared.rows(measured)}

    assert found == {
        "celery.tocsin_by.rate": (8, True),
        "celery.tocsin_by.p99": (0.1, True),
        "quick.tocsin_by.rate": (0.8, False),
        "quick.tocsin_by.p99": (2, False),
    }


def test_without_tocsin_nothing_is_compared() -> None:
    assert list(compared.rows([row("celery.burst_5k.rate", [500], "jobs/s")])) == []


@pytest.mark.parametrize(
    ("entered", "keep", "is_refused"),
    [
        ([], True, False),
        (["tocsin", "celery", "taskiq"], True, False),
        (["tocsin", "celery"], False, False),
        (["tocsin", "celery"], True, True),
        (["celery"], False, True),
        (["celery"], True, True),
    ],
)
def test_a_race_is_one_with_tocsin_and_is_kept_with_all_contenders(
    entered: list[str], keep: bool, is_refused: bool
) -> None:
    with pytest.raises(StackError) if is_refused else nullcontext():
        compared.refuse(entered, ["tocsin", "celery", "taskiq"], keep=keep)


@pytest.mark.parametrize(("by", "order"), [(0, "abc"), (1, "bca"), (2, "cab"), (3, "abc")])
def test_each_round_begins_with_another_contender(by: int, order: str) -> None:
    assert "".join(race.turned("abc", by)) == order


def test_giving_takes_as_long_as_the_last_time_and_more_of_it_longer() -> None:
    assert runs.takes_s(2000, {}) == 3
    assert runs.takes_s(2000, {5000: 10, 2000: 3}) == 3
    assert runs.takes_s(20_000, {5000: 10, 2000: 3}) == 40


class Racer:
    """A contender that says when it runs, and whose turn may fail."""

    def __init__(self, name: str, log: list[str], *, fails: bool = False) -> None:
        self.contender = SimpleNamespace(name=name)
        self.log = log
        self.fails = fails

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.log.append(f"{self.contender.name} starts")
        yield
        self.log.append(f"{self.contender.name} stops")


async def turn(racer: Racer) -> str:
    if racer.fails:
        raise StackError("it has lost something")
    return racer.contender.name


async def test_one_contender_at_a_time_runs_and_who_fails_has_no_figures() -> None:
    log: list[str] = []
    racers = [Racer("tocsin", log), Racer("lossy", log, fails=True), Racer("celery", log)]

    found = await race.rounds(cast(list[Runner], racers), cast(list[race.Turn[str]], [turn, turn]))

    assert found == {"tocsin": ["tocsin"] * 2, "celery": ["celery"] * 2}
    runs = [line for line in log if "lossy" not in line]
    expected = ["tocsin", "celery", "celery", "tocsin"]
    assert runs == [f"{name} {does}" for name in expected for does in ("starts", "stops")]
    assert log.count("lossy starts") == 1


async def test_without_tocsin_there_is_no_race() -> None:
    with pytest.raises(StackError):
        await race.rounds(
            cast(list[Runner], [Racer("tocsin", [], fails=True)]), cast(list[race.Turn[str]], [turn])
        )


@pytest.mark.parametrize("setup", PEERS, ids=lambda setup: setup.name)
def test_each_contender_is_described_alike_and_may_have_200_posts_in_flight(setup: Setup) -> None:
    assert setup.described.keys() == Tocsin.described.keys()
    assert all(setup.described.values())
    processes = 2 if setup.name not in {"apscheduler", "apscheduler_postgresql"} else 1
    assert processes * setup.in_flight == 200 == 2 * int(SETTINGS["POST_SLOTS"])


@given(st.lists(st.tuples(st.integers(1, 50), st.booleans())))
def test_a_message_is_confirmed_once_however_often_the_broker_says_so(answers: list[tuple[int, bool]]) -> None:
    confirms, known = Confirms(), set[int]()

    for number, multiple in answers:
        confirms.add(number, multiple=multiple)
        known |= set(range(1, number + 1)) if multiple else {number}

    assert confirms.count == len(known)
