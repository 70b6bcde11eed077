"""A task of the NestJS scheduler as a body that creates one here, and its id."""

import json
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin_api import old_tasks
from tocsin_api.errors import InvalidBodyError, InvalidInputError
from tocsin_api.old_tasks import OldTask, Wishes

ROW = {
    "id": "4f0b0f5e-8c39-4b8c-9d2a-0d6a55c9b7a1",
    "name": "Stand-up",
    "schedule": "0 9 * * 1-5",
    "webhookUrl": "https://discord.com/api/webhooks/1/token",
    "payload": {"content": "Good morning"},
    "maxRetry": 5,
    "status": "ACTIVE",
}
BERLIN = Wishes("Europe/Berlin")


def read(row: dict[str, Any], wishes: Wishes = BERLIN) -> OldTask:
    return old_tasks.read(old_tasks.members(json.dumps(row)), wishes)


def body(row: dict[str, Any], wishes: Wishes = BERLIN) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.json.decode(read(row, wishes).body)
    return made


def test_a_row_becomes_a_body_in_the_time_zone_of_the_old_server() -> None:
    assert body(ROW) == {name: value for name, value in ROW.items() if name != "id"} | {
        "timezone": "Europe/Berlin"
    }


def test_columns_may_be_spelled_with_underscores() -> None:
    row = {**ROW, "webhook_url": ROW["webhookUrl"], "max_retry": 5, "time_zone": "Asia/Tokyo"}
    del row["webhookUrl"], row["maxRetry"]

    assert body(row) == body({**ROW, "timezone": "Asia/Tokyo"})


def test_a_column_in_two_spellings_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="webhookUrl: must be given once only"):
        read({**ROW, "webhook_url": "x"})


@pytest.mark.parametrize(
    ("there", "here", "remarks"),
    [
        ("ACTIVE", "ACTIVE", ()),
        ("active", "ACTIVE", ()),
        ("INACTIVE", "INACTIVE", ()),
        ("FAILED", "INACTIVE", (old_tasks.INACTIVE_FROM_FAILED,)),
        (None, "INACTIVE", (old_tasks.NO_STATUS,)),
        ("PAUSED", "PAUSED", ()),  # which the rules of a new task refuse
        (1, 1, ()),
    ],
)
def test_status(there: object, here: object, remarks: tuple[str, ...]) -> None:
    task = read({**ROW, "status": there})

    assert msgspec.json.decode(task.body)["status"] == here
    assert (task.was_active, task.remarks) == (here == "ACTIVE", remarks)


def test_all_may_be_created_inactive() -> None:
    task = read(ROW, BERLIN._replace(all_inactive=True))

    assert msgspec.json.decode(task.body)["status"] == "INACTIVE"
    assert task.was_active


@pytest.mark.parametrize("payload", ['{"content": 1.50}', '{"content": "x", "n": 12345678901234567890123}'])
@pytest.mark.parametrize("as_text", [False, True])
def test_a_payload_keeps_its_spelling_also_as_text(payload: str, as_text: bool) -> None:
    row = json.dumps(ROW).replace('{"content": "Good morning"}', json.dumps(payload) if as_text else payload)

    made = old_tasks.read(old_tasks.members(row), BERLIN)

    assert payload in made.body.decode()


def test_a_payload_that_is_plain_text_is_left_for_the_rules_to_refuse() -> None:
    assert body({**ROW, "payload": "Good morning"})["payload"] == "Good morning"


def test_no_max_retry_is_the_default_and_told() -> None:
    task = read({**ROW, "maxRetry": None})

    assert "maxRetry" not in msgspec.json.decode(task.body)
    assert task.remarks == (old_tasks.NO_MAX_RETRY,)


@pytest.mark.parametrize(("deleted_at", "is_deleted"), [(None, False), ("2026-01-01T00:00:00", True)])
def test_a_row_that_counts_as_deleted_is_known(deleted_at: str | None, is_deleted: bool) -> None:
    assert read({**ROW, "deletedAt": deleted_at}).is_deleted is is_deleted


def test_columns_without_a_place_are_named_and_what_is_none_is_not() -> None:
    row = old_tasks.members(json.dumps({**ROW, "last_executed_at": None, "createdAt": 1, "a" * 68: 1, "a b": 1}))

    assert old_tasks.unknown(row) == ["last_executed_at", "createdAt"]


@pytest.mark.parametrize("row", ["", "[]", "1", "{", '{"a": }', "\ud800"])
def test_what_is_no_object_is_refused(row: str) -> None:
    with pytest.raises(InvalidBodyError):
        old_tasks.members(row)


@given(st.uuids())
def test_an_id_that_is_a_uuid_stays(id_: UUID) -> None:
    assert old_tasks.new_id(str(id_)) == old_tasks.new_id(str(id_).upper()) == id_


ids = st.one_of(st.integers(), st.text(min_size=1, max_size=200)).filter(lambda id_: 1 <= len(str(id_)) <= 200)


@given(ids, ids)
def test_an_id_has_one_new_id_and_shares_it_with_no_other(one: int | str, other: int | str) -> None:
    assert old_tasks.new_id(one) == old_tasks.new_id(one)
    assert (old_tasks.new_id(one) == old_tasks.new_id(other)) == (str(one) == str(other))


def test_ids_that_were_given_once_stay_for_ever() -> None:
    assert old_tasks.new_id(42) == old_tasks.new_id("42") == UUID("a4a8c0e4-209e-5834-8122-04c78df45999")


@pytest.mark.parametrize("id_", [None, "", True, 1.5, "x" * 201, [], {}])
def test_what_is_no_id_is_refused(id_: object) -> None:
    with pytest.raises(InvalidInputError, match="id: must be a UUID, a whole number or a text"):
        old_tasks.new_id(id_)


@pytest.mark.parametrize(
    ("id_", "shown"),
    [(42, "42"), ("task-7", "task-7"), (ROW["id"], ROW["id"]), ("x" * 16, ""), ("\x1b[31m", "")],
)
def test_an_id_that_may_be_a_secret_is_not_shown(id_: object, shown: str) -> None:
    assert old_tasks.shown_id(old_tasks.members(json.dumps({"id": id_}))) == shown


def test_a_schedule_is_translated_and_what_was_none_is_refused() -> None:
    quarterly = {**ROW, "schedule": "0 0 1 3 *"}

    assert body(quarterly, Wishes("UTC", months_from_zero=True))["schedule"] == "0 0 1 4 *"
    with pytest.raises(InvalidInputError, match="schedule: the month field"):
        read({**ROW, "schedule": "0 0 1 12 *"}, Wishes("UTC", months_from_zero=True))


def test_ids_of_rows_are_not_mixed_up() -> None:
    rows = [read({**ROW, "id": str(uuid4())}) for _ in range(3)]

    assert [str(row.task_id) for row in rows] == [row.id for row in rows]
