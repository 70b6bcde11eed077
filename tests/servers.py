"""The servers of a test run: those that the environment names, else containers, else a private local stack."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from secrets import token_hex
from typing import NamedTuple
from urllib.parse import urlsplit

from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from tocsin_local.instance import memory_root
from tocsin_local.stack import Stack
from tocsin_local.urls import StackUrls

POSTGRES_IMAGE = "postgres:17-alpine"
RABBITMQ_IMAGE = "rabbitmq:4-management-alpine"
REDIS_IMAGE = "redis:8-alpine"
USER = "tocsin"
AMQP_PORT, MANAGEMENT_PORT, REDIS_PORT = 5672, 15672, 6379
ASK_ENGINE = "import docker; docker.from_env(timeout=2).ping()"


class Running(NamedTuple):
    """Where the servers are."""

    urls: StackUrls
    log_folder: str | None = None
    """None where their logs are not ours to read."""


class Servers:
    """Started when they are first asked for."""

    def __init__(self) -> None:
        self._started = ExitStack()
        self._running: Running | None = None

    def running(self) -> Running:
        """Where they are."""
        if self._running is None:
            self._running = self._started.enter_context(_start())
        return self._running

    def stop(self) -> None:
        """Stop what was started here."""
        self._started.close()


def _start() -> AbstractContextManager[Running]:
    if "DATABASE_URL" in os.environ and "RABBITMQ_URL" in os.environ:
        return _given(os.environ["DATABASE_URL"], os.environ["RABBITMQ_URL"])
    return _containers() if _engine_answers() else _local_stack()


@contextmanager
def _given(database_url: str, rabbitmq_url: str) -> Iterator[Running]:
    rabbitmq = urlsplit(rabbitmq_url)
    urls = StackUrls(
        database_url=database_url,
        rabbitmq_url=rabbitmq_url,
        management_url=os.environ.get("RABBITMQ_MANAGEMENT_URL", f"http://{rabbitmq.hostname}:{MANAGEMENT_PORT}"),
        management_user=rabbitmq.username or "guest",
        management_password=rabbitmq.password or "guest",
        redis_url=os.environ.get("REDIS_URL", ""),
    )
    yield Running(urls)


@contextmanager
def _local_stack() -> Iterator[Running]:
    with Stack("test", fresh=True, root=memory_root(), with_redis=True) as stack:
        yield Running(stack.urls, str(stack.instance.log("rabbitmq").parent))


@contextmanager
def _containers() -> Iterator[Running]:
    password = token_hex(16)
    with _postgres(password) as postgres, _rabbitmq(password) as rabbitmq, _redis() as redis:
        host = rabbitmq.get_container_host_ip()
        urls = StackUrls(
            database_url=postgres.get_connection_url(),
            rabbitmq_url=f"amqp://{USER}:{password}@{host}:{rabbitmq.get_exposed_port(AMQP_PORT)}/",
            management_url=f"http://{host}:{rabbitmq.get_exposed_port(MANAGEMENT_PORT)}",
            management_user=USER,
            management_password=password,
            redis_url=f"redis://{host}:{redis.get_exposed_port(REDIS_PORT)}",
        )
        yield Running(urls)


def _postgres(password: str) -> PostgresContainer:
    container = PostgresContainer(POSTGRES_IMAGE, username=USER, password=password, dbname=USER, driver=None)
    return container.with_command("postgres -c max_connections=200 -c fsync=off")


def _rabbitmq(password: str) -> DockerContainer:
    # Not the RabbitMqContainer that comes along: importing it warns, and warnings are errors here.
    container = DockerContainer(RABBITMQ_IMAGE).with_exposed_ports(AMQP_PORT, MANAGEMENT_PORT)
    container.with_envs(RABBITMQ_DEFAULT_USER=USER, RABBITMQ_DEFAULT_PASS=password)
    return container.waiting_for(LogMessageWaitStrategy("Server startup complete"))


def _redis() -> DockerContainer:
    container = DockerContainer(REDIS_IMAGE).with_exposed_ports(REDIS_PORT)
    return container.waiting_for(LogMessageWaitStrategy("Ready to accept connections"))


def _engine_answers() -> bool:
    # In a process of its own: where no engine is, the client leaves a socket open, and warnings are errors here.
    asked = subprocess.run([sys.executable, "-c", ASK_ENGINE], capture_output=True, check=False)
    return asked.returncode == 0
