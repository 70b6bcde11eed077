"""PURE. What a client may say about a task: the fields of requests and the rules of each."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache, partial
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import available_timezones

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tocsin_api.errors import InvalidValueError, Violation
from tocsin_api.inputs import Checks
from tocsin_api.payload import Payload, check_payload
from tocsin_common import schedule, webhook
from tocsin_common.settings import ApiSettings

T = TypeVar("T")

MAX_NAME_LENGTH = 100
MAX_TIMEZONE_LENGTH = 64  # twice that of the longest
FIRST_YEAR, LAST_YEAR = 2000, 2999
FIRST_INSTANT = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
INSTANTS_END = datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)
EMPTY_WINDOW = (
    Violation("startsAt", "must lie before endsAt"),
    Violation("endsAt", "must lie after startsAt"),
)
RUN_AT_IS_OUTSIDE = (
    Violation("runAt", "must not lie before startsAt or after endsAt: there it would never come"),
)
RUN_AT_IS_PAST = (Violation("runAt", "must lie in the future"),)
MASK = "…"  # stands in every masked webhook URL and in none that is accepted

Name = Annotated[
    str,
    Meta(
        description=f"a text of 1 to {MAX_NAME_LENGTH} characters without control characters",
        extra_json_schema={"minLength": 1, "maxLength": MAX_NAME_LENGTH},
    ),
]
Schedule = Annotated[
    str,
    Meta(
        description="a cron expression: 5 fields, or 6 with seconds first, or an alias such as @daily; "
        "null where runAt stands instead of it",
        examples=["*/5 * * * *"],
        extra_json_schema={"minLength": 1, "maxLength": schedule.MAX_LENGTH},
    ),
]
Timezone = Annotated[
    str,
    Meta(
        description="the IANA time zone that the schedule means, such as Europe/Berlin",
        examples=["Europe/Berlin"],
        extra_json_schema={"minLength": 1, "maxLength": MAX_TIMEZONE_LENGTH},
    ),
]
Instant = Annotated[
    datetime,
    Meta(
        tz=True,
        description=f"an RFC 3339 time with its offset, of the years {FIRST_YEAR} to {LAST_YEAR}, "
        "such as 2030-01-31T09:00:00Z",
    ),
]
WebhookUrl = Annotated[
    str,
    Meta(
        description="the URL of a Discord webhook, or of a host that this server allows",
        examples=["https://discord.com/api/webhooks/<id>/<token>"],
        extra_json_schema={"maxLength": webhook.MAX_URL_LENGTH},
    ),
]
MaxRetry = Annotated[int, Meta(ge=0, le=10, description="a whole number from 0 to 10")]
JitterSeconds = Annotated[
    int,
    Meta(
        ge=0,
        le=3600,
        description="a whole number from 0 to 3600: each run begins up to so many seconds later, "
        "by a delay that its instant decides",
    ),
]
CatchUp = Annotated[
    Literal["latest", "all", "skip"],
    Meta(
        description="latest, all or skip: what of a longer outage runs late", extra_json_schema={"type": "string"}
    ),
]
ExpiresAfterSeconds = Annotated[
    int,
    Meta(
        ge=1,
        le=604_800,
        description="a whole number from 1 to 604800: what would begin later than that is not sent; null: never",
    ),
]
Overlap = Annotated[
    Literal["allow", "skip"],
    Meta(
        description="allow or skip: whether a run begins while an earlier one has retries to go",
        extra_json_schema={"type": "string"},
    ),
]
WantedStatus = Annotated[
    Literal["ACTIVE", "INACTIVE"], Meta(description="ACTIVE or INACTIVE", extra_json_schema={"type": "string"})
]


class NewTask(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The body that creates a task, with exactly one of `schedule` and `runAt`."""

    name: Name
    schedule: Schedule | None = None
    timezone: Timezone = "UTC"
    run_at: Instant | None = None
    starts_at: Instant | None = None
    ends_at: Instant | None = None
    webhook_url: WebhookUrl
    payload: Payload
    max_retry: MaxRetry = 3
    jitter_seconds: JitterSeconds = 0
    catch_up: CatchUp = "latest"
    expires_after_seconds: ExpiresAfterSeconds | None = None
    overlap: Overlap = "allow"
    status: WantedStatus = "ACTIVE"


