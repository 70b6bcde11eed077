"""SHELL. The route that shows what a schedule comes to before a task has it."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Request, get
from msgspec import Meta

from tocsin_api.inputs import Checks, read_query
from tocsin_api.preview import Preview, preview
from tocsin_api.queries import READS_QUERY
from tocsin_api.resources import Injected
from tocsin_api.task_fields import Timezone
from tocsin_api.task_rules import check_schedule
from tocsin_common import schedule, timezones


class PreviewQuery(msgspec.Struct, frozen=True):
    """What is previewed."""

    schedule: Annotated[
        str,
        Meta(
            description="a cron expression: 5 fields, or 6 with seconds first, or an alias such as @daily",
            examples=["0 9 * * 1-5"],
            extra_json_schema={"minLength": 1, "maxLength": schedule.MAX_LENGTH, "format": "cron"},
        ),
    ]
    timezone: Timezone = "UTC"
    count: Annotated[int, Meta(ge=1, le=100, description="a whole number from 1 to 100", examples=[5])] = 5


@get("/api/schedules/preview", opt=READS_QUERY, sync_to_thread=False)
def preview_schedule(request: Request[Any, Any, Any], resources: Injected) -> Preview:
    """Show the next instants of a schedule that a task could have."""
    checks: Checks = {
        "schedule": partial(check_schedule, min_interval_s=resources.min_interval_s),
        "timezone": timezones.check_timezone,
    }
    query = read_query(request.scope["query_string"], PreviewQuery, checks)
    return preview(query.schedule, query.timezone, now=datetime.now(UTC), count=query.count)
