"""PURE. What a row of the matrix is."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from faults.matrix.scene import Scene


class Burst(NamedTuple):
    """So many executions that are owed together, again and again, beside the steady load."""

    size: int
    every_s: int
    """A divisor of 60."""

    def until_next_s(self, now: datetime) -> float:
        """Seconds until the next one is due."""
        return self.every_s - now.timestamp() % self.every_s


STEADY = 100
SOON_S = 20
"""A bound on the recovery where nothing has to run out but a lease (5 s): connections are made anew, a process
starts, and what has waited for 30 s is posted, each within seconds."""
SWEPT_S = 45
"""Where work was lost on its way: a claim runs out after 30 s, and what no sender was told of is announced again
after 30 s. The sweeper looks every 5 s, and what it finds is to be posted."""
SUCCEEDED = frozenset({"succeeded"})
OR_MISSED = frozenset({"succeeded", "missed"})

Repeat = Literal["retry", "not received", "not recorded"]
"""Why an execution may be posted again: the POST before was answered with an error or not at all; its answer did
not arrive; whoever made it lost its claim before the outcome was recorded."""
NOT_RECORDED: frozenset[Repeat] = frozenset({"not recorded"})
BY_RECEIVER: frozenset[Repeat] = frozenset({"retry", "not received"})
ANY_REPEAT: frozenset[Repeat] = NOT_RECORDED | BY_RECEIVER


class Fault(NamedTuple):
    """A row: what is done to Tocsin, and how soon all must be well again."""

    name: str
    what: str
    """In words, for the table."""
    inflict: Callable[["Scene"], Awaitable[None]]
    """Does it, and says when it is over: then nothing holds anything up, and whoever is away is being started."""
    bound_s: float
    """From then on, until all that was owed by then is accounted for and posted, what is owed is emitted in time,
    and each process does its work. One that is done several times may measure it each time."""
    settings: Mapping[str, str] = {}
    """Of all processes, beside the product's defaults."""
    burst: Burst = Burst(500, 20)
    steady: int = STEADY
    """Executions a second, each of a task of its own."""
    disks: Mapping[str, int] = {}
    """Of servers (`postgres`, `rabbitmq`) that have a small one of their own: MiB."""
    wrong_clock: bool = False
    """A process gets a clock of its own, for which a library has to be there."""
    broker_nodes: int = 1
    """With more than one, RabbitMQ is a cluster."""
    ends: frozenset[str] = SUCCEEDED
    """The terminal states that an execution may come to: `missed` only where a fault outlasts the grace."""
    repeats: frozenset[Repeat] = frozenset()
    """Why executions may be posted again here; none may be for another reason."""
    catch_up: str = "latest"
    """The policy of all tasks."""
    hostile: int = 0
    """So many destinations misbehave as the fault tells them to; it must not be felt at the others."""
    hostile_ends: frozenset[str] = frozenset({"succeeded", "failed"})
    """The terminal states that executions may come to there; `failed` only where no attempt is left."""
    tls: bool = False
    """Those destinations are posted to by https, and the senders trust who vouches for them."""
