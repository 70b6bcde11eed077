"""PURE. The demo's lines for people: aligned, at most 80 columns, coloured where asked."""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus

from tocsin_local.oracle import LIMITED, Owed, lateness_ms
from tocsin_local.post import Post
from tocsin_local.urls import StackUrls

GREEN, YELLOW, RED, BOLD, PLAIN = "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[1m", "\x1b[0m"
COLUMNS = "{:<8}  {:<14} {:>10} {:>8}  {}"

EFFECTS = {
    "sender": "what it had just claimed follows when the claim ends, after 30 s",
    "scheduler": "the next one leads when the lease ends, after 5 s, and catches up",
    "api": "schedules go on without it",
    "postgres": "nothing is emitted meanwhile, then all of it",
    "rabbitmq": "nothing is emitted meanwhile, then all of it",
}
PHRASES = {status.value: status.phrase for status in HTTPStatus}


def heading() -> str:
    """The names of the columns of `delivery`."""
    return COLUMNS.format("for, UTC", "task", "late, ms", "attempt", "answer")


def introduction(
    *, api_url: str, api_key: str, urls: StackUrls, logs: str, discord: bool, pids: Mapping[str, int]
) -> list[str]:
    """Where everything is, and what one may try. All of it is local and gone when the demo ends."""
    victims = [name for name in EFFECTS if name in pids]
    return [
        f"  API        {api_url}/api/docs   (X-API-KEY: {api_key})",
        f"  RabbitMQ   {urls.management_url}   (login {urls.management_user}, {urls.management_password})",
        f"  log files  {logs}",
        *(["  Discord    a message every 10 s, counted in the summary"] if discord else []),
        "",
        "  Try it: kill any of these. It is started again, and nothing may be lost.",
        *(f"    kill -9 {pids[name]:<8} {name:<10} {EFFECTS[name]}" for name in victims),
        "",
    ]


def window_over(arrived: int, owed: int, patience_s: float) -> str:
    """What the end of the window brings; tasks go on firing."""
    if arrived == owed:
        return f"The window is over, and all {owed} executions have arrived."
    return f"The window is over: {arrived} of {owed} executions have arrived, the others have {patience_s:.0f} s."


def death(name: str, cause: str, pid: int) -> str:
    """One process that was started again."""
    return f"{name} died{f' ({cause})' if cause else ''}, started again (pid {pid})"


def delivery(owed: Owed | None, post: Post, *, held_back: bool = False, colour: bool) -> str:
    """One POST that was answered; `owed` is None where nobody owes its execution.

    `held_back`: it is an execution's first, which waited for its webhook's limit.
    """
    text, tone = _answer(owed, post)
    if held_back:
        text += ", held back by the limit"
    if owed is None:
        line = COLUMNS.format(_clock(post.arrived_at), "?", "", post.attempt, text)
    else:
        late = f"{lateness_ms(owed, post):.0f}"
        line = COLUMNS.format(_clock(owed.scheduled_for), owed.task.name, late, post.attempt, text)
    return paint(line, tone, colour=colour)


def paint(text: str, tone: str, *, colour: bool) -> str:
    """`text` in a tone of this module, or as it is."""
    return f"{tone}{text}{PLAIN}" if colour and tone else text


def _answer(owed: Owed | None, post: Post) -> tuple[str, str]:
    if owed is None:
        return f"{post.status} NOBODY OWES THIS", RED
    if post.arrived_at < owed.scheduled_for:
        return f"{post.status} EARLY", RED
    if post.succeeded:
        return str(post.status), GREEN
    if post.status is None:
        return "none, the sender went away", YELLOW
    if post.status == LIMITED:
        return "429 rate limited", YELLOW
    return f"{post.status} {PHRASES.get(post.status, '')}".rstrip(), YELLOW


def _clock(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%H:%M:%S")
