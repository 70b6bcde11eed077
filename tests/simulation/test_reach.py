"""Who leads while RabbitMQ is away, for one scheduler or for all: it takes minutes, and here they cost nothing."""

import gc
from collections.abc import Iterator
from datetime import timedelta

import pytest

from simulation.process import Process, virtual
from simulation.run import Plan, Stage
from simulation.world import World

IN_TIME = timedelta(seconds=4)
SOON_S = 9.0
LONG_S = 1800.0
LOOK_S = 0.5


@pytest.fixture(params=range(3))
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Two schedulers, one of which leads."""
    world = World(request.param)
    with virtual(world):
        stage = Stage(world, Plan(crews=(2,)))
        stage.begin()
        world.run_until(20.0)
        yield stage
        stage.crew.bury()
    gc.unfreeze()  # a scheduler that loads tasks freezes them


def leader(stage: Stage) -> Process | None:
    """Whose lease has not expired."""
    lease = stage.server.database.lease
    if lease.expires_at <= stage.world.database_now():
        return None
    schedulers = filter(None, map(stage.crew.at, stage.crew.places()))
    return next(process for process in schedulers if (lease.holder or "").startswith(f"{process.name}/"))


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


def test_where_it_is_away_for_all_one_leads_nearly_all_along_and_few_terms_begin(stage: Stage):
    lease, reboots = stage.server.database.lease, list(stage.watch.reboots)
    epoch, unled_s, until = lease.epoch, 0.0, stage.world.now + LONG_S
    stage.broker.stop()

    while stage.world.now < until and not stage.world.problems:
        stage.world.run_until(stage.world.now + LOOK_S)
        unled_s += LOOK_S if leader(stage) is None else 0.0
    terms = lease.epoch - epoch
    stage.judge()

    assert terms == 3  # the first after some seconds, and two more in half an hour
    assert unled_s < 30.0
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

    stage.world.run_until(stage.world.now + 600.0)
    second, was_in_time = leader(stage), is_in_time(stage)
    stage.judge()

    assert second not in (None, left)
    assert was_in_time
    assert not stage.world.problems
