"""What a grant entails, between parts that note what they are asked for."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tocsin_common.messages import Job
from tocsin_dispatcher.sender.backoff import Next
from tocsin_dispatcher.sender.claim import Grant
from tocsin_dispatcher.sender.delivery import Deliveries
from tocsin_dispatcher.sender.limits import Told
from tocsin_dispatcher.sender.outcome import Verdict
from tocsin_dispatcher.sender.post import Attempt, NotPosted
from tocsin_dispatcher.sender.record import Recorded
from tocsin_dispatcher.sender.slots import Slots
from tocsin_dispatcher.sender.starts import Starts

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
JOB = Job(UUID(int=1), NOON, "discord.com/1")
GRANT = Grant(JOB, 1, 0, 3, b"", b"", "{}", 0.0, 0)
OK = Attempt(NOON, 0.1, Verdict("succeeded", "HTTP 200", 200), Told())
BROKEN = Attempt(NOON, 0.1, Verdict("retryable", "HTTP 500", 500), Told())
DONE = Recorded(Next("succeeded", 0, 0.0, "SUCCESS", None), counts=True, failures_in_row=0)
AGAIN = Recorded(Next("waiting", 1, 4.0, "RETRYING", None), counts=True, failures_in_row=0)


class Stage:
    """The parts around the deliveries; `asked` is what they were asked for, in order."""

    def __init__(self, attempt: Attempt | NotPosted, recorded: Recorded | Exception = DONE) -> None:
        self.asked: list[Any] = []
        self.starts = Starts(Slots(50))
        self._attempt = attempt
        self._recorded = recorded
        part: Any = self
        self.deliveries = Deliveries(part, part, self.starts, part, part, part, part, auto_disable_after=10)

    def refusals(self, _destination: str) -> int:
        return 0

    async def post(self, _grant: Grant, *, limited_in_row: int) -> Attempt | NotPosted:
        self.asked.append("post")
        return self._attempt

    def record(self, _grant: Grant, _attempt: Attempt) -> asyncio.Future[Recorded]:
        self.asked.append("record")
        future = asyncio.get_running_loop().create_future()
        if isinstance(self._recorded, Exception):
            future.set_exception(self._recorded)
        else:
            future.set_result(self._recorded)
        return future

    async def learn(self, _job: Job, _attempt: Attempt) -> None:
        self.asked.append("learn")

    async def leave(self, _grant: Grant) -> None:
        self.asked.append("leave")

    def finish(self, _grant: Grant) -> None:
        self.asked.append("finish")

    async def give_back(self, _grant: Grant, wait_s: float) -> None:
        self.asked.append(("give back", wait_s))

    async def hold(self, waiting: list[tuple[Job, float]]) -> None:
        self.asked.append(("hold", *(wait_s for _, wait_s in waiting)))


async def test_the_outcome_is_on_its_way_before_anything_is_learned_of_the_answer():
    stage = Stage(OK)

    await stage.deliveries.deliver(GRANT)

    assert stage.asked == ["post", "record", "learn", "leave", "finish"]


async def test_what_is_to_be_tried_again_is_held_when_its_slot_is_free():
    stage = Stage(BROKEN, AGAIN)

    await stage.deliveries.deliver(GRANT)

    assert stage.asked[-2:] == ["finish", ("hold", 4.0)]


@pytest.mark.parametrize("wait_s", [0.0, 1.0])
async def test_what_was_not_posted_is_given_back_and_comes_again(wait_s: float):
    stage = Stage(NotPosted("too late for its claim", wait_s))

    await stage.deliveries.deliver(GRANT)

    assert stage.asked == ["post", "leave", ("give back", wait_s), ("hold", wait_s), "finish"]


async def test_what_is_turned_back_leaves_nothing_behind():
    stage = Stage(OK)

    await stage.deliveries.turn_back(GRANT)

    assert stage.asked == ["leave", ("give back", 0.0), ("hold", 0.0), "finish"]


async def test_an_outcome_that_is_refused_frees_the_slot_and_has_no_consequence():
    stage = Stage(BROKEN, asyncpg.CheckViolationError())

    await stage.deliveries.deliver(GRANT)

    assert stage.asked == ["post", "record", "learn", "leave", "finish"]


async def test_an_answer_is_attended_to_when_all_have_begun():
    stage = Stage(OK)
    stage.starts.put([GRANT])

    delivering = asyncio.create_task(stage.deliveries.deliver(GRANT))
    for _ in range(5):
        await asyncio.sleep(0)
    before = list(stage.asked)
    assert await stage.starts.take() == [GRANT]
    emptied = asyncio.create_task(stage.starts.take())
    await delivering

    assert before == ["post"]
    assert stage.asked[1] == "record"
    emptied.cancel()
