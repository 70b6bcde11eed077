"""No secret is seen anywhere, however and wherever things fail: one run, its evidence, and the search in it.

Few tests look at the evidence, each at all of it: where workers share tests out, each that gets one makes the run.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import asyncpg
import pytest

import logins
from canary import SPELLINGS, Search, Secret
from e2e import misuses
from e2e.crew import Crew, new_environment
from e2e.evidence import Console, ServerLog, Statements, Tap, tables
from e2e.failures import FAILURES, MARK, Failure
from e2e.hostile import Hostile
from e2e.worst_day import Surroundings, WorstDay
from relay import Relay
from servers import Running
from tocsin_api.api_key_fields import PREFIX
from tocsin_local.urls import StackUrls

SEEN = {
    "output of the api": MARK,
    "output of the scheduler": "executions.emitted",
    "output of the sender": MARK,
    "output of starts that fail": "SEALING_KEYS: entry 1",
    "output of a change of keys": "task.not_opened",
    "output of an import": "created: row 1, id mark",
    "output of the doctor": "queue deliveries.dead: is there",
    "metrics": 'tocsin_attempts_total{outcome="gone"}',
    "messages": MARK,
    "messages that stay in queues": MARK,
    "management console": MARK,
    "answers of the API": MARK,
    "tables": MARK,
    "statements": MARK,
    "log of postgres": MARK,
    "log of rabbitmq": MARK,
}
"""Every place that is searched, with what must stand in it: where the mark is seen, a secret would be."""
SHORTEST_PASSWORD = 12  # of servers that were given; a shorter one may be a word that stands anywhere


class Evidence(NamedTuple):
    """What a run left to be seen."""

    places: dict[str, str]
    attempts: dict[str, tuple[str, str]]
    """By the failure's name: outcome and message of the first attempt."""
    secrets: list[Secret]
    received: str
    """What came to the receivers: the one place where tokens belong."""
    called: set[str]
    """The tokens of URLs that were called."""


@pytest.fixture(scope="module")
def logs(running_servers: Running) -> dict[str, ServerLog]:
    """What the servers log from before the first connection on, where they are ours."""
    folder = running_servers.log_folder
    names = ("postgres", "rabbitmq") if folder else ()
    return {name: ServerLog(Path(folder or "") / f"{name}.log") for name in names}


@pytest.fixture(scope="module")
async def console(servers: StackUrls, manage: logins.Manage) -> AsyncIterator[Console]:
    """The management API on a virtual host for the run."""
    console = Console(servers, f"test-{uuid4().hex[:12]}")
    await console.make_vhost()
    logins.let_in(console.vhost, manage)
    yield console
    await console.delete_vhost()


@pytest.fixture(scope="module")
async def around(
    servers: StackUrls,
    logs: dict[str, ServerLog],
    shared_database_url: str,
    console: Console,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Surroundings]:
    """Everything but the processes, and a crew that is stopped at the end."""
    rabbitmq_url = urlsplit(servers.rabbitmq_url)._replace(path=f"/{console.vhost}").geturl()
    async with (
        Hostile(tmp_path_factory.mktemp("hostile")) as hostile,
        Tap(rabbitmq_url, MARK) as tap,
        Relay(rabbitmq_url) as broker,
        Relay(shared_database_url) as server,
        asyncpg.create_pool(shared_database_url, min_size=1, server_settings={"application_name": MARK}) as own,
    ):
        crew = Crew(new_environment(server.url, broker.url), servers)
        yield Surroundings(crew, hostile, tap, console, broker, server, own)
        await crew.stop()


