"""SHELL. All that a fault can hit, under load: servers, processes, lines between them; and what is seen of it."""

import asyncio
import copy
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import count
from random import Random
from typing import Any

import asyncpg
import httpx

import logins
from certificates import Authority
from e2e.crew import Crew, new_environment
from e2e.processes import free_port
from faults.matrix import patience
from faults.matrix.attempts import Span
from faults.matrix.evidence import Evidence
from faults.matrix.fault import Fault
from faults.matrix.lines import RECEIVER_HOSTS, Lines, Tls, open_lines
from faults.matrix.load import Load
from faults.matrix.notes import Notes
from faults.matrix.parts import Part, Role
from faults.own_servers import OwnServer
from tocsin_common import migrations
from tocsin_common.sealing import Sealer
from tocsin_local.post import Post
from tocsin_local.receiver import Receiver
from tocsin_local.stack import Stack

PARTS: dict[str, Role] = {
    "api-1": "api",
    "api-2": "api",
    "scheduler-1": "scheduler",
    "scheduler-2": "scheduler",
    "sender-1": "sender",
    "sender-2": "sender",
    "sender-3": "sender",
}
SETTINGS = {"ALLOW_LOCAL_WEBHOOKS": "1"}
"""Else the product's defaults: what a run takes is what it takes where nobody has tuned anything."""
EACH_ATTEMPT = frozenset({"attempt.finished"})
"""What senders log most. It is kept as text alone."""
COMMAND_TIMEOUT_S = 60

LEADER = "SELECT holder FROM scheduler_lease WHERE expires_at > clock_timestamp() AND holder IS NOT NULL"


