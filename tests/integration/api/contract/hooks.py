"""SHELL. What schemathesis is told beside the document: values of formats, and what no schema has words for.

Nothing that it asks for may reach a host but the test's receiver: webhooks of Discord are changed for those.
"""

import os
import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import available_timezones

import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, HookContext

from tocsin_api.preconditions import PATTERN as IF_MATCH
from tocsin_common import discord
from tocsin_common.webhook import DISCORD_HOSTS

DEEPEST_PAGE = 1000  # with 100 entries each
WEBHOOK_URL = os.environ["CONTRACT_WEBHOOK_URL"]
OTHER_URL = WEBHOOK_URL.partition("/api/")[0] + "/a/receiver/that/is/not/discord"

CRONS = ["*/5 * * * *", "0 9 * * mon-fri", "*/10 * * * * *", "@daily", "@reboot", "0 0 L * *", "0 12 * * 1#2"]
FUTURE = "2030-01-31T09:00:00Z"
SOON, LATE = datetime(2031, 1, 1), datetime(2999, 12, 30)  # noqa: DTZ001 - hypothesis wants them without a zone


def rfc3339(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


schemathesis.openapi.format("cron", st.sampled_from(CRONS))
schemathesis.openapi.format("time-zone", st.sampled_from(sorted(available_timezones() - {"localtime"})))
schemathesis.openapi.format("uri", st.sampled_from([WEBHOOK_URL, OTHER_URL]))
schemathesis.openapi.format("date-time", st.datetimes(SOON, LATE, timezones=st.just(UTC)).map(rfc3339))


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """The last that is done to a request."""
    is_valid = case.meta is None or case.meta.generation.mode is GenerationMode.POSITIVE
    if is_valid:
        _reconcile(case)
    url = case.body.get("webhookUrl") if isinstance(case.body, dict) else None
    if isinstance(url, str) and any(host in url for host in DISCORD_HOSTS):
        case.body["webhookUrl"] = WEBHOOK_URL


def _reconcile(case: Case) -> None:
    """Make fields go together that are valid each by itself."""
    query, headers, body = case.query or {}, case.headers or {}, case.body
    if not re.fullmatch(IF_MATCH, headers.get("If-Match", "*")):
        del headers["If-Match"]  # schemathesis takes 0 for a text where it makes none by the pattern
    _order(query, "dateFrom", "dateTo")
    if "page" in query:
        query["page"] = min(int(query["page"]), DEEPEST_PAGE)
    if not isinstance(body, dict):
        return
    # Times of earlier answers are used as well: those have passed.
    for field in {"runAt", "expiresAt"} & set(body):
        if body[field] and str(body[field]) < FUTURE:
            body[field] = FUTURE
    _order(body, "startsAt", "endsAt")
    if case.operation.label == "POST /api/executions/replay":
        _one_of(body, "executions", "filter", {})
        _order(body.get("filter", {}), "dateFrom", "dateTo")
    if case.operation.label == "POST /api/tasks" or {"schedule", "runAt"} & set(body):
        _one_of(body, "schedule", "runAt", "@hourly")
    if body.get("runAt"):
        body.pop("startsAt", None)
        body.pop("endsAt", None)
    if "payload" in body and any(discord.violations(body["payload"])):
        body["webhookUrl"] = OTHER_URL
    if case.operation.label == "PATCH /api/tasks/{task_id}":
        _fit_any_task(body)
    if body.get("webhookUrl") == OTHER_URL:
        query.pop("verify", None)


def _fit_any_task(change: dict[str, Any]) -> None:
    """Send with a change what it has to go with, whatever the task has."""
    if change.get("runAt"):
        change |= {"startsAt": None, "endsAt": None}
    elif change.get("startsAt") or change.get("endsAt"):
        change["schedule"] = change.get("schedule") or "@hourly"
        change.pop("runAt", None)
        change |= {"startsAt": change.get("startsAt"), "endsAt": change.get("endsAt")}
    if "webhookUrl" in change and "payload" not in change:
        change["payload"] = {"content": "Good morning"}


def _one_of(fields: dict[str, Any], one: str, other: str, otherwise: object) -> None:
    if fields.get(one) is not None:
        fields.pop(other, None)
    elif fields.get(other) is None:
        fields[one] = otherwise
        fields.pop(other, None)


def _order(fields: Any, first: str, last: str) -> None:
    if isinstance(fields, dict) and fields.get(first) and fields.get(last):
        if str(fields[first]) >= str(fields[last]):
            fields[first], fields[last] = fields[last], fields[first]
        if str(fields[first]) == str(fields[last]):
            del fields[last]
