"""One world from its seed: the real schedulers, a model of their servers, and faults; then what is wrong with it.

`make simulate SEEDS=1000` runs many, `make simulate SEED=12345` one of them with its trace.
"""

import gc
import traceback
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple
from unittest import mock

from simulation import statements
from simulation.broker import Broker
from simulation.crew import Crew
from simulation.database import Database, Lease
from simulation.faults import KINDS, RARE, Fault, Faults
from simulation.judge import problems
from simulation.process import Process, virtual
from simulation.sender import Sender
from simulation.server import Server
from simulation.statements import Statement
from simulation.users import Users
from simulation.watch import Watch
from simulation.world import START, World
from tocsin_common.settings import SchedulerSettings
from tocsin_dispatcher.scheduler import catch_up

SETTINGS = SchedulerSettings(
    database_url="postgresql://nowhere",
    rabbitmq_url="amqp://nowhere",
    reboot_after_s=20,
    standby_poll_s=0.5,
    drift_check_s=10,
    catch_up_grace_s=10,
    catch_up_limit=3,
    emission_chunk=2,
    jobs_per_message=2,
    publish_window=4,
    publish_timeout_s=3,
    sweep_interval_s=3,
    sweep_patience_s=5,
    sweep_outage_patience_s=4,
    sweep_batch=10,
    sweep_quiet_depth=10,
    max_lost_claims=3,
    partition_days_ahead=1,
    drain_timeout_s=3,
)
"""Waits are short, so that a world can be, and chunks small, so that it has many."""
TROUBLED_S = 35.0
"""So long things go wrong; then everything works."""
HEALED_S = 24.0
"""So long it may take until nothing of it is left."""

Statements = dict[str, tuple[str, Statement]]


class Report(NamedTuple):
    """What came of a seed."""

    seed: int
    problems: list[str]
    trace: list[str]
    announced: int


@dataclass
class Plan:
    """What tests may change of a world."""

    statements: Statements | None = None
    settings: SchedulerSettings = SETTINGS
    troubled_s: float = TROUBLED_S
    kinds: tuple[Fault, ...] = KINDS
    rare: tuple[Fault, ...] = RARE
    crews: tuple[int, ...] = (1, 2, 2, 3)
    """How many schedulers there may be."""
    count_limit: int = 13
    """Of instants that are counted one by one: no world has a thousand. UNREAD has fewer."""


def simulate(seed: int, *, is_traced: bool = False, plan: Plan | None = None) -> Report:
    """Let the world of `seed` happen."""
    world = World(seed, is_traced=is_traced)
    plan = plan or Plan()
    stage = Stage(world, plan)
    is_collecting = gc.isenabled()
    gc.disable()  # the order in which garbage goes must not depend on what was before
    try:
        with virtual(world), mock.patch.object(catch_up, "COUNT_LIMIT", plan.count_limit):
            catch_up._decide.cache_clear()
            try:
                stage.play()
            except Exception as error:  # whatever it is, the seed shows it again
                world.problem(f"{error!r} at {traceback.extract_tb(error.__traceback__)[-1]}")
            stage.crew.bury()
    finally:
        if is_collecting:
            gc.enable()
        gc.unfreeze()
        catch_up._decide.cache_clear()
    return Report(seed, world.problems, world.trace or [], len(stage.watch.announced))


class Stage:
    """Builds a world and lets it happen."""

    def __init__(self, world: World, plan: Plan) -> None:
        self.world = world
        self._plan = plan
        random = world.random
        age_s = random.choice((0.0, 0.0, 5.0, 15.0, 90.0))
        self._database = Database(world.database_now, Lease(START - timedelta(seconds=age_s)))
        self.server = Server(world, self._database, plan.statements or statements.known())
        self.broker = Broker(world)
        self.users = Users(world, self._database, self.broker.hint)
        self.users.populate(random.randrange(1, 6), since=START - timedelta(seconds=age_s))
        self._let_somebody_have_led(age_s)
        self.watch = Watch(world, self._database, plan.settings)
        self.watch.begin()
        self.server.applied = self.watch.applied
        self.broker.stored = self.watch.stored
        self.watch.last_reached = self.broker.last_reached
        self.sender = Sender(world, self._database, self.broker.send)
        self.broker.deliver = self.sender.deliver
        self.crew = Crew(world, random.choice(plan.crews), self._start)
        self.faults = Faults(
            world, self.server, self.broker, self.crew, self.users, self._restore, self.watch.expect_holes
        )

    def play(self) -> None:
        """From its beginning to its judgement."""
        world, random = self.world, self.world.random
        self.begin()
        until = self._plan.troubled_s * random.choice((0.4, 0.7, 1.0))
        self.faults.plan(random.choice((0, 1, 2, 3, 5, 8)), self._plan.kinds, until)
        if world.chance(0.3) and self._plan.rare:
            self.faults.plan(1, self._plan.rare, until)
        self._plan_users(random.choice((0, 3, 8, 15)), until)
        world.run_until(until)
        self.judge()

    def begin(self) -> None:
        """Start the processes."""
        for place in self.crew.places():
            self.world.after(0.3 * self.world.random.random(), lambda place=place: self.crew.start(place))

    def judge(self) -> None:
        """Let everything work from here on, and see what comes of it."""
        world = self.world
        self.faults.heal()
        world.run_until(world.now + HEALED_S)
        # What was emitted before the clock was set back is behind the watermark until the clock is there again.
        world.run_until(world.now + world.furthest_offset_s - world.database_offset_s)
        if not world.problems:
            for problem in problems(self._database, self.watch, self._plan.settings):
                world.problem(problem)

    def _let_somebody_have_led(self, age_s: float) -> None:
        if self.world.chance(0.3):
            lease = self._database.lease
            lease.feed_xid, lease.database_id = self._database.next_xid, self._database.database_id
            lease.epoch, lease.expires_at = 7, START - timedelta(seconds=age_s)
            lease.reboot_at = START - timedelta(hours=1)

    def _start(self, name: str) -> Process:
        return Process(self.world, name, self.server, self.broker, self._plan.settings)

    def _plan_users(self, count: int, until: float) -> None:
        for _ in range(count):
            self.world.after(self.world.random.random() * until, self.users.act)

    def _restore(self) -> None:
        """A backup is made now, and is what there is a while later."""
        copy, watch = self._database.copy(), self.watch.copy()
        self.world.after(4.0 * self.world.random.random(), lambda: self._put_back(copy, watch))

    def _put_back(self, copy: Database, watch: Watch) -> None:
        if self.faults.is_over:
            return
        self.world.note("the database is another: what it knew since its copy is gone")
        copy.database_id = self.world.random.choice(("1/00000002", "2/00000001"))
        if copy.database_id.startswith("2/"):  # a dump, read by another server: it counts transactions by itself
            copy.next_xid = self.world.random.choice((3, copy.next_xid + 1000))
        self._database = self.server.database = self.sender.database = copy
        self.users.restored(copy)
        self.watch.restored(copy, watch)
        self.server.break_connections()
