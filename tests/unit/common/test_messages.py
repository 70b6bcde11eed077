"""The messages on RabbitMQ and the identity of an execution."""

import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin_common.messages import (
    MAX_JOBS,
    MAX_VERSION,
    Job,
    JobMessage,
    ScheduleChange,
    UnknownVersionError,
    decode_jobs,
    encode,
    execution_id,
    iso_utc,
    log_id,
    pack,
)

TASK = UUID("7b0a9c3e-6d21-4f5a-9e38-1c2d3e4f5a6b")
INSTANT = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)
URL = "https://discord.com/api/webhooks/1/secret"
JOB = {"taskId": str(TASK), "scheduledFor": "2026-03-01T12:00:00.000005Z", "destination": "discord.com/1"}

zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC) | zones)  # noqa: DTZ001 - without
jobs = st.builds(Job, st.uuids(), instants, st.text(st.characters(exclude_categories=["Cs"]), max_size=20))


def body(**changes: object) -> bytes:
    return json.dumps({"jobs": [JOB], "version": 1, **changes}).encode()


def test_a_job_message_is_written_in_this_form_and_no_other():
    message = JobMessage(jobs=[Job(TASK, INSTANT, "discord.com/1")])

    assert json.loads(encode(message)) == {"jobs": [JOB], "version": 1}


def test_a_schedule_change_is_written_in_this_form_and_no_other():
    assert json.loads(encode(ScheduleChange(TASK, 7))) == {"taskId": str(TASK), "revision": 7, "version": 1}


@settings(max_examples=40, deadline=None)
@given(st.lists(jobs, min_size=1, max_size=MAX_JOBS))
def test_jobs_come_back_as_they_were_sent(sent):
    received = decode_jobs(encode(JobMessage(jobs=sent)))

    assert received == JobMessage(jobs=sent)
    assert [execution_id(job.task_id, job.scheduled_for) for job in received.jobs] == [
        execution_id(job.task_id, job.scheduled_for) for job in sent
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"{",
        b"\xff",
        body() + b"x",
        body(version=0),
        body(version=-1),
        body(version=1.5),
        body(version=MAX_VERSION + 1),
        body(version=10**30),
        body(version="1"),
        body(version=None),
        body(extra=1),
        body(jobs=None),
        body(jobs=[]),
        body(jobs=[JOB] * (MAX_JOBS + 1)),
        body(jobs=[None]),
        body(jobs=[{}]),
        body(jobs=[{**JOB, "attempt": 1}]),
        body(jobs=[{**JOB, "taskId": "7"}]),
        body(jobs=[{**JOB, "taskId": None}]),
        body(jobs=[{**JOB, "destination": 7}]),
        body(jobs=[{**JOB, "scheduledFor": 1772366400}]),
        body(jobs=[{**JOB, "scheduledFor": "2026-03-01T12:00:00"}]),
        body(jobs=[{**JOB, "scheduledFor": "2026-03-01"}]),
        body(jobs=[{**JOB, "scheduledFor": "2026-02-30T12:00:00Z"}]),
        body(jobs=[{**JOB, "scheduledFor": "0001-01-01T00:00:00+14:00"}]),  # in UTC there is no such year
        body().replace(b"discord.com", b"\xff\xfe"),
        body().replace(b"discord.com", b"\\ud800"),
        body(jobs=[{**JOB, "x": 0}]).replace(b'"x": 0', b'"x": ' + b"[" * 100_000),
        body(jobs=[{**JOB, "x": 0}], version=2).replace(b'"x": 0', b'"x": ' + b"[" * 100_000),
        *[body(jobs=[{name: JOB[name] for name in JOB if name != missing}]) for missing in JOB],
    ],
)
def test_what_is_no_job_message_is_a_decode_error(wrong):
    with pytest.raises(msgspec.DecodeError) as caught:
        decode_jobs(wrong)

    assert not isinstance(caught.value, UnknownVersionError)


@pytest.mark.parametrize(
    ("of_another_release", "version"),
    [
        (body(version=2), 2),
        (body(version=MAX_VERSION), MAX_VERSION),
        (b'{"version": 2}', 2),
        (b'{"batches": {"secret": [1, 2]}, "version": 3}', 3),
        (body(version=2, extra=1), 2),
        (body(version=2, jobs=[{**JOB, "attempt": 1}]), 2),
        (body(version=2, jobs=[JOB] * (MAX_JOBS + 1)), 2),
    ],
)
def test_what_another_release_wrote_is_told_from_what_nobody_can_read(of_another_release, version):
    with pytest.raises(UnknownVersionError) as caught:
        decode_jobs(of_another_release)

    assert caught.value.version == version
    assert str(caught.value) == f"version {version} is not known here"