class TaskChange(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The body that changes a task: any of its fields; null clears one that may be missing.

    `schedule` and `runAt` replace each other. A masked webhook URL leaves the URL alone.
    """

    name: Name | UnsetType = UNSET
    schedule: Schedule | UnsetType | None = UNSET
    timezone: Timezone | UnsetType = UNSET
    run_at: Instant | UnsetType | None = UNSET
    starts_at: Instant | UnsetType | None = UNSET
    ends_at: Instant | UnsetType | None = UNSET
    webhook_url: WebhookUrl | UnsetType = UNSET
    payload: Payload | UnsetType = UNSET
    max_retry: MaxRetry | UnsetType = UNSET
    jitter_seconds: JitterSeconds | UnsetType = UNSET
    catch_up: CatchUp | UnsetType = UNSET
    expires_after_seconds: ExpiresAfterSeconds | UnsetType | None = UNSET
    overlap: Overlap | UnsetType = UNSET
    status: WantedStatus | UnsetType = UNSET


def parser(settings: ApiSettings) -> Callable[[str], webhook.Webhook]:
    """What accepts webhook URLs under this operator's settings."""
    return partial(webhook.parse, allowed_hosts=settings.webhook_hosts, allow_local=settings.allow_local_webhooks)


def checks(parse: Callable[[str], webhook.Webhook], *, allow_masked: bool = False) -> Checks:
    """The rules of NewTask's and TaskChange's fields; a masked URL can only be compared with the task's own."""

    def check_webhook_url(url: str) -> str:
        return url if allow_masked and MASK in url else parse(url).url

    return {
        "name": _check_name,
        "schedule": _optional(_check_schedule),
        "timezone": _check_timezone,
        "run_at": _optional(_check_instant),
        "starts_at": _optional(_check_instant),
        "ends_at": _optional(_check_instant),
        "webhook_url": check_webhook_url,
        "payload": check_payload,
    }


def new_task_rule(given: Mapping[str, Any]) -> Iterator[Violation]:
    """What must hold between the fields of a new task."""
    yield from _check_when(given)
    yield from _check_window(given)


def change_rule(given: Mapping[str, Any]) -> Iterator[Violation]:
    """What must hold between the fields of a change, whatever the task is now."""
    if "schedule" in given or "run_at" in given:
        yield from _check_when(given)
    yield from _check_window(given)


def _check_when(given: Mapping[str, Any]) -> tuple[Violation, ...]:
    if (given.get("schedule") is None) != (given.get("run_at") is None):
        return ()
    message = "exactly one of schedule and runAt is needed"
    return (Violation("schedule", message), Violation("runAt", message))


def _check_window(given: Mapping[str, Any]) -> tuple[Violation, ...]:
    starts_at = _instant(given, "starts_at", datetime.min.replace(tzinfo=UTC))
    ends_at = _instant(given, "ends_at", datetime.max.replace(tzinfo=UTC))
    if starts_at >= ends_at:
        return EMPTY_WINDOW
    if not starts_at <= _instant(given, "run_at", starts_at) <= ends_at:
        return RUN_AT_IS_OUTSIDE
    return ()


def _instant(given: Mapping[str, Any], name: str, otherwise: datetime) -> datetime:
    """What was given; `otherwise` where that is nothing, or was refused."""
    value = given.get(name)
    return value if isinstance(value, datetime) else otherwise


def _optional(check: Callable[[T], T]) -> Callable[[T | None], T | None]:
    return lambda value: None if value is None else check(value)


def _check_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        raise InvalidValueError(f"has {len(name)} characters, 1 to {MAX_NAME_LENGTH} are allowed")
    if any(ord(char) < 32 or 127 <= ord(char) < 160 for char in name):
        raise InvalidValueError("must not hold control characters")
    return name


def _check_schedule(expression: str) -> str:
    # One spelling: tasks with the same expression share an entry in the scheduler's heap.
    expression = " ".join(expression.split())
    schedule.validate(expression)
    return expression


_timezones = cache(available_timezones)  # it walks through folders


def _check_timezone(name: str) -> str:
    if name not in _timezones():
        near = get_close_matches(name[:MAX_TIMEZONE_LENGTH], sorted(_timezones()))
        hint = f"; near are {', '.join(near)}" if near else ""
        raise InvalidValueError(f"must be an IANA time zone such as Europe/Berlin{hint}")
    return name


def _check_instant(instant: datetime) -> datetime:
    # Compared as they are: near the ends of the calendar an offset leads out of it.
    if not FIRST_INSTANT <= instant < INSTANTS_END:
        raise InvalidValueError(f"must be of the years {FIRST_YEAR} to {LAST_YEAR}")
    return instant.astimezone(UTC)
