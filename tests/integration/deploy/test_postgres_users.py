"""The script that makes PostgreSQL's users, on a server of its own."""

import asyncio
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from environment import INHERITED
from faults.own_servers import OwnServer, own_server
from tocsin_common import migrations
from tocsin_common.rights import OWNER, RIGHTS

SCRIPT = Path(__file__).parents[3] / "deploy" / "postgres" / "users.sh"
ROLES = (OWNER, *RIGHTS)
PASSWORDS = {role: f'{role}\'s "own" $1' for role in ROLES}


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    with own_server("postgres", {"RABBITMQ_URL": "amqp://127.0.0.1/"}) as server:
        yield server


def run(server: OwnServer, passwords: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    parts = urlsplit(server.urls.database_url)
    login = {
        "PGHOST": str(parts.hostname),
        "PGPORT": str(parts.port),
        "PGPASSWORD": str(parts.password),
        "POSTGRES_USER": str(parts.username),
        "POSTGRES_DB": parts.path[1:],
    }
    return subprocess.run(
        [SCRIPT], env={**INHERITED, **login, **passwords}, capture_output=True, text=True, check=False, timeout=60
    )


async def connect(server: OwnServer, role: str, password: str) -> asyncpg.Connection:
    return await asyncpg.connect(server.urls.database_url, user=role, password=password)


def url_of(server: OwnServer, role: str, password: str) -> str:
    parts = urlsplit(server.urls.database_url)
    return urlunsplit(parts._replace(netloc=f"{role}:{password}@{parts.hostname}:{parts.port}"))


def variables(passwords: Mapping[str, str]) -> dict[str, str]:
    return {f"{role.removeprefix('tocsin_').upper()}_PASSWORD": passwords[role] for role in ROLES}


async def test_all_users_log_in_and_the_owner_migrates(server: OwnServer) -> None:
    assert (done := run(server, variables(PASSWORDS))).returncode == 0, done.stderr
    plain = {role: f"{role}-1" for role in ROLES}  # again, with passwords that need no quotes in a URL
    for role in ROLES:
        await (await connect(server, role, PASSWORDS[role])).close()
    assert (done := run(server, variables(plain))).returncode == 0, done.stderr

    await migrations.upgrade_async(url_of(server, OWNER, plain[OWNER]))

    for role, statement in {
        "tocsin_api": "SELECT * FROM tasks",
        "tocsin_scheduler": "SELECT make_partitions('2026-03-01')",
        "tocsin_sender": "SELECT * FROM destinations",
    }.items():
        connection = await connect(server, role, plain[role])
        await connection.execute(statement)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("CREATE TEMPORARY TABLE a ()")
        await connection.close()


async def test_what_was_migrated_before_there_were_users_is_the_owners_from_then_on() -> None:
    with own_server("postgres", {"RABBITMQ_URL": "amqp://127.0.0.1/"}) as server:
        await migrations.upgrade_async(server.urls.database_url)
        administrator = await asyncpg.connect(server.urls.database_url)
        await administrator.execute("SELECT make_partitions('2026-03-01')")
        plain = {role: f"{role}-1" for role in ROLES}

        assert (done := run(server, variables(plain))).returncode == 0, done.stderr
        await migrations.upgrade_async(url_of(server, OWNER, plain[OWNER]))

        scheduler = await connect(server, "tocsin_scheduler", plain["tocsin_scheduler"])
        assert await scheduler.fetch("SELECT drop_partitions('2026-03-01')") != []
        await scheduler.close()
        await administrator.close()


async def test_another_user_is_not_let_in(server: OwnServer) -> None:
    assert run(server, variables(PASSWORDS)).returncode == 0
    administrator = await asyncpg.connect(server.urls.database_url)
    await administrator.execute("CREATE ROLE stranger LOGIN PASSWORD 'stranger'")
    await administrator.close()

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connect(server, "stranger", "stranger")


async def test_passwords_are_read_from_files(server: OwnServer, tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in variables(PASSWORDS)}
    for name, path in files.items():
        path.write_text(f"from a file: {name}\n")

    done = await asyncio.to_thread(run, server, {f"{name}_FILE": str(path) for name, path in files.items()})

    assert done.returncode == 0, done.stderr
    await (await connect(server, "tocsin_sender", "from a file: SENDER_PASSWORD")).close()


def test_a_password_that_is_missing_is_named_and_nothing_is_changed(server: OwnServer) -> None:
    done = run(server, {**variables(PASSWORDS), "SENDER_PASSWORD": ""})

    assert done.returncode != 0
    assert "set SENDER_PASSWORD or SENDER_PASSWORD_FILE" in done.stderr
