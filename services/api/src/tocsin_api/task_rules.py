"""PURE. What must hold of a task's fields beyond their types: of each, and between them."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from tocsin_api.errors import InvalidValueError, Violation
from tocsin_api.inputs import REFUSED, Checks, Rule
from tocsin_api.payload import check_payload
from tocsin_api.task_fields import FIRST_YEAR, LAST_YEAR, MAX_NAME_LENGTH
from tocsin_common import discord, schedule, timezones, webhook
from tocsin_common.messages import iso_utc
from tocsin_common.schedule_intervals import check_interval
from tocsin_common.settings import ApiSettings

T = TypeVar("T")
Parse = Callable[[str], webhook.Webhook]

FIRST_INSTANT = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
INSTANTS_END = datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)
MASK = "…"  # stands in every masked webhook URL and in none that is accepted


def parser(settings: ApiSettings) -> Parse:
    """What accepts webhook URLs under this operator's settings."""
    return partial(webhook.parse, allowed_hosts=settings.webhook_hosts, allow_local=settings.allow_local_webhooks)


def checks(parse: Parse, *, min_interval_s: int = 1, allow_masked: bool = False) -> Checks:
    """The rules of NewTask's and TaskChange's fields; a masked URL can only be compared with the task's own."""

    def check_webhook_url(url: str) -> str:
        return url if allow_masked and MASK in url else parse(url).url

    return {
        "name": check_name,
        "schedule": _optional(partial(check_schedule, min_interval_s=min_interval_s)),
        "timezone": timezones.check_timezone,
        "run_at": _optional(check_instant),
        "starts_at": _optional(check_instant),
        "ends_at": _optional(check_instant),
        "webhook_url": check_webhook_url,
        "payload": check_payload,
    }


def new_task_rule(parse: Parse) -> Rule:
    """What must hold between the fields of a new task."""

    def rule(given: Mapping[str, Any]) -> Iterator[Violation]:
        yield from _check_when(given)
        yield from _check_window(given)
        url, payload = given.get("webhook_url", REFUSED), given.get("payload", REFUSED)
        if url is not REFUSED and payload is not REFUSED and parse(url).is_discord:
            yield from _check_message(payload)

    return rule


def change_rule(parse: Parse, task: Mapping[str, Any]) -> Rule:
    """What must hold between the fields of a change, and of webhook URL and payload with those of the task's row.

    The row may change before the change is made. What that lets through is caught before each POST.
    """

    def rule(given: Mapping[str, Any]) -> Iterator[Violation]:
        if "schedule" in given or "run_at" in given:
            yield from _check_when(given)
        yield from _check_window(given)
        yield from _check_webhook(given, parse, task)

    return rule


def empty_window(starts_at: datetime, ends_at: datetime) -> tuple[Violation, ...]:
    """What is said of a window without an instant in it."""
    return (
        Violation("startsAt", f"must lie before endsAt, {iso_utc(ends_at)}, got {iso_utc(starts_at)}"),
        Violation("endsAt", f"must lie after startsAt, {iso_utc(starts_at)}, got {iso_utc(ends_at)}"),
    )


def run_at_is_outside(run_at: datetime) -> tuple[Violation, ...]:
    """What is said of a `runAt` outside its window."""
    message = "must not lie before startsAt or after endsAt, where it would never come"
    return (Violation("runAt", f"{message}, got {iso_utc(run_at)}"),)


def run_at_is_past(run_at: datetime, now: datetime) -> tuple[Violation, ...]:
    """What is said of a `runAt` that has passed by the database's clock, which shows `now`."""
    message = f"must lie in the future: it is {iso_utc(now)} by the database's clock"
    return (Violation("runAt", f"{message}, got {iso_utc(run_at)}"),)


def _check_webhook(given: Mapping[str, Any], parse: Parse, task: Mapping[str, Any]) -> Iterator[Violation]:
    """What is wrong with the webhook URL of a change as this task's, or with the payload as its message."""
    url = given.get("webhook_url", task["webhook_url_masked"])
    payload = given.get("payload", task["payload"])
    if url is REFUSED:
        return
    if MASK not in url:
        is_judged = parse(url).is_discord
    elif url == task["webhook_url_masked"]:
        is_judged = "payload" in given and webhook.speaks_discord(url)
    else:
        message = "is not this task's masked URL; send the whole URL, or leave the field out"
        yield Violation("webhookUrl", message)
        return
    if is_judged and payload is not REFUSED:
        yield from _check_message(payload)


def _check_message(payload: Raw | str) -> Iterator[Violation]:
    """What Discord would refuse of a payload."""
    message = msgspec.json.decode(payload if isinstance(payload, str) else bytes(payload))
    for violation in discord.violations(message):
        yield Violation(violation.field, violation.message)


def _check_when(given: Mapping[str, Any]) -> tuple[Violation, ...]:
    if (given.get("schedule") is None) != (given.get("run_at") is None):
        return ()
    message = "exactly one of schedule and runAt is needed"
    return (Violation("schedule", message), Violation("runAt", message))


def _check_window(given: Mapping[str, Any]) -> tuple[Violation, ...]:
    starts_at = _instant(given, "starts_at", datetime.min.replace(tzinfo=UTC))
    ends_at = _instant(given, "ends_at", datetime.max.replace(tzinfo=UTC))
    if starts_at >= ends_at:
        return empty_window(starts_at, ends_at)
    run_at = _instant(given, "run_at", starts_at)
    if not starts_at <= run_at <= ends_at:
        return run_at_is_outside(run_at)
    return ()


def _instant(given: Mapping[str, Any], name: str, otherwise: datetime) -> datetime:
    """What was given; `otherwise` where that is nothing, or was refused."""
    value = given.get(name)
    return value if isinstance(value, datetime) else otherwise


def _optional(check: Callable[[T], T]) -> Callable[[T | None], T | None]:
    return lambda value: None if value is None else check(value)


def check_schedule(expression: str, *, min_interval_s: int = 1) -> str:
    """The expression in its one spelling; raises InvalidScheduleError."""
    # One spelling: tasks with the same expression share an entry in the scheduler's heap.
    expression = schedule.normal(expression)
    schedule.validate(expression)
    check_interval(expression, at_least_s=min_interval_s)
    return expression


def check_name(name: str) -> str:
    """The name without the space around it; raises InvalidValueError."""
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        raise InvalidValueError(f"has {len(name)} characters, 1 to {MAX_NAME_LENGTH} are allowed")
    if any(ord(char) < 32 or 127 <= ord(char) < 160 for char in name):
        raise InvalidValueError("must not hold control characters")
    return name


def check_instant(instant: datetime) -> datetime:
    """The instant in UTC; raises InvalidValueError."""
    # Compared as they are: near the ends of the calendar an offset leads out of it.
    if not FIRST_INSTANT <= instant < INSTANTS_END:
        raise InvalidValueError(f"must be of the years {FIRST_YEAR} to {LAST_YEAR}")
    return instant.astimezone(UTC)
