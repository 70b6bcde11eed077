"""PURE. What a client may say about a task: the fields of requests and the rules of each."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from tocsin_api.errors import InvalidValueError
from tocsin_api.inputs import Checks
from tocsin_common import schedule, webhook
from tocsin_common.schedule_intervals import check_interval
from tocsin_common.settings import ApiSettings

MAX_NAME_LENGTH = 100
MAX_PAYLOAD_BYTES = 262_144  # fifty jobs of one message are held in memory with their payloads
MAX_PAYLOAD_DEPTH = 32  # Discord's deepest message has 8
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
        description="a cron expression in UTC: 5 fields, or 6 with seconds first, or an alias such as @daily",
        examples=["*/5 * * * *"],
        extra_json_schema={"minLength": 1, "maxLength": schedule.MAX_LENGTH},
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
Payload = Annotated[
    Raw,
    Meta(
        description=f"a JSON object that is not empty, of at most {MAX_PAYLOAD_BYTES} bytes "
        f"and {MAX_PAYLOAD_DEPTH} levels, without NUL characters",
        examples=[{"content": "Good morning"}],
        extra_json_schema={"type": "object", "minProperties": 1},
    ),
]
MaxRetry = Annotated[int, Meta(ge=0, le=10, description="a whole number from 0 to 10")]
WantedStatus = Annotated[
    Literal["ACTIVE", "INACTIVE"], Meta(description="ACTIVE or INACTIVE", extra_json_schema={"type": "string"})
]


class NewTask(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The body that creates a task."""

    name: Name
    schedule: Schedule
    webhook_url: WebhookUrl
    payload: Payload
    max_retry: MaxRetry = 3
    status: WantedStatus = "ACTIVE"


class TaskChange(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The body that changes a task: any of its fields. A masked webhook URL leaves the URL alone."""

    name: Name | UnsetType = UNSET
    schedule: Schedule | UnsetType = UNSET
    webhook_url: WebhookUrl | UnsetType = UNSET
    payload: Payload | UnsetType = UNSET
    max_retry: MaxRetry | UnsetType = UNSET
    status: WantedStatus | UnsetType = UNSET


def parser(settings: ApiSettings) -> Callable[[str], webhook.Webhook]:
    """What accepts webhook URLs under this operator's settings."""
    return partial(webhook.parse, allowed_hosts=settings.webhook_hosts, allow_local=settings.allow_local_webhooks)


def checks(
    parse: Callable[[str], webhook.Webhook], *, min_interval_s: int = 1, allow_masked: bool = False
) -> Checks:
    """The rules of NewTask's and TaskChange's fields; a masked URL can only be compared with the task's own."""

    def check_webhook_url(url: str) -> str:
        return url if allow_masked and MASK in url else parse(url).url

    return {
        "name": _check_name,
        "schedule": partial(check_schedule, min_interval_s=min_interval_s),
        "webhook_url": check_webhook_url,
        "payload": _check_payload,
    }


def _check_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        raise InvalidValueError(f"has {len(name)} characters, 1 to {MAX_NAME_LENGTH} are allowed")
    if any(ord(char) < 32 or 127 <= ord(char) < 160 for char in name):
        raise InvalidValueError("must not hold control characters")
    return name


def check_schedule(expression: str, *, min_interval_s: int = 1) -> str:
    """The expression in its one spelling; raises InvalidScheduleError."""
    expression = schedule.normal(expression)
    schedule.validate(expression)
    check_interval(expression, at_least_s=min_interval_s)
    return expression


def _check_payload(payload: Raw) -> Raw:
    json = bytes(payload)
    if len(json) > MAX_PAYLOAD_BYTES:
        raise InvalidValueError(f"has {len(json)} bytes, at most {MAX_PAYLOAD_BYTES} are allowed")
    try:
        value = msgspec.json.decode(json)
    except msgspec.DecodeError as error:
        raise InvalidValueError(f"cannot be read: {error}") from error
    except RecursionError as error:
        raise InvalidValueError(f"is nested deeper than {MAX_PAYLOAD_DEPTH} levels") from error
    if not isinstance(value, dict) or not value:
        raise InvalidValueError("must be a JSON object that is not empty")
    _check_nesting(value)
    return payload


def _check_nesting(payload: dict[str, Any]) -> None:
    level: list[Any] = [payload]
    for _ in range(MAX_PAYLOAD_DEPTH):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner += value.keys()
                inner += value.values()
            elif isinstance(value, list):
                inner += value
            elif isinstance(value, str) and "\0" in value:
                raise InvalidValueError(r"must not hold NUL characters (\u0000)")
        if not inner:
            return
        level = inner
    raise InvalidValueError(f"is nested deeper than {MAX_PAYLOAD_DEPTH} levels")
