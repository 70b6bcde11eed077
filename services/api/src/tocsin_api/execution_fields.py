"""PURE. What a client may say about executions: the fields of requests, and what must hold of them."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tocsin_api.errors import InvalidValueError, Violation
from tocsin_api.inputs import NO_NUL, Checks
from tocsin_api.moments import PERIOD_CHECKS, Moment, PeriodQuery, period
from tocsin_api.task_fields import Instant, TaskId
from tocsin_api.task_rules import check_instant

MAX_REASON_LENGTH = 100
MAX_NAMED = 1000

State = Annotated[
    Literal["due", "waiting", "running", "succeeded", "failed", "missed", "skipped", "expired", "cancelled"],
    Meta(
        title="ExecutionState",
        description="due, waiting, running, succeeded, failed, missed, skipped, expired or cancelled",
        examples=["failed"],
        extra_json_schema={"type": "string"},
    ),
]
Reason = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_REASON_LENGTH,
        description=f"a part of the reason, 1 to {MAX_REASON_LENGTH} characters, in any case",
        examples=["HTTP 500"],
        extra_json_schema={"pattern": NO_NUL},
    ),
]


class ExecutionQuery(PeriodQuery, frozen=True, rename="camel"):
    """What executions may be asked for. The two dates hold for `scheduledFor`."""

    state: State | None = None
    reason: Reason | None = None
    task_id: TaskId | None = None


class ExecutionKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What an execution is known by, as the list shows it."""

    task_id: TaskId
    scheduled_for: Instant


class ExecutionKeyQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an execution's id is made of. The id says nothing about where its row is, these two say it exactly."""

    task_id: TaskId
    scheduled_for: Instant


class ReplayFilter(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Failed executions as the list finds them; without a field it is all of them."""

    reason: Reason | UnsetType = UNSET
    task_id: TaskId | UnsetType = UNSET
    date_from: Moment | UnsetType = UNSET
    date_to: Moment | UnsetType = UNSET


class ReplayRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The body that brings executions back: those in `executions`, or the failed ones that `filter` finds."""

    executions: (
        Annotated[
            list[ExecutionKey],
            Meta(
                min_length=1,
                max_length=MAX_NAMED,
                description=f"a list of 1 to {MAX_NAMED} objects with taskId and scheduledFor",
            ),
        ]
        | UnsetType
    ) = UNSET
    filter: (
        Annotated[ReplayFilter, Meta(description="an object with any of reason, taskId, dateFrom and dateTo")]
        | UnsetType
    ) = UNSET
    dry_run: Annotated[bool, Meta(description="true or false: whether only to count")] = False
    rate_per_second: Annotated[
        int, Meta(ge=1, le=1000, description="a whole number from 1 to 1000: so many become due a second")
    ] = 10


def replay_rule(given: Mapping[str, Any]) -> Iterator[Violation]:
    """What must hold between the fields of a replay."""
    if ("executions" in given) == ("filter" in given):
        for field in ("executions", "filter"):
            yield Violation(field, "exactly one of executions and filter is needed")


def _check_reason(reason: str) -> str:
    if "\0" in reason:
        raise InvalidValueError("must not hold NUL characters")
    return reason


def _check_filter(filter_: ReplayFilter) -> ReplayFilter:
    period(filter_.date_from or None, filter_.date_to or None)
    return filter_


CHECKS: Checks = {
    **PERIOD_CHECKS,
    "reason": _check_reason,
    "scheduled_for": check_instant,
    "filter": _check_filter,
}
"""Of ExecutionQuery, and of ReplayRequest and the objects in it."""
