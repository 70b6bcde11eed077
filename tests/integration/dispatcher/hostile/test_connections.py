"""What comes of connections that are not made, not vouched for, broken off or used again, over real sockets."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from certificates import Authority
from tocsin_common import http
from tocsin_common.resolver import Resolver
from tocsin_dispatcher.sender.outcome import Verdict

from .conftest import PATH, TOKEN, found, leading_to, local, posting
from .receiver import Behaviour, Connection, RawReceiver, answers, answers_each

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHORT_S = 1.0  # for what is to run out of time
SAVED = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"id":"42"}'
HOST = "hooks.example.com"
URL = f"https://{HOST}{PATH}"
NOT_DISCORD = f"/in/{TOKEN}"
LARGE = '{"content": "' + "x" * 250_000 + '"}'  # about as much as a task may have
HUGE = '{"content": "' + "x" * 16_000_000 + '"}'  # more than the machine's buffers take


async def is_silent(connection: Connection) -> None:
    """Take everything and say nothing."""
    await connection.silence()


async def resets(connection: Connection) -> None:
    """Take a request and break the connection off."""
    await connection.request()
    connection.reset()


async def leaves(_: Connection) -> None:
    """Close at once."""


@contextmanager
def full_server() -> Iterator[int]:
    """The port of a server that accepts nothing and has no place left for who wants to connect."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield server.getsockname()[1]


async def test_a_name_that_is_not_found_fails_before_anything_was_sent():
    def look_up(*_: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, f"nothing known of {URL}")

    async with posting(hosts={HOST}, resolver=Resolver(look_up)) as post:
        attempt = await post(URL)

    assert attempt.verdict == Verdict("retryable", "the host's name could not be resolved")


async def test_what_can_be_no_name_is_not_found():
    label = "a" * 64
    async with posting(hosts={label}) as post:
        attempt = await post(f"https://{label}/hook")

    assert attempt.verdict == Verdict("retryable", "the host's name could not be resolved")


async def test_names_whose_look_up_hangs_keep_nobody_else_waiting():
    over = threading.Event()
    hanging = [f"hooks-{number}.example.com" for number in range(40)]

    async with RawReceiver(answers(SAVED)) as receiver:

        def look_up(host: str, *_: object) -> list[object]:
            if host in hanging:
                over.wait()
            return [found("127.0.0.1", receiver.port)]

        resolver = Resolver(look_up)
        async with posting(timeout_s=SHORT_S, hosts={*hanging, "localhost"}, resolver=resolver) as post:
            attempts = [asyncio.create_task(post(f"https://{host}{PATH}")) for host in hanging]
            other = await post(f"http://localhost{PATH}")
            verdicts = {(await attempt).verdict for attempt in attempts}

    over.set()
    assert other.verdict.outcome == "succeeded"
    assert verdicts == {Verdict("retryable", "no connection within 1 s")}


async def test_a_server_that_accepts_nothing_fails_before_anything_was_sent():
    with full_server() as port:
        async with posting(timeout_s=SHORT_S) as post:
            attempt = await post(f"http://127.0.0.1:{port}{PATH}")

    assert attempt.verdict == Verdict("retryable", "no connection within 1 s")


async def test_a_port_where_nobody_listens_fails_before_anything_was_sent():
    async with RawReceiver(leaves) as receiver:
        url = local(receiver)

    async with posting() as post:
        attempt = await post(url)

    assert attempt.verdict == Verdict("retryable", "could not connect")


