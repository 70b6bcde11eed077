"""Who leads while RabbitMQ is away, for one scheduler or for all: it takes minutes, and here they cost nothing."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from msgspec.structs import replace

from simulation.process import Process, virtual
from simulation.run import SETTINGS, Plan, Stage
from simulation.server import Request
from simulation.world import World
from tocsin_dispatcher import metrics

IN_TIME = timedelta(seconds=4)
SOON_S = 9.0
LONG_S = 1800.0
LOOK_S = 0.5
AWAY_S = 15.0
AGAIN_S = 40.0


@contextmanager
def staged(seed: int, plan: Plan) -> Iterator[Stage]:
    """Schedulers, one of which leads."""
    world = World(seed)
    with virtual(world):
        stage = Stage(world, plan)
        stage.begin()
        world.run_until(20.0)
        yield stage
        stage.crew.bury()
    gc.unfreeze()  # a scheduler that loads tasks freezes them


@pytest.fixture(params=range(3))
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Two of them."""
    with staged(request.param, Plan(crews=(2,))) as stage:
        yield stage


def leader(stage: Stage) -> Process | None:
    """Whose lease has not expired."""
    lease = stage.server.database.lease
    if lease.expires_at <= stage.world.database_now():
        return None
    schedulers = filter(None, map(stage.crew.at, stage.crew.places()))
    return next(process for process in schedulers if (lease.holder or "").startswith(f"{process.name}/"))


def step_downs() -> float:
    return metrics.SCHEDULER.get_sample_value("tocsin_step_downs_total") or 0.0


def is_in_time(stage: Stage) -> bool:
    return stage.server.database.lease.watermark > stage.world.database_now() - IN_TIME


def test_a_leader_that_alone_is_cut_off_lets_the_other_one_lead(stage: Stage):
    first = leader(stage)
    assert first is not None
    stage.broker.cut_off(first)

    stage.world.run_until(stage.world.now + SOON_S)
    second, was_in_time = leader(stage), is_in_time(stage)
    stage.judge()

    assert second not in (None, first)
    assert was_in_time
    assert not stage.world.problems


def test_where_it_is_away_for_all_one_leads_nearly_all_along(stage: Stage):
    lease, reboots = stage.server.database.lease, list(stage.watch.reboots)
    epoch, unled_s, until = lease.epoch, 0.0, stage.world.now + LONG_S
    counted = step_downs()
    stage.broker.stop()

    while stage.world.now < until and not stage.world.problems:
        stage.world.run_until(stage.world.now + LOOK_S)
        unled_s += LOOK_S if leader(stage) is None else 0.0
    terms = lease.epoch - epoch
    stage.judge()

    assert step_downs() == counted + 1  # the one that led until then
    assert 50 < terms < 60  # the first after some seconds, and the others half a minute one after another
    assert unled_s < LONG_S / 6  # when nothing could be emitted anyway, and who reaches it again leads at once
    assert stage.watch.reboots == reboots
    assert not stage.world.problems


def test_one_that_reaches_it_again_leads_although_the_other_one_did_when_it_was_away_for_all(stage: Stage):
    stage.broker.stop()
    stage.world.run_until(stage.world.now + 60.0)
    left = leader(stage)
    assert left is not None
    stage.broker.cut_off(left)
    stage.broker.is_up = True
    stage.broker.let_back(next(other for place in (0, 1) if (other := stage.crew.at(place)) is not left))

    stage.world.run_until(stage.world.now + AGAIN_S)
    second, was_in_time = leader(stage), is_in_time(stage)
    stage.judge()

    assert second not in (None, left)
    assert was_in_time
    assert not stage.world.problems


def test_what_was_committed_as_it_went_away_for_all_is_announced_as_soon_as_it_is_back():
    """Not when the sweeper finds it: who has committed it announces it, whoever leads by then."""
    plan = Plan(settings=replace(SETTINGS, sweep_patience_s=60.0), crews=(2,))
    with staged(0, plan) as stage:
        world, server, committed = stage.world, stage.server, set[tuple[datetime, UUID]]()

        def goes_away_with_rows(_: Request) -> None:
            committed.update((row.scheduled_for, row.task_id) for row in server.database.added)
            if committed:
                stage.broker.stop()
            else:
                server.after["EMIT"].append(goes_away_with_rows)

        server.after["EMIT"].append(goes_away_with_rows)
        while not committed:
            world.run_until(world.now + LOOK_S)
        epoch = server.database.lease.epoch
        world.run_until(world.now + AWAY_S)
        was_announced = committed <= stage.watch.announced
        stage.broker.start()
        world.run_until(world.now + LOOK_S)

    assert server.database.lease.epoch > epoch
    assert not was_announced
    assert committed <= stage.watch.announced
    assert not world.problems
