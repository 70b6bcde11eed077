"""PURE. What a client may say about a task: the fields of requests. `task_rules` holds the rules of each."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tocsin_api.payload import Payload
from tocsin_common import schedule, timezones, webhook

MAX_NAME_LENGTH = 100
_CONTROLS = r"\x00-\x1f\x7f-\x9f"
NAME_PATTERN = rf"^[^{_CONTROLS}]*[^\s{_CONTROLS}][^{_CONTROLS}]*$"  # not of spaces alone, which are cut
FIRST_YEAR, LAST_YEAR = 2000, 2999

TaskId = Annotated[UUID, Meta(description="a task's id (UUID)", examples=["01a209bf-cc04-7028-8e49-dbf8110cffff"])]
Name = Annotated[
    str,
    Meta(
        description=f"a text of 1 to {MAX_NAME_LENGTH} characters without control characters",
        extra_json_schema={"minLength": 1, "maxLength": MAX_NAME_LENGTH, "pattern": NAME_PATTERN},
    ),
]
Schedule = Annotated[
    str,
    Meta(
        description="a cron expression: 5 fields, or 6 with seconds first, or an alias such as @daily; "
        "null where runAt stands instead of it",
        examples=["*/5 * * * *"],
        extra_json_schema={"minLength": 1, "maxLength": schedule.MAX_LENGTH, "format": "cron"},
    ),
]
Timezone = Annotated[
    str,
    Meta(
        description="the IANA time zone that the schedule means, such as Europe/Berlin",
        examples=["Europe/Berlin"],
        extra_json_schema={"minLength": 1, "maxLength": timezones.MAX_LENGTH, "format": "time-zone"},
    ),
]
_TIME = f"an RFC 3339 time with its offset, of the years {FIRST_YEAR} to {LAST_YEAR}, such as 2030-01-31T09:00:00Z"
_TIMES = ["2030-01-31T09:00:00Z"]
Instant = Annotated[datetime, Meta(tz=True, description=_TIME, examples=_TIMES)]
RunAt = Annotated[
    datetime, Meta(tz=True, description=f"{_TIME}: when a task runs that runs once", examples=_TIMES)
]
StartsAt = Annotated[
    datetime, Meta(tz=True, description=f"{_TIME}: before it the task owes nothing", examples=_TIMES)
]
EndsAt = Annotated[
    datetime, Meta(tz=True, description=f"{_TIME}: after it the task owes nothing", examples=_TIMES)
]
WebhookUrl = Annotated[
    str,
    Meta(
        description="the URL of a Discord webhook, or of a host that this server allows",
        examples=["https://discord.com/api/webhooks/123456789012345678/your-token"],
        extra_json_schema={"maxLength": webhook.MAX_URL_LENGTH, "format": "uri"},
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
        title="CatchUp",
        description="latest, all or skip: what of a longer outage runs late",
        extra_json_schema={"type": "string"},
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
        title="Overlap",
        description="allow or skip: whether a run begins while an earlier one has retries to go",
        extra_json_schema={"type": "string"},
    ),
]
WantedStatus = Annotated[
    Literal["ACTIVE", "INACTIVE"],
    Meta(title="WantedStatus", description="ACTIVE or INACTIVE", extra_json_schema={"type": "string"}),
]


class SaveQuery(msgspec.Struct, frozen=True):
    """How a task is saved."""

    verify: Annotated[
        bool,
        Meta(
            description="true or false: whether Discord is asked first if the webhook that was sent exists",
            examples=[False],
        ),
    ] = False


class NewTask(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The body that creates a task, with exactly one of `schedule` and `runAt`."""

    name: Name
    schedule: Schedule | None = None
    timezone: Timezone = "UTC"
    run_at: RunAt | None = None
    starts_at: StartsAt | None = None
    ends_at: EndsAt | None = None
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
    run_at: RunAt | UnsetType | None = UNSET
    starts_at: StartsAt | UnsetType | None = UNSET
    ends_at: EndsAt | UnsetType | None = UNSET
    webhook_url: WebhookUrl | UnsetType = UNSET
    payload: Payload | UnsetType = UNSET
    max_retry: MaxRetry | UnsetType = UNSET
    jitter_seconds: JitterSeconds | UnsetType = UNSET
    catch_up: CatchUp | UnsetType = UNSET
    expires_after_seconds: ExpiresAfterSeconds | UnsetType | None = UNSET
    overlap: Overlap | UnsetType = UNSET
    status: WantedStatus | UnsetType = UNSET
