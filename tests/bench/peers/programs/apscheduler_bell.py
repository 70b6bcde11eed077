"""SHELL. APScheduler 3, which plans and posts in one process; SIGUSR1 tells it to read the plan.

Jobs are kept in memory, or with DATABASE_URL in PostgreSQL.
"""

import asyncio
import os
import signal

import asking
import bells
import uvloop
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger

clients = []  # of this process; a job that is kept in PostgreSQL cannot hold one


async def ring(bell_id: str, url: str, body: str) -> None:
    """One POST. What fails is logged and not tried again: APScheduler has no retries."""
    await asking.post(clients[0], bell_id, url, body)


def plan(scheduler: AsyncIOScheduler) -> None:
    """A job each."""
    for bell in bells.planned():
        arguments = (bell.id, bell.url, bells.BODY)
        scheduler.add_job(ring, DateTrigger(bell.instant), arguments, id=bell.id)
    print("planned", flush=True)


async def main() -> None:
    """Until the process is stopped."""
    database = os.environ.get("DATABASE_URL", "").replace("postgresql:", "postgresql+psycopg2:")
    scheduler = AsyncIOScheduler(
        jobstores={"default": SQLAlchemyJobStore(database) if database else MemoryJobStore()},
        job_defaults={"misfire_grace_time": None},  # what is late runs all the same
        timezone="UTC",
    )
    async with asking.session() as client:
        clients.append(client)
        scheduler.start()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, plan, scheduler)
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
