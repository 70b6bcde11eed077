"""The rules of a task's fields, and between them."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from tocsin_api.errors import InvalidInputError
from tocsin_api.inputs import read_body
from tocsin_api.task_fields import NewTask, TaskChange
from tocsin_api.task_rules import change_rule, checks, new_task_rule, parser
from tocsin_common.errors import TocsinError
from tocsin_common.settings import ApiSettings

URL = "https://discord.com/api/webhooks/123/token"
SETTINGS = ApiSettings(
    database_url="postgresql://x",
    rabbitmq_url="amqp://x",
    sealing_keys="x",
    api_key="a key of some length",
    allowed_webhook_hosts="hooks.example.com, Other.example.org",
)


def check(field: str, value: Any, *, allow_masked: bool = False) -> Any:
    return checks(parser(SETTINGS), allow_masked=allow_masked)[field](value)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("x", "x"),
        ("  padded\t", "padded"),
        ("n" * 100, "n" * 100),
        (f" {'n' * 100} ", "n" * 100),
        ("Ñandú 🔔", "Ñandú 🔔"),
    ],
)
def test_name_is_trimmed(given: str, kept: str) -> None:
    assert check("name", given) == kept


@pytest.mark.parametrize("name", ["", "   ", "n" * 101, "a\0b", "line\nbreak", "\x1b[31mred", "next\x85line"])
def test_name_that_is_empty_long_or_holds_control_characters_is_refused(name: str) -> None:
    with pytest.raises(TocsinError):
        check("name", name)


@pytest.mark.parametrize(
    ("given", "kept"),
    [("*/5 * * * *", "*/5 * * * *"), ("  0  12 * *  MON ", "0 12 * * MON"), ("@daily", "@daily")],
)
def test_schedule_has_one_spelling(given: str, kept: str) -> None:
    assert check("schedule", given) == kept


@pytest.mark.parametrize("schedule", ["", "* * * *", "60 * * * *", "0 0 30 2 *", "@sometimes", "* * * * *\0"])
def test_schedule_that_is_none_is_refused(schedule: str) -> None:
    with pytest.raises(TocsinError):
        check("schedule", schedule)


@pytest.mark.parametrize("url", [URL, "https://hooks.example.com/x", "https://other.example.org/y"])
def test_webhook_url_of_an_allowed_host_is_accepted(url: str) -> None:
    assert check("webhook_url", url) == url


@pytest.mark.parametrize(
    "url", ["", "x", "http://discord.com/api/webhooks/123/token", "https://evil.example/x", "http://127.0.0.1/x"]
)
def test_other_webhook_url_is_refused(url: str) -> None:
    with pytest.raises(TocsinError):
        check("webhook_url", url)


def test_masked_webhook_url_is_allowed_in_a_change_only() -> None:
    masked = "https://discord.com/api/webhooks/123/…oken"

    assert check("webhook_url", masked, allow_masked=True) == masked
    with pytest.raises(TocsinError):
        check("webhook_url", masked)


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Asia/Kathmandu"])
def test_timezone_of_the_database_is_accepted(name: str) -> None:
    assert check("timezone", name) == name


@pytest.mark.parametrize(
    ("name", "near"),
    [("Europe/Berlln", "Europe/Berlin"), ("europe/paris", "Europe/Paris"), ("Etc/UTCC", "Etc/UTC")],
)
def test_timezone_that_is_none_is_refused_with_near_names(name: str, near: str) -> None:
    with pytest.raises(TocsinError, match=near):
        check("timezone", name)


@pytest.mark.parametrize("name", ["", "+02:00", "../../etc/passwd", "UTC\0", "x" * 10_000, "local"])
def test_timezone_that_is_none_is_refused_within_a_bound(name: str) -> None:
    with pytest.raises(TocsinError) as caught:
        check("timezone", name)

    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("field", ["run_at", "starts_at", "ends_at"])
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (datetime(2000, 1, 1, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC)),
        (datetime(2030, 1, 31, 9, tzinfo=timezone(timedelta(hours=1))), datetime(2030, 1, 31, 8, tzinfo=UTC)),
        (datetime(2999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),) * 2,
    ],
)
def test_instant_is_kept_in_utc(field: str, given: datetime, kept: datetime) -> None:
    assert check(field, given) == kept
    assert check(field, given).tzinfo is UTC


@pytest.mark.parametrize("field", ["run_at", "starts_at", "ends_at"])
@pytest.mark.parametrize(
    "instant",
    [
        datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(3000, 1, 1, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-12))),
    ],
)
def test_instant_of_another_age_is_refused(field: str, instant: datetime) -> None:
    with pytest.raises(TocsinError, match="2000 to 2999"):
        check(field, instant)


NEW = {"name": "x", "webhookUrl": URL, "payload": {"content": "hi"}}


ROW = {"webhook_url_masked": "https://discord.com/api/webhooks/123/…oken", "payload": '{"content": "hi"}'}


def refused(kind: type[msgspec.Struct], body: dict[str, Any], task: dict[str, str] = ROW) -> list[str]:
    """The fields that are named as wrong."""
    parse = parser(SETTINGS)
    rule = new_task_rule(parse) if kind is NewTask else change_rule(parse, task)
    try:
        read_body("application/json", msgspec.json.encode(body), kind, checks(parse, allow_masked=True), rule)
    except InvalidInputError as error:
        return [each.field for each in error.violations]
    return []


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"schedule": "@daily"}, []),
        ({"runAt": "2030-01-31T09:00:00Z"}, []),
        ({"schedule": "@daily", "runAt": None}, []),
        ({"schedule": None, "runAt": "2030-01-31T09:00:00Z"}, []),
        ({"schedule": "@daily", "runAt": "2030-01-31T09:00:00Z"}, ["schedule", "runAt"]),
        ({"schedule": None, "runAt": None}, ["schedule", "runAt"]),
        # What is refused already is not said to be missing.
        ({"schedule": "nonsense"}, ["schedule"]),
        ({"runAt": "tomorrow"}, ["runAt"]),
    ],
)
def test_exactly_one_of_schedule_and_run_at_is_needed(fields: dict[str, Any], named: list[str]) -> None:
    assert refused(NewTask, NEW | fields) == named
    assert refused(TaskChange, fields) == named


def test_schedule_and_run_at_may_be_missing_in_a_change_only() -> None:
    assert refused(NewTask, NEW) == ["schedule", "runAt"]
    assert refused(TaskChange, {}) == []


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"startsAt": "2030-01-01T00:00:00Z", "endsAt": "2030-01-01T00:00:00.000001Z"}, []),
        ({"startsAt": "2030-01-01T00:00:00Z", "endsAt": "2030-01-01T00:00:00Z"}, ["startsAt", "endsAt"]),
        ({"startsAt": "2030-01-02T00:00:00Z", "endsAt": "2030-01-01T00:00:00Z"}, ["startsAt", "endsAt"]),
        ({"startsAt": "2030-01-01T02:00:00+02:00", "endsAt": "2030-01-01T00:00:01Z"}, []),
        ({"startsAt": "2000-01-01T00:00:00Z", "endsAt": None}, []),
        ({"startsAt": None, "endsAt": "2000-01-01T00:00:00Z"}, []),
        ({"startsAt": "soon", "endsAt": "2030-01-01T00:00:00Z"}, ["startsAt"]),
    ],
)
def test_window_must_not_be_empty(fields: dict[str, Any], named: list[str]) -> None:
    assert refused(NewTask, {**NEW, "schedule": "@daily", **fields}) == named
    assert refused(TaskChange, fields) == named


@pytest.mark.parametrize(
    ("window", "named"),
    [
        ({"startsAt": "2030-01-01T00:00:00Z"}, []),
        ({"endsAt": "2030-01-01T00:00:00Z"}, []),
        ({"startsAt": "2030-01-01T00:00:00.000001Z"}, ["runAt"]),
        ({"endsAt": "2029-12-31T23:59:59Z"}, ["runAt"]),
        ({"startsAt": "2029-01-01T00:00:00Z", "endsAt": "2031-01-01T00:00:00Z"}, []),
    ],
)
def test_run_at_lies_within_its_window(window: dict[str, Any], named: list[str]) -> None:
    fields = {"runAt": "2030-01-01T00:00:00Z", **window}

    assert refused(NewTask, NEW | fields) == named
    assert refused(TaskChange, fields) == named


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("payload", [{"content": ""}, {"tts": True}]),
        ("jitterSeconds", [-1, 3601, 1.5, "1", None, True]),
        ("catchUp", ["", "none", "LATEST", None, 1]),
        ("expiresAfterSeconds", [0, 604_801, -1, "1", 0.5]),
        ("overlap", ["", "queue", None, False]),
        ("timezone", [None, 1, "", "Mars/Olympus"]),
        ("runAt", ["2030-01-31", "2030-01-31T09:00:00", 1, "", "2030-02-30T00:00:00Z", "1999-01-01T00:00:00Z"]),
        ("startsAt", ["2030-01-31T09:00:00", 0, "now", "9999-12-31T23:59:59-12:00"]),
        ("endsAt", ["2030-01-31T09:00:00", 0, "never"]),
    ],
)
def test_value_that_is_not_allowed_is_refused(field: str, values: list[Any]) -> None:
    base = {} if field == "runAt" else {"schedule": "@daily"}

    for value in values:
        assert refused(NewTask, {**NEW, **base, field: value}) == [field], value
        assert refused(TaskChange, {field: value}) == [field], value


@pytest.mark.parametrize(
    "fields",
    [
        {"jitterSeconds": 0},
        {"jitterSeconds": 3600},
        {"catchUp": "latest"},
        {"catchUp": "all"},
        {"catchUp": "skip"},
        {"expiresAfterSeconds": 1},
        {"expiresAfterSeconds": 604_800},
        {"expiresAfterSeconds": None},
        {"overlap": "allow"},
        {"overlap": "skip"},
        {"startsAt": "2030-01-31T09:00:00+01:00"},
        {"endsAt": None},
    ],
)
def test_value_that_is_allowed_is_taken(fields: dict[str, Any]) -> None:
    assert refused(NewTask, {**NEW, "schedule": "@daily", **fields}) == []
    assert refused(TaskChange, fields) == []


OTHER_URL = "https://hooks.example.com/in/secret"
OTHER_ROW = {"webhook_url_masked": "https://hooks.example.com/…cret", "payload": '{"text": "hi"}'}
NO_MESSAGE = {"embeds": [{"title": "x" * 257}, {"color": -1}]}
NAMED = ["payload/embeds/0/title", "payload/embeds/1/color"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, []),
        ({"payload": NO_MESSAGE}, NAMED),
        ({"payload": {"text": "hi"}}, ["payload"]),
        ({"payload": {"text": "hi"}, "webhookUrl": OTHER_URL}, []),
        # What is refused already is not judged further.
        ({"payload": []}, ["payload"]),
        ({"payload": NO_MESSAGE, "webhookUrl": "http://discord.com"}, ["webhookUrl"]),
        # All at once, the other fields first.
        (
            {"payload": NO_MESSAGE, "name": "", "runAt": "2030-01-31T09:00:00Z"},
            ["name", "schedule", "runAt", *NAMED],
        ),
    ],
)
def test_payload_of_a_new_task_is_a_message_where_its_webhook_is_discords(
    fields: dict[str, Any], named: list[str]
) -> None:
    assert refused(NewTask, {**NEW, "schedule": "@daily", **fields}) == named


@pytest.mark.parametrize(
    ("task", "fields", "named"),
    [
        (ROW, {"payload": NO_MESSAGE}, NAMED),
        (ROW, {"payload": NO_MESSAGE, "webhookUrl": ROW["webhook_url_masked"]}, NAMED),
        (ROW, {"payload": NO_MESSAGE, "webhookUrl": URL}, NAMED),
        (ROW, {"payload": NO_MESSAGE, "webhookUrl": OTHER_URL}, []),
        (ROW, {"payload": NO_MESSAGE, "webhookUrl": OTHER_ROW["webhook_url_masked"]}, ["webhookUrl"]),
        (ROW, {"payload": NO_MESSAGE, "webhookUrl": "http://discord.com"}, ["webhookUrl"]),
        (ROW, {"payload": NO_MESSAGE, "name": ""}, ["name", *NAMED]),
        (ROW, {"payload": [], "webhookUrl": URL}, ["payload"]),
        (OTHER_ROW, {"payload": NO_MESSAGE}, []),
        (OTHER_ROW, {"payload": NO_MESSAGE, "webhookUrl": OTHER_ROW["webhook_url_masked"]}, []),
        (OTHER_ROW, {"payload": NO_MESSAGE, "webhookUrl": URL}, NAMED),
        (OTHER_ROW, {"payload": {"content": "hi"}, "webhookUrl": URL}, []),
        # The task's own payload is judged by a new webhook, and by nothing else.
        (OTHER_ROW, {"webhookUrl": URL}, ["payload"]),
        (OTHER_ROW | {"payload": '{"content": "hi"}'}, {"webhookUrl": URL}, []),
        (ROW | {"payload": '{"tts": true}'}, {"webhookUrl": URL}, ["payload"]),
        (ROW | {"payload": '{"tts": true}'}, {"webhookUrl": ROW["webhook_url_masked"]}, []),
        (ROW | {"payload": '{"tts": true}'}, {"name": "x"}, []),
    ],
)
def test_payload_and_webhook_of_a_change_go_together_with_the_tasks_own(
    task: dict[str, str], fields: dict[str, Any], named: list[str]
) -> None:
    assert refused(TaskChange, fields, task) == named
