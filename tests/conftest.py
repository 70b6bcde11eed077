"""One PostgreSQL, RabbitMQ and Redis for the whole run; a database and a virtual host of its own for each test.

`servers.py` says which servers these are. The database's user must be allowed to create databases.
"""

import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import settings

import logins
from servers import Running, Servers
from tocsin_common import migrations
from tocsin_local.urls import StackUrls

settings.register_profile("tocsin", deadline=None)  # how long a case takes says nothing on a busy machine
settings.load_profile("tocsin")

TEMPLATE = "tocsin_template"
SERVERS = pytest.StashKey[Servers]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SERVERS] = Servers()


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[SERVERS].stop()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give the one pair of servers to each process where tests run in several."""
    running = node.config.stash[SERVERS].running()
    node.workerinput["servers"] = asdict(running.urls), running.log_folder


@pytest.fixture(scope="session")
def running_servers(request: pytest.FixtureRequest) -> Running:
    """The servers of this run, and where they log."""
    given = getattr(request.config, "workerinput", {}).get("servers")
    return Running(StackUrls(**given[0]), given[1]) if given else request.config.stash[SERVERS].running()


@pytest.fixture(scope="session")
def servers(running_servers: Running) -> StackUrls:
    """The servers of this run."""
    return running_servers.urls


@pytest.fixture(scope="session")
async def database_template(servers: StackUrls) -> AsyncIterator[str]:
    """The name of a migrated database that each test's database is copied from."""
    await logins.make_roles(servers)
    name = f"{TEMPLATE}_{uuid4().hex[:8]}"
    await _admin(servers, f'CREATE DATABASE "{name}"')
    await migrations.upgrade_async(_with_path(servers.database_url, name))
    yield name
    await _admin(servers, f'DROP DATABASE "{name}"')


@pytest.fixture
async def database_url(servers: StackUrls, database_template: str) -> AsyncIterator[str]:
    """A migrated, empty database for one test."""
    async with _database(servers, template=database_template) as url:
        yield url


@pytest.fixture(scope="module")
async def shared_database_url(servers: StackUrls, database_template: str) -> AsyncIterator[str]:
    """A migrated database for the tests of one module, which do not get in each other's way."""
    async with _database(servers, template=database_template) as url:
        yield url


@pytest.fixture
async def empty_database_url(servers: StackUrls) -> AsyncIterator[str]:
    """A database without any table."""
    async with _database(servers) as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the test's database, to arrange and to look."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
def manage(servers: StackUrls) -> logins.Manage:
    """Sends requests to RabbitMQ's management API; the services have their users."""
    send = partial(logins.manage, servers)
    logins.make_users(servers, send)
    return send


@pytest.fixture
def rabbitmq_url(servers: StackUrls, manage: logins.Manage) -> Iterator[str]:
    """A virtual host for one test."""
    with _virtual_host(servers, manage) as url:
        yield url


@pytest.fixture(scope="module")
def shared_rabbitmq_url(servers: StackUrls, manage: logins.Manage) -> Iterator[str]:
    """A virtual host for the tests of one module."""
    with _virtual_host(servers, manage) as url:
        yield url


@pytest.fixture
def another_rabbitmq_url(servers: StackUrls, manage: logins.Manage) -> Iterator[str]:
    """One more, for a test that loses the first."""
    with _virtual_host(servers, manage) as url:
        yield url


@pytest.fixture(scope="session")
def sealing_keys() -> str:
    """A value for SEALING_KEYS."""
    return base64.b64encode(bytes(range(32))).decode()


@asynccontextmanager
async def _database(servers: StackUrls, template: str = "template1") -> AsyncIterator[str]:
    name = f"test_{uuid4().hex[:12]}"
    await _admin(servers, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    yield _with_path(servers.database_url, name)
    await _admin(servers, f'DROP DATABASE "{name}"')


@contextmanager
def _virtual_host(servers: StackUrls, manage: logins.Manage) -> Iterator[str]:
    name = f"test-{uuid4().hex[:12]}"
    manage("PUT", f"/api/vhosts/{name}", None)
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    manage("PUT", f"/api/permissions/{name}/{quote(servers.management_user, safe='')}", everything)
    logins.let_in(name, manage)
    yield _with_path(servers.rabbitmq_url, name)
    manage("DELETE", f"/api/vhosts/{name}", None)


async def _admin(servers: StackUrls, statement: str) -> None:
    connection = await asyncpg.connect(servers.database_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _with_path(url: str, path: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{path}"))
