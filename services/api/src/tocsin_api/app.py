"""SHELL. The composition root: builds everything and hands it down; nothing is built at import."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any, Self

import asyncpg
from litestar import Litestar, Request
from litestar.di import Provide
from litestar.events import BaseEventEmitterBackend
from litestar.types import ControllerRouterHandler

from tocsin_api import (
    api_keys,
    auth,
    awaited_runs,
    bodies,
    dashboard,
    docs,
    executions,
    health,
    logs,
    methods,
    problems,
    queries,
    replays,
    scheduler,
    schedules,
    security_txt,
    stats_sql,
    task_details,
    task_lists,
    task_rules,
    tasks,
)
from tocsin_api.cached import Cached
from tocsin_api.cors import Cors
from tocsin_api.counts import Counts
from tocsin_api.gate import Gate
from tocsin_api.hints import Hints
from tocsin_api.kept import Kept
from tocsin_api.key_ring import KeyRing
from tocsin_api.limiter import Limiter
from tocsin_api.request_log import RequestLog
from tocsin_api.resources import Resources
from tocsin_api.security_headers import SecurityHeaders
from tocsin_api.shared import Shared
from tocsin_api.stats import Stats
from tocsin_api.verifier import Verifier
from tocsin_common import database, keys, revisions
from tocsin_common.identity import process_name
from tocsin_common.settings import ApiSettings


def create_app(settings: ApiSettings) -> Litestar:
    """The API as an ASGI application; `lifespan()` opens what it needs. Raises SettingsError."""

    def resources() -> Resources:
        found: Resources = app.state.resources
        return found

    app = Litestar(
        route_handlers=_routes(settings),
        dependencies={"resources": Provide(resources, sync_to_thread=False)},
        before_request=_check,
        exception_handlers=problems.handlers(),
        lifespan=[_lifespan(settings)],
        event_emitter_backend=_NoEvents,
        request_max_body_size=bodies.MAX_BYTES,
        openapi_config=None,  # ours comes from the same structs that read and answer requests: see docs
        logging_config=None,  # Litestar's logs tracebacks with query strings
        debug=False,
    )
    is_development = settings.environment == "development"
    cors = Cors(Gate(app.asgi_handler), settings.origins, allow_local=is_development)
    app.asgi_handler = RequestLog(SecurityHeaders(cors))
    return app


def _routes(settings: ApiSettings) -> list[ControllerRouterHandler]:
    return [
        methods.handler(),
        tasks.create_task,
        task_lists.list_tasks,
        task_details.get_task,
        tasks.change_task,
        tasks.delete_task,
        tasks.toggle_task,
        dashboard.show_stats,
        executions.run_task,
        awaited_runs.test_task,
        executions.list_executions,
        executions.get_execution,
        replays.replay_executions,
        logs.list_logs,
        logs.list_task_logs,
        scheduler.show_scheduler,
        scheduler.pause_scheduler,
        scheduler.resume_scheduler,
        schedules.preview_schedule,
        api_keys.create_key,
        api_keys.list_keys,
        api_keys.delete_key,
        health.live,
        health.ready,
        security_txt.handler(settings.security_contact),
        *docs.handlers(),
    ]


async def _check(request: Request[Any, Any, Any]) -> None:
    """Whether a request may come to its handler. For a guard, Litestar would copy the handler each time."""
    auth.check(request)
    bodies.check(request)
    queries.check(request)


class _NoEvents(BaseEventEmitterBackend):
    """Litestar's own emitter would wrap whatever the lifespan raises into an exception group."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def emit(self, event_id: str, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError


async def _open_pool(settings: ApiSettings) -> asyncpg.Pool:
    return await database.open_pool(
        settings.database_url,
        size=settings.database_pool_size,
        name=process_name("api"),
        timeout_s=settings.connect_timeout_s,
        idle_in_transaction_s=settings.idle_in_transaction_timeout_s,
    )


def _cached_stats(pool: asyncpg.Pool, shared: Shared, *, keep_s: float) -> Cached[Stats]:
    kept = Kept(shared, partial(stats_sql.find_name, pool), Stats, keep_s=keep_s)
    return Cached(partial(stats_sql.find_stats, pool), kept)


def _lifespan(settings: ApiSettings) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    sealer = keys.load_sealer(settings.sealing_keys)
    parse_webhook = task_rules.parser(settings)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            pool = await _open_pool(settings)
            stack.push_async_callback(database.close_pool, pool)
            keys.show(sealer)
            hints = await stack.enter_async_context(
                Hints(
                    settings.rabbitmq_url,
                    timeout_s=settings.hint_timeout_s,
                    heartbeat_s=settings.rabbitmq_heartbeat_s,
                )
            )
            key_ring = await stack.enter_async_context(KeyRing(pool, settings.api_key))
            shared = await stack.enter_async_context(Shared(settings.redis))
            verifier = await stack.enter_async_context(Verifier.open(settings))
            app.state.resources = Resources(
                pool,
                hints,
                key_ring,
                Limiter(settings, Counts(shared)),
                sealer,
                parse_webhook,
                revisions.known(),
                timedelta(seconds=settings.give_up_after_s),
                timedelta(days=settings.log_retention_days),
                min_interval_s=settings.min_interval_s,
                verifier=verifier,
                test_wait_s=settings.test_wait_s,
                waits=asyncio.Semaphore(settings.test_waits),
                stopping=asyncio.Event(),
                stats=_cached_stats(pool, shared, keep_s=settings.stats_cache_s),
            )
            yield

    return lifespan