class Scene:
    """One run's.

    A fault itself may find `problems`, each with its invariant, and has `remarks`. It says when it is over, and
    shows that it struck.
    """

    def __init__(
        self,
        stack: Stack,
        lines: Lines,
        receiver: Receiver,
        database: asyncpg.Pool,
        authority: Authority,
        fault: Fault,
        seed: int,
    ) -> None:
        self.lines = lines
        self.receiver = receiver
        self.database = database
        """Straight to the server. Where it may be away, use `ask`."""
        self.chance = Random(seed)  # noqa: S311 - no secret
        self.burst = fault.burst
        self.postgres = OwnServer(stack, "postgres")
        self.rabbitmq = OwnServer(stack, "rabbitmq")
        self.load = Load(receiver, lines.receiver_url)
        self.notes = Notes(database)
        self.evidence = Evidence(stack)
        self.problems: list[str] = []
        self.remarks: list[str] = []
        self.misses: list[str] = []
        """What a fault was to strike and did not: such a run shows nothing."""
        self.over_at: datetime | None = None
        """When the fault that is done now was over: None until then."""
        self.recoveries_s: list[float] = []
        """Of a fault's repetitions, and of the failovers that it leads to, each in seconds."""
        self.silences: list[Span] = []
        """When the line to the receivers stood still."""
        self._blind: dict[int, list[Span]] = defaultdict(list)
        self.at_end: list[Callable[[], Awaitable[None]]] = []
        """What a fault itself looks at when all has ended; it may find problems then."""
        self.numbers = count()
        """Of the tasks that users create."""
        self.turns = count()
        """Of the users, who come to one API after the other."""
        self.parts: dict[str, Part] = {}
        self.environment: dict[str, str] = {}
        self.folder = stack.instance.folder
        """For files of the run; it goes with the stack's next start."""
        self.authority = authority
        """Whom the senders trust."""
        self.urls = stack.urls
        self._stack = stack

    async def prepare(self, fault: Fault) -> None:
        """Roles, tables and tasks; nothing is started."""
        urls = self._stack.urls
        trust = {"SSL_CERT_FILE": str(self.authority.file)} if fault.tls else {}
        settings = {**SETTINGS, **trust, **fault.settings}
        self.environment = new_environment(urls.database_url, urls.rabbitmq_url, settings)
        self.crew = Crew(self.environment, urls, uninteresting=EACH_ATTEMPT)
        await logins.make_roles(urls)
        await migrations.upgrade_async(urls.database_url)
        manage = partial(logins.manage, urls)
        await asyncio.to_thread(logins.make_users, urls, manage)
        await asyncio.to_thread(logins.let_in, "/", manage)
        await self.notes.install()
        await self.load.write(self.database, Sealer.from_setting(self.environment["SEALING_KEYS"]), fault)

    async def start(self) -> None:
        """Start all parts; returns once they do their work and one leads."""
        self._watching = asyncio.create_task(self.evidence.watch.go_on(self.database))
        for name, role in PARTS.items():
            changes = {
                "DATABASE_URL": self.lines.url(name, "database"),
                "RABBITMQ_URL": self.lines.url(name, "broker"),
            }
            if role == "api":
                port = free_port()
                changes["PORT"] = str(port)
                self.evidence.add_api(f"http://127.0.0.1:{port}", self.environment["API_KEY"])
            metrics_port = self.evidence.add_process(name)
            self.parts[name] = Part(self.crew, role, name, changes, metrics_port, self.problems.append)
            await self.parts[name].start()
        await asyncio.gather(*(part.ready() for part in self.parts.values()))
        await self.leader()

    def of_role(self, role: Role) -> list[Part]:
        """All parts of a role."""
        return [part for part in self.parts.values() if part.role == role]

    def api(self, number: int) -> httpx.AsyncClient:
        """A client of `api-1` or `api-2`, by its number."""
        return self.evidence.answers[number - 1].client

    def apis(self) -> list[httpx.AsyncClient]:
        """A client of each, in their order."""
        return [self.api(number) for number, _ in enumerate(self.evidence.answers, 1)]

    async def leader(self) -> Part:
        """The scheduler that leads, as soon as one does."""

        async def find() -> Part | None:
            holder = await self.ask(LEADER)
            pids = {part.pid: part for part in self.of_role("scheduler")}
            return pids.get(int(holder.partition("/")[0].rpartition(":")[2])) if holder else None

        return await patience.eventually(find)

    async def ask(self, question: str, *arguments: object) -> Any:
        """What the database answers, as soon as it does."""
        return await patience.patiently(lambda: self.database.fetchval(question, *arguments))

    @contextmanager
    def blinding(self, whose: str = "sender") -> Iterator[None]:
        """Senders with such a name do not see PostgreSQL meanwhile: claims of theirs may run out."""

        def pids() -> set[int]:
            return {part.pid for part in self.of_role("sender") if part.name.startswith(whose)}

        before, since = pids(), datetime.now(UTC)
        try:
            yield
        finally:
            for pid in before | pids():
                self._blind[pid].append(Span(since, datetime.now(UTC)))

    def blinded(self) -> Mapping[int, Sequence[Span]]:
        """When each sender, by its pid, did not see PostgreSQL, or was dead: it may get what it had asked for."""
        now = datetime.now(UTC)
        killed = {pid: [Span(at, now)] for part in self.of_role("sender") for pid, at in part.killed.items()}
        return {pid: [*self._blind[pid], *killed.get(pid, ())] for pid in self._blind.keys() | killed.keys()}

    async def bring_back(self, server: OwnServer) -> None:
        """Start a server that is down; returns once it takes connections. Its log so far is kept."""
        self.evidence.keep_logs(server)
        await server.restart()

    def logged(self, role: Role, event: str) -> list[dict[str, Any]]:
        """The log lines with this event so far, of all processes of a role that ever ran."""
        return [line for part in self.of_role(role) for line in part.logged(event)]

    def begins(self) -> None:
        """Another fault is about to be done, or the same once more."""
        self.over_at = None
        self.recoveries_s = []

    def fault_is_over(self) -> None:
        """From this moment on all is to become well; of several times the last one counts."""
        self.over_at = datetime.now(UTC)

    def hit(self, times: int, of: int, what: str) -> None:
        """So often a fault met the moment that it is about, of all times: at least half of them are needed."""
        self.remarks.append(f"{times:d} of {of} {what}")
        if times * 2 < of or not of:
            self.misses.append(f"{times:d} of {of} {what}")

    def saw(self, number: float, what: str) -> None:
        """So much of what shows that the fault struck, where there is no telling how much there might be."""
        self.remarks.append(f"{number:,.10g} {what}")
        if number <= 0:
            self.misses.append(f"{number:g} {what}")

    def apart(self) -> "Scene":
        """The same for one of several faults at a time, which is over, and has missed its moment, by itself."""
        mine = copy.copy(self)
        mine.misses = []
        mine.begins()
        return mine

    async def end(self) -> None:
        """Stop all parts; each must end as it should."""
        for part in self.parts.values():
            part.forget()
        self._watching.cancel()
        [ended] = await asyncio.gather(self._watching, return_exceptions=True)
        if not isinstance(ended, asyncio.CancelledError):
            self.problems.append(f"I4: not all was looked at: {ended!r}")
        try:
            await self.crew.stop()
        except (AssertionError, TimeoutError) as error:
            self.problems.append(f"stop: a process did not end as it should: {error}")


def _forget_what_is_not_judged(post: Post) -> None:
    """A long run has hundreds of thousands."""
    post.headers, post.query = {}, {}


@asynccontextmanager
async def open_scene(stack: Stack, fault: Fault, seed: int) -> AsyncIterator[Scene]:
    """A scene on a fresh stack, with all parts at work."""
    urls = stack.urls
    async with AsyncExitStack() as opened:
        receiver = await opened.enter_async_context(Receiver(_forget_what_is_not_judged))
        authority, hosts = Authority(stack.instance.folder), RECEIVER_HOSTS[: fault.hostile]
        lines = await opened.enter_async_context(
            open_lines(
                PARTS,
                database=urls.database_url,
                broker=urls.rabbitmq_url,
                receiver=f"http://127.0.0.1:{receiver.port}",
                tls=Tls(hosts, authority.server(*hosts)) if fault.tls else None,
            )
        )
        pool = asyncpg.create_pool(urls.database_url, min_size=1, max_size=4, command_timeout=COMMAND_TIMEOUT_S)
        database = await opened.enter_async_context(pool)
        scene = Scene(stack, lines, receiver, database, authority, fault, seed)
        await scene.prepare(fault)
        try:
            await scene.start()
            for answers in scene.evidence.answers:
                await opened.enter_async_context(answers)
            await opened.enter_async_context(scene.evidence.messages)
            yield scene
        finally:
            await scene.end()
