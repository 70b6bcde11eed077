"""SHELL. Tocsin as a contender: a scheduler, two senders, and a task for each POST, whose schedule comes then."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from bench import arrivals, schedules
from bench.owing import Bell
from bench.peers.compared import OWN
from bench.peers.work import BODY, Post
from bench.sink_stage import SECOND_SENDER, SENDER, SinkStage
from bench.stage import SCHEDULER
from tocsin_common.messages import Job

SENDERS = (SENDER, SECOND_SENDER)


class Tocsin:
    """On the stage's own PostgreSQL and RabbitMQ."""

    name = OWN
    ahead_s = 0.8

    def __init__(self, stage: SinkStage) -> None:
        """Nothing happens yet."""
        self._stage = stage

    async def start(self) -> None:
        """The senders; a scheduler is started when the tasks are there."""
        self._stage.services.start(SENDERS)

    async def give(self, posts: Sequence[Post]) -> Mapping[UUID, datetime]:
        """Tasks as the api writes them, and a scheduler that knows them."""
        self._stage.services.stop([SCHEDULER])
        bells = [Bell(post.url, *schedules.at(post.at)) for post in posts]
        tasks = await self._stage.add(bells, payload=BODY)
        await self._stage.settle()
        await self._stage.lead(SCHEDULER)
        jobs = (Job(task.id, post.at, task.destination) for task, post in zip(tasks, posts, strict=True))
        return arrivals.instants(jobs)

    async def settled(self) -> None:
        """Each execution has ended."""
        await self._stage.settled()

    def kill(self) -> None:
        """The scheduler too."""
        for name in (SCHEDULER, *SENDERS):
            self._stage.services.kill(name)

    def restart(self) -> None:
        """All of them."""
        self._stage.services.start([SCHEDULER, *SENDERS], wait=False)

    def pids(self) -> Collection[int]:
        """Scheduler and senders."""
        return [self._stage.pid(name) for name in (SCHEDULER, *SENDERS)]

    def server_pids(self) -> Collection[int]:
        """PostgreSQL and RabbitMQ."""
        servers = self._stage.stack.pids()
        return [servers["postgres"], servers["rabbitmq"]]

    async def stop(self) -> None:
        """Its processes; the servers are the stage's."""
        self._stage.services.stop()
