"""SHELL. Health for orchestrators and load balancers; no key is asked for."""

import asyncio
from typing import Annotated, Literal

import msgspec
from litestar import Response, get
from msgspec import Meta

from tocsin_api import health_sql
from tocsin_api.resources import Injected, Resources
from tocsin_common import revisions
from tocsin_common.errors import UnavailableError

TEXT = {"type": "string"}  # which msgspec leaves to be seen from the values
CHECK_TIMEOUT_S = 2  # less than what orchestrators wait


class Liveness(msgspec.Struct, frozen=True):
    """The process runs."""

    status: Annotated[Literal["alive"], Meta(description="alive", extra_json_schema=TEXT)] = "alive"


class Readiness(msgspec.Struct, frozen=True):
    """Whether requests can be answered, and what was looked at."""

    status: Annotated[
        Literal["ready", "unready"],
        Meta(description="ready, or unready where PostgreSQL is not", extra_json_schema=TEXT),
    ]
    postgresql: Annotated[
        Literal["ready", "away", "not migrated"],
        Meta(description="ready, away or not migrated", extra_json_schema=TEXT),
    ]
    rabbitmq: Annotated[
        Literal["connected", "away"],
        Meta(
            description="connected or away; does not count: hints may be lost, and changes are saved without it",
            extra_json_schema=TEXT,
        ),
    ]


@get("/health/live")
async def live() -> Liveness:
    """Answer as long as the event loop turns."""
    return Liveness()


@get("/health/ready")
async def ready(resources: Injected) -> Response[Readiness]:
    """Answer 200 where PostgreSQL answers and has this release's tables, else 503."""
    postgresql = await _check_postgresql(resources)
    is_ready = postgresql == "ready"
    readiness = Readiness(
        "ready" if is_ready else "unready", postgresql, "connected" if resources.hints.connected else "away"
    )
    return Response(readiness, status_code=200 if is_ready else 503)


async def _check_postgresql(resources: Resources) -> Literal["ready", "away", "not migrated"]:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            revision = await health_sql.find_schema_revision(resources.pool)
    except (UnavailableError, TimeoutError):
        return "away"
    return "ready" if revisions.is_current(revision, resources.known_schema_revisions) else "not migrated"
