"""PURE. The blows that a soak deals: faults of the rows, each once and for seconds only, and which comes next.

Blows may overlap unless they need the same: roles, servers, and RESTART.
"""

from collections.abc import Awaitable, Callable, Collection, Iterator
from functools import partial
from random import Random
from typing import NamedTuple

from faults.matrix import hostility, moments
from faults.matrix.parts import Role
from faults.matrix.rows import (
    api,
    broker,
    clocks,
    cuts,
    database,
    everything,
    messages,
    operators,
    scheduler,
    sender,
)
from faults.matrix.scene import Scene

SECONDS = 25
"""What lasts, lasts so long: until another blow comes."""
STANDS_STILL_S = 10
WRONG_CLOCK_S = 8
TASKS = 10
RESTART = "restart"
"""Whoever starts a server starts each that is down."""


class Blow(NamedTuple):
    """One that is dealt to a scene."""

    name: str
    needs: frozenset[str]
    inflict: Callable[[Scene], Awaitable[object]]
    """As a `Fault`'s; some say whether they met the moment that they are about, or how often."""


def _blow(name: str, needs: str, inflict: Callable[[Scene], Awaitable[object]]) -> Blow:
    return Blow(name, frozenset(needs.split()), inflict)


def _cuts() -> Iterator[Blow]:
    for role, server in cuts.PAIRS:
        needs = f"{role} receiver" if server == "receiver" else role
        yield _blow(f"{role}_cut_from_{server}", needs, partial(cuts.reset, role, server, SECONDS))
        yield _blow(f"{role}_and_{server}_silent", needs, partial(cuts.silence, role, server, SECONDS))


def _cuts_of_one() -> Iterator[Blow]:
    for server in cuts.ALONE:
        yield _blow(
            f"leader_cut_from_{server}", "scheduler", partial(cuts.hit_the_leader, cuts.reset, server, SECONDS)
        )
        yield _blow(
            f"one_sender_cut_from_{server}", "sender", partial(cuts.hit_a_sender, cuts.reset, server, SECONDS)
        )


async def _restart(role: Role, scene: Scene) -> None:
    await everything.restart(scene.chance.choice(scene.of_role(role)), scene)


def _meeting(blow: moments.Blow) -> moments.Blow:
    return partial(moments.meet, blow)


async def _kill_api(scene: Scene) -> int:
    return await api.kill_once(scene.chance.randint(1, 2), scene)


BLOWS: tuple[Blow, ...] = (
    _blow("broker_restarted", f"broker {RESTART}", broker.restart),
    _blow("broker_killed_in_mid_publish", f"broker scheduler {RESTART}", _meeting(broker.kill_once)),
    _blow("broker_memory_alarm", "broker", partial(operators.ring, "memory", SECONDS)),
    _blow("work_queue_purged", "broker scheduler", _meeting(operators.purge_once)),
    _blow("every_queue_deleted", "broker scheduler", _meeting(operators.delete_queues_once)),
    _blow("database_restarted", f"database {RESTART}", database.restart),
    _blow("database_killed_in_burst", f"database sender {RESTART}", _meeting(database.kill_once)),
    _blow("database_away", f"database {RESTART}", partial(database.stay_away, SECONDS)),
    _blow("api_killed_in_mid_transaction", "api database", _meeting(_kill_api)),
    _blow("every_hint_lost", "api database", partial(messages.lose_every_hint, TASKS)),
    _blow("leader_killed_in_burst", "scheduler", _meeting(scheduler.kill_once)),
    _blow("leader_stopped", "scheduler", partial(scheduler.stop_leader, STANDS_STILL_S)),
    _blow("leader_clock_ahead", "scheduler", partial(clocks.set_leaders, clocks.HOUR_S, WRONG_CLOCK_S)),
    _blow("leader_clock_behind", "scheduler", partial(clocks.set_leaders, -clocks.HOUR_S, WRONG_CLOCK_S)),
    _blow("sender_killed", "sender", _meeting(sender.kill_once)),
    *(_blow(f"{role}_restarted", role, partial(_restart, role)) for role in ("api", "scheduler", "sender")),
    *_cuts(),
    *_cuts_of_one(),
    _blow("requests_cut_in_half", "sender receiver", cuts.reset_once_in_mid_request),
    _blow("answers_cut_off", "sender receiver", cuts.reset_once_before_the_answer),
    *(
        _blow(f"receivers_{name}", "receiver", partial(hostility.answer_at_half, status, SECONDS))
        for name, status in hostility.ANSWERS.items()
    ),
)


def shuffled(seed: int) -> Iterator[Blow]:
    """All of them in an order that the seed decides, then all in another one, and so on."""
    chance = Random(seed)  # noqa: S311 - no secret
    while True:
        yield from chance.sample(BLOWS, len(BLOWS))


class Deck:
    """Says which blow is next, by the seed's order; one that needs what is in use waits for its turn."""

    def __init__(self, seed: int) -> None:
        self._order = shuffled(seed)
        self._waiting: list[Blow] = []

    def draw(self, in_use: Collection[str]) -> Blow | None:
        """The first that needs nothing of what is `in_use`; None where that is everything."""
        for blow in self._waiting:
            if blow.needs.isdisjoint(in_use):
                self._waiting.remove(blow)
                return blow
        for blow in self._more():
            if blow.needs.isdisjoint(in_use):
                return blow
            self._waiting.append(blow)
        return None

    def _more(self) -> Iterator[Blow]:
        """Never so many that a blow waits twice."""
        for _ in range(len(BLOWS) - len(self._waiting)):
            yield next(self._order)
