"""What becomes of the jobs that a sender takes."""

import asyncio
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from tocsin_common.messages import Job
from tocsin_dispatcher.sender.claim import Grant
from tocsin_dispatcher.sender.gate import Passed
from tocsin_dispatcher.sender.inbox import Delivery, Inbox
from tocsin_dispatcher.sender.intake import Intake
from tocsin_dispatcher.sender.slots import Slots
from tocsin_dispatcher.sender.starts import Starts

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
Admit = Callable[[Collection[Job]], Passed]


class Stage:
    """An intake between parts that note what they are asked for."""

    def __init__(self, admit: Admit) -> None:
        self.inbox = Inbox()
        self.asked: list[list[Job]] = []
        self.delivered: list[Job] = []
        self.given_back: list[Job] = []
        self.held: list[Job] = []
        self.dead: list[Job] = []
        self._admit = admit
        part: Any = self
        self.intake = Intake(part, part, self.inbox, part, Starts(Slots(50)), part, part, part, part)

    async def run(self) -> None:
        """Until all that is in the inbox has been taken."""
        running, starting = map(asyncio.create_task, (self.intake.run(), self.intake.start_posts()))
        for _ in range(50):  # turns of the loop: nothing here waits for anything else
            await asyncio.sleep(0)
        self.inbox.close()
        await running
        await self.intake.drain(running, 5)
        starting.cancel()

    async def admit(self, jobs: Collection[Job]) -> Passed:
        self.asked.append(list(jobs))
        return self._admit(jobs)

    async def deliver(self, grant: Grant) -> None:
        self.delivered.append(grant.job)

    async def turn_back(self, grant: Grant) -> None:
        self.given_back.append(grant.job)

    async def hold(self, waiting: Iterable[tuple[Job, float]], *, came_back: bool = False) -> None:
        self.held += [job for job, _ in waiting]

    async def publish_dead(self, job: Job, _reason: str) -> None:
        self.dead.append(job)


def some_jobs(count: int, destination: str = "discord.com/1") -> list[Job]:
    return [Job(UUID(int=1), NOON + timedelta(seconds=n), destination) for n in range(count)]


def granted(jobs: Iterable[Job]) -> list[Grant]:
    return [Grant(job, 1, 0, 3, b"", b"", "{}", 0.0, 0) for job in jobs]


async def test_what_is_granted_is_delivered_and_what_waits_is_held():
    jobs = some_jobs(4)
    stage = Stage(lambda _: Passed(granted(jobs[:2]), [(jobs[2], 5.0)], [(jobs[3], 9.0)]))
    stage.inbox.put(Delivery(jobs, None))

    await stage.run()

    assert (stage.delivered, stage.held) == (jobs[:2], jobs[2:])


async def test_a_job_that_moved_comes_again_with_its_new_destination():
    [job], [moved] = some_jobs(1), some_jobs(1, "discord.com/2")
    stage = Stage(lambda jobs: Passed(moved=[moved]) if job in jobs else Passed(granted(jobs)))
    stage.inbox.put(Delivery([job], None))

    await stage.run()

    assert stage.asked == [[job], [moved]]
    assert stage.delivered == [moved]


async def test_a_job_that_the_database_refuses_takes_no_other_with_it():
    jobs = some_jobs(4)

    def admit(asked: Collection[Job]) -> Passed:
        if jobs[2] in asked:
            raise asyncpg.DataError
        return Passed(granted(asked))

    stage = Stage(admit)
    stage.inbox.put(Delivery(jobs, None))

    await stage.run()

    assert (stage.delivered, stage.dead) == ([jobs[0], jobs[1], jobs[3]], [jobs[2]])


async def test_what_is_granted_while_the_sender_stops_is_given_back():
    jobs = some_jobs(2)

    def admit(asked: Collection[Job]) -> Passed:
        stage.inbox.close()
        return Passed(granted(asked))

    stage = Stage(admit)
    stage.inbox.put(Delivery(jobs, None))

    await stage.run()

    assert (stage.delivered, stage.given_back) == ([], jobs)
