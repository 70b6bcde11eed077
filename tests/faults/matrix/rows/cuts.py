"""Parts are cut off from each other.

Not the APIs from the receivers: nothing of theirs goes there. A run or a test that a user asks for is posted by a
sender, and what an API asks Discord for, whether a webhook is there, it asks of no other host.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial

from faults.matrix import lines, patience, recovery, users
from faults.matrix.attempts import Span
from faults.matrix.fault import BY_RECEIVER, NOT_RECORDED, SOON_S, Fault, Repeat
from faults.matrix.lines import Server
from faults.matrix.parts import Role
from faults.matrix.scene import Scene
from relay import Relay

CUT_S = 30
RESETS = 10
MOST_S = 0.5
"""From the first that is hit to the reset."""
RETRIED_S = 45
"""A bound on the recovery where POSTs fail for that long: what was tried three times waits for up to 10 s, and
then for an answer that may not come, and a destination that was blocked takes one POST first."""
PAIRS: tuple[tuple[Role, Server], ...] = (
    ("api", "database"),
    ("scheduler", "database"),
    ("sender", "database"),
    ("api", "broker"),
    ("scheduler", "broker"),
    ("sender", "broker"),
    ("sender", "receiver"),
)
ALONE: tuple[Server, ...] = ("database", "broker")
"""What the leader alone is cut off from, and one sender."""
NAMES: dict[str, str] = {
    "api": "the APIs",
    "scheduler": "the schedulers",
    "sender": "the senders",
    "database": "PostgreSQL",
    "broker": "RabbitMQ",
    "receiver": "the receivers",
}
REPEATS: dict[tuple[str, Server], frozenset[Repeat]] = {
    ("sender", "database"): NOT_RECORDED,
    ("one_sender", "database"): NOT_RECORDED,
    ("sender", "receiver"): BY_RECEIVER,
}
WITHOUT_RECEIVERS = {"AUTO_DISABLE_AFTER": "0"}
"""Receivers that do not answer for so long are a task's own failure, and ten in a row would end it."""

MAY_FAIL = frozenset({"succeeded", "failed"})

Cut = Callable[[str, Server, float, Scene], Awaitable[None]]


async def reset(who: str, server: Server, seconds: float, scene: Scene) -> None:
    """All connections between a role, or one part, and a server are reset, and new ones refused."""
    async with _hitting(who, server, scene) as between:
        await lines.cut(between)
        await asyncio.sleep(seconds)
        await lines.restore(between)
        scene.fault_is_over()


async def silence(who: str, server: Server, seconds: float, scene: Scene) -> None:
    """All connections between the two stand, and nothing comes through."""
    async with _hitting(who, server, scene) as between:
        since = datetime.now(UTC)
        for relay in between:
            relay.freeze()
        await asyncio.sleep(seconds)
        for relay in between:
            relay.thaw()
        scene.fault_is_over()
        if server == "receiver":
            scene.silences.append(Span(since, datetime.now(UTC)))


async def hit_all(role: Role, cut: Cut, server: Server, seconds: float, scene: Scene) -> None:
    """Of a role."""
    await cut(role, server, seconds, scene)


async def hit_the_leader(cut: Cut, server: Server, seconds: float, scene: Scene) -> None:
    """Alone: then the other one leads. That RabbitMQ is silent the leader does not know so soon, and all waits."""
    leader = await scene.leader()
    is_noticed = server == "database" or cut is reset
    async with recovery.failing_over(scene, leader) if is_noticed else nullcontext():
        await cut(leader.name, server, seconds, scene)
    whose = "its own" if await scene.leader() is leader else "another one's"
    scene.remarks.append(f"the leader was cut off from the {server}, and the lease is {whose} afterwards")


async def hit_a_sender(cut: Cut, server: Server, seconds: float, scene: Scene) -> None:
    """One alone: the others do its work."""
    await cut(scene.chance.choice(scene.of_role("sender")).name, server, seconds, scene)


