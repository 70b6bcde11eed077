"""SHELL. The command `tocsin-api`: it serves, migrates, imports tasks, rotates keys, says what is wrong."""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress

import structlog

from tocsin_api import import_order, importer, rotation, server, shared
from tocsin_api.app import create_app
from tocsin_common import doctor, log, metrics
from tocsin_common.diagnosis import Finding
from tocsin_common.errors import SettingsError, TocsinError
from tocsin_common.settings import ApiSettings, DatabaseSettings, ImportSettings, RotationSettings
from tocsin_common.settings_reader import load

EXIT_FAILED = 1
EXIT_SETTINGS = 2

_log = structlog.get_logger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 2 where the settings are wrong."""
    parsed = _parse(arguments)
    try:
        if parsed.command == "doctor":
            return _examine(parsed.management_url)
        if parsed.command == "import":
            return _import(parsed)
        _COMMANDS[parsed.command]()
    except SettingsError as error:
        print(f"tocsin-api: {error}", file=sys.stderr)
        return EXIT_SETTINGS
    except TocsinError as error:
        print(f"tocsin-api: {error}", file=sys.stderr)
        return EXIT_FAILED
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tocsin-api", description="Tocsin's REST API.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    commands.add_parser("serve", help="serve the API until SIGTERM")
    commands.add_parser("migrate", help="create or upgrade the tables, then exit")
    commands.add_parser("rotate-keys", help="seal all webhook URLs with the first of SEALING_KEYS, then exit")
    doctor_parser = commands.add_parser("doctor", help="say what is wrong around an API, and what to do about it")
    doctor_parser.add_argument("--management-url", default="", help=doctor.MANAGEMENT_HELP)
    import_order.add_arguments(
        commands.add_parser("import", help=import_order.HELP, description=import_order.ABOUT)
    )
    return parser.parse_args(arguments)


def _serve() -> None:
    settings = load(ApiSettings, os.environ)
    log.configure(settings, service="api")
    app = create_app(settings)
    if settings.migrate_on_start:
        _upgrade(settings.migration_database_url or settings.database_url, wait_s=settings.connect_timeout_s)
    with metrics.served(settings.metrics_host, settings.metrics_port):
        server.run(app, settings)


def _migrate() -> None:
    settings = load(DatabaseSettings, os.environ)
    log.configure(settings, service="api")
    _upgrade(settings.database_url, wait_s=0)


def _upgrade(database_url: str, *, wait_s: float) -> None:
    from tocsin_api import migration  # it says why here

    migration.upgrade(database_url, wait_s=wait_s)


def _rotate_keys() -> None:
    settings = load(RotationSettings, os.environ)
    log.configure(settings, service="rotate-keys")
    rotation.run(settings)


def _import(parsed: argparse.Namespace) -> int:
    order = import_order.read(parsed)
    settings = load(ImportSettings, os.environ)
    log.configure(settings, service="import")
    return 0 if importer.run(settings, order) else EXIT_FAILED


def _examine(management_url: str) -> int:
    kinds = {"an API": ApiSettings}
    return asyncio.run(doctor.run(kinds, os.environ, management_url=management_url, beside=_look_at_redis))


async def _look_at_redis(environ: Mapping[str, str]) -> AsyncIterator[Finding]:
    """Where there is to be one, and all settings are right: what is wrong with those was said already."""
    with suppress(SettingsError):
        if redis_url := load(ApiSettings, environ).redis:
            yield await shared.look_at(redis_url)


_COMMANDS = {"serve": _serve, "migrate": _migrate, "rotate-keys": _rotate_keys}
