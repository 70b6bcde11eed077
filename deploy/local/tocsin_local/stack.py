"""SHELL. PostgreSQL, RabbitMQ and, if asked for, Redis of an instance: started, watched and stopped together."""

from collections.abc import Mapping
from os import environ
from pathlib import Path
from types import TracebackType
from typing import Self

from tocsin_local import packages, postgres, process, rabbitmq, redis
from tocsin_local.cluster import Cluster
from tocsin_local.instance import Instance
from tocsin_local.urls import StackUrls


class Stack:
    """The servers of one instance. DATABASE_URL, RABBITMQ_URL and REDIS_URL, where set in `env`, replace them.

    A context manager stops the instance at its end, unless `start` had left it running before.
    One process at a time uses an instance, from its start to its stop or to the process's own end:
    another one waits, at most 120 s, until it is done.
    """

    def __init__(
        self,
        name: str,
        fresh: bool = False,
        env: Mapping[str, str] = environ,
        root: Path | None = None,
        postgres_settings: Mapping[str, str] | None = None,
        with_redis: bool = False,
        rabbitmq_nodes: int = 1,
    ) -> None:
        """Take up an instance; `fresh` stops and wipes it before the start. Nothing happens yet.

        `root`: see Instance; `postgres_settings`: see Postgres; `with_redis`: Tocsin does without, so only then;
        `rabbitmq_nodes`: with more than one, RabbitMQ is a Cluster.
        """
        self.instance = Instance(name, root)
        self.started: list[str] = []  # the servers that this object started
        self._fresh = fresh
        self._database_url = env.get("DATABASE_URL", "")
        self._rabbitmq_url = env.get("RABBITMQ_URL", "")
        self._redis_url = env.get("REDIS_URL", "")
        self._postgres = postgres.Postgres(self.instance, postgres_settings)
        self._rabbitmq: rabbitmq.RabbitMQ | Cluster = (
            rabbitmq.RabbitMQ(self.instance) if rabbitmq_nodes == 1 else Cluster(self.instance, rabbitmq_nodes)
        )
        self._redis = redis.Redis(self.instance)
        self._servers: list[postgres.Postgres | rabbitmq.RabbitMQ | Cluster | redis.Redis] = []
        if not self._database_url:
            self._servers.append(self._postgres)
        if not self._rabbitmq_url:
            self._servers.append(self._rabbitmq)
        if with_redis and not self._redis_url and not env.get("REDIS_HOST"):
            self._servers.append(self._redis)

    def start(self) -> StackUrls:
        """Start what does not run, to stay until `stop`; return where it is. StackError if that fails."""
        self._start()
        self.instance.set_flag("stays")
        return self.urls

    def stop(self) -> None:
        """Stop every process of the instance, Tocsin's own first, and nothing else."""
        if not self.instance.exists():
            return
        self.instance.lock()
        with process.uninterrupted():
            self._stop()
            self.instance.set_flag("stays", False)
        self.instance.unlock()

    def ensure_running(self) -> list[str]:
        """Start whichever server died again, on the same ports and data; return the names of those."""
        dead = [server for server in self._servers if not server.is_running()]
        for server in dead:
            server.start(same_ports=True)
        return [server.name for server in dead]

    def stop_server(self, name: str) -> None:
        """Stop one server as its operator would; `ensure_running` brings it back."""
        for server in self._servers:
            if server.name == name:
                server.stop()

    @property
    def broker(self) -> rabbitmq.RabbitMQ | Cluster:
        """RabbitMQ, for those who operate it."""
        return self._rabbitmq

    def kill(self, name: str) -> None:
        """Kill one of the `pids()` by SIGKILL, as a crash would, and wait until it is gone."""
        process.kill(self.instance.record(name))

    def install_missing(self) -> None:
        """Install the Debian packages of servers that this machine lacks. StackError where that cannot be."""
        wanted = {}
        if not self._database_url and postgres.find_binaries() is None:
            wanted["postgresql"] = "the database, PostgreSQL"
        if not self._rabbitmq_url and rabbitmq.find_server() is None:
            wanted["rabbitmq-server"] = "the message broker, RabbitMQ"
        if self._redis in self._servers and redis.find_server() is None:
            wanted["redis-server"] = "the counts of requests, Redis"
        packages.install(wanted)

    def pids(self) -> dict[str, int]:
        """Return the servers' processes that run: `postgres`, `rabbitmq`, `epmd`, `redis` → pid."""
        return self._postgres.pids() | self._rabbitmq.pids() | self._redis.pids()

    def expected(self) -> list[str]:
        """Return the names of the processes that run when all is well."""
        names = {"postgres": ["postgres"], "rabbitmq": self._rabbitmq.processes, "redis": ["redis"]}
        return [name for server in self._servers for name in names[server.name]]

    @property
    def urls(self) -> StackUrls:
        """Where the servers are, running or not."""
        own = not self._rabbitmq_url
        return StackUrls(
            database_url=self._database_url or self._postgres.url,
            rabbitmq_url=self._rabbitmq_url or self._rabbitmq.url,
            management_url=self._rabbitmq.management_url if own else "",
            management_user=rabbitmq.USER if own else "",
            management_password=self._rabbitmq.password if own else "",
            redis_url=self._redis.url if self._redis in self._servers else self._redis_url,
        )

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.instance.flag("stays"):
            self.instance.unlock()
        else:
            self.stop()

    def stop_started(self) -> None:
        """Stop the servers that this object started, and let others use the instance."""
        with process.uninterrupted():
            for server in self._servers:
                if server.name in self.started:
                    server.stop()
            if not self.pids():
                self.instance.set_flag("stays", False)
        self.started.clear()
        self.instance.unlock()

    def _start(self) -> None:
        self.install_missing()
        self.instance.lock()
        try:
            if self._fresh:
                self._stop()
                self.instance.wipe()
            for server in self._servers:
                if not server.is_running():
                    self.started.append(server.name)
                server.start()
        except BaseException:
            self.stop_started()
            raise

    def _stop(self) -> None:
        """Stop Tocsin's processes, then the servers, the ones that `env` replaces now included."""
        names = self.instance.pids().keys() - {"postgres", *self._rabbitmq.processes, "redis"}
        process.stop_all([self.instance.record(name) for name in names])
        self._redis.stop()
        self._rabbitmq.stop(at_once=self._fresh)
        self._postgres.stop()
