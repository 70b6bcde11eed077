"""The README's generated tables are what the code says, a wrong line is named, and its examples are valid."""

import json
import re
from datetime import datetime
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from repository import documents, tracked
from tocsin_api.inputs import read_body
from tocsin_api.task_fields import NewTask
from tocsin_api.task_rules import checks, new_task_rule, parser
from tocsin_common import discord, schedule
from tocsin_common.settings import ApiSettings, DatabaseSettings, SchedulerSettings, SenderSettings
from tocsin_local import cron_table, generated, settings_table
from tocsin_local.errors import StackError

README = tracked.texts()[generated.README]
PARTS = generated.parts()
KINDS = (ApiSettings, SchedulerSettings, SenderSettings)


def test_the_readme_is_what_make_docs_would_leave() -> None:
    assert not (problems := list(generated.problems(README, PARTS))), "\n".join(problems)


def test_every_setting_has_one_row() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \|", PARTS["settings"], re.MULTILINE)

    assert len(rows) == len(set(rows))
    assert set(rows) == {field.name.upper() for kind in KINDS for field in msgspec.structs.fields(kind)}
    assert rows[:3] == [field.name.upper() for field in msgspec.structs.fields(DatabaseSettings)]


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("| `PORT` | `3005` |", "| `PORT` | `8080` |", "and `make docs` would write\n| `PORT` | `3005` |"),
        ("| `PORT` | `3005` |", "| `PROT` | `3005` |", "here is\n| `PROT` | `3005` |"),
        ("| `0 */6 * * *` | Every 6 hours |", "| `0 */6 * * *` | Every 6 minutes |", "Every 6 hours"),
        ("Mon 4 Jan 09:00", "Sat 2 Jan 09:00", "Mon 4 Jan 09:00"),
    ],
)
def test_a_row_that_the_code_does_not_say_is_named_with_its_line(before: str, after: str, problem: str) -> None:
    number = next(number for number, line in enumerate(README.splitlines(), 1) if before in line)

    [found] = generated.problems(README.replace(before, after), PARTS)

    assert found.startswith(f"README.md:{number}: ")
    assert problem in found


def test_a_row_too_few_and_one_too_many_are_found() -> None:
    [line] = [line for line in README.splitlines() if line.startswith("| `PREFETCH` |")]

    [lacking] = generated.problems(README.replace(f"{line}\n", ""), PARTS)
    [doubled] = generated.problems(README.replace(line, f"{line}\n{line}"), PARTS)

    assert "here is\nnothing" in lacking
    assert "would write\nnothing" in doubled


def test_a_readme_without_a_place_for_a_part_is_refused() -> None:
    with pytest.raises(StackError, match="end of settings"):
        generated.filled(README.replace(generated.LAST.format("settings"), ""), PARTS)


def test_a_setting_without_a_meaning_is_refused() -> None:
    with pytest.raises(ValueError, match="environment has no text below it"):
        settings_table.tables("class DatabaseSettings:\n    environment: str\n")


@pytest.mark.parametrize(
    ("variable", "kind", "words"),
    [
        ("N", Annotated[int, Meta(ge=1, le=50)], "1 to 50"),
        ("N", Annotated[float, Meta(gt=0, le=300)], "more than 0, at most 300"),
        ("N", Annotated[int, Meta(ge=0)], "at least 0"),
        ("N", Literal["a", "b"], "`a` or `b`"),
        ("N", bool, "`true` or `false`"),
        ("N", str, "text"),
        ("N", Annotated[str, Meta(min_length=16, extra={"secret": True})], "secret, at least 16 characters"),
        ("REDIS_URL", str, "`redis://user:password@host:port/number`"),
        (
            "RABBITMQ_URL",
            str,
            "`amqp://user:password@host:port/vhost`, or one for each node of a cluster with commas between them",
        ),
        ("SECURITY_CONTACT", str, "mailto:…, https://… or tel:…"),
    ],
)
def test_what_a_setting_may_be_is_said_in_words(variable: str, kind: object, words: str) -> None:
    assert settings_table.may_be(variable, kind) == words


def test_the_schedules_of_the_readme_are_accepted() -> None:
    for expression in cron_table.EXAMPLES:
        schedule.validate(expression)


def test_the_instants_of_the_readme_are_those_of_a_calendar() -> None:
    said = dict(re.findall(r"^\| `(.*?)` \|.*\| (.*?) \|$", PARTS["schedules"], re.MULTILINE))

    # Worked out by hand: 2027 begins with a Friday.
    assert said["0 9 * * mon-fri"] == "Fri 1 Jan 09:00, Mon 4 Jan 09:00"
    assert said["0 0 L * *"] == "Sun 31 Jan 00:00, Sun 28 Feb 00:00"
    assert said["0 18 * * mon#1"] == "Mon 4 Jan 18:00, Mon 1 Feb 18:00"
    assert datetime(2027, 1, 1).strftime("%a") == "Fri"  # noqa: DTZ001 - a day of the calendar


def test_the_payload_of_the_readme_is_a_message_that_discord_takes() -> None:
    [example] = re.findall(r"^```json\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)

    message = json.loads(example)

    assert message["embeds"]
    assert discord.violations(message) == []


def test_the_task_of_the_readme_is_one_that_the_api_takes(sealing_keys: str) -> None:
    command = "\n".join(piece.text for piece in documents.code(README) if piece.is_block)
    [body] = re.findall(r"/api/tasks -H .*? -d '(\{.*?\n\})'", command, re.DOTALL)
    parse = parser(
        ApiSettings(
            database_url="postgresql://x", rabbitmq_url="amqp://x", sealing_keys=sealing_keys, api_key="x" * 16
        )
    )

    task = read_body("application/json", body.encode(), NewTask, checks(parse), new_task_rule(parse))

    assert task.name == "Stand-up"
