"""What comes of answers that are odd, wrong, endless, slow or broken off, over real sockets."""

import asyncio
import gzip
import tracemalloc

import pytest
from aiohttp.streams import StreamReader

from tocsin_common import http
from tocsin_common.http import MAX_ANSWER_BYTES, Body
from tocsin_dispatcher.sender import exchange
from tocsin_dispatcher.sender.outcome import MAX_MESSAGE, Verdict

from .conftest import PATH, TOKEN, local, posting
from .receiver import Behaviour, Connection, RawReceiver, answers, answers_each

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHORT_S = 1.0  # for what is to run out of time
MB = 2**20
DRIP_S = 0.02  # between two bytes

OK = b"HTTP/1.1 200 OK\r\n"
SAVED = OK + b'Content-Length: 11\r\n\r\n{"id":"42"}'
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
URL = f"http://127.0.0.1{PATH}".encode()


@pytest.fixture
def status_came(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set once a sender has the status and begins to read the body."""
    came = asyncio.Event()

    async def read_body(content: StreamReader, end: float | None) -> Body:
        came.set()
        return await http.read_body(content, end)

    monkeypatch.setattr(exchange, "read_body", read_body)
    return came


def without_end(beginning: bytes, then: bytes) -> Behaviour:
    """Say this, and that again and again."""

    async def behave(connection: Connection) -> None:
        await connection.request()
        await connection.send(beginning)
        while True:
            await connection.send(then)

    return behave


def dripping(beginning: bytes, then: bytes) -> Behaviour:
    """Say this, and that again and again, but slowly."""

    async def behave(connection: Connection) -> None:
        await connection.request()
        await connection.send(beginning)
        while True:
            await connection.send(then)
            await asyncio.sleep(DRIP_S)

    return behave


def falling_silent(*said: bytes) -> Behaviour:
    """Say this and no more."""

    async def behave(connection: Connection) -> None:
        await answers(*said)(connection)
        await connection.silence()

    return behave


def empty(status: bytes, *headers: bytes) -> bytes:
    """An answer without a body."""
    return b"\r\n".join([b"HTTP/1.1 " + status, *headers, b"Content-Length: 0", b"", b""])


@pytest.mark.parametrize(
    ("answer", "outcome", "message"),
    [
        pytest.param(SAVED, "succeeded", "HTTP 200, message 42", id="as Discord's"),
        pytest.param(OK + b"\r\n", "succeeded", "HTTP 200", id="empty"),
        pytest.param(OK + b"\r\n<p>thanks</p>", "succeeded", "HTTP 200", id="no JSON"),
        pytest.param(CONTINUE * 3 + SAVED, "succeeded", "HTTP 200, message 42", id="after some 100"),
        pytest.param(empty(b"204 No Content"), "succeeded", "HTTP 204", id="204"),
        pytest.param(empty(b"299 Odd"), "succeeded", "HTTP 299", id="299"),
        pytest.param(empty(b"200"), "succeeded", "HTTP 200", id="without a reason"),
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "succeeded", "HTTP 200", id="without CR"),
        pytest.param(b"HTTP/0.9 200 OK\r\n\r\n", "succeeded", "HTTP 200", id="of another version"),
        pytest.param(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\x81\x05hello",
            "permanent",
            "HTTP 101",
            id="another protocol",
        ),
        pytest.param(empty(b"600 Odd"), "retryable", "HTTP 600", id="600"),
        pytest.param(empty(b"999 Odd"), "retryable", "HTTP 999", id="999"),
        pytest.param(empty(b"000 Odd"), "retryable", "HTTP 0", id="000"),
        pytest.param(
            empty(b"429 No", b"Retry-After: \xff\xfe", b"X-RateLimit-Reset-After: -1e400", b"X: \xc3\x28"),
            "limited",
            "HTTP 429",
            id="headers that are no text",
        ),
        pytest.param(empty(b"403 No", *[b"Set-Cookie: a=b"] * 120), "permanent", "HTTP 403", id="many cookies"),
        pytest.param(empty(b"403 No", b"X: a", b" b"), "permanent", "HTTP 403", id="a header over two lines"),
        pytest.param(
            empty(b"403 " + URL, b"Location: " + URL, b"Set-Cookie: " + URL, b"Content-Type: " + URL),
            "permanent",
            "HTTP 403",
            id="the URL in every header",
        ),
        pytest.param(
            b"HTTP/1.1 500 Oops\r\n\r\nat " + URL, "retryable", "HTTP 500: at http://127.0.0.1/api/", id="the URL"
        ),
    ],
)
async def test_an_odd_answer_counts_by_its_status(answer: bytes, outcome: str, message: str):
    async with RawReceiver(answers(answer)) as receiver, posting() as post:
        attempt = await post(local(receiver))

    assert (attempt.verdict.outcome, attempt.verdict.ambiguous) == (outcome, False)
    assert attempt.verdict.message.startswith(message)
    assert TOKEN[:8] not in attempt.verdict.message
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"hello\n", id="no status"),
        pytest.param(b"\0\0\x12\4\0\0\0\0\0" + bytes(18), id="HTTP 2"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="another protocol"),
        pytest.param(b"HTTP/3.7 200 OK\r\n\r\n", id="a version that there is not"),
        pytest.param(empty(b"1000 Odd"), id="a status of four digits"),
        pytest.param(empty(b"200 OK", *[b"X: y"] * 200), id="too many headers"),
        pytest.param(empty(b"200 OK", b"X: " + b"y" * 10_000), id="a header that is too long"),
        pytest.param(empty(b"200 OK", b"X" * 10_000 + b": y"), id="a header's name that is too long"),
        pytest.param(b"HTTP/1.1 200 " + b"y" * 10_000 + b"\r\n\r\n", id="a reason that is too long"),
        pytest.param(empty(b"200 OK", b"no header " + URL), id="a line that is no header"),
        pytest.param(empty(b"200 OK", b"X: a\0b"), id="a NUL in a header"),
        pytest.param(empty(b"200 OK", b"X-RateLimit-Bucket: a\0b"), id="a NUL in a bucket's name"),
        pytest.param(empty(b"200 OK", b"X: a\rY: b"), id="a CR in a header"),
        pytest.param(empty(b"200 OK", b"Content-Length: 3"), id="two lengths"),
        pytest.param(OK + b"Content-Length: -1\r\n\r\n", id="a negative length"),
        pytest.param(OK + b"Content-Length: " + URL + b"\r\n\r\n", id="a length that is no number"),
        pytest.param(OK + b"Content-Length: 99999999999999999999999\r\n\r\n", id="a length that is too large"),
    ],
)
async def test_what_is_not_http_is_no_answer(answer: bytes):
    async with RawReceiver(falling_silent(answer)) as receiver, posting() as post:
        attempt = await post(local(receiver))
        await receiver.left()

    assert attempt.verdict == Verdict("retryable", "the answer was not HTTP", ambiguous=True)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param(NO_CONTENT + b"\r\nOK", "HTTP 204", id="a body of a 204"),
        pytest.param(
            NO_CONTENT + b"Content-Length: 2\r\n\r\nOK", "HTTP 204", id="a body of a 204, and its length"
        ),
        pytest.param(CONTINUE + NO_CONTENT + b"\r\nOK", "HTTP 204", id="a body of a 204 after a 100"),
        pytest.param(OK + b"Content-Length: 2\r\n\r\nOK\n", "HTTP 200", id="a body that is longer than it says"),
        pytest.param(SAVED + b"\r\n\r\nBye", "HTTP 200, message 42", id="a farewell"),
        pytest.param(CHUNKED + b"-1\r\nxx\r\n", "HTTP 200, answer cut off", id="a chunk of a negative size"),
        pytest.param(
            CHUNKED + b"f" * 17 + b"\r\nxx\r\n", "HTTP 200, answer cut off", id="a chunk that is too large"
        ),
        pytest.param(CHUNKED + URL + b"\r\n", "HTTP 200, answer cut off", id="a chunk without a size"),
    ],
)
async def test_nonsense_that_comes_with_the_status_takes_nothing_of_it_back(answer: bytes, message: str):
    async with RawReceiver(falling_silent(answer)) as receiver, posting() as post:
        attempt = await post(local(receiver))

    assert attempt.verdict == Verdict("succeeded", message, int(message[5:8]))
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(b"zz\r\nxx\r\n", id="a chunk without a size"),
        pytest.param(b"2\r\n{}\r\n0\r\nX: " + b"y" * 10_000, id="a trailer that is too long"),
        pytest.param(b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * 200, id="too many trailers"),
    ],
)
async def test_nonsense_after_the_status_takes_nothing_of_it_back(rest: bytes, status_came: asyncio.Event):
    async def behave(connection: Connection) -> None:
        await answers(CHUNKED)(connection)
        await status_came.wait()
        await falling_silent(rest)(connection)

    async with RawReceiver(behave) as receiver, posting(timeout_s=SHORT_S) as post:
        attempt = await post(local(receiver))
        await receiver.left()

    assert attempt.verdict == Verdict("succeeded", "HTTP 200, answer cut off", 200)


@pytest.mark.parametrize(
    ("behaviour", "outcome", "message"),
    [
        pytest.param(without_end(OK + b"\r\n", b"x" * 65_536), "succeeded", "HTTP 200, answer cut off", id="body"),
        pytest.param(
            without_end(CHUNKED, b"1\r\nx\r\n" * 10_000), "succeeded", "HTTP 200, answer cut off", id="chunks"
        ),
        pytest.param(
            without_end(b"HTTP/1.1 500 Oops\r\n\r\n", b"x" * 65_536),
            "retryable",
            "HTTP 500, answer cut off: xxx",
            id="body of an error",
        ),
        pytest.param(without_end(OK, b"X-A: y\r\n" * 1000), "retryable", "the answer was not HTTP", id="headers"),
        pytest.param(without_end(OK + b"X: ", b"y" * 65_536), "retryable", "the answer was not HTTP", id="header"),
        pytest.param(without_end(OK, b"y" * 65_536), "retryable", "the answer was not HTTP", id="header's name"),
        pytest.param(
            without_end(b"HTTP/1.1 200 ", b"y" * 65_536), "retryable", "the answer was not HTTP", id="reason"
        ),
    ],
)
async def test_of_an_answer_without_end_a_bounded_part_is_read(behaviour: Behaviour, outcome: str, message: str):
    async with RawReceiver(behaviour) as receiver, posting() as post:
        attempt = await post(local(receiver))
        await receiver.left()

    assert (attempt.verdict.outcome, len(receiver.requests)) == (outcome, 1)
    assert attempt.verdict.message.startswith(message)
    assert len(attempt.verdict.message) <= MAX_MESSAGE
    assert receiver.connections[0].sent < 8 * MB  # most of it in the buffers of this machine


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        pytest.param(falling_silent(), "no answer within 1 s", id="silence"),
        pytest.param(dripping(OK + b"X: ", b"y"), "no answer within 1 s", id="a header, byte by byte"),
        pytest.param(dripping(OK, b"X: y\r\n"), "no answer within 1 s", id="headers, one by one"),
        pytest.param(without_end(b"", CONTINUE * 2000), "no answer within 1 s", id="nothing but 100"),
        pytest.param(without_end(b"", b"\r\n" * 20_000), "no answer within 1 s", id="empty lines"),
    ],
)
async def test_without_a_status_in_time_there_is_no_answer(behaviour: Behaviour, message: str):
    async with RawReceiver(behaviour) as receiver, posting(timeout_s=SHORT_S) as post:
        attempt = await post(local(receiver))
        await receiver.left()

    assert attempt.verdict == Verdict("retryable", message, ambiguous=True)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(falling_silent(OK + b"Content-Length: 9\r\n\r\n{"), id="a body that stops"),
        pytest.param(dripping(OK + b"\r\n", b"x"), id="a body, byte by byte"),
        pytest.param(dripping(CHUNKED, b"1\r\nx\r\n"), id="chunks, one by one"),
        pytest.param(falling_silent(CHUNKED), id="no chunk"),
        pytest.param(falling_silent(CHUNKED + b"ffffffffffffffe\r\nx"), id="a chunk of an exabyte"),
        pytest.param(falling_silent(OK + b"Content-Length: 9223372036854775807\r\n\r\nx"), id="8 exabytes"),
        pytest.param(without_end(CHUNKED + b"1;", b"x" * 65_536), id="a chunk's extension without end"),
        pytest.param(without_end(CHUNKED, b"0" * 65_536), id="a chunk's size without end"),
    ],
)
async def test_a_success_whose_body_does_not_end_in_time_is_one(behaviour: Behaviour):
    async with RawReceiver(behaviour) as receiver, posting(timeout_s=SHORT_S) as post:
        attempt = await post(local(receiver))
        await receiver.left()

    assert attempt.verdict == Verdict("succeeded", "HTTP 200, answer cut off", 200)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(b"200 OK", "succeeded"), (b"404 No", "permanent"), (b"429 No", "limited"), (b"503 No", "retryable")],
)
@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_an_answer_whose_body_breaks_off_counts_by_its_status(
    status: bytes, outcome: str, how: str, status_came: asyncio.Event
):
    beginning = b"HTTP/1.1 " + status + b'\r\nContent-Length: 500\r\n\r\n{"code": 10015, "message": "Unkn'

    async def behave(connection: Connection) -> None:
        await answers(beginning)(connection)
        await status_came.wait()
        if how == "reset":
            connection.reset()

    async with RawReceiver(behave) as receiver, posting() as post:
        attempt = await post(local(receiver))

    assert (attempt.verdict.outcome, attempt.verdict.ambiguous) == (outcome, False)
    assert "answer cut off" in attempt.verdict.message
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("name", "bucket"),
    [
        pytest.param(b"80c17d2f203122d9", "80c17d2f203122d9", id="as Discord's"),
        pytest.param(b"a\xffb", None, id="no UTF-8"),
        pytest.param(b"\xc3\xbc", None, id="UTF-8"),
        pytest.param(b"b" * 65, None, id="too long"),
        pytest.param(b"a\tb", None, id="a control character"),
    ],
)
async def test_only_what_looks_like_a_bucket_is_taken_for_one(name: bytes, bucket: str | None):
    answer = empty(b"200 OK", b"X-RateLimit-Bucket: " + name)
    async with RawReceiver(answers(answer)) as receiver, posting() as post:
        attempt = await post(local(receiver))

    assert attempt.told is not None
    assert attempt.told.bucket == bucket


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(b"408 No", "retryable"), (b"425 No", "retryable"), (b"429 No", "limited"), (b"503 No", "retryable")],
)
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param((b"Retry-After: 90",), id="seconds"),
        pytest.param(
            (b"Date: Sun, 01 Mar 2026 12:00:00 GMT", b"Retry-After: Sun, 01 Mar 2026 12:01:30 GMT"), id="a date"
        ),
    ],
)
async def test_a_receiver_says_how_long_it_wants_to_be_left_alone(
    status: bytes, outcome: str, headers: tuple[bytes, ...]
):
    async with RawReceiver(answers(empty(status, *headers))) as receiver, posting() as post:
        attempt = await post(local(receiver))

    assert (attempt.verdict.outcome, attempt.verdict.wait_s) == (outcome, 90.0)


async def test_of_a_compressed_answer_nothing_is_unpacked():
    bomb = gzip.compress(bytes(20 * MB))
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    tracemalloc.start()

    async with RawReceiver(answers(head + bomb)) as receiver, posting() as post:
        attempt = await post(local(receiver))

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(bomb) < MAX_ANSWER_BYTES
    assert attempt.verdict == Verdict("succeeded", "HTTP 200", 200)
    assert peak < 4 * MB


async def test_interim_answers_without_end_neither_fill_the_memory_nor_keep_others_waiting():
    flood, other = RawReceiver(without_end(b"", CONTINUE * 2000)), RawReceiver(answers_each(*[SAVED] * 20))
    tracemalloc.start()

    async with flood, other, posting() as post:
        flooded = asyncio.create_task(post(local(flood)))
        attempts = [await post(local(other)) for _ in range(20)]
        was_over = flooded.done()
        flooded.cancel()

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert {attempt.verdict.outcome for attempt in attempts} == {"succeeded"}
    assert not was_over
    assert len(flood.requests) == 1
    assert peak < 16 * MB
