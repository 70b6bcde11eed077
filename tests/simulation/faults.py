"""What goes wrong, and when. Each fault ends by itself; `heal` ends all of them."""

from collections.abc import Callable
from typing import Any

from simulation.broker import Broker
from simulation.crew import Crew
from simulation.server import Client, Request, Server
from simulation.statements import Row
from simulation.users import Users
from simulation.world import World

MOMENTS = (
    "EMIT",
    "EMIT",
    "EMIT",
    "RECORD_MISSED",
    "FREEZE_GAP",
    "CLOSE_GAP",
    "TAKE_LEASE",
    "RENEW_LEASE",
    "FEED",
    "CHANGES",
    "UNCHANGED",
    "LEASE",
    "ADOPT_POSITION",
    "OVERDUE",
    "GIVE_UP",
)
"""Statements at which something may be aimed."""


class Faults:
    """Draws them from the world's chance."""

    def __init__(
        self,
        world: World,
        server: Server,
        broker: Broker,
        crew: Crew,
        users: Users,
        restore: Callable[[], Any],
        make_holes: Callable[[Client], None],
    ) -> None:
        self._world = world
        self._server = server
        self._broker = broker
        self._crew = crew
        self._users = users
        self._back_up = restore
        self._make_holes = make_holes
        self.is_over = False
        self._held: list[Callable[[], None]] = []

    def plan(self, count: int, kinds: "tuple[Fault, ...]", until: float) -> None:
        """Have `count` faults before `until`."""
        for _ in range(count):
            fault = self._world.random.choice(kinds)
            self._world.after(self._world.random.random() * until, lambda fault=fault: self._begin(fault))

    def heal(self) -> None:
        """Everything works from here on."""
        self.is_over = True
        self._world.note("everything works from here on")
        server, broker = self._server, self._broker
        server.is_up, server.frozen_until, server.slowness = True, 0.0, 1.0
        server.refuse_next = server.lose_next = 0
        server.before.clear()
        server.after.clear()
        broker.slowness, broker.unconfirmed, broker.returned, broker.lost, broker.depth = 1.0, 0.0, 0.0, 0.0, 0
        broker.start()
        if self._server.database.paused_at is not None:
            self._users.pause(False)
        for let_go in self._held:
            let_go()
        self._crew.heal()

    def _begin(self, fault: "Fault") -> None:
        if not self.is_over:
            self._world.note(f"fault: {fault.__name__.strip('_')}")
            fault(self)

    def _for(self, longest_s: float, end: Callable[[], None]) -> float:
        """Call `end` within that time."""
        seconds = longest_s * self._world.random.random()

        def ends() -> None:
            if not self.is_over:
                end()

        self._world.after(seconds, ends)
        return seconds

    def _at(self, action: Callable[[Request], None]) -> None:
        """Do it right before or right after some statement takes effect."""
        random = self._world.random
        moments = random.choice((self._server.before, self._server.after))
        moments[random.choice(MOMENTS)].append(lambda request: None if self.is_over else action(request))

    # The kinds.

    def _crash(self) -> None:
        self._crew.crash(self._crew.any(), self._pause_s())

    def _crash_in_some_steps(self) -> None:
        self._crew.crash_after(self._crew.any(), self._world.random.randrange(60), self._pause_s())

    def _crash_at_a_statement(self) -> None:
        self._at(lambda request: self._crew.crash_client(request.client, self._pause_s()))

    def _crash_all(self) -> None:
        seconds = self._world.random.choice((2.0, 12.0, 30.0)) * self._world.random.random()
        for place in self._crew.places():
            self._crew.crash(place, seconds)

    def _stop_gracefully(self) -> None:
        self._crew.stop(self._crew.any(), self._pause_s())

    def _freeze(self) -> None:
        seconds = self._world.random.choice((1.0, 4.0, 6.0, 20.0)) * self._world.random.random()
        self._crew.freeze(self._crew.any(), seconds, is_suspended=self._world.chance(0.3))

    def _freeze_at_a_statement(self) -> None:
        seconds = self._world.random.choice((3.0, 6.0, 9.0)) * self._world.random.random()
        is_suspended = self._world.chance(0.3)
        self._at(lambda request: request.client.freeze(seconds, is_suspended=is_suspended))  # type: ignore[attr-defined]  # a process

    def _database_away(self) -> None:
        self._server.is_up = False
        self._server.break_connections()
        self._for(self._world.random.choice((1.0, 8.0, 20.0)), self._database_back)

    def _database_back(self) -> None:
        self._world.note("the database is back")
        self._server.is_up = True

    def _database_frozen(self) -> None:
        seconds = self._world.random.choice((1.0, 5.0, 9.0)) * self._world.random.random()
        self._server.frozen_until = self._world.now + seconds

    def _database_slow(self) -> None:
        self._server.slowness = self._world.random.choice((30.0, 200.0, 600.0))
        self._for(8.0, self._database_fast)

    def _database_fast(self) -> None:
        self._server.slowness = 1.0

    def _connections_break(self) -> None:
        self._server.break_connections()

    def _answers_lost(self) -> None:
        self._at(lambda _: self._lose(self._world.random.randrange(1, 4)))

    def _lose(self, count: int) -> None:
        self._server.lose_next += count

    def _statements_refused(self) -> None:
        self._at(lambda _: self._refuse(self._world.random.randrange(1, 4)))

    def _refuse(self, count: int) -> None:
        self._server.refuse_next += count

    def _broker_away(self) -> None:
        self._broker.stop()
        self._for(self._world.random.choice((2.0, 8.0, 25.0, 40.0)), self._broker.start)

    def _broker_away_at_a_statement(self) -> None:
        self._at(lambda _: self._broker_away())

    def _cut_off_from_the_broker(self) -> None:
        """One process alone."""
        client = self._crew.at(self._crew.any())
        if client is not None:
            self._broker.cut_off(client)
            longest_s = self._world.random.choice((8.0, 25.0, 40.0))
            self._for(longest_s, lambda: self._broker.let_back(client))

    def _broker_unwell(self) -> None:
        broker, random = self._broker, self._world.random
        broker.slowness = random.choice((1.0, 300.0, 2500.0))
        broker.unconfirmed, broker.returned, broker.lost = (random.choice((0.0, 0.0, 0.3, 0.8)) for _ in range(3))
        broker.depth = random.choice((0, 0, 100))
        self._for(10.0, self._broker_well)

    def _broker_well(self) -> None:
        broker = self._broker
        broker.slowness, broker.unconfirmed, broker.returned, broker.lost, broker.depth = 1.0, 0.0, 0.0, 0.0, 0

    def _transaction_stays_open(self) -> None:
        """Somebody's, in whatever database of the server: it holds back from where the feed is read."""
        database = self._server.database
        xid = database.begin()
        self._held.append(lambda: database.end(xid))

    def _clock_jumps(self) -> None:
        self._world.jump(
            self._world.random.choice((2.0, -2.0, 15.0, -15.0, 40.0, -30.0)) * self._world.random.random()
        )

    def _pause(self) -> None:
        self._users.pause(True)
        self._for(self._world.random.choice((2.0, 20.0)), lambda: self._users.pause(False))

    def _edits_at_a_statement(self) -> None:
        self._at(lambda _: self._users.act())

    def _pause_at_a_statement(self) -> None:
        self._at(lambda _: self._pause())

    def _row_lost(self) -> None:
        """One process does not come to know a task: what a mistake of its own would look like."""
        self._server.spoil = self._without_one

    def _without_one(self, request: Request, name: str, rows: list[Row]) -> list[Row]:
        if name == "FEED" and rows[0]["task_id"] is not None and not self.is_over:
            self._server.spoil = None
            self._make_holes(request.client)
            self._world.note("a change is lost on its way")
            return rows[1:] or [rows[0].without_task()]
        return rows

    def _restored(self) -> None:
        self._back_up()

    def _pause_s(self) -> float:
        """How long a supervisor takes to start a process again."""
        return self._world.random.choice((0.1, 3.0, 10.0)) * self._world.random.random()


Fault = Callable[[Faults], None]

KINDS: tuple[Fault, ...] = (
    Faults._crash,
    Faults._crash_in_some_steps,
    Faults._crash_in_some_steps,
    Faults._crash_at_a_statement,
    Faults._crash_at_a_statement,
    Faults._crash_at_a_statement,
    Faults._crash_all,
    Faults._stop_gracefully,
    Faults._freeze,
    Faults._freeze_at_a_statement,
    Faults._database_away,
    Faults._database_frozen,
    Faults._database_slow,
    Faults._connections_break,
    Faults._answers_lost,
    Faults._answers_lost,
    Faults._statements_refused,
    Faults._broker_away,
    Faults._broker_away_at_a_statement,
    Faults._cut_off_from_the_broker,
    Faults._cut_off_from_the_broker,
    Faults._broker_unwell,
    Faults._clock_jumps,
    Faults._transaction_stays_open,
    Faults._pause,
    Faults._edits_at_a_statement,
    Faults._edits_at_a_statement,
    Faults._pause_at_a_statement,
)
"""Weighted by how often each stands here."""
RARE: tuple[Fault, ...] = (Faults._row_lost, Faults._restored)
"""At most one of these in a world."""
