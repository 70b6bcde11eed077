"""PURE. A task's row: what a request puts into it, and what an answer shows of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Raw

from tocsin_api.task_fields import CatchUp, NewTask, Overlap, TaskChange

COLUMNS = {"jitter_seconds": "jitter_s", "expires_after_seconds": "expires_after_s"}
"""Columns that are not named as their fields are."""
Status = Annotated[
    Literal["ACTIVE", "INACTIVE", "FAILED"],
    Meta(description="ACTIVE, INACTIVE or FAILED", extra_json_schema={"type": "string"}),
]


class Task(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A task as answers show it."""

    id: UUID
    name: str
    schedule: Annotated[str | None, Meta(description="null where runAt stands instead of it")]
    timezone: str
    run_at: datetime | None
    starts_at: datetime | None
    ends_at: datetime | None
    webhook_url: Annotated[str, Meta(description="masked: the URL itself is a secret")]
    payload: Annotated[Raw, Meta(extra_json_schema={"type": "object"})]
    max_retry: int
    jitter_seconds: int
    catch_up: CatchUp
    expires_after_seconds: int | None
    overlap: Overlap
    status: Status
    status_reason: Annotated[str | None, Meta(description="why Tocsin stopped the task, where it did")]
    created_at: datetime
    updated_at: datetime


def columns(fields: NewTask | TaskChange) -> dict[str, object]:
    """The columns that a request decides, but for those of the webhook URL; None clears one."""
    given = {
        COLUMNS.get(name, name): value
        for name, value in msgspec.structs.asdict(fields).items()
        if value is not UNSET and name != "webhook_url"
    }
    # Each stands instead of the other.
    if given.get("schedule") is not None:
        given["run_at"] = None
    if given.get("run_at") is not None:
        given["schedule"] = None
    return given


def shown(row: Mapping[str, Any]) -> Task:
    """The task that a row of the table describes."""
    values = {name: row[COLUMNS.get(name, name)] for name in Task.__struct_fields__ if name != "webhook_url"}
    payload = Raw(row["payload"].encode())
    return Task(**{**values, "webhook_url": row["webhook_url_masked"], "payload": payload})
