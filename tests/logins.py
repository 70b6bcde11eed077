"""SHELL. The users that each of Tocsin's processes connects as, with just its rights, on the servers of a run."""

import base64
import hashlib
import json
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from http import HTTPStatus
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from tocsin_common.rights import RIGHTS
from tocsin_common.settings_forms import rabbitmq_nodes
from tocsin_local.urls import StackUrls

DEFINITIONS = Path(__file__).parents[1] / "deploy" / "rabbitmq" / "definitions.json"
SERVICES = {"serve": "api", "rotate-keys": "api", "import": "api", "schedule": "scheduler", "send": "sender"}
"""By what a process is told to do; what is not here migrates, as the tables' owner."""
LOCK_KEY = 1  # roles are of the whole server, and several processes of a run make them

Manage = Callable[[str, str, object], None]
"""Sends a request to RabbitMQ's management API: method, path, body."""


async def make_roles(servers: StackUrls) -> None:
    """Make the services' roles in PostgreSQL where they are missing; a migration grants them their rights."""
    connection = await asyncpg.connect(servers.database_url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK_KEY)
            for role in RIGHTS:
                if not await connection.fetchval("SELECT to_regrole($1) IS NOT NULL", role):
                    await connection.execute(f"CREATE ROLE {role} LOGIN")
                await connection.execute(f"ALTER ROLE {role} PASSWORD '{_password(servers)}'")
    finally:
        await connection.close()


def make_users(servers: StackUrls, manage: Manage) -> None:
    """Make the services' users in RabbitMQ."""
    for service in sorted(set(SERVICES.values())):
        make = partial(manage, "PUT", f"/api/users/tocsin-{service}", {"password": _password(servers), "tags": ""})
        try:
            make()
        except HTTPError as error:
            if error.code != HTTPStatus.BAD_REQUEST:
                raise
            make()  # another process of the run made the same user at the same moment


def let_in(vhost: str, manage: Manage) -> None:
    """Give them the rights that deployments give them, in this virtual host."""
    for user, rights in permissions():
        manage("PUT", f"/api/permissions/{quote(vhost, safe='')}/{user}", rights)


def permissions() -> Iterator[tuple[str, dict[str, str]]]:
    """Each user with its patterns."""
    for entry in json.loads(DEFINITIONS.read_text())["permissions"]:
        yield entry["user"], {name: entry[name] for name in ("configure", "write", "read")}


def as_service(url: str, servers: StackUrls, task: str) -> str:
    """The URL with the login of whoever does `task`, where it has that of the servers' administrator.

    Each URL, where it is a list of a cluster's nodes.
    """
    return ",".join(_as_service(each, servers, task) for each in rabbitmq_nodes(url))


def _as_service(url: str, servers: StackUrls, task: str) -> str:
    broker = rabbitmq_nodes(servers.rabbitmq_url)[0]
    own, parts = {servers.database_url: "tocsin_{}", broker: "tocsin-{}"}, urlsplit(url)
    for administrators, pattern in own.items():
        admin = urlsplit(administrators)
        is_admin = (parts.scheme, parts.username, parts.password) == (admin.scheme, admin.username, admin.password)
        if is_admin and task in SERVICES:
            address = parts.netloc.rpartition("@")[2]
            login = f"{pattern.format(SERVICES[task])}:{_password(servers)}"
            return urlunsplit(parts._replace(netloc=f"{login}@{address}"))
    return url


def manage(servers: StackUrls, method: str, path: str, body: object) -> None:
    """Send a request to RabbitMQ's management API."""
    login = base64.b64encode(f"{servers.management_user}:{servers.management_password}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310 - the scheme is http: the management API of our own broker
        servers.management_url + path,
        data=None if body is None else json.dumps(body).encode(),
        method=method,
        headers={"Authorization": f"Basic {login}", "Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310 - as above


def _password(servers: StackUrls) -> str:
    """The same in all processes of a run."""
    return hashlib.sha256(f"{servers.database_url} {servers.rabbitmq_url}".encode()).hexdigest()[:32]