async def again_and_again(reset_once: Callable[[Scene], Awaitable[int]], what: str, scene: Scene) -> None:
    """Each time all that was hit ends first: so nothing is hit twice, and none uses up its retries."""
    hit = []
    for _ in range(RESETS):
        hit.append(await reset_once(scene))
        await patience.eventually(partial(scene.ask, recovery.HAVE_ENDED, scene.over_at))
        recovery.note_now(scene)
    scene.hit(sum(map(bool, hit)), RESETS, f"resets came in time: {sum(hit)} {what}")


async def reset_once_before_the_answer(scene: Scene) -> int:
    """Requests go through and answers do not, until all is reset: how many had been answered by then."""
    [relay] = scene.lines.between("sender", "receiver")
    start = len(scene.receiver.posts)

    def answered() -> int:
        return sum(post.succeeded for post in scene.receiver.posts[start:])

    relay.mute()
    await scene.receiver.wait_until(lambda: answered() > 0)
    await asyncio.sleep(scene.chance.uniform(0, MOST_S))
    await relay.cut()
    relay.unmute()
    in_vain = answered()
    await relay.restore()
    scene.fault_is_over()
    return in_vain


async def reset_once_in_mid_request(scene: Scene) -> int:
    """Half of each request goes through and nothing more, until all is reset: how many there were by then."""
    [relay] = scene.lines.between("sender", "receiver")
    before = relay.struck

    async def halved() -> int:
        return relay.struck - before

    relay.halve()
    await patience.eventually(halved)
    await asyncio.sleep(scene.chance.uniform(0, MOST_S))
    in_half = await halved()
    await relay.cut()
    relay.make_whole()
    await relay.restore()
    scene.fault_is_over()
    return in_half


@asynccontextmanager
async def _hitting(who: str, server: Server, scene: Scene) -> AsyncIterator[list[Relay]]:
    """The lines between the two, which must be hit. Where they are the APIs', users go on creating tasks."""
    between = scene.lines.between(who, server)
    before = [relay.struck for relay in between]
    blind = scene.blinding(who) if server == "database" else nullcontext()
    async with users.creating(scene) if who.startswith("api") else nullcontext():
        with blind:
            yield between
    struck = [relay.struck - earlier for relay, earlier in zip(between, before, strict=True)]
    words = ", ".join(map(str, struck))
    scene.hit(
        sum(map(bool, struck)), len(between), f"lines were hit; connections reset, or sendings held up: {words}"
    )


def _rows(
    name: str, who: str, server: Server, hit: Callable[[Cut, Server, float, Scene], Awaitable[None]]
) -> Iterator[Fault]:
    between = f"between {who} and {NAMES[server]}"
    for name_of_cut, what, cut in (
        (f"{name}_cut_from_{server}", f"All connections {between} are reset, and refused for {CUT_S} s", reset),
        (f"{name}_and_{server}_silent", f"Nothing comes through {between} for {CUT_S} s", silence),
    ):
        fault = Fault(name_of_cut, what, partial(hit, cut, server, CUT_S), bound_s=SOON_S)
        fault = fault._replace(repeats=REPEATS.get((name, server), frozenset()))
        if server == "receiver":
            fault = fault._replace(bound_s=RETRIED_S, settings=WITHOUT_RECEIVERS, ends=MAY_FAIL)
        yield fault


def _resets(name: str, what: str, reset_once: Callable[[Scene], Awaitable[int]], were_hit: str) -> Fault:
    return Fault(
        name,
        f"Connections to receivers are reset when these {what}, {RESETS} times",
        partial(again_and_again, reset_once, were_hit),
        bound_s=SOON_S,
        repeats=BY_RECEIVER,
    )


ROWS = (
    *(fault for role, server in PAIRS for fault in _rows(role, NAMES[role], server, partial(hit_all, role))),
    *(
        fault
        for server in ALONE
        for fault in (
            *_rows("leader", "the leader alone", server, hit_the_leader),
            *_rows("one_sender", "one of the senders", server, hit_a_sender),
        )
    ),
    _resets(
        "posts_cut_in_mid_request",
        "have had half of a request",
        reset_once_in_mid_request,
        "requests were cut in half",
    ),
    _resets(
        "posts_cut_before_the_answer",
        "have answered and nothing has come back",
        reset_once_before_the_answer,
        "POSTs were answered and their answers were lost",
    ),
)
