"""SHELL. A webhook with a limit that two senders use up, and a second webhook that should not feel it.

Both are the local receiver's, which speaks as Discord's do: its limit is told in headers and enforced with 429.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import ceil

from bench import arrivals, schedules
from bench.arrivals import Arrival
from bench.figures import at_least, at_most, row
from bench.owing import Bell, Task
from bench.schedules import When
from bench.sink_stage import SECOND_SENDER, SENDER, SinkStage
from bench.stage import SCHEDULER
from tocsin_common.messages import Job
from tocsin_local.errors import StackError
from tocsin_local.limit import Limit
from tocsin_local.receiver import Receiver
from tocsin_local.report import Row
from tocsin_local.script import LocalWebhook, Script
from tocsin_local.summary import percentile

EXECUTIONS = 300
LIMIT = Limit(5, 2.0)
EACH_SECOND = When("* * * * * *")
WARM_UP_S = 5.0
LAST = timedelta(seconds=1)  # what is owed last has no row yet when the scheduler is stopped
TIMEOUT_S = 600.0
LIMITED = 429


async def measure(stage: SinkStage) -> list[Row]:
    """The second webhook alone for as long as the limited one needs at best, then both."""
    async with Receiver() as receiver:
        limited, second = receiver.add(Script(limit=LIMIT)), receiver.add()
        each_second, *tasks = await _start(stage, limited, second)
        alone = await _leave_alone()
        await _use_up(stage, receiver, limited, tasks)
    accepted = sorted(post.arrived_at for post in limited.posts if post.succeeded)
    meanwhile = accepted[0], accepted[-1] - LAST
    p99s = [percentile(_lateness_ms(second, each_second, *window), 99) for window in (alone, meanwhile)]
    refused = sum(post.status == LIMITED for post in limited.posts)
    return [
        row("limited_share_of_rate", [share_of_rate(accepted, LIMIT)], "%", at_least(95)),
        row("limited_answers_429", [100 * refused / len(limited.posts)], "%", at_most(1)),
        row("second_webhook_p99_alone", p99s[:1], "ms"),
        row("second_webhook_p99_meanwhile", p99s[1:], "ms"),
        row("second_webhook_slowed", [p99s[1] / p99s[0]], "x", at_most(1.5)),
    ]


def share_of_rate(accepted: Sequence[datetime], limit: Limit) -> float:
    """How much of what the limit allows was used, in percent; `accepted` in order.

    In the shortest time that it allows, each window is full and begins when the one before ends: from the first
    POST to the last one it is the length of all windows but one.
    """
    shortest_s = (ceil(len(accepted) / limit.requests) - 1) * limit.window_s
    return 100 * shortest_s / (accepted[-1] - accepted[0]).total_seconds()


async def _start(stage: SinkStage, limited: LocalWebhook, second: LocalWebhook) -> list[Task]:
    """Returns the task of the second webhook, then those of the limited one."""
    silent = [bell._replace(url=limited.url) for bell in stage.silent_bells(EXECUTIONS)]
    tasks = await stage.add([Bell(second.url, EACH_SECOND), *silent])
    await stage.settle()
    stage.services.start([SENDER, SECOND_SENDER])
    await stage.lead(SCHEDULER)
    return tasks


async def _leave_alone() -> tuple[datetime, datetime]:
    """From when to when there was nothing but the second webhook."""
    await asyncio.sleep(WARM_UP_S)
    begin = datetime.now(UTC)
    await asyncio.sleep(EXECUTIONS / LIMIT.requests * LIMIT.window_s)
    return begin, datetime.now(UTC)


async def _use_up(stage: SinkStage, receiver: Receiver, limited: LocalWebhook, tasks: Sequence[Task]) -> None:
    jobs = await stage.owe(tasks)
    await stage.announce(jobs)
    await receiver.wait_until(lambda: sum(post.succeeded for post in limited.posts) >= EXECUTIONS, TIMEOUT_S)
    stage.services.stop([SCHEDULER])
    await stage.settled()
    done = [post.execution_id for post in limited.posts if post.succeeded]
    if len(done) != EXECUTIONS or len(set(done)) != EXECUTIONS:
        raise StackError(f"Of {EXECUTIONS} executions {len(set(done))} were accepted in {len(done)} POSTs.")


def _lateness_ms(second: LocalWebhook, task: Task, begin: datetime, end: datetime) -> list[float]:
    """Of what `task` owes from `begin` to `end`: one execution at each whole second."""
    instants = schedules.seconds_between(begin, end)
    owed = arrivals.instants(Job(task.id, instant, task.destination) for instant in instants)
    arrived = [
        Arrival(post.arrived_at, task.destination, post.execution_id)
        for post in second.posts
        if post.execution_id in owed
    ]
    arrivals.check(arrived, owed)
    return arrivals.lateness_ms(arrived, owed)