async def test_a_server_that_never_begins_tls_fails_before_anything_was_sent():
    async with RawReceiver(is_silent) as receiver, posting(timeout_s=SHORT_S) as post:
        attempt = await post(f"https://127.0.0.1:{receiver.port}{PATH}")
        await receiver.left()

    assert attempt.verdict == Verdict("retryable", "no connection within 1 s")


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(answers(), id="waits for a request that has no TLS"),
        pytest.param(leaves, id="closes"),
    ],
)
async def test_a_server_that_speaks_no_tls_fails_before_anything_was_sent(behaviour: Behaviour):
    async def greets(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await behaviour(connection)

    async with RawReceiver(greets) as receiver, posting() as post:
        attempt = await post(f"https://127.0.0.1:{receiver.port}{PATH}")

    assert attempt.verdict == Verdict("retryable", "TLS failed")
    assert receiver.requests == []


async def test_a_certificate_that_is_good_is_believed(authority: Authority):
    async with RawReceiver(answers(SAVED), tls=authority.server(HOST)) as receiver:
        resolver = leading_to(("127.0.0.1", receiver.port))
        async with posting(hosts={HOST}, resolver=resolver, tls=authority.trust) as post:
            attempt = await post(URL)

    assert attempt.verdict == Verdict("succeeded", "HTTP 200, message 42", 200)


@pytest.mark.parametrize(
    ("name", "expired", "is_known"),
    [
        pytest.param(HOST, True, True, id="expired"),
        pytest.param("other.example.com", False, True, id="of another host"),
        pytest.param(HOST, False, False, id="of an authority that nobody knows"),
    ],
)
async def test_a_certificate_that_is_not_good_gets_no_request(
    authority: Authority, name: str, expired: bool, is_known: bool
):
    async with RawReceiver(answers(SAVED), tls=authority.server(name, expired=expired)) as receiver:
        resolver = leading_to(("127.0.0.1", receiver.port))
        tls = authority.trust if is_known else True
        async with posting(hosts={HOST}, resolver=resolver, tls=tls) as post:
            attempt = await post(URL)

    assert attempt.verdict == Verdict("retryable", "the host's certificate is not valid")
    assert receiver.requests == []


async def test_a_version_of_tls_that_is_too_old_gets_no_request(authority: Authority):
    server = authority.server(HOST)
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    trust = ssl.create_default_context()
    trust.minimum_version = ssl.TLSVersion.TLSv1_3

    async with RawReceiver(answers(SAVED), tls=server) as receiver:
        resolver = leading_to(("127.0.0.1", receiver.port))
        async with posting(hosts={HOST}, resolver=resolver, tls=trust) as post:
            attempt = await post(URL)

    # Whether its refusal or the end of the connection is seen first, no request was made.
    assert attempt.verdict in (Verdict("retryable", "TLS failed"), Verdict("retryable", "could not connect"))
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        pytest.param(answers(), "the receiver closed the connection", id="closed"),
        pytest.param(resets, "the connection broke off", id="reset"),
    ],
)
async def test_a_connection_that_ends_before_the_status_may_have_taken_the_request(
    behaviour: Behaviour, message: str
):
    async with RawReceiver(behaviour) as receiver, posting() as post:
        attempt = await post(local(receiver))

    assert attempt.verdict == Verdict("retryable", message, ambiguous=True)
    assert len(receiver.requests) == 1


async def test_a_server_that_takes_no_request_is_left_in_time_and_gets_no_more_of_it():
    is_left = asyncio.Event()

    async def reads_late(connection: Connection) -> None:
        await is_left.wait()
        await connection.request()

    async with RawReceiver(reads_late) as receiver, posting(timeout_s=SHORT_S) as post:
        attempt = await post(local(receiver, NOT_DISCORD), HUGE)
        is_left.set()
        await receiver.left()

    assert attempt.verdict == Verdict("retryable", "no answer within 1 s", ambiguous=True)
    assert receiver.requests == []


