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
    def described(self) -> Mapping[str, str]:
        """How it is set up, in the columns of the table of contenders."""

    async def start(self) -> None:
        """Start its servers and processes, which know of no work, and wait until they are ready."""

    async def give(self, posts: Sequence[Post]) -> Mapping[UUID, datetime]:
        """Give it work that is due later, and wait until it has taken all; each POST's id with its instant."""

    async def settled(self) -> None:
        """Return once all that has arrived is done for it as well."""

    async def left(self) -> int:
        """How much of its work is not done yet, as its own server knows."""

    def kill(self) -> None:
        """Kill its processes by SIGKILL, all at once."""

    def restart(self) -> None:
        """Start them again; do not wait."""

    async def ready(self) -> None:
        """Wait until they are ready again."""

    def pids(self) -> Collection[int]:
        """Its own processes; their children count as well."""

    def server_pids(self) -> Collection[int]:
        """Servers that it works with; their children count as well."""

    async def stop(self) -> None:
        """Stop all of that, and leave no work of its own behind."""


def described(
    *, processes: str, in_flight: str, client: str, server: str, setup: str, given: str
) -> Mapping[str, str]:
    """One line of the table of contenders."""
    return {
        "processes": processes,
        "POSTs in flight": in_flight,
        "HTTP client": client,
        "keeps its work in": server,
        "set up with": setup,
        "how it is given its work": given,
    }
