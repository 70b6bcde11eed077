"""SHELL. One run of the demo: creates tasks over REST, shows what arrives, waits for what is owed, judges."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from tocsin_local import rest, screen, summary
from tocsin_local.oracle import Ledger, Owed, UsedUp, WatchedTask, fates, held_back, logged, owed, used_up
from tocsin_local.plan import DISCORD_NAME, DISCORD_SCHEDULE, MAX_RETRY, PLANS
from tocsin_local.post import Post
from tocsin_local.receiver import Receiver
from tocsin_local.report import Row
from tocsin_local.rest import Api
from tocsin_local.watch import Death, Watched, watch

DRAIN_S = 60.0
"""What was owed gets this long to be delivered: the claims of a killed sender come back after 30 s."""
LOG_POLL_S = 0.5
RECENT_POSTS = 1000  # more than arrive while a limit holds one back


class Terms(NamedTuple):
    """What a run needs to know."""

    seconds: float
    """Length of the window."""
    api_url: str
    api_key: str
    discord_url: str
    """Empty, or a real webhook to post to as well. A secret."""
    colour: bool


async def run(terms: Terms, parts: Sequence[Watched]) -> list[Row]:
    """The figures of one run, while which `parts` are kept running. StackError where they cannot be."""
    arrivals: asyncio.Queue[Post] = asyncio.Queue()
    async with (
        Receiver(on_answer=arrivals.put_nowait) as receiver,
        rest.connect(terms.api_url, terms.api_key) as api,
    ):
        trial = Trial(terms, api, receiver)
        try:
            async with asyncio.TaskGroup() as group:
                background = [
                    group.create_task(watch(parts, trial.bury)),
                    group.create_task(trial.show(arrivals)),
                ]
                rows = await trial.rows()
                for task in background:
                    task.cancel()
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        return rows


class Trial:
    """The parts of a run, and what it found so far."""

    def __init__(self, terms: Terms, api: Api, receiver: Receiver) -> None:
        self._terms = terms
        self._api = api
        self._receiver = receiver
        self._deaths: list[Death] = []
        self._local: list[WatchedTask] = []  # they post to the receiver
        self._discord: list[WatchedTask] = []  # only the API's log tells of its deliveries
        self._ledger: asyncio.Future[Ledger] = asyncio.get_running_loop().create_future()

    def bury(self, death: Death) -> None:
        """Count a process that died, and say so."""
        self._deaths.append(death)
        self._say(screen.death(death.name, death.cause, death.pid), screen.BOLD)

    async def show(self, arrivals: asyncio.Queue[Post]) -> None:
        """Print each POST that was answered, from when the tasks are known, until cancelled."""
        ledger = await self._ledger
        self._say(screen.heading(), screen.BOLD)
        while True:
            post = await arrivals.get()
            found = ledger.find(post)
            waited = found is not None and post.attempt == 1 and held_back(found, post, self._limits())
            self._say(screen.delivery(found, post, held_back=waited, colour=self._terms.colour))

    async def rows(self) -> list[Row]:
        """Create the tasks, let the window pass, wait for what is owed in it, and judge."""
        await self._create_tasks()
        ledger = Ledger(self._local)
        self._ledger.set_result(ledger)
        ends_at = datetime.now(UTC) + timedelta(seconds=self._terms.seconds)
        await asyncio.sleep(self._terms.seconds)
        window, discord = owed(self._local, until=ends_at), owed(self._discord, until=ends_at)
        arrived = len(window.keys() & self._delivered())
        self._say(screen.window_over(arrived, len(window), DRAIN_S), screen.BOLD)
        await self._drain(window, discord)
        return await self._judge(ledger, window, discord)

    async def _judge(self, ledger: Ledger, window: dict[UUID, Owed], discord: dict[UUID, Owed]) -> list[Row]:
        in_log = await self._in_log(window | discord)
        found = fates(window, self._receiver.posts)
        for line in summary.broken(found):
            self._say(line, screen.RED)
        return [
            *summary.rows(found, unexpected=sum(ledger.find(post) is None for post in self._receiver.posts)),
            *summary.log_rows(window, discord if self._discord else None, in_log),
            summary.restarted(len(self._deaths)),
        ]

    async def _create_tasks(self) -> None:
        for plan in PLANS:
            url = self._receiver.add(plan.script).url
            self._local += [await self._create(name, plan.schedule, url) for name in plan.names]
        if self._terms.discord_url:
            self._discord = [await self._create(DISCORD_NAME, DISCORD_SCHEDULE, self._terms.discord_url)]

    async def _create(self, name: str, schedule: str, url: str) -> WatchedTask:
        task_id, effective_from = await self._api.create_task(
            name=name,
            schedule=schedule,
            webhook_url=url,
            payload={"content": f"Tocsin's demo, task {name}, {schedule}"},
            max_retry=MAX_RETRY,
        )
        return WatchedTask(task_id, name, schedule, effective_from)

    async def _drain(self, window: dict[UUID, Owed], discord: dict[UUID, Owed]) -> None:
        """Wait until all that is owed was delivered, and is in the log: then nothing is posted once more."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await self._receiver.wait_until(lambda: window.keys() <= self._delivered(), DRAIN_S)
                await self._wait_for_log(window | discord)

    async def _wait_for_log(self, executions: dict[UUID, Owed]) -> None:
        while True:
            if await self._in_log(executions) == executions.keys():
                return
            await asyncio.sleep(LOG_POLL_S)

    async def _in_log(self, executions: dict[UUID, Owed]) -> set[UUID]:
        """Those of `executions` with a success in the API's log."""
        log_ids: set[UUID] = set()
        for task in self._local + self._discord:
            log_ids |= await self._api.succeeded_log_ids(task.task_id)
        return logged(executions, log_ids)

    def _delivered(self) -> set[UUID | None]:
        return {post.execution_id for post in self._receiver.posts if post.succeeded}

    def _limits(self) -> UsedUp:
        return used_up(self._receiver.posts[-RECENT_POSTS:])

    def _say(self, text: str, tone: str = "") -> None:
        print(screen.paint(text, tone, colour=self._terms.colour), flush=True)
