"""SHELL. A peer as a contender: its workers as processes, and a program that gives them their work."""

import asyncio
import os
import signal
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from bench.peers import installed, servers
from bench.peers.work import BODY, IN_FLIGHT, Post
from bench.sink_stage import SinkStage
from tocsin_local import process, redis
from tocsin_local.errors import StackError
from tocsin_local.instance import remove
from tocsin_local.redis import Redis

PLAN = "plan.jsonl"
READY, PLANNED = "ready", "planned"  # what their programs print
READY_TIMEOUT_S, GIVE_TIMEOUT_S = 60.0, 600.0
SETTLE_S = 1.0  # what has arrived is acknowledged by then
POLL_S = 0.05


class Setup(NamedTuple):
    """What a peer consists of."""

    name: str
    described: Mapping[str, str]
    """In the columns of the table of contenders."""
    workers: Sequence[Sequence[str]]
    """The command of each process."""
    ready: int
    """How many say that they are ready, in each process's log."""
    give: Sequence[str] = ()
    """The command that gives the plan; without one SIGUSR1 tells the first worker to read it."""
    left: Sequence[str] = ()
    """The command that prints how much is not done, where the work is in a Redis."""
    jobs_table: str = ""
    """The table of what is not done, where the work is in PostgreSQL."""
    server: str = ""
    """`rabbitmq`, `redis`, `postgres`: where it keeps its work; nowhere but in memory without one."""
    redis_contents: str = redis.WORK
    """What its Redis does with it."""
    in_flight: int = IN_FLIGHT
    """POSTs at the same time in each process."""


class Peer:
    """One of them, on servers of the stage or on a Redis of its own."""

    def __init__(self, setup: Setup, stage: SinkStage) -> None:
        """Nothing happens yet."""
        self.name, self.described = setup.name, setup.described
        self._setup = setup
        self._stage = stage
        self._instance = stage.stack.instance
        self._plan = self._instance.folder / self.name / PLAN
        self._redis_folder = self._instance.folder / Redis.name
        self._redis = Redis(self._instance, setup.redis_contents)
        self._env: dict[str, str] = {}
        self._given = 0

    async def start(self) -> None:
        """Its place on the server, empty, and its workers."""
        home = self._plan.parent
        home.mkdir(exist_ok=True, mode=0o700)
        self._env = {
            "PATH": f"{installed.python()}:{os.environ['PATH']}",
            "HOME": str(home),
            "NODE_PATH": str(installed.node_modules()),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "PLAN": str(self._plan),
            "BODY": BODY,
            "IN_FLIGHT": str(self._setup.in_flight),
            **await self._place(),
        }
        self.restart()
        await self.ready()

    async def give(self, posts: Sequence[Post]) -> Mapping[UUID, datetime]:
        """Write the plan, and have it read."""
        ids = [UUID(int=self._given + n) for n in range(1, len(posts) + 1)]
        self._given += len(posts)
        self._stage.sink.forget()
        self._write_plan(ids, posts)
        await (self._run(self._setup.give) if self._setup.give else self._tell_worker())
        return {each: post.at for each, post in zip(ids, posts, strict=True)}

    async def settled(self) -> None:
        """Peers do not tell."""
        await asyncio.sleep(SETTLE_S)

    async def left(self) -> int:
        """What its server has; nothing but in the memory of its process, where it has none."""
        match self._setup.server:
            case "rabbitmq":
                return await servers.messages(self._stage.stack.urls, self.name)
            case "postgres":
                return await servers.rows(self._env["DATABASE_URL"], self._setup.jobs_table)
            case "redis":
                return int(await self._run(self._setup.left))
        return 0

    def kill(self) -> None:
        """The workers, with their children."""
        for name in self._names():
            if pid := process.pid(self._instance.record(name)):
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
        for name in self._names():
            process.kill(self._instance.record(name))

    def restart(self) -> None:
        """The workers."""
        for name, command in zip(self._names(), self._setup.workers, strict=True):
            record, log = self._instance.record(name), self._instance.log(name)
            process.spawn(record, command, self._env, installed.PROGRAMS, log)

    async def ready(self) -> None:
        """Each has said so."""
        for name in self._names():
            await self._said(name, READY, self._setup.ready, READY_TIMEOUT_S)

    def pids(self) -> Collection[int]:
        """The workers; StackError where one has ended."""
        found = {name: process.pid(self._instance.record(name)) for name in self._names()}
        if dead := [name for name, pid in found.items() if pid is None]:
            raise StackError(f"{dead[0]} has ended:\n{process.tail(self._instance.log(dead[0]))}")
        return [pid for pid in found.values() if pid is not None]

    def server_pids(self) -> Collection[int]:
        """The one that it keeps its work in."""
        known = self._stage.stack.pids()
        return [known[self._setup.server]] if self._setup.server else []

    async def stop(self) -> None:
        """The workers, and what they had on the server."""
        process.stop_all([self._instance.record(name) for name in self._names()])
        match self._setup.server:
            case "rabbitmq":
                await servers.remove_virtual_host(self._stage.stack.urls, self.name)
            case "postgres":
                await servers.remove_database(self._stage, self.name)
            case "redis":
                self._redis.stop()

    async def _place(self) -> dict[str, str]:
        match self._setup.server:
            case "rabbitmq":
                return {"BROKER_URL": await servers.make_virtual_host(self._stage.stack.urls, self.name)}
            case "postgres":
                return {"DATABASE_URL": await servers.make_database(self._stage, self.name)}
            case "redis":
                remove(self._redis_folder)
                self._redis.start()
                return {"REDIS_URL": self._redis.url}
        return {}

    def _names(self) -> list[str]:
        return [f"{self.name}-{n}" for n in range(1, len(self._setup.workers) + 1)]

    def _write_plan(self, ids: Sequence[UUID], posts: Sequence[Post]) -> None:
        plan = [
            {"id": str(each), "url": post.url, "at": post.at.timestamp()}
            for each, post in zip(ids, posts, strict=True)
        ]
        self._plan.write_bytes(msgspec.json.Encoder().encode_lines(plan))

    async def _run(self, command: Sequence[str]) -> str:
        return await installed.run(command, self._env, timeout_s=GIVE_TIMEOUT_S)

    async def _tell_worker(self) -> None:
        name = self._names()[0]
        before = self._count(name, PLANNED)
        os.kill(next(iter(self.pids())), signal.SIGUSR1)
        await self._said(name, PLANNED, before + 1, GIVE_TIMEOUT_S)

    async def _said(self, name: str, word: str, times: int, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                while self._count(name, word) < times:
                    self.pids()
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            log = process.tail(self._instance.log(name))
            raise StackError(f"{name} was not {word} within {timeout_s:.0f} s:\n{log}") from None

    def _count(self, name: str, word: str) -> int:
        """How many lines of its log end with that word; Celery puts its own time before."""
        lines = self._instance.log(name).read_text(errors="replace").splitlines()
        return sum(line.endswith(word) for line in lines)
