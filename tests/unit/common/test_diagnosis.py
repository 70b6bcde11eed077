"""What the doctor makes of what it saw."""

from typing import Any

import pytest

from tocsin_common import diagnosis
from tocsin_common.diagnosis import Finding

KNOWN = ("0003", "0002", "0001")


@pytest.mark.parametrize(
    ("version_num", "in_recovery", "state", "says"),
    [
        (150_004, False, "ok", "15.4 answers"),
        (140_000, False, "ok", "14.0 answers"),
        (130_011, False, "WRONG", "it is 13.11: Tocsin needs 14 or newer"),
        (170_001, True, "WRONG", "it is a standby: DATABASE_URL must lead to the primary"),
    ],
)
def test_a_server_is_new_enough_and_no_standby(version_num: int, in_recovery: bool, state: str, says: str):
    found = diagnosis.server(version_num, in_recovery=in_recovery)

    assert (found.state, found.says) == (state, says)


@pytest.mark.parametrize(
    ("revision", "state", "says"),
    [
        ("0003", "ok", "of this release"),
        ("0002", "WRONG", "of an older release, 0002: run `tocsin-api migrate`"),
        (None, "WRONG", "run `tocsin-api migrate`"),
        ("0004", "ok", "of a newer release"),
    ],
)
def test_tables_are_of_this_release_or_of_a_newer_one(revision: str | None, state: str, says: str):
    found = diagnosis.tables(revision, KNOWN)

    assert found.state == state
    assert says in found.says


@pytest.mark.parametrize(
    ("offset_s", "uncertain_s", "state"),
    [
        (0.0, 0.0, "ok"),
        (1.0, 0.0, "ok"),
        (-1.0, 0.0, "ok"),
        (1.01, 0.0, "WRONG"),
        (-1.01, 0.0, "WRONG"),
        (3.9, 3.0, "ok"),  # the answer took so long that nothing is known
        (4.1, 3.0, "WRONG"),
    ],
)
def test_a_clock_is_off_where_that_is_certain(offset_s: float, uncertain_s: float, state: str):
    assert diagnosis.clock("PostgreSQL", offset_s, uncertain_s).state == state


@pytest.mark.parametrize(
    ("code", "state", "says"),
    [
        (None, "ok", "right arguments"),
        (403, "unknown", "may not look"),
        (404, "WRONG", "start a scheduler or a sender"),
        (0, "WRONG", "see the server's log"),
    ],
)
def test_what_rabbitmq_says_of_a_queue(code: int | None, state: str, says: str):
    found = diagnosis.queue("deliveries", code, "")

    assert (found.what, found.state) == ("queue deliveries", state)
    assert says in found.says


def test_the_argument_that_differs_is_named_and_no_value():
    text = "PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue 'q' in vhost 'v': received 'secret'"

    found = diagnosis.queue("deliveries", 406, text)

    assert "another x-message-ttl than it should" in found.says
    assert "secret" not in found.says


@pytest.mark.parametrize(
    ("shown", "state"),
    [
        ({"leader": "rabbit@a", "online": ["rabbit@a"], "state": "running"}, "ok"),
        ({"leader": "rabbit@a", "state": "running"}, "ok"),
        ({"node": "rabbit@a", "state": "running"}, "ok"),
        ({"leader": "", "online": ["rabbit@b"], "state": "running"}, "WRONG"),
        ({"leader": "rabbit@a", "online": ["rabbit@b"], "state": "running"}, "WRONG"),
        ({"leader": "rabbit@a", "online": [], "state": "down"}, "WRONG"),
        ({"state": "running"}, "WRONG"),
    ],
)
def test_a_queue_needs_a_leader_that_is_online(shown: dict[str, Any], state: str):
    sound = {"name": "deliveries.dead", "leader": "rabbit@a"}

    found = diagnosis.leaders([sound, {"name": "deliveries", **shown}], ["deliveries", "deliveries.dead"])

    assert found.state == state
    assert ("deliveries:" in found.says) == (state == "WRONG")


def test_a_queue_that_is_missing_is_told_elsewhere():
    assert diagnosis.leaders([], ["deliveries"]).state == "ok"


def test_a_queue_of_another_release_may_go_once_that_is_gone():
    names = ("deliveries", "deliveries.2", "deliveries.2.dead", "tocsin.schedule-changes.x", "deliveriesx", "mine")
    shown = [{"name": name, "messages": 7} for name in names]

    found = list(diagnosis.of_other_releases(shown, ["deliveries.2", "deliveries.2.dead"], "deliveries"))

    assert [(finding.what, finding.state) for finding in found] == [("queue deliveries", "ok")]
    assert "with 7 messages: delete it when nothing" in found[0].says


@pytest.mark.parametrize("sqlstate", ["28P01", "28000", "3D000", "42501", "53300", "57P03", "XX000", None])
def test_a_refusal_says_what_to_do(sqlstate: str | None):
    found = diagnosis.refusal(sqlstate)

    assert found.state == "WRONG"
    assert ":" in found.says


def test_what_is_unknown_is_not_wrong():
    assert diagnosis.is_well([Finding("a", "ok", "x"), Finding("b", "unknown", "y")])
    assert not diagnosis.is_well([Finding("a", "ok", "x"), Finding("b", "WRONG", "y")])


def test_findings_are_lines():
    findings = [Finding("tables", "WRONG", "there are none"), Finding("RabbitMQ", "ok", "answers")]

    assert diagnosis.show(findings) == "WRONG    tables: there are none\nok       RabbitMQ: answers"
