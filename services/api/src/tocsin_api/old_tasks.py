"""PURE. A task of the NestJS scheduler as a body that creates one here, and the id that it has here."""

import re
from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID, uuid5

import msgspec
from msgspec import Raw

from tocsin_api.errors import InvalidBodyError, InvalidInputError, Violation
from tocsin_api.old_schedules import translate
from tocsin_common.errors import MAX_ECHO, InvalidScheduleError

NAMESPACE = UUID("a4a21011-cbf7-50ec-af13-2736c05e00b3")
"""Of ids that are no UUIDs. It never changes: an import that is repeated must find what it made."""
MAX_ID_LENGTH = 200
TAKEN = ("id", "name", "schedule", "timezone", "webhookUrl", "payload", "maxRetry", "status", "deletedAt")
_BY_SPELLING = {name.lower(): name for name in TAKEN}
_COLUMN = re.compile(r"\w{1,40}", re.ASCII)

INACTIVE_FROM_FAILED = "was FAILED: it is INACTIVE here"
NO_STATUS = "has no status: it is INACTIVE here"
NO_MAX_RETRY = "has no maxRetry: it is 3 here"


class Wishes(NamedTuple):
    """What an operator decides of an import."""

    timezone: str
    """Of tasks that name none: their schedules meant the clock of the server that ran them."""
    all_inactive: bool = False
    months_from_zero: bool = False


class OldTask(NamedTuple):
    """One that is to be here."""

    id: str
    """As it was there, or nothing where it is too long to be shown."""
    task_id: UUID
    body: bytes
    """As `POST /api/tasks` takes it."""
    was_active: bool
    is_deleted: bool
    remarks: tuple[str, ...]


def members(row: str) -> dict[str, Raw]:
    """The columns of a row that is written as a JSON object; raises InvalidBodyError."""
    try:
        return msgspec.json.decode(row, type=dict[str, Raw])
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        raise InvalidBodyError("is no JSON object") from None


def unknown(row: Mapping[str, Raw]) -> list[str]:
    """The columns that have no place here; what looks like no column is not told, for it may be anything."""
    return [name for name in row if _plain(name) not in _BY_SPELLING and _COLUMN.fullmatch(name)]


def read(row: Mapping[str, Raw], wishes: Wishes) -> OldTask:
    """What the row says, its columns in camelCase or snake_case; raises InvalidInputError.

    Only what differs from Tocsin's own words is judged here; the rest is for the rules of a new task.
    """
    found = _by_name(row)
    old_id, remarks = _value(found, "id"), list[str]()
    status = _status(found, remarks)
    body: dict[str, object] = {name: found[name] for name in ("name", "webhookUrl") if name in found}
    if "schedule" in found:
        body["schedule"] = _schedule(found, wishes, remarks)
    if "payload" in found:
        body["payload"] = _payload(found["payload"])
    if _value(found, "maxRetry") is None:
        remarks.append(NO_MAX_RETRY)
    else:
        body["maxRetry"] = found["maxRetry"]
    timezone = _value(found, "timezone")
    body["timezone"] = wishes.timezone if timezone is None else timezone
    body["status"] = "INACTIVE" if wishes.all_inactive and status == "ACTIVE" else status
    return OldTask(
        shown_id(row),
        new_id(old_id),
        msgspec.json.encode(body),
        status == "ACTIVE",
        _value(found, "deletedAt") is not None,
        tuple(remarks),
    )


def new_id(old_id: object) -> UUID:
    """The id itself where it is a UUID, else one that is made of it, always the same; raises InvalidInputError."""
    if isinstance(old_id, bool) or not isinstance(old_id, int | str) or not 1 <= len(str(old_id)) <= MAX_ID_LENGTH:
        message = f"must be a UUID, a whole number or a text of 1 to {MAX_ID_LENGTH} characters"
        raise InvalidInputError([Violation("id", message)])
    text = str(old_id)
    try:
        return msgspec.convert(text, UUID)
    except msgspec.ValidationError:
        return uuid5(NAMESPACE, text)


def shown_id(row: Mapping[str, Raw]) -> str:
    """As a report may repeat it, else nothing: somebody may have named tasks by a secret, and none is as short."""
    try:
        old_id = _value({_plain(column): value for column, value in row.items()}, "id")
        is_uuid = str(new_id(old_id)) == str(old_id).lower()
    except InvalidInputError:
        return ""
    is_fit = is_uuid or (len(str(old_id)) <= MAX_ECHO and str(old_id).isprintable())
    return str(old_id) if is_fit else ""


def _by_name(row: Mapping[str, Raw]) -> dict[str, Raw]:
    found: dict[str, Raw] = {}
    for column, value in row.items():
        name = _BY_SPELLING.get(_plain(column))
        if name is None:
            continue
        if name in found:
            raise InvalidInputError([Violation(name, "must be given once only, in one spelling")])
        found[name] = value
    return found


def _plain(column: str) -> str:
    return column.replace("_", "").lower()


def _value(found: Mapping[str, Raw], name: str) -> object:
    try:
        return msgspec.json.decode(found[name]) if name in found else None
    except (msgspec.DecodeError, RecursionError):
        return None


def _status(found: Mapping[str, Raw], remarks: list[str]) -> object:
    status = _value(found, "status")
    if status is None:
        remarks.append(NO_STATUS)
        return "INACTIVE"
    if not isinstance(status, str):
        return status
    if status.upper() == "FAILED":
        remarks.append(INACTIVE_FROM_FAILED)
        return "INACTIVE"
    return status.upper()


def _schedule(found: Mapping[str, Raw], wishes: Wishes, remarks: list[str]) -> object:
    schedule = _value(found, "schedule")
    if not isinstance(schedule, str):
        return found["schedule"]
    try:
        translated = translate(schedule, months_from_zero=wishes.months_from_zero)
    except InvalidScheduleError as error:
        raise InvalidInputError([Violation("schedule", str(error))]) from error
    remarks += translated.remarks
    return translated.schedule


def _payload(payload: Raw) -> Raw:
    """Of a text that holds JSON, as in a column of the type text, that JSON."""
    try:
        text = msgspec.json.decode(payload, type=str)
        msgspec.json.decode(text)
        return Raw(text.encode())
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return payload
