"""SHELL. The composition root: builds everything and hands it down; nothing is built at import."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any, Self

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.events import BaseEventEmitterBackend

from tocsin_api import (
    auth,
    dashboard,
    docs,
    executions,
    health,
    logs,
    problems,
    replays,
    scheduler,
    schedules,
    stats_sql,
    task_rules,
    tasks,
)
from tocsin_api.cached import Cached
from tocsin_api.hints import Hints
from tocsin_api.request_log import RequestLog
from tocsin_api.resources import Resources
from tocsin_common import database, keys, migrations
from tocsin_common.identity import process_name
from tocsin_common.settings import ApiSettings

MAX_BODY_BYTES = 1_000_000


def create_app(settings: ApiSettings) -> Litestar:
    """The API as an ASGI application; `lifespan()` opens what it needs. Raises SettingsError."""
    app = Litestar(
        route_handlers=[
            tasks.create_task,
            tasks.list_tasks,
            tasks.get_task,
            tasks.change_task,
            tasks.delete_task,
            tasks.toggle_task,
            dashboard.show_stats,
            executions.run_task,
            executions.list_executions,
            replays.replay_executions,
            logs.list_logs,
            logs.list_task_logs,
            scheduler.show_scheduler,
            scheduler.pause_scheduler,
            scheduler.resume_scheduler,
            schedules.preview_schedule,
            health.live,
            health.ready,
            *docs.handlers(),
        ],
        dependencies={"resources": Provide(_resources, sync_to_thread=False)},
        guards=[auth.guard(settings.api_key)],
        exception_handlers=problems.handlers(),
        lifespan=[_lifespan(settings)],
        event_emitter_backend=_NoEvents,
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=None,  # ours comes from the same structs that read and answer requests: see docs
        logging_config=None,  # Litestar's logs tracebacks with query strings
        debug=False,
    )
    app.asgi_handler = RequestLog(app.asgi_handler)
    return app


class _NoEvents(BaseEventEmitterBackend):
    """Litestar's own emitter would wrap whatever the lifespan raises into an exception group."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def emit(self, event_id: str, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError


def _resources(state: State) -> Resources:
    resources: Resources = state.resources
    return resources


def _lifespan(settings: ApiSettings) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    sealer = keys.load_sealer(settings.sealing_keys)
    parse_webhook = task_rules.parser(settings)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            pool = await database.open_pool(
                settings.database_url,
                size=settings.database_pool_size,
                name=process_name("api"),
                timeout_s=settings.connect_timeout_s,
                idle_in_transaction_s=settings.idle_in_transaction_timeout_s,
            )
            stack.push_async_callback(database.close_pool, pool)
            keys.show(sealer)
            hints = await stack.enter_async_context(
                Hints(settings.rabbitmq_url, timeout_s=settings.hint_timeout_s)
            )
            app.state.resources = Resources(
                pool,
                hints,
                sealer,
                parse_webhook,
                migrations.known_revisions(),
                timedelta(seconds=settings.give_up_after_s),
                timedelta(days=settings.log_retention_days),
                min_interval_s=settings.min_interval_s,
                stats=Cached(partial(stats_sql.find_stats, pool), keep_s=settings.stats_cache_s),
            )
            yield

    return lifespan
