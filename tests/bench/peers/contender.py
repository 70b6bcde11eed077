"""What the bench asks of Tocsin and of each of its peers."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from bench.peers.work import Post


class Contender(Protocol):
    """Processes that post what they were given beforehand."""

    @property
    def name(self) -> str:
        """As it stands in the figures."""

    @property
    def ahead_s(self) -> float:
        """How long before its instant the work is given, for 1,000 POSTs."""

    async def start(self) -> None:
        """Start its servers and processes, and wait until they are ready."""

    async def give(self, posts: Sequence[Post]) -> Mapping[UUID, datetime]:
        """Give it work that is due later; each POST's id with its instant."""

    async def settled(self) -> None:
        """Return once all that has arrived is done for it as well."""

    def kill(self) -> None:
        """Kill its processes by SIGKILL."""

    def restart(self) -> None:
        """Start them again; do not wait."""

    def pids(self) -> Collection[int]:
        """Its own processes; their children count as well."""

    def server_pids(self) -> Collection[int]:
        """Servers that it works with; their children count as well."""

    async def stop(self) -> None:
        """Stop all of that."""
