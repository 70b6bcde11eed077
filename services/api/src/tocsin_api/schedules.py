"""SHELL. The route that shows what a schedule comes to before a task has it."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, get
from msgspec import Meta

from tocsin_api.inputs import read_query
from tocsin_api.preview import Preview, preview
from tocsin_common import schedule, timezones


class PreviewQuery(msgspec.Struct, frozen=True):
    """What is previewed."""

    schedule: Annotated[
        str,
        Meta(
            description="a cron expression: 5 fields, or 6 with seconds first, or an alias such as @daily",
            examples=["0 9 * * 1-5"],
            extra_json_schema={"minLength": 1, "maxLength": schedule.MAX_LENGTH},
        ),
    ]
    timezone: Annotated[
        str,
        Meta(
            description="the IANA time zone that the schedule means, such as Europe/Berlin",
            examples=["Europe/Berlin"],
            extra_json_schema={"minLength": 1, "maxLength": timezones.MAX_LENGTH},
        ),
    ] = "UTC"
    count: Annotated[int, Meta(ge=1, le=100, description="a whole number from 1 to 100")] = 5


@get("/api/schedules/preview", sync_to_thread=False)
def preview_schedule(request: Request[Any, Any, Any]) -> Preview:
    """Show a schedule's next instants."""
    query = read_query(request.scope["query_string"], PreviewQuery, _CHECKS)
    return preview(query.schedule, query.timezone, now=datetime.now(UTC), count=query.count)


def _check_schedule(expression: str) -> str:
    expression = schedule.normal(expression)
    schedule.validate(expression)
    return expression


_CHECKS = {"schedule": _check_schedule, "timezone": timezones.check_timezone}
