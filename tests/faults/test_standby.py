"""PostgreSQL's machine is lost, and each commit was on another one before it counted.

That is a synchronous standby, which is promoted, or a copy of the server with its log, which are put together on a
new one. Neither lacks anything, so nothing is lost, and what was recorded stays so.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

import logins
from faults import copies
from faults.conftest import BROUGHT_BACK_SOON, SOME, AtWork, StageAt
from faults.own_servers import OwnServer, copy_of, own_server
from tocsin_common import migrations
from tocsin_common.messages import execution_id
from tocsin_local.receiver import Receiver
from tocsin_local.urls import StackUrls
from waiting import becomes_true

COMMITS_WAIT_FOR_ANY = {"synchronous_standby_names": "*"}
LEADS_AGAIN = "SELECT epoch > $1 AND expires_at > clock_timestamp() FROM scheduler_lease"


@pytest.fixture
def primary(rabbitmq_url: str) -> Iterator[OwnServer]:
    """No commit ends before a standby has it."""
    with own_server("postgres", {"RABBITMQ_URL": rabbitmq_url}, COMMITS_WAIT_FOR_ANY) as server:
        yield server


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | BROUGHT_BACK_SOON


@pytest.fixture
def rabbitmq(rabbitmq_url: str) -> dict[str, str]:
    return {"RABBITMQ_URL": rabbitmq_url}


@pytest.fixture
async def database_url(primary: OwnServer) -> str:
    """Tables are made once there is somebody whom commits can wait for."""
    return primary.urls.database_url


def both(one: OwnServer, other: OwnServer) -> StackUrls:
    """Two servers, of which whoever connects takes the one that takes changes."""
    first, second = (urlsplit(server.urls.database_url) for server in (one, other))
    hosts = f"{first.netloc},{second.hostname}:{second.port}"
    url = first._replace(netloc=hosts, query="target_session_attrs=read-write")
    return replace(one.urls, database_url=url.geturl())


async def migrate(urls: StackUrls) -> None:
    await logins.make_roles(urls)
    await migrations.upgrade_async(urls.database_url)


async def takes_changes(server: OwnServer) -> None:
    """It answers while it recovers, and then it ends that."""
    connection = await asyncpg.connect(server.urls.database_url)
    try:
        await becomes_true(connection, "SELECT NOT pg_is_in_recovery()")
    finally:
        await connection.close()


async def test_a_standby_that_is_promoted_lacks_nothing_and_the_same_processes_go_on_with_it(
    primary: OwnServer, rabbitmq: dict[str, str], stage_at: StageAt, at_work: AtWork, receiver: Receiver
):
    follow = partial(copies.follow, database_url=primary.urls.database_url)
    with copy_of(primary, rabbitmq, follow) as standby:
        urls = both(primary, standby)
        await migrate(urls)
        async with stage_at(urls) as stage:
            scheduler, _ = await at_work(stage)
            epoch = await stage.database.fetchval("SELECT epoch FROM scheduler_lease")

            await primary.crash()
            await scheduler.logged("scheduler.stepped_down")
            standby.promote()
            await takes_changes(standby)
            await becomes_true(stage.database, LEADS_AGAIN, epoch)
            await receiver.wait_for_posts(len(receiver.posts) + SOME)
            account = await stage.settle()
            await stage.stop()

    assert account.problems() == []


async def test_after_a_copy_and_its_log_only_what_was_not_recorded_comes_again(
    primary: OwnServer,
    another_rabbitmq_url: str,
    stage_at: StageAt,
    at_work: AtWork,
    receiver: Receiver,
    tmp_path: Path,
):
    backup, log = tmp_path / "backup", tmp_path / "log"
    with copies.log_kept(primary.urls.database_url, log):
        await migrate(primary.urls)
        async with stage_at(primary.urls) as stage:
            scheduler, sender = await at_work(stage)
            copies.base_backup(primary.urls.database_url, backup)
            await receiver.wait_for_posts(len(receiver.posts) + SOME)
            await scheduler.kill()
            await sender.kill()
        await primary.crash()

    put_together = partial(copies.replay, backup=backup, log=log)
    with copy_of(primary, {"RABBITMQ_URL": another_rabbitmq_url}, put_together) as new:
        async with stage_at(new.urls) as stage:
            await becomes_true(stage.database, "SELECT NOT pg_is_in_recovery()")
            await logins.make_roles(new.urls)  # a password of the tests' own goes by where the servers are
            rows = await stage.rows("succeeded")
            before = {post.execution_id: post for post in receiver.posts}  # the last may have been read late
            await stage.start("schedule")
            await stage.start("send")
            account = await stage.settle()
            await stage.stop()

    recorded = {execution_id(row["task_id"], row["scheduled_for"]) for row in rows}
    unrecorded = before.keys() - recorded
    assert recorded
    assert unrecorded
    assert account.problems(answers={number: (before[number].status, 200) for number in unrecorded}) == []
