"""The model of PostgreSQL as a process reaches it: statements travel, take effect once, and their answers travel.

A statement that is on its way takes effect whatever becomes of the process that sent it. So a process may die, be
stopped or lose its connection before, between and after, and none of these looks the same to it.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import asyncpg

from simulation.database import Database, Table
from simulation.statements import Row, Statement, find
from simulation.world import World

TRAVEL_S = 0.003


class Client(Protocol):
    """A process, as a server sees it."""

    name: str
    loop: Any
    is_alive: bool
    knows: int
    """How many of the revisions it was shown."""
    is_told_paused: bool
    told_at: float


class Request:
    """One statement under way."""

    __slots__ = (
        "answer",
        "arguments",
        "client",
        "is_told_paused",
        "knows",
        "seen",
        "text",
        "told_at",
        "transaction",
    )

    def __init__(
        self, client: Client, text: str, arguments: tuple[Any, ...], transaction: "Transaction | None"
    ) -> None:
        self.client = client
        self.text = text
        self.arguments = arguments
        self.transaction = transaction
        self.answer: asyncio.Future[list[Row]] = client.loop.create_future()
        self.knows, self.is_told_paused, self.told_at = client.knows, client.is_told_paused, client.told_at
        self.seen: Table | None = None


class Transaction:
    """Sees what was there when its first statement ran."""

    def __init__(self) -> None:
        self.table: Table | None = None


Applied = Callable[[Request, str, list[Row]], None]
Action = Callable[[Request], None]


class Server:
    """One PostgreSQL; what is refused, slow or lost is for the faults to say."""

    def __init__(self, world: World, database: Database, statements: dict[str, tuple[str, Statement]]) -> None:
        self.world = world
        self.database = database
        self.statements = statements
        self.applied: Applied = lambda *_: None
        self.is_up = True
        self.frozen_until = 0.0
        self.slowness = 1.0
        self.refuse_next = 0
        self.lose_next = 0
        self.spoil: Callable[[Request, str, list[Row]], list[Row]] | None = None
        """What an answer becomes on its way; None where it arrives as it was."""
        self.before: dict[str, list[Action]] = defaultdict(list)
        self.after: dict[str, list[Action]] = defaultdict(list)
        self._under_way: dict[Request, None] = {}

    async def ask(
        self, client: Client, text: str, arguments: tuple[Any, ...], transaction: Transaction | None = None
    ) -> list[Row]:
        """Run a statement for `client`."""
        if not client.is_alive:
            raise ConnectionResetError("the process is dead")
        request = Request(client, text, arguments, transaction)
        self._under_way[request] = None
        self.world.after(self._travel_s(), lambda: self._arrive(request))
        try:
            return await request.answer
        except asyncio.CancelledError:
            if request in self._under_way and self.world.chance(0.5):
                del self._under_way[request]  # the word that it is not wanted any more came in time
            raise

    def break_connections(self) -> None:
        """What is under way may be done or not, and nobody learns which."""
        for request in list(self._under_way):
            if self.world.chance(0.5):
                del self._under_way[request]
            self._fail(request, asyncpg.ConnectionDoesNotExistError("connection was closed in the middle"))

    def _travel_s(self) -> float:
        return TRAVEL_S * self.world.random.random() * self.slowness

    def _arrive(self, request: Request) -> None:
        if request not in self._under_way:
            return
        if self.world.now < self.frozen_until:
            self.world.after(self.frozen_until - self.world.now, lambda: self._arrive(request))
            return
        name, statement = find(self.statements, request.text)
        for action in _taken(self.before, name):
            action(request)
        del self._under_way[request]
        if not self.is_up or self.refuse_next:
            self.refuse_next = max(0, self.refuse_next - 1)
            self._fail(request, ConnectionRefusedError("refused"))
            return
        try:
            rows = self._apply(request, statement)
        except asyncpg.PostgresError as error:
            self._fail(request, error)
            return
        if self.spoil is not None:
            rows = self.spoil(request, name, rows)
        self.world.note(f"{request.client.name} {name}", rows=len(rows))
        self.applied(request, name, rows)
        for action in _taken(self.after, name):
            action(request)
        if self.lose_next:
            self.lose_next -= 1
            self._fail(request, asyncpg.ConnectionDoesNotExistError("connection was closed in the middle"))
        else:
            self.world.after(self._travel_s(), lambda: self._answer(request, rows))

    def _apply(self, request: Request, statement: Statement) -> list[Row]:
        transaction = request.transaction
        if transaction is None:
            request.seen = self.database.now_visible()
        else:
            transaction.table = request.seen = transaction.table or self.database.snapshot()
        self.database.added.clear()
        return statement(self.database, request.seen, *request.arguments)

    def _answer(self, request: Request, rows: list[Row]) -> None:
        if not request.answer.done() and request.client.is_alive:
            self._tell(request)
            request.answer.set_result(rows)

    def _tell(self, request: Request) -> None:
        seen, client = request.seen, request.client
        if seen is not None and "next_xid" in request.text:  # it shows what has changed
            client.knows, client.is_told_paused, client.told_at = seen.commits, seen.is_paused, self.world.now

    def _fail(self, request: Request, error: Exception) -> None:
        if not request.answer.done() and request.client.is_alive:
            self.world.note(f"{request.client.name} is told {error!r}")
            request.answer.set_exception(error)


def _taken(actions: dict[str, list[Action]], name: str) -> list[Action]:
    return actions.pop(name, []) if actions else []


class Pool:
    """What a process takes for an asyncpg.Pool."""

    def __init__(self, server: Server, client: Client) -> None:
        self._server = server
        self._client = client

    async def fetch(self, text: str, *arguments: Any) -> list[Row]:
        return await self._server.ask(self._client, text, arguments)

    async def fetchrow(self, text: str, *arguments: Any) -> Row | None:
        rows = await self.fetch(text, *arguments)
        return rows[0] if rows else None

    async def fetchval(self, text: str, *arguments: Any) -> Any:
        row = await self.fetchrow(text, *arguments)
        return None if row is None else row[0]

    async def execute(self, text: str, *arguments: Any) -> None:
        await self.fetch(text, *arguments)

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator["Connection"]:
        yield Connection(self._server, self._client)

    def terminate(self) -> None:
        """The process is about to end anyway."""


class Connection(Pool):
    """What a process takes for a connection of its own."""

    _transaction: Transaction | None = None

    async def fetch(self, text: str, *arguments: Any) -> list[Row]:
        return await self._server.ask(self._client, text, arguments, self._transaction)

    @asynccontextmanager
    async def transaction(self, *, isolation: str = "", readonly: bool = False) -> AsyncIterator[None]:
        self._transaction = Transaction() if isolation == "repeatable_read" and readonly else None
        try:
            yield
        finally:
            self._transaction = None

    async def cursor(self, text: str, *arguments: Any) -> "Cursor":
        return Cursor(await self.fetch(text, *arguments))


class Cursor:
    """The rows of a statement, some at a time."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    async def fetch(self, count: int) -> list[Row]:
        taken, self._rows = self._rows[:count], self._rows[count:]
        return taken
