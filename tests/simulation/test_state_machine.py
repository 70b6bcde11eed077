"""Whatever is done to tasks and schedulers, in any order: hypothesis looks for what breaks the scheduler."""

import gc
from contextlib import ExitStack

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from simulation.database import Revision
from simulation.owed import VOCABULARY
from simulation.process import virtual
from simulation.run import Plan, Stage
from simulation.world import World

PLACES = st.integers(0, 2)
SECONDS = st.sampled_from([0.001, 0.1, 1.0, 3.0, 7.0, 15.0])
SCHEDULES = st.sampled_from([*VOCABULARY, "@reboot"])


class Schedulers(RuleBasedStateMachine):
    """A simulated world in which nothing happens by chance but how long things take."""

    @initialize(seed=st.integers(0, 1000))
    def begin(self, seed: int) -> None:
        self.world = World(seed)
        self.until = ExitStack()
        self.until.enter_context(virtual(self.world))
        self.stage = Stage(self.world, Plan())
        self.stage.begin()

    @rule()
    def create(self) -> None:
        if len(self.tasks()) < 6:
            self.stage.users.write(None)

    @precondition(lambda self: self.tasks())
    @rule(which=st.integers(0, 5), schedule=SCHEDULES)
    def edit_the_schedule(self, which: int, schedule: str) -> None:
        self.change(which, schedule=schedule, run_at=None)

    @precondition(lambda self: self.tasks())
    @rule(which=st.integers(0, 5), catch_up=st.sampled_from(["latest", "all", "skip"]), jitter_s=st.integers(0, 5))
    def edit_the_policy(self, which: int, catch_up: str, jitter_s: int) -> None:
        self.change(which, catch_up=catch_up, jitter_s=jitter_s)

    @precondition(lambda self: self.tasks())
    @rule(which=st.integers(0, 5))
    def toggle(self, which: int) -> None:
        task = self.task(which)
        self.change(which, status="INACTIVE" if task.status == "ACTIVE" else "ACTIVE")

    @precondition(lambda self: self.tasks())
    @rule(which=st.integers(0, 5))
    def delete(self, which: int) -> None:
        self.change(which, status="DELETED")

    @rule(is_paused=st.booleans())
    def pause(self, is_paused: bool) -> None:
        self.stage.users.pause(is_paused)

    @rule(seconds=SECONDS)
    def advance(self, seconds: float) -> None:
        self.world.run_until(self.world.now + seconds)

    @rule(place=PLACES, pause_s=SECONDS)
    def crash(self, place: int, pause_s: float) -> None:
        self.stage.crew.crash(place % len(self.stage.crew.places()), pause_s)

    @rule(place=PLACES, steps=st.integers(0, 60), pause_s=SECONDS)
    def crash_in_some_steps(self, place: int, steps: int, pause_s: float) -> None:
        self.stage.crew.crash_after(place % len(self.stage.crew.places()), steps, pause_s)

    @rule(place=PLACES, seconds=SECONDS, is_suspended=st.booleans())
    def freeze(self, place: int, seconds: float, is_suspended: bool) -> None:
        self.stage.crew.freeze(place % len(self.stage.crew.places()), seconds, is_suspended=is_suspended)

    @rule(place=PLACES, seconds=SECONDS)
    def cut_off_from_the_broker(self, place: int, seconds: float) -> None:
        client = self.stage.crew.at(place % len(self.stage.crew.places()))
        if client is not None:
            self.stage.broker.cut_off(client)
            self.world.after(seconds, lambda: self.stage.broker.let_back(client))

    @rule()
    def break_connections(self) -> None:
        self.stage.server.break_connections()

    @rule(seconds=st.floats(-20, 20))
    def set_the_clock(self, seconds: float) -> None:
        self.world.jump(round(seconds, 3))

    @invariant()
    def nothing_is_wrong(self) -> None:
        if hasattr(self, "world"):
            assert not self.world.problems

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            if not self.world.problems:
                self.stage.judge()
            assert not self.world.problems
        finally:
            self.stage.crew.bury()
            self.until.close()
            gc.unfreeze()  # a scheduler that loads tasks freezes them

    def tasks(self) -> list[Revision]:
        return [task for task in self.stage.users.database.tasks.values() if task.status != "DELETED"]

    def task(self, which: int) -> Revision:
        return self.tasks()[which % len(self.tasks())]

    def change(self, which: int, **change: object) -> None:
        self.stage.users.write(self.task(which).task_id, change)


TestSchedulers = Schedulers.TestCase
TestSchedulers.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
