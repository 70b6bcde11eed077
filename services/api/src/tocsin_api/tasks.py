"""SHELL. The routes that create, change, stop, start and delete a task."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response, delete, patch, post
from litestar.params import FromPath
from msgspec import UnsetType
from uuid_utils.compat import uuid7

from tocsin_api import idempotency_sql, task_sql
from tocsin_api.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    Violation,
    in_body,
)
from tocsin_api.idempotency import HEADER as KEY
from tocsin_api.idempotency import check_same_request, read_key
from tocsin_api.inputs import read_body, read_id, read_query
from tocsin_api.postgresql import Row
from tocsin_api.preconditions import HEADER as IF_MATCH
from tocsin_api.preconditions import check_revision, etag, read_if_match
from tocsin_api.queries import READS_QUERY
from tocsin_api.resources import Injected, Resources
from tocsin_api.sealed_urls import sealed_columns
from tocsin_api.task_fields import NewTask, SaveQuery, TaskChange
from tocsin_api.task_rows import Task, columns, shown
from tocsin_api.task_rules import (
    MASK,
    change_rule,
    checks,
    empty_window,
    new_task_rule,
    run_at_is_outside,
    run_at_is_past,
)
from tocsin_common import failpoints
from tocsin_common.messages import ScheduleChange

SCOPE = "create"  # of the Idempotency-Keys that tasks are created with
AnyRequest = Request[Any, Any, Any]


@post("/api/tasks", opt=READS_QUERY)
async def create_task(request: AnyRequest, resources: Injected) -> Response[Task]:
    """Create a task; it is scheduled from now on unless its status is INACTIVE."""
    query = read_query(request.scope["query_string"], SaveQuery, {})
    body = await request.body()
    new = read_body(
        request.headers.get("content-type"),
        body,
        NewTask,
        checks(resources.parse_webhook, min_interval_s=resources.min_interval_s),
        new_task_rule(resources.parse_webhook),
    )
    key = read_key(request.headers.getall(KEY, []), SCOPE, request.method, request.scope["path"], body)
    # What came of an earlier request stands, whatever has become of the webhook since.
    if query.verify and not (key and await idempotency_sql.is_taken(resources.pool, key)):
        await resources.verifier.verify(resources.parse_webhook(new.webhook_url))
    id_ = uuid7()
    wanted = columns(new) | _sealed(resources, id_, new.webhook_url)
    row, is_new = await task_sql.add_task(resources.pool, id_, wanted, key)
    if key is not None and not is_new:
        check_same_request(key, row["request_hash"])
        return await _created_before(resources, row["task_id"])
    if row["revision"] is None:
        raise InvalidInputError(in_body(run_at_is_past(row["wanted_run_at"], row["moment"])))
    return _announced(resources, row)


@patch("/api/tasks/{task_id:str}", opt=READS_QUERY)
async def change_task(request: AnyRequest, task_id: FromPath[str], resources: Injected) -> Response[Task]:
    """Change any of a task's fields. What changes nothing leaves no trace."""
    id_, revisions = read_id(task_id), _wanted_revisions(request)
    query = read_query(request.scope["query_string"], SaveQuery, {})
    task = _found(await task_sql.find_task(resources.pool, id_))
    check_revision(task["revision"], revisions)
    change = read_body(
        request.headers.get("content-type"),
        await request.body(),
        TaskChange,
        checks(resources.parse_webhook, min_interval_s=resources.min_interval_s, allow_masked=True),
        change_rule(resources.parse_webhook, task),
    )
    url = _new_url(change.webhook_url)
    if query.verify and url is not None:
        await resources.verifier.verify(resources.parse_webhook(url))
    wanted = columns(change) | ({} if url is None else _sealed(resources, id_, url))
    hashes = [] if url is None else resources.sealer.hashes(url)
    row = _found(await task_sql.change_task(resources.pool, id_, wanted, hashes, revisions=revisions))
    check_revision(row["old_revision"], revisions)
    _refuse_what_does_not_fit(row, is_another_run_at=wanted.get("run_at") is not None)
    return _announced(resources, row)


@delete("/api/tasks/{task_id:str}", status_code=200)
async def delete_task(request: AnyRequest, task_id: FromPath[str], resources: Injected) -> Task:
    """Delete a task; the answer shows it for the last time, with the status it had."""
    id_, revisions = read_id(task_id), _wanted_revisions(request)
    row = _found(await task_sql.delete_task(resources.pool, id_, revisions=revisions))
    check_revision(row["old_revision"], revisions)
    _announce(resources, row)
    return msgspec.structs.replace(shown(row), status=row["old_status"])


@post("/api/tasks/{task_id:str}/toggle", status_code=200)
async def toggle_task(request: AnyRequest, task_id: FromPath[str], resources: Injected) -> Response[Task]:
    """Stop an ACTIVE task, start an INACTIVE or FAILED one."""
    id_, revisions = read_id(task_id), _wanted_revisions(request)
    row = _found(await task_sql.toggle_task(resources.pool, id_, revisions=revisions))
    check_revision(row["old_revision"], revisions)
    _refuse_what_does_not_fit(row, is_another_run_at=False)
    return _announced(resources, row)


def _refuse_what_does_not_fit(row: Row, *, is_another_run_at: bool) -> None:
    """What only the whole task shows: the request named a part of it."""
    if row["run_at_is_past"] and not is_another_run_at:
        raise ConflictError("the task's runAt has passed: change it before the task is started again")
    violations: list[Violation] = []
    if row["window_is_empty"]:
        violations += empty_window(row["wanted_starts_at"], row["wanted_ends_at"])
    elif row["run_at_is_outside"]:
        violations += run_at_is_outside(row["wanted_run_at"])
    if row["run_at_is_past"]:
        violations += run_at_is_past(row["wanted_run_at"], row["moment"])
    if violations:
        raise InvalidInputError(in_body(violations))


async def _created_before(resources: Resources, task_id: UUID) -> Response[Task]:
    """The answer to a request that was repeated: the task as it is by now."""
    row = await task_sql.find_task(resources.pool, task_id)
    if row is None:
        raise ConflictError(f"the task that came of this {KEY} was deleted meanwhile")
    return Response(shown(row), headers={"ETag": etag(row["revision"])})


def _announced(resources: Resources, row: Row) -> Response[Task]:
    """The answer to a change, after its hint is under way."""
    _announce(resources, row)
    revision = row["revision"] if row["revision"] is not None else row["old_revision"]
    return Response(shown(row), headers={"ETag": etag(revision)})


def _announce(resources: Resources, row: Row) -> None:
    """Tell the schedulers, where anything has changed."""
    if row["revision"] is not None:
        failpoints.reach("api.task_committed")
        resources.hints.announce(ScheduleChange(task_id=row["id"], revision=row["revision"]))


def _wanted_revisions(request: AnyRequest) -> list[int] | None:
    return read_if_match(request.headers.getall(IF_MATCH, []))


def _found(row: Row | None) -> Row:
    if row is None:
        raise NotFoundError("there is no task with this id")
    return row


def _sealed(resources: Resources, task_id: UUID, url: str) -> dict[str, object]:
    return sealed_columns(resources.sealer, resources.parse_webhook(url), task_id)


def _new_url(url: str | UnsetType) -> str | None:
    """None where the URL stays: nothing was sent, or the masked form that answers show."""
    return None if isinstance(url, UnsetType) or MASK in url else url
