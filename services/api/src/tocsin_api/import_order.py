"""SHELL. What an operator says of an import, on the command line."""

import argparse
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from tocsin_api.errors import InvalidValueError
from tocsin_api.import_batches import Order
from tocsin_api.old_tasks import Wishes
from tocsin_api.task_rules import check_instant
from tocsin_common.errors import InvalidTimezoneError, SettingsError
from tocsin_common.timezones import check_timezone

HELP = "take over the tasks of the NestJS scheduler, from its database or a JSON file"
ABOUT = """Creates a task for each row of the table `tasks` in OLD_DATABASE_URL, or for each JSON object in FILE.
It may be run again: what is here already is compared and left alone. The exit code is 0 where all are here."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of `import`."""
    parser.add_argument("file", nargs="?", default="", help="JSON objects; - is stdin (default: OLD_DATABASE_URL)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")
    parser.add_argument("--time-zone", default="", help="whose clock the schedules mean: that of the old server")
    parser.add_argument("--status", default="keep", help="inactive: create all tasks so (default: keep theirs)")
    parser.add_argument("--table", default="tasks", help="its name in the old database (default: tasks)")
    parser.add_argument(
        "--months-from-zero", action="store_true", help="as the package cron has it before version 3"
    )
    parser.add_argument("--start", action="store_true", help="start what is here, INACTIVE, and was ACTIVE there")
    parser.add_argument(
        "--since", default="", help="with --start: they owe what comes from then on (default: now)"
    )


def read(parsed: argparse.Namespace) -> Order:
    """The order itself; raises SettingsError."""
    if parsed.status not in ("keep", "inactive"):
        raise SettingsError("--status: expected keep or inactive")
    if not (parsed.time_zone or parsed.start):
        raise SettingsError("--time-zone is not set: say which clock the schedules mean, such as Europe/Berlin")
    if parsed.since and not parsed.start:
        raise SettingsError("--since is for --start")
    wishes = Wishes(_timezone(parsed.time_zone or "UTC"), parsed.status == "inactive", parsed.months_from_zero)
    return Order(wishes, parsed.file, parsed.table, parsed.dry_run, parsed.start, _instant(parsed.since))


def _timezone(name: str) -> str:
    try:
        return check_timezone(name)
    except InvalidTimezoneError as error:
        raise SettingsError(f"--time-zone: {error}") from None


def _instant(text: str) -> datetime | None:
    try:
        return check_instant(msgspec.convert(text, Annotated[datetime, Meta(tz=True)])) if text else None
    except (msgspec.ValidationError, InvalidValueError):
        raise SettingsError("--since: expected a time with its offset, such as 2030-01-31T09:00:00Z") from None
