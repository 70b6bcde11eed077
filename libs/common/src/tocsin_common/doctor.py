"""SHELL. Whether Tocsin can run where this is called: settings, servers, tables, queues, clocks; for people."""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime

import structlog

from tocsin_common import checkup, diagnosis
from tocsin_common.diagnosis import Finding
from tocsin_common.errors import SealingError, SettingsError
from tocsin_common.sealing import Sealer
from tocsin_common.settings import DatabaseSettings, Settings
from tocsin_common.settings_reader import load

MANAGEMENT_HELP = (
    "where RabbitMQ's management API is (default: port 15672, or 15671 with amqps, of each node; "
    "of several, with commas, the first that answers is asked); with user:password@ in it, as whom "
    "(default: as RABBITMQ_URL says)"
)

Kinds = Mapping[str, type[DatabaseSettings]]
"""The settings to look at, by whose they are."""

Look = Callable[[Mapping[str, str]], AsyncIterator[Finding]]
"""At what one service alone has, by its environment."""


async def run(
    kinds: Kinds,
    environ: Mapping[str, str],
    *,
    management_url: str = "",
    now: checkup.Now | None = None,
    beside: Look | None = None,
) -> int:
    """Print each finding as soon as it is there; the exit code."""
    _silence()
    well = True
    async for finding in examine(kinds, environ, management_url=management_url, now=now or _now, beside=beside):
        print(diagnosis.show([finding]), flush=True)
        well = well and diagnosis.is_well([finding])
    print("nothing is wrong" if well else "what begins with WRONG is to be mended", flush=True)
    return 0 if well else 1


async def examine(
    kinds: Kinds,
    environ: Mapping[str, str],
    *,
    management_url: str,
    now: checkup.Now,
    beside: Look | None = None,
) -> AsyncIterator[Finding]:
    """All findings. Servers are looked at even if a setting is wrong that has nothing to do with them."""
    for whose, kind in kinds.items():
        yield _settings(whose, kind, environ)
    try:
        common = load(Settings, environ)
    except SettingsError:
        return
    async for finding in checkup.look_at_postgresql(common.database_url, now):
        yield finding
    async for finding in checkup.look_at_rabbitmq(common.rabbitmq_url, management_url, now):
        yield finding
    if beside is not None:
        async for finding in beside(environ):
            yield finding


def _settings(whose: str, kind: type[DatabaseSettings], environ: Mapping[str, str]) -> Finding:
    what = f"settings of {whose}"
    try:
        own = load(kind, environ)
        if sealing_keys := getattr(own, "sealing_keys", ""):
            Sealer.from_setting(sealing_keys)
    except (SettingsError, SealingError) as error:
        return Finding(what, "WRONG", str(error))
    return Finding(what, "ok", f"complete, for {own.environment}")


def _silence() -> None:
    """The findings say it all, and say it once."""
    logging.disable(logging.CRITICAL)
    structlog.configure(processors=[_drop])


def _drop(_logger: object, _method: str, _event: structlog.types.EventDict) -> structlog.types.EventDict:
    raise structlog.DropEvent


def _now() -> datetime:
    return datetime.now(UTC)
