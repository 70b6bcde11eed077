"""All servers are lost, and Tocsin goes on with a dump of its database on new ones, with an empty broker.

A dump that is made when all has stopped has everything: nothing is lost, nothing doubled. One that is made while
all goes on lacks what comes later. That is owed still, and so it is posted a second time: the dump itself tells
which executions that can concern.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

import logins
from faults.conftest import BROUGHT_BACK_SOON, SOME, AtWork, StageAt
from faults.copies import dump, restore
from faults.own_servers import OwnServer, own_server
from tocsin_common import migrations
from tocsin_common.messages import execution_id
from tocsin_local.receiver import Receiver
from tocsin_local.script import Script

ALWAYS_OPEN = Script(
    delay_s=1.2
)  # longer than from one instant to the next: some executions are open at any moment
# As docs/deployment.md has it.
OPEN = "SELECT task_id, scheduled_for FROM executions WHERE state IN ('due', 'waiting', 'running')"


@pytest.fixture
def lost(another_rabbitmq_url: str) -> Iterator[OwnServer]:
    """The database server of before."""
    with own_server("postgres", {"RABBITMQ_URL": another_rabbitmq_url}) as server:
        yield server


@pytest.fixture
def fresh(rabbitmq_url: str) -> Iterator[OwnServer]:
    """The one of after, with a broker of its own that nobody has used."""
    with own_server("postgres", {"RABBITMQ_URL": rabbitmq_url}) as server:
        yield server


@pytest.fixture
async def database_url(lost: OwnServer, fresh: OwnServer) -> str:
    for server in (lost, fresh):
        await logins.make_roles(server.urls)
    await migrations.upgrade_async(lost.urls.database_url)
    return lost.urls.database_url


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | BROUGHT_BACK_SOON


async def test_a_move_to_new_servers_by_way_of_a_dump_loses_nothing_and_doubles_nothing(
    lost: OwnServer, fresh: OwnServer, stage_at: StageAt, at_work: AtWork, tmp_path: Path
):
    async with stage_at(lost.urls) as stage:
        scheduler, sender = await at_work(stage)
        assert [await scheduler.stop(), await sender.stop()] == [0, 0]
        await dump(lost.urls.database_url, tmp_path / "dump")
    lost.destroy()

    await restore(tmp_path / "dump", fresh.urls.database_url)
    async with stage_at(fresh.urls) as stage:
        await stage.start("schedule")
        await stage.start("send")
        account = await stage.settle()

    assert account.problems() == []


async def test_after_a_dump_that_lacks_the_last_commits_that_comes_again_which_it_lacks_and_nothing_else(
    lost: OwnServer, fresh: OwnServer, stage_at: StageAt, at_work: AtWork, tmp_path: Path, receiver: Receiver
):
    async with stage_at(lost.urls) as stage:
        scheduler, sender = await at_work(stage)
        stage.webhook.script = ALWAYS_OPEN
        await receiver.wait_for_posts(len(receiver.posts) + SOME)
        await dump(lost.urls.database_url, tmp_path / "dump")
        await receiver.wait_for_posts(len(receiver.posts) + SOME)
        await scheduler.kill()
        await sender.kill()
        stage.webhook.script = Script()
    lost.destroy()

    await restore(tmp_path / "dump", fresh.urls.database_url)
    async with stage_at(fresh.urls) as stage:
        watermark = await stage.watermark()
        may_come_again = {execution_id(*row) for row in await stage.database.fetch(OPEN)}
        before = {post.execution_id: post for post in receiver.posts}  # the last may have been read late
        await stage.start("schedule")
        await stage.start("send")
        account = await stage.settle()

    later = {number for number, owed in account.owed().items() if owed.scheduled_for > watermark}
    doubled = before.keys() & (may_come_again | later)
    assert before.keys() - doubled
    assert doubled & may_come_again
    assert doubled & later
    assert account.problems(answers={number: (before[number].status, 200) for number in doubled}) == []
