"""PURE. What the doctor's observations mean, in plain words; nothing that it says repeats a setting's value."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

State = Literal["ok", "WRONG", "unknown"]

OLDEST_POSTGRESQL = 14
MOST_OFF_S = 1.0  # clocks that are kept by NTP are off by milliseconds

_REFUSALS = {
    "28000": "it refuses the login: see user and password in DATABASE_URL, and the server's pg_hba.conf",
    "28P01": "it refuses the login: see user and password in DATABASE_URL",
    "3D000": "it has no database of the name in DATABASE_URL: make it, or mend the name",
    "42501": "this user may not connect to the database: grant it CONNECT",
    "53300": "it has no connection left: raise max_connections, or lower DATABASE_POOL_SIZE of all processes",
    "57P03": "it is starting up or shutting down: wait, then ask again",
}
_INEQUIVALENT = re.compile(r"inequivalent arg '([\w-]+)'")


class Finding(NamedTuple):
    """One thing that was looked at."""

    what: str
    state: State
    says: str
    """What is so; where that is wrong, what to do about it."""


def show(findings: Iterable[Finding]) -> str:
    """Lines for a person."""
    return "\n".join(f"{finding.state:<8} {finding.what}: {finding.says}" for finding in findings)


def is_well(findings: Iterable[Finding]) -> bool:
    """Whether nothing is wrong; what is unknown is not."""
    return all(finding.state != "WRONG" for finding in findings)


def refusal(sqlstate: str | None) -> Finding:
    """PostgreSQL answered, and refused the connection."""
    says = _REFUSALS.get(sqlstate or "", f"it refuses the connection (SQLSTATE {sqlstate}): see the server's log")
    return Finding("PostgreSQL", "WRONG", says)


def server(version_num: int, *, in_recovery: bool) -> Finding:
    """Of PostgreSQL, by `server_version_num`."""
    version = f"{version_num // 10_000}.{version_num % 10_000}"
    if version_num // 10_000 < OLDEST_POSTGRESQL:
        return Finding("PostgreSQL", "WRONG", f"it is {version}: Tocsin needs {OLDEST_POSTGRESQL} or newer")
    if in_recovery:
        return Finding("PostgreSQL", "WRONG", "it is a standby: DATABASE_URL must lead to the primary")
    return Finding("PostgreSQL", "ok", f"{version} answers")


def tables(revision: str | None, known: Sequence[str]) -> Finding:
    """How far the database is migrated; `known` are this release's migrations, the newest first."""
    if revision is None:
        return Finding("tables", "WRONG", "there are none: run `tocsin-api migrate`")
    if revision == known[0]:
        return Finding("tables", "ok", f"of this release, {revision}")
    if revision in known:
        return Finding("tables", "WRONG", f"of an older release, {revision}: run `tocsin-api migrate`")
    return Finding("tables", "ok", "of a newer release, as during an upgrade: upgrade this process too")


def clock(whose: str, offset_s: float, uncertain_s: float) -> Finding:
    """This machine's clock less that of `whose`, known to within `uncertain_s`."""
    what = f"clock of {whose}"
    if abs(offset_s) <= MOST_OFF_S + uncertain_s:
        return Finding(what, "ok", f"within {abs(offset_s) + uncertain_s:.3f} s of this machine's")
    side = "behind" if offset_s > 0 else "ahead of"
    return Finding(
        what, "WRONG", f"{abs(offset_s):.1f} s {side} this machine's: let NTP keep both, then see which was off"
    )


def queue(name: str, code: int | None, text: str) -> Finding:
    """What RabbitMQ answered when the queue was declared as it should be; a code of None is a yes."""
    what = f"queue {name}"
    if code is None:
        return Finding(what, "ok", "is there, with the right arguments")
    if code == 404:
        return Finding(what, "WRONG", "is missing: start a scheduler or a sender, which make it")
    if code == 403:
        return Finding(what, "unknown", "this user may not look at it")
    if code == 406:
        found = _INEQUIVALENT.search(text)
        argument = found[1] if found else "its kind"
        says = f"has another {argument} than it should: stop Tocsin, delete it, start Tocsin; no execution is lost"
        return Finding(what, "WRONG", says)
    return Finding(what, "WRONG", f"RabbitMQ refuses to declare it (code {code}): see the server's log")


def exchange(name: str, code: int | None) -> Finding:
    """The same of an exchange."""
    what = f"exchange {name}"
    if code is None:
        return Finding(what, "ok", "is there")
    if code == 404:
        return Finding(what, "WRONG", "is missing: start a scheduler or a sender, which make it")
    if code == 403:
        return Finding(what, "unknown", "this user may not look at it")
    return Finding(what, "WRONG", f"RabbitMQ does not say (code {code}): see the server's log")


def leaders(shown: Collection[Mapping[str, Any]], names: Collection[str]) -> Finding:
    """Whether each queue of these has a node that leads it, by the management API's list of queues."""
    by_name = {each.get("name"): each for each in shown}
    known = [name for name in names if name in by_name]
    orphans = [name for name in known if not _is_led(by_name[name])]
    if orphans:
        says = f"{', '.join(orphans)}: no node leads it; bring back more than half of the nodes that hold it"
        return Finding("queue leaders", "WRONG", says)
    return Finding("queue leaders", "ok", f"each of {len(known)} queues has one")


def of_other_releases(
    shown: Collection[Mapping[str, Any]], names: Collection[str], family: str
) -> Iterator[Finding]:
    """The queues named like ours, `family` or `family.…`, which are none of this release."""
    for each in shown:
        name = str(each.get("name"))
        if name not in names and (name == family or name.startswith(f"{family}.")):
            holds = f"{each.get('messages', 0)} messages"
            says = f"is of another release, with {holds}: delete it when nothing of that release runs"
            yield Finding(f"queue {name}", "ok", says)


def _is_led(queue: Mapping[str, Any]) -> bool:
    leader = queue.get("leader") or queue.get("node")
    online = queue.get("online")
    return bool(leader) and queue.get("state") != "down" and (online is None or leader in online)