@pytest.mark.parametrize(
    "wrong",
    [
        json.dumps({URL: 1}).encode(),
        body(jobs=[{**JOB, URL: 1}]),
        body(jobs=[{**JOB, "taskId": URL}]),
        body(jobs=[{**JOB, "scheduledFor": URL}]),
        body(jobs=[{**JOB, "destination": {URL: 1}}]),
        body(version=URL),
        URL.encode(),
        f'"{URL}'.encode(),
    ],
)
def test_the_reason_repeats_nothing_of_the_body(wrong):
    with pytest.raises(msgspec.DecodeError) as caught:
        decode_jobs(wrong)

    assert "secret" not in str(caught.value)


@settings(deadline=None)
@given(st.binary(max_size=200) | st.binary(max_size=20).map(lambda noise: body().replace(b"discord", noise)))
def test_whatever_comes_is_decoded_or_a_decode_error_and_nothing_else(noise):
    try:
        message = decode_jobs(noise)
    except msgspec.DecodeError:
        return

    assert message.version == 1


@pytest.mark.parametrize(
    ("instant", "spelled"),
    [
        (datetime(2026, 3, 1, 12, tzinfo=UTC), "2026-03-01T12:00:00.000000Z"),
        (INSTANT, "2026-03-01T12:00:00.000005Z"),
        (datetime.fromisoformat("2026-03-01T01:30:00.5+05:30"), "2026-02-28T20:00:00.500000Z"),
    ],
)
def test_an_instant_has_one_spelling(instant, spelled):
    assert iso_utc(instant) == spelled


@pytest.mark.parametrize(
    ("scheduled_for", "expected"),
    [
        # uuid5 of the task's id and the instant's one spelling, worked out apart from this code
        (datetime(2026, 3, 1, 12, tzinfo=UTC), "44de37bd-2ad3-5001-b41f-1b5b2d60ca3d"),
        (INSTANT, "d0db27e4-9083-52f0-ac05-02642c6a26fd"),
    ],
)
def test_an_execution_has_the_id_that_receivers_were_promised(scheduled_for, expected):
    assert execution_id(TASK, scheduled_for) == UUID(expected)


def test_an_attempt_has_the_id_of_its_execution_and_number():
    assert log_id(TASK, INSTANT, 3) == UUID("958a71da-3b95-59eb-8dfa-988756ceb5ee")


@settings(max_examples=50, deadline=None)
@given(st.uuids(), instants, zones)
def test_an_execution_is_the_same_in_whichever_zone_its_instant_is_told(task_id, instant, zone):
    assert execution_id(task_id, instant.astimezone(zone)) == execution_id(task_id, instant)


@settings(max_examples=50, deadline=None)
@given(st.uuids(), instants, instants)
def test_executions_of_a_task_differ_as_their_instants_do(task_id, one, other):
    assert (execution_id(task_id, one) == execution_id(task_id, other)) is (one == other)


@settings(max_examples=40, deadline=None)
@given(st.lists(jobs, max_size=60), st.integers(1, 20))
def test_packing_loses_nothing_and_doubles_nothing(given_jobs, size):
    packed = [job for message in pack(given_jobs, size) for job in message.jobs]

    assert sorted(packed, key=repr) == sorted(given_jobs, key=repr)


@settings(max_examples=40, deadline=None)
@given(st.lists(jobs, max_size=60), st.integers(1, 20))
def test_packed_messages_are_full_but_for_the_last_and_ordered_by_destination(given_jobs, size):
    messages = list(pack(given_jobs, size))

    whole, rest = divmod(len(given_jobs), size)
    assert [len(message.jobs) for message in messages] == [size] * whole + [rest] * bool(rest)
    destinations = [job.destination for message in messages for job in message.jobs]
    assert destinations == sorted(destinations)


def test_jobs_of_one_destination_keep_their_order():
    instants = [INSTANT + timedelta(seconds=n) for n in (3, 1, 2)]

    (message,) = pack(Job(TASK, instant, "discord.com/1") for instant in instants)

    assert [job.scheduled_for for job in message.jobs] == instants


def test_a_message_holds_at_most_fifty_jobs_unless_told_otherwise():
    job = Job(TASK, INSTANT, "discord.com/1")

    assert [len(message.jobs) for message in pack([job] * 101)] == [50, 50, 1]


def test_nothing_packs_into_no_message():
    assert list(pack([])) == []
