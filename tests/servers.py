"""The servers of a test run: those that the environment names, else containers, else a private local stack."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from secrets import token_hex
from urllib.parse import urlsplit

from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from tocsin_local.instance import memory_root
from tocsin_local.stack import Stack
from tocsin_local.urls import StackUrls

POSTGRES_IMAGE = "postgres:17-alpine"
RABBITMQ_IMAGE = "rabbitmq:4-management-alpine"
USER = "tocsin"
AMQP_PORT, MANAGEMENT_PORT = 5672, 15672
ASK_ENGINE = "import docker; docker.from_env(timeout=2).ping()"


class Servers:
    """Started when they are first asked for."""

    def __init__(self) -> None:
        self._running = ExitStack()
        self._urls: StackUrls | None = None

    def urls(self) -> StackUrls:
        """Where they are."""
        if self._urls is None:
            self._urls = self._running.enter_context(_start())
        return self._urls

    def stop(self) -> None:
        """Stop what was started here."""
        self._running.close()


def _start() -> AbstractContextManager[StackUrls]:
    if "DATABASE_URL" in os.environ and "RABBITMQ_URL" in os.environ:
        return _given(os.environ["DATABASE_URL"], os.environ["RABBITMQ_URL"])
    return _containers() if _engine_answers() else _local_stack()


@contextmanager
def _given(database_url: str, rabbitmq_url: str) -> Iterator[StackUrls]:
    rabbitmq = urlsplit(rabbitmq_url)
    yield StackUrls(
        database_url=database_url,
        rabbitmq_url=rabbitmq_url,
        management_url=os.environ.get("RABBITMQ_MANAGEMENT_URL", f"http://{rabbitmq.hostname}:{MANAGEMENT_PORT}"),
        management_user=rabbitmq.username or "guest",
        management_password=rabbitmq.password or "guest",
    )


@contextmanager
def _local_stack() -> Iterator[StackUrls]:
    with Stack("test", fresh=True, root=memory_root()) as stack:
        yield stack.urls


@contextmanager
def _containers() -> Iterator[StackUrls]:
    password = token_hex(16)
    with _postgres(password) as postgres, _rabbitmq(password) as rabbitmq:
        host = rabbitmq.get_container_host_ip()
        yield StackUrls(
            database_url=postgres.get_connection_url(),
            rabbitmq_url=f"amqp://{USER}:{password}@{host}:{rabbitmq.get_exposed_port(AMQP_PORT)}/",
            management_url=f"http://{host}:{rabbitmq.get_exposed_port(MANAGEMENT_PORT)}",
            management_user=USER,
            management_password=password,
        )


def _postgres(password: str) -> PostgresContainer:
    container = PostgresContainer(POSTGRES_IMAGE, username=USER, password=password, dbname=USER, driver=None)
    return container.with_command("postgres -c max_connections=200 -c fsync=off")


def _rabbitmq(password: str) -> DockerContainer:
    # Not the RabbitMqContainer that comes along: importing it warns, and warnings are errors here.
    container = DockerContainer(RABBITMQ_IMAGE).with_exposed_ports(AMQP_PORT, MANAGEMENT_PORT)
    container.with_envs(RABBITMQ_DEFAULT_USER=USER, RABBITMQ_DEFAULT_PASS=password)
    return container.waiting_for(LogMessageWaitStrategy("Server startup complete"))


def _engine_answers() -> bool:
    # In a process of its own: where no engine is, the client leaves a socket open, and warnings are errors here.
    asked = subprocess.run([sys.executable, "-c", ASK_ENGINE], capture_output=True, check=False)
    return asked.returncode == 0
