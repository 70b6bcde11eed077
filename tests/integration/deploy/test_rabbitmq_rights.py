"""What each service's user may do in RabbitMQ, and what it may not; and the script that makes these users."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from aiormq.exceptions import ChannelAccessRefused

from environment import INHERITED
from logins import SERVICES, Manage, as_service, permissions
from tocsin_common import topology
from tocsin_local.urls import StackUrls

SCRIPT = Path(__file__).parents[3] / "deploy" / "rabbitmq" / "users.py"
SENDERS = "a sender's"
PASSWORDS = {"API_PASSWORD": "of the api", "SCHEDULER_PASSWORD": "of the scheduler", "SENDER_PASSWORD": SENDERS}
TIER = topology.tier_queue(1)
HINTS = f"{topology.CHANGES_EXCHANGE}.tocsin-scheduler@host:1.0123abcd"

Deed = Callable[[AbstractChannel], Awaitable[object]]


def publish(exchange: str, key: str = "") -> Deed:
    async def deed(channel: AbstractChannel) -> None:
        found = await channel.get_exchange(exchange, ensure=False)
        await found.publish(aio_pika.Message(b""), key, mandatory=False)

    return deed


def take(queue: str) -> Deed:
    async def deed(channel: AbstractChannel) -> None:
        found = await channel.get_queue(queue, ensure=False)
        await found.get(no_ack=True, fail=False)

    return deed


def declare(queue: str) -> Deed:
    return lambda channel: channel.declare_queue(
        queue, durable=True, arguments=topology.queue_arguments().get(queue)
    )


def listen(channel: AbstractChannel) -> Awaitable[object]:
    async def deed() -> None:
        queue = await channel.declare_queue(HINTS, exclusive=True)
        await queue.bind(topology.CHANGES_EXCHANGE)

    return deed()


async def make_exchange(channel: AbstractChannel) -> None:
    await channel.declare_exchange("mine")


DEEDS: dict[str, Deed] = {
    "publishes jobs": publish(topology.JOBS_EXCHANGE, topology.WORK_QUEUE),
    "publishes hints": publish(topology.CHANGES_EXCHANGE),
    "publishes past the exchanges": publish("", topology.WORK_QUEUE),
    "takes jobs": take(topology.WORK_QUEUE),
    "takes what failed": take(topology.DEAD_QUEUE),
    "declares the work queue": declare(topology.WORK_QUEUE),
    "declares a tier": declare(TIER),
    "hears hints": listen,
    "declares a queue of another name": declare("mine"),
    "declares a tier of another name": declare("my.deliveries.retry"),
    "declares an exchange of another name": make_exchange,
}
MAY = {
    "serve": {"publishes jobs", "publishes hints"},
    "schedule": {
        "publishes jobs",
        "takes jobs",  # to declare a queue that dead-letters takes the right to read it
        "takes what failed",
        "declares the work queue",
        "declares a tier",
        "hears hints",
    },
    "send": {
        "publishes jobs",
        "takes jobs",
        "takes what failed",
        "declares the work queue",
        "declares a tier",
    },
}


@pytest.mark.parametrize("task", MAY)
async def test_a_service_may_do_this_and_no_more(rabbitmq_url: str, servers: StackUrls, task: str) -> None:
    async with await aio_pika.connect(rabbitmq_url) as administrator:
        channel = await administrator.channel()
        await topology.declare_jobs(channel)
        await topology.declare_changes(channel)

    async with await aio_pika.connect(as_service(rabbitmq_url, servers, task)) as connection:
        found = {name for name, deed in DEEDS.items() if await _may(connection, deed)}

    assert found == MAY[task]


async def _may(connection: aio_pika.abc.AbstractConnection, deed: Deed) -> bool:
    channel = await connection.channel()
    try:
        async with asyncio.timeout(10):
            await deed(channel)
    except ChannelAccessRefused:
        return False
    return True


@pytest.mark.parametrize("first", ["schedule", "send"])
async def test_scheduler_and_sender_make_all_queues_that_are_missing(
    rabbitmq_url: str, servers: StackUrls, first: str
) -> None:
    async with await aio_pika.connect(as_service(rabbitmq_url, servers, first)) as connection:
        _, queue = await topology.declare_jobs(await connection.channel())

    assert queue.name == topology.WORK_QUEUE


async def test_a_service_may_not_enter_another_virtual_host(servers: StackUrls, rabbitmq_url: str) -> None:
    elsewhere = urlunsplit(urlsplit(as_service(rabbitmq_url, servers, "send"))._replace(path="/"))

    with pytest.raises(aio_pika.exceptions.AMQPError):
        await aio_pika.connect(elsewhere)


def run(**variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT], env={**INHERITED, **variables}, capture_output=True, text=True, check=False
    )


async def test_the_script_makes_users_who_may_log_in_with_these_rights(rabbitmq_url: str, manage: Manage) -> None:
    parts, prefix = urlsplit(rabbitmq_url), "other-"
    made = json.loads(run(**PASSWORDS, VHOST=parts.path[1:]).stdout)

    assert [user["name"] for user in made["users"]] == [
        f"tocsin-{name}" for name in ("api", "scheduler", "sender")
    ]
    assert {entry["vhost"] for entry in made["permissions"]} == {parts.path[1:]}
    assert [user["tags"] for user in made["users"]] == [""] * 3
    for user in made["users"]:  # under other names: the tests' own users stay as they are
        manage("PUT", f"/api/users/{prefix}{user['name']}", {key: user[key] for key in user if key != "name"})
    for user, rights in permissions():
        manage("PUT", f"/api/permissions/{parts.path[1:]}/{prefix}{user}", rights)
    login = f"{prefix}tocsin-sender:{quote(SENDERS)}@{parts.netloc.rpartition('@')[2]}"
    async with await aio_pika.connect(urlunsplit(parts._replace(netloc=login))) as connection:
        await topology.declare_jobs(await connection.channel())
    for user, _ in permissions():
        manage("DELETE", f"/api/users/{prefix}{user}", None)


def test_the_script_sends_what_it_would_print(servers: StackUrls, rabbitmq_url: str, tmp_path: Path) -> None:
    """With the passwords that the tests' own users have."""
    password = urlsplit(as_service(rabbitmq_url, servers, "send")).password or ""
    files = {name: tmp_path / name for name in (*PASSWORDS, "ADMIN_PASSWORD")}
    for name, path in files.items():
        path.write_text(f"{servers.management_password if name == 'ADMIN_PASSWORD' else password}\n")

    done = run(
        **{f"{name}_FILE": str(path) for name, path in files.items()},
        MANAGEMENT_URL=servers.management_url,
        ADMIN_USER=servers.management_user,
        VHOST=urlsplit(rabbitmq_url).path[1:],
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == "RabbitMQ has the users tocsin-api, tocsin-scheduler, tocsin-sender.\n"


def test_a_password_that_is_missing_is_named() -> None:
    done = run(**{**PASSWORDS, "SCHEDULER_PASSWORD": ""}, MANAGEMENT_URL="http://127.0.0.1:1")

    assert (done.returncode, done.stderr) == (1, "users.py: SCHEDULER_PASSWORD is not set\n")


def test_each_service_has_a_user() -> None:
    assert {user for user, _ in permissions()} == {f"tocsin-{service}" for service in SERVICES.values()}
