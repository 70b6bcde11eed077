"""ADAPTERS. A server for one test alone, which may crash."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from uuid import uuid4

from faults import small_disk
from faults.operators import Operator
from faults.small_disk import SmallDisk
from tocsin_local.cluster import Cluster
from tocsin_local.instance import memory_root, remove
from tocsin_local.process import wait_until
from tocsin_local.stack import Stack
from tocsin_local.urls import StackUrls

ServerName = Literal["postgres", "rabbitmq"]

# PostgreSQL calls it immediate mode: nothing more is written, and the next start recovers from its log.
CRASH = {"postgres": signal.SIGQUIT, "rabbitmq": signal.SIGKILL}
CRASH_TIMEOUT_S = 20.0


class OwnServer:
    """One server of a stack, whose other server is somebody else's."""

    def __init__(self, stack: Stack, name: ServerName) -> None:
        self._stack = stack
        self._name = name

    @property
    def urls(self) -> StackUrls:
        """Where it is."""
        return self._stack.urls

    @property
    def logs(self) -> list[Path]:
        """What it logs since its last start, and before it (`.log.1`); each node, where it is a cluster."""
        return sorted(self._stack.instance.log(self._name).parent.glob(f"{self._name}*.log*"))

    @property
    def log(self) -> str:
        """What is in them."""
        return "".join(log.read_text(errors="replace") for log in self.logs)

    @property
    def operator(self) -> Operator:
        """Whoever operates it, where it is RabbitMQ."""
        return Operator(self._stack.broker)

    @property
    def cluster(self) -> Cluster:
        """All its nodes, where they are several."""
        assert isinstance(self._stack.broker, Cluster)
        return self._stack.broker

    def is_running(self) -> bool:
        """Whether it has not ended by itself."""
        return not self._is_down()

    @property
    def disk(self) -> SmallDisk:
        """All that it writes to, where it was given a small one."""
        return SmallDisk(self._stack.instance.folder / self._name)

    async def crash(self) -> None:
        """It ends at once, without a word to its clients."""
        os.kill(self._stack.pids()[self._name], CRASH[self._name])
        assert await asyncio.to_thread(wait_until, self._is_down, CRASH_TIMEOUT_S)

    async def kill(self) -> None:
        """Its main process is killed by SIGKILL."""
        await asyncio.to_thread(self._stack.kill, self._name)

    async def stop(self) -> None:
        """It is stopped as its operator would."""
        await asyncio.to_thread(self._stack.stop_server, self._name)

    async def restart(self) -> None:
        """Come back with the same data on the same port; returns once it takes connections."""
        assert await asyncio.to_thread(self._stack.ensure_running) == [self._name]

    async def restart_as_standby(self) -> None:
        """Come back as `restart` does, but in recovery, as a standby that a failover has not promoted yet."""
        (self._data / "standby.signal").touch()
        await self.restart()

    def promote(self) -> None:
        """Take changes again, on the next timeline; what `pg_ctl promote` does."""
        (self._data / "promote").touch()
        os.kill(self._stack.pids()[self._name], signal.SIGUSR1)

    def destroy(self) -> None:
        """It is gone with its data, as after a fire."""
        self._stack.stop()
        remove(self._data)

    @property
    def _data(self) -> Path:
        return self._stack.instance.folder / "postgres" / "data"

    def _is_down(self) -> bool:
        return self._name not in self._stack.pids()


@contextmanager
def own_server(
    name: ServerName,
    others: Mapping[str, str],
    postgres_settings: Mapping[str, str] | None = None,
    *,
    disk_mebibytes: int | None = None,
) -> Iterator[OwnServer]:
    """Started for the test and removed after it; `others` are the URLs of the servers that it does without.

    With `disk_mebibytes`, its data is on a file system of that size. StackError where this user may not mount it.
    """
    disks: dict[str, int] = {} if disk_mebibytes is None else {name: disk_mebibytes}
    with (
        _stack(others, postgres_settings, fresh=True) as stack,
        small_disk.mounted_for(stack.instance, disks),
        stack,
    ):
        yield OwnServer(stack, name)


@contextmanager
def own_stack() -> Iterator[Stack]:
    """All servers, started for the test and removed after it."""
    with _stack({}, fresh=True) as stack, stack:
        yield stack


@contextmanager
def copy_of(server: OwnServer, others: Mapping[str, str], make: Callable[[Path], None]) -> Iterator[OwnServer]:
    """A PostgreSQL with the users and passwords of another one, whose data `make` puts into a folder."""
    with _stack(others) as stack:
        stack.instance.lock()
        stack.instance.secret("postgres", new=urlsplit(server.urls.database_url).password)
        (stack.instance.folder / "postgres").mkdir()
        make(stack.instance.folder / "postgres" / "data")
        stack.instance.set_flag("postgres initialised")
        with stack:
            yield OwnServer(stack, "postgres")


@contextmanager
def _stack(
    others: Mapping[str, str], postgres_settings: Mapping[str, str] | None = None, *, fresh: bool = False
) -> Iterator[Stack]:
    name = f"fault-{uuid4().hex[:12]}"
    stack = Stack(name, fresh=fresh, env=others, root=memory_root(), postgres_settings=postgres_settings)
    try:
        yield stack
    finally:
        remove(stack.instance.folder)
