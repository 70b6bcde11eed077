"""The route that previews a schedule."""

from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest

from integration.api.serving import send_without_key, serve
from tocsin_common.settings import ApiSettings

PATH = "/api/schedules/preview"


async def test_preview_shows_what_a_schedule_comes_to(shared_client: httpx.AsyncClient) -> None:
    before = datetime.now(UTC).replace(microsecond=0)

    answer = await shared_client.get(
        PATH, params={"schedule": " 0  9 * * 1-5", "timezone": "Asia/Tokyo", "count": "3"}
    )

    assert answer.status_code == 200
    shown = answer.json()
    instants = shown.pop("instants")
    assert shown == {
        "schedule": "0 9 * * 1-5",
        "timezone": "Asia/Tokyo",
        "words": "At 09:00, Monday through Friday",
        "remark": None,
    }
    assert len(instants) == 3
    for instant in instants:
        at = datetime.fromisoformat(instant["utc"])
        local = datetime.fromisoformat(instant["local"])
        assert at == local
        assert at >= before
        assert instant["utc"].endswith("Z")
        assert instant["local"].endswith("T09:00:00+09:00")
        assert local.weekday() < 5
        assert instant["remark"] is None


async def test_preview_is_of_five_instants_in_utc_where_nothing_else_is_asked_for(
    shared_client: httpx.AsyncClient,
) -> None:
    answer = await shared_client.get(PATH, params={"schedule": "@Daily"})

    assert answer.json()["schedule"] == "@daily"
    assert answer.json()["timezone"] == "UTC"
    assert len(answer.json()["instants"]) == 5


async def test_preview_remarks_on_a_shift_of_the_clock(shared_client: httpx.AsyncClient) -> None:
    answer = await shared_client.get(
        PATH, params={"schedule": "30 2 * 3 *", "timezone": "Europe/Berlin", "count": "100"}
    )

    remarks = [(instant["local"], instant["remark"]) for instant in answer.json()["instants"] if instant["remark"]]
    assert remarks
    for local, remark in remarks:
        assert local.endswith("T03:00:00+02:00")
        assert remark.endswith("02:00 to 03:00; what is due then comes right after")


async def test_preview_of_reboot_has_no_instants(shared_client: httpx.AsyncClient) -> None:
    answer = await shared_client.get(PATH, params={"schedule": "@reboot"})

    assert answer.status_code == 200
    assert answer.json()["instants"] == []
    assert answer.json()["remark"].startswith("it comes whenever scheduling starts anew")


@pytest.mark.parametrize(
    ("params", "field", "message"),
    [
        ({}, "schedule", "is missing; it must be a cron expression"),
        ({"schedule": ""}, "schedule", "has 0 fields; allowed are 5, or 6 with seconds first"),
        (
            {"schedule": "*/90 * * * *"},
            "schedule",
            "the minute field does not allow '*/90': a step here is 1 to 60",
        ),
        ({"schedule": "0 0 30 2 *"}, "schedule", "day of month '30' with month '2' never comes; allowed are days"),
        ({"schedule": "@daily", "timezone": "Berlin"}, "timezone", "must be an IANA time zone such as"),
        ({"schedule": "@daily", "count": "0"}, "count", "must be a whole number from 1 to 100, got '0'"),
        ({"schedule": "@daily", "count": "101"}, "count", "must be a whole number from 1 to 100, got '101'"),
        ({"schedule": "@daily", "count": "five"}, "count", "must be a whole number from 1 to 100, got 'five'"),
        ({"schedule": "@daily", "zone": "UTC"}, "zone", "is not known; near is timezone; allowed are schedule, "),
    ],
)
async def test_what_cannot_be_previewed_is_refused_with_its_field(
    shared_client: httpx.AsyncClient, params: dict[str, Any], field: str, message: str
) -> None:
    answer = await shared_client.get(PATH, params=params)

    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert error["message"].startswith(message)


async def test_near_names_of_a_wrong_time_zone_are_given(shared_client: httpx.AsyncClient) -> None:
    answer = await shared_client.get(PATH, params={"schedule": "@daily", "timezone": "Berlin"})

    assert "Europe/Berlin" in answer.json()["errors"][0]["message"].partition("; near are ")[2]


async def test_a_schedule_that_comes_more_often_than_the_setting_allows_is_refused(
    settings: ApiSettings, new_task: dict[str, Any]
) -> None:
    message = "comes again after 60 s; at least 300 s must lie between its instants"
    async with serve(msgspec.structs.replace(settings, min_interval_s=300)) as client:
        task = (await client.post("/api/tasks", json=new_task | {"schedule": "*/5 * * * *"})).json()

        created = await client.post("/api/tasks", json=new_task | {"schedule": "* * * * *"})
        changed = await client.patch(f"/api/tasks/{task['id']}", json={"schedule": "* * * * *"})
        previewed = await client.get(PATH, params={"schedule": "* * * * *"})

    for answer in (created, changed, previewed):
        assert answer.status_code == 400
        assert [each["message"] for each in answer.json()["errors"]] == [message]


async def test_an_alias_has_one_spelling(client: httpx.AsyncClient, new_task: dict[str, Any]) -> None:
    created = await client.post("/api/tasks", json=new_task | {"schedule": " @Reboot "})

    assert created.status_code == 201
    assert created.json()["schedule"] == "@reboot"


async def test_preview_needs_the_key(shared_client: httpx.AsyncClient) -> None:
    answer = await send_without_key(shared_client, "GET", f"{PATH}?schedule=@daily")

    assert answer.status_code == 401