async def test_an_answer_counts_although_its_receiver_did_not_want_the_whole_request():
    async def refuses(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
        await asyncio.Event().wait()

    async with RawReceiver(refuses) as receiver, posting() as post:
        attempt = await post(local(receiver, NOT_DISCORD), LARGE)

    assert attempt.verdict == Verdict("permanent", "HTTP 413", 413)
    assert len(receiver.connections) == 1


async def test_a_connection_is_used_again():
    async with RawReceiver(answers_each(SAVED, SAVED, SAVED)) as receiver, posting() as post:
        attempts = [await post(local(receiver)) for _ in range(3)]

    assert [attempt.verdict.outcome for attempt in attempts] == ["succeeded"] * 3
    assert (len(receiver.connections), len(receiver.requests)) == (1, 3)


@pytest.mark.parametrize(
    ("header", "connections"),
    [
        ("Server: x", 2),
        ("Keep-Alive: timeout=60", 1),
        ("keep-alive: max=100,Timeout=60", 1),
        ("Keep-Alive: timeout=999999", 1),
        ("Keep-Alive: timeout=1", 2),
        ("Keep-Alive: timeout=0", 2),
        ("Keep-Alive: max=60", 2),
        ("Keep-Alive: timeout=-60", 2),
        ("Keep-Alive: timeout=soon", 2),
    ],
)
async def test_an_idle_connection_is_used_again_for_as_long_as_its_server_says(
    monkeypatch: pytest.MonkeyPatch, header: str, connections: int
):
    monkeypatch.setattr(http, "IDLE_S", 0.0)
    said = SAVED.replace(b"Content-Length", header.encode() + b"\r\nContent-Length")
    async with RawReceiver(answers_each(said, said)) as receiver, posting() as post:
        attempts = [await post(local(receiver)) for _ in range(2)]

    assert [attempt.verdict.outcome for attempt in attempts] == ["succeeded"] * 2
    assert len(receiver.connections) == connections


async def test_no_connection_is_idle_for_too_long_whatever_its_server_says(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http, "MOST_IDLE_S", 0.0)
    said = SAVED.replace(b"Content-Length", b"Keep-Alive: timeout=999999\r\nContent-Length")
    async with RawReceiver(answers_each(said, said)) as receiver, posting() as post:
        for _ in range(2):
            await post(local(receiver))

    assert len(receiver.connections) == 2


@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_a_post_on_a_connection_that_ends_under_it_is_not_sent_again(how: str):
    async def behave(connection: Connection) -> None:
        await answers(SAVED)(connection)
        await connection.request()
        if how == "reset":
            connection.reset()

    async with RawReceiver(behave) as receiver, posting() as post:
        first, second = [await post(local(receiver)) for _ in range(2)]

    assert first.verdict.outcome == "succeeded"
    assert (second.verdict.outcome, second.verdict.ambiguous) == ("retryable", True)
    assert (len(receiver.connections), len(receiver.requests)) == (1, 2)


async def test_a_connection_that_was_closed_while_it_was_idle_is_not_used_again():
    async with RawReceiver(answers(SAVED)) as receiver, posting() as post:
        first = await post(local(receiver))
        await receiver.left()
        second = await post(local(receiver))

    assert [first.verdict.outcome, second.verdict.outcome] == ["succeeded"] * 2
    assert len(receiver.connections) == 2


@pytest.mark.parametrize(
    "leftover",
    [
        pytest.param(SAVED, id="an answer"),
        pytest.param(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", id="a farewell"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", id="an interim answer"),
    ],
)
async def test_what_comes_while_nothing_is_asked_answers_no_later_post(leftover: bytes):
    is_idle, said_all = asyncio.Event(), asyncio.Event()

    async def says_more(connection: Connection) -> None:
        await answers(SAVED)(connection)
        await is_idle.wait()
        await connection.send(leftover)
        said_all.set()
        await answers(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")(connection)

    async with RawReceiver(says_more) as receiver, RawReceiver(answers(SAVED)) as other, posting() as post:
        first = await post(local(receiver))
        is_idle.set()
        await said_all.wait()
        await post(local(other))  # meanwhile the sender sees what came
        second = await post(local(receiver))

    assert first.verdict.message == "HTTP 200, message 42"
    assert second.verdict.message == "HTTP 200, message 42"
    assert (len(receiver.connections), len(receiver.requests)) == (2, 2)


async def test_two_answers_at_once_end_their_connection():
    async with RawReceiver(answers_each(SAVED + SAVED, SAVED)) as receiver, posting() as post:
        attempts = [await post(local(receiver)) for _ in range(2)]

    assert [attempt.verdict.message for attempt in attempts] == ["HTTP 200, message 42"] * 2
    assert len(receiver.connections) == 2


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="before the status"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{", id="in the middle of the body"),
    ],
)
async def test_a_post_that_is_broken_off_here_ends_its_connection(said: bytes):
    is_under_way = asyncio.Event()

    async def begins(connection: Connection) -> None:
        await connection.request()
        await connection.send(said)
        is_under_way.set()
        await connection.silence()

    async with RawReceiver(begins) as receiver, posting() as post:
        under_way = asyncio.create_task(post(local(receiver)))
        await is_under_way.wait()
        under_way.cancel()
        await receiver.left()

    assert under_way.cancelled()


async def test_a_server_that_speaks_before_it_is_asked_is_connected_to_once():
    async def greets(connection: Connection) -> None:
        await connection.send(b"220 mail.example.com ESMTP\r\n")
        await connection.silence()

    async with RawReceiver(greets) as receiver, posting() as post:
        attempt = await post(local(receiver))

    assert attempt.verdict.outcome == "retryable"
    assert len(receiver.connections) == 1
