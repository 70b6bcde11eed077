"""Every kind of failure that a receiver can show, each with what proves in the log that it was that kind."""

from collections.abc import Iterator
from typing import NamedTuple

from canary import SPELLINGS
from e2e.hostile import Behaviour, drips, is_silent, resets, says, sends

MARK = "Shown-On-Purpose-8dVq3Zr7"
"""Goes wherever a receiver's text may go: where this is found, a secret would be."""

DISCORD = "http://127.0.0.1:<port>/api/webhooks/<number>/<token>"
VERSIONED = "http://127.0.0.1:<port>/api/v10/webhooks/<number>/<token>?thread_id=123456789012345678"
PATH = "http://localhost:<port>/hooks/<number>/<token>"
QUERY = "http://localhost:<port>/hooks/<number>?token=<token>&color=red"
TLS = "https://127.0.0.1:<tls-port>/api/webhooks/<number>/<token>"
TLS_TO_PLAIN = "https://127.0.0.1:<port>/api/webhooks/<number>/<token>"
REFUSED = "http://127.0.0.1:1/api/webhooks/<number>/<token>"
UNRESOLVED = "https://canary.invalid/api/webhooks/<number>/<token>"

JSON, HTML = "Content-Type: application/json", "Content-Type: text/html"
PAGE = f"<html><title>{MARK}</title><body>Cannot POST <a href='<url>'>this</a>, key <token></body></html>"
TOO_LONG = "x" * 455  # the cut after 500 characters goes through the middle of what follows
LONG_HEADER = "<url>" * 100


class Failure(NamedTuple):
    """How a task's receiver behaves, and what the log of its first attempt says."""

    name: str
    outcome: str
    says: str
    behaviour: Behaviour
    shape: str = DISCORD
    max_retry: int = 0


def discord(message: str, code: object) -> str:
    """Discord's body of an error; `code` is JSON."""
    return f'{{"message": "{message}", "code": {code}}}'


def limited(status: str, body: str, *headers: str) -> Behaviour:
    return says(status, body, *headers, "Retry-After: 1")


STATUSES = (
    Failure("200", "succeeded", "HTTP 200", says("200 OK", f'{{"id": "{MARK} <url>"}}', JSON)),
    Failure("204", "succeeded", "HTTP 204", says("204 No Content")),
    Failure("400", "permanent", "HTTP 400", says("400 No", discord(f"{MARK} <url>", 50006), JSON)),
    Failure("401", "gone", "(code 50027)", says("401 No", discord("Invalid Webhook Token <token>", 50027), JSON)),
    Failure("403", "permanent", "HTTP 403", says("403 <url>", "<url>")),
    Failure("404", "gone", "(code 10015)", says("404 No", discord(f"Unknown Webhook {MARK}<url>", 10015), JSON)),
    Failure("404 else", "permanent", "(code 10003)", says("404 No", discord("Unknown Channel", 10003), JSON)),
    Failure("408", "retryable", "HTTP 408", says("408 <token>", PAGE, HTML), max_retry=1),
    Failure("429", "limited", "HTTP 429", limited("429 Slow", '{"message": "<url>", "retry_after": 0.3}', JSON)),
    Failure("429 page", "limited", "HTTP 429", limited("429 Slow", PAGE, HTML, "CF-RAY: <token>")),
    Failure("500", "retryable", "HTTP 500", says("500 Oh", "at <url>: failed"), max_retry=1),
    Failure("502", "retryable", "HTTP 502", says("502 <url>", PAGE, HTML), QUERY),
    Failure("503", "retryable", "HTTP 503", says("503 No", f"{TOO_LONG}<url>"), VERSIONED),
    Failure("504", "retryable", "HTTP 504", says("504 No", f"{TOO_LONG}key=<token>"), PATH),
    Failure("code", "permanent", "HTTP 400", says("400 No", discord(MARK, '["<url>", {"<token>": 1}]'), JSON)),
    Failure("text", "permanent", "HTTP 400", says("400 No", '{"message": {"<token>": ["<url>"]}}', JSON), PATH),
    Failure("moved", "permanent", "HTTP 301", says("301 Moved", PAGE, "Location: <url>"), PATH),
    Failure("found", "permanent", "HTTP 302", says("302 Found", "", "Location: /elsewhere?token=<token>")),
    Failure("kept", "permanent", "HTTP 307", says("307 <token>", "", "Location: //<token>@[<url>"), VERSIONED),
)
HEADERS = (
    Failure(
        "headers",
        "permanent",
        "HTTP 403",
        says("403 No", "", "Set-Cookie: <url>", "X-Path: <url>", "Content-Encoding: <token>"),
    ),
    Failure("cookie", "permanent", "HTTP 403", says("403 No", "", 'Set-Cookie: ="<token>; <url>=<token>')),
    Failure(
        "times", "limited", "HTTP 429", says("429 No", "", "Retry-After: <url>", "X-RateLimit-Limit: <token>")
    ),
    Failure(
        "charset", "retryable", "HTTP 500", says("500 No", "<url>", "Content-Type: text/plain; charset=<token>")
    ),
    Failure("long line", "retryable", "not HTTP", says("500 No", "", f"X-Path: {LONG_HEADER}")),
    Failure("bad header", "retryable", "not HTTP", says("500 No", "", "no header at all <token>")),
    Failure(
        "bad length", "retryable", "not HTTP", sends("HTTP/1.1 200 OK\r\nContent-Length: <token>\r\n\r\n<url>")
    ),
    Failure(
        "bad chunk",
        "retryable",
        "HTTP 500, answer cut off",
        sends("HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n<token>\r\n<url>\r\n"),
    ),
)
CONNECTIONS = (
    Failure("silent", "retryable", "no answer within", is_silent),
    Failure("drips", "succeeded", "HTTP 200, answer cut off", drips),
    Failure("closes", "retryable", "closed the connection", sends("")),
    Failure("resets at once", "retryable", "", resets()),
    Failure("resets later", "retryable", "", resets("HTTP/1.1 500 No\r\nContent-Length: 5000\r\n\r\n<url>")),
    Failure("cuts", "permanent", "answer cut off", sends("HTTP/1.1 400 No\r\nContent-Length: 5000\r\n\r\n<url>")),
    Failure("garbage", "retryable", "not HTTP", sends("\0\xff <url> is not HTTP\r\n\r\n<token>")),
    Failure("certificate", "retryable", "certificate is not valid", is_silent, TLS),
    Failure("no TLS", "retryable", "TLS failed", is_silent, TLS_TO_PLAIN),
    Failure("refused", "retryable", "could not connect", is_silent, REFUSED),
    Failure("unresolved", "retryable", "could not be resolved", is_silent, UNRESOLVED),
)


def echoes() -> Iterator[Failure]:
    """Answers that repeat the URL, spelled in each way: as Discord's message, and as a page of another server."""
    for name, spell in SPELLINGS.items():
        message = '{"message": "' + MARK + ' <url>", "code": 1}'
        answer = says("400 No", message, JSON, spelled=spell)
        yield Failure(f"message {name}", "permanent", "HTTP 400", answer)
        yield Failure(f"page {name}", "retryable", "HTTP 500", says("500 No", PAGE, HTML, spelled=spell), QUERY)


FAILURES = (*STATUSES, *HEADERS, *CONNECTIONS, *echoes())