@pytest.fixture(scope="module")
async def evidence(around: Surroundings, logs: dict[str, ServerLog], servers: StackUrls) -> Evidence:
    """One run with failures of every kind."""
    crew, day, statements = around.crew, WorstDay(around), Statements(around.database)
    environment = crew.environment
    urls = environment["DATABASE_URL"], environment["RABBITMQ_URL"]
    starts = [*misuses.environments(environment["API_KEY"]), *misuses.wrong_servers(*urls)]
    async with asyncio.TaskGroup() as group:
        over = asyncio.Event()
        group.create_task(statements.look_until(over))
        failing = group.create_task(crew.fail_to_start(starts))
        await day.live()
        await failing
        over.set()
    await crew.stop()
    places = {
        "output of the api": crew.output("serve"),
        "output of the scheduler": crew.output("schedule"),
        "output of the sender": crew.output("send"),
        "output of starts that fail": failing.result(),
        "output of a change of keys": crew.output("rotate-keys"),
        "output of an import": crew.output("import"),
        "output of the doctor": crew.output("doctor"),
        "metrics": day.metrics,
        "messages": around.tap.text,
        "messages that stay in queues": around.tap.without_strangers(await around.console.messages()),
        "management console": around.console.text,
        "answers of the API": day.answers.text,
        "tables": await tables(around.database),
        "statements": statements.text,
        **{f"log of {name}": log.text for name, log in logs.items()},
    }
    called = {call.token for call in around.hostile.calls}
    received = "".join(call.head for call in around.hostile.calls)
    services = logins.as_service(environment["DATABASE_URL"], servers, "send")
    hidden = [
        *_secrets({**environment, "the services' URL": services}, day.tokens),
        Secret("the new key", day.new_key),
        Secret("a key that was given out", day.given_key.removeprefix(PREFIX)),  # which all keys have
    ]
    return Evidence(places, await day.attempts(), hidden, received, called)


def _secrets(environment: dict[str, str], tokens: list[str]) -> list[Secret]:
    passwords = {
        name: unquote(urlsplit(environment[name]).password or "")
        for name in ("DATABASE_URL", "RABBITMQ_URL", "the services' URL")
    }
    return [
        *(Secret(token, token) for token in tokens),
        *(Secret(name, text, 12) for name, text in passwords.items() if len(text) >= SHORTEST_PASSWORD),
        Secret("API_KEY", environment["API_KEY"]),
        Secret("SEALING_KEYS", environment["SEALING_KEYS"]),
    ]


def seen(evidence: Evidence) -> dict[str, str]:
    """Each place's text. Logs of servers that are not of the local stack are not ours to read."""
    return {place: evidence.places[place] for place in SEEN if place in evidence.places or "log of" not in place}


def is_of_its_kind(failure: Failure, outcome: str, message: str) -> bool:
    return outcome == failure.outcome and failure.says in message


def test_each_failure_was_of_its_kind(evidence: Evidence):
    attempts = {failure: evidence.attempts[failure.name] for failure in FAILURES}

    others = [(failure.name, *found) for failure, found in attempts.items() if not is_of_its_kind(failure, *found)]

    assert others == []


@pytest.mark.parametrize(
    ("name", "expected", "reason"),
    [
        ("wrong key", "retryable", "no key with the id"),
        ("changed row", "permanent", "the sealed value was changed"),
    ],
)
def test_a_url_that_cannot_be_opened_is_logged_as_that(evidence: Evidence, name: str, expected: str, reason: str):
    outcome, message = evidence.attempts[name]

    assert outcome == expected
    assert reason in message


def test_each_place_was_looked_at(evidence: Evidence):
    assert [place for place, text in seen(evidence).items() if SEEN[place] not in text] == []


def test_the_search_finds_every_token_where_it_belongs(evidence: Evidence):
    found = Search(evidence.secrets).find(evidence.received)

    assert {each.partition(":")[0] for each in found} == evidence.called
    assert len(evidence.called) > 50


def test_no_secret_is_seen(evidence: Evidence):
    search = Search(evidence.secrets)

    assert [f"{place}: {each}" for place, text in seen(evidence).items() for each in search.find(text)] == []


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_search_finds_each_spelling(spelling: str):
    secret = Secret("token", secrets.token_urlsafe(51))
    spelled = SPELLINGS[spelling](f"https://discord.com/api/webhooks/1/{secret.value}")

    assert Search([secret]).find(f"before {spelled} after") != []
    assert Search([Secret("other", secrets.token_urlsafe(51))]).find(spelled) == []


def test_the_search_finds_a_part_and_leaves_what_people_are_shown():
    secret = Secret("token", secrets.token_urlsafe(51))

    assert Search([secret]).find(secret.value[30:42]) != []
    assert Search([secret]).find(f"…{secret.value[-4:]}") == []
