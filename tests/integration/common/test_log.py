"""What a process writes to its log."""

import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

LEVELS = ["debug", "info", "warning", "error"]

# Logging is set up for a whole process, so each look at it is a process of its own.
SPEAKER = """
import logging, structlog, sys
from tocsin_common import log
from tocsin_common.settings import DatabaseSettings

early = structlog.get_logger("early")
for level in sys.argv[2:]:
    settings = DatabaseSettings(environment=sys.argv[1], log_level=level, database_url="postgresql://x")
    log.configure(settings, service=f"speaker-at-{level}")
    logger = structlog.get_logger()
    logger.debug("thing.seen", count=1)
    logger.info("thing.seen", count=2, text="two\\nlines \\u2713")
    logger.warning("thing.seen", count=3)
    logger.error("thing.seen", count=4)
logger.error("thing.odd", text="\\ud800", error=ValueError("x"))
early.error("early.spoke")
library = logging.getLogger("library")
library.info("too quiet")
library.warning("said %s", "loudly")
with structlog.contextvars.bound_contextvars(task_id="7"):
    logger.error("task.failed")
    library.error("failed too")
def fail(password):
    raise RuntimeError("the reason")
try:
    fail("-".join(["hunter", "2"]))
except RuntimeError:
    logger.exception("thing.broke")
    library.exception("library broke")
"""
CRASHER = (
    SPEAKER.partition("early =")[0]
    + """
import warnings
settings = DatabaseSettings(environment="production", database_url="postgresql://x")
log.configure(settings, service="crasher")
warnings.warn("soon gone")
raise RuntimeError("the end\\nof it all")
"""
)


def speak(environment: str, *levels: str) -> list[str]:
    command = [sys.executable, "-W", "error", "-c", SPEAKER, environment, *levels]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == ""
    return done.stderr.splitlines()


def speak_at_a_terminal(environment: str) -> str:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-W", "error", "-c", SPEAKER, environment, "info"]
    with subprocess.Popen(command, stderr=theirs) as process:
        os.close(theirs)
        text = b""
        try:
            while chunk := os.read(ours, 65_536):
                text += chunk
        except OSError:  # how Linux says that the other end is closed
            pass
    os.close(ours)
    assert process.returncode == 0
    return text.decode()


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in speak("development", *LEVELS)]


def test_every_line_is_one_json_object_that_names_the_service(lines):
    assert {line["service"] for line in lines} == {f"speaker-at-{level}" for level in LEVELS}


@pytest.mark.parametrize("level", LEVELS)
def test_what_lies_below_the_level_is_not_written(level, lines):
    seen = [line for line in lines if line["service"] == f"speaker-at-{level}" and line["event"] == "thing.seen"]

    assert [line["level"] for line in seen] == LEVELS[LEVELS.index(level) :]


def test_facts_are_fields_and_the_event_stays_constant(lines):
    (line,) = [line for line in lines if line["service"] == "speaker-at-info" and line.get("count") == 2]

    assert line["event"] == "thing.seen"
    assert line["text"] == "two\nlines \u2713"


def test_what_is_no_text_or_no_plain_value_is_written_all_the_same(lines):
    (line,) = [line for line in lines if line["event"] == "thing.odd"]

    assert (line["text"], line["error"]) == ("\ud800", "ValueError('x')")


def test_a_line_tells_its_moment_in_utc(lines):
    moments = [datetime.fromisoformat(line["timestamp"]) for line in lines]

    assert all(moment.utcoffset() == timedelta(0) for moment in moments)
    assert all(timedelta(0) <= datetime.now(UTC) - moment < timedelta(minutes=1) for moment in moments)


def test_a_logger_from_before_the_set_up_writes_like_the_others(lines):
    (line,) = [line for line in lines if line["event"] == "early.spoke"]

    assert (line["level"], line["service"]) == ("error", "speaker-at-error")


def test_libraries_are_heard_from_a_warning_on_in_the_same_form(lines):
    spoken = [line for line in lines if line.get("logger") == "library"]

    assert [(line["event"], line["level"]) for line in spoken] == [
        ("said loudly", "warning"),
        ("failed too", "error"),
        ("library broke", "error"),
    ]


def test_ids_that_were_bound_stand_on_every_line_within(lines):
    bound = [line["event"] for line in lines if line.get("task_id") == "7"]

    assert bound == ["task.failed", "failed too"]


@pytest.mark.parametrize("event", ["thing.broke", "library broke"])
def test_a_traceback_stays_in_its_line(event, lines):
    (line,) = [line for line in lines if line["event"] == event]

    assert line["exception"].startswith("Traceback (most recent call last):")
    assert line["exception"].endswith("RuntimeError: the reason")


def test_a_person_at_a_terminal_reads_plain_lines():
    text = speak_at_a_terminal("development")

    assert "thing.seen" in text
    assert "RuntimeError: the reason" in text
    assert not any(line.startswith("{") for line in text.splitlines())


def test_warnings_and_what_ends_the_process_are_lines_too():
    done = subprocess.run([sys.executable, "-c", CRASHER], capture_output=True, text=True, timeout=30, check=False)

    assert (done.returncode, done.stdout) == (1, "")
    warned, crashed = [json.loads(line) for line in done.stderr.splitlines()]
    assert "soon gone" in warned["event"]
    assert (crashed["event"], crashed["level"], crashed["service"]) == ("process.crashed", "critical", "crasher")
    assert crashed["exception"].endswith("RuntimeError: the end\nof it all")


@pytest.mark.parametrize("environment", ["development", "production"])
def test_no_traceback_shows_the_values_of_variables(environment):
    text = speak_at_a_terminal(environment)

    assert "the reason" in text
    assert "hunter-2" not in text


def test_production_writes_json_to_a_terminal_too():
    text = speak_at_a_terminal("production")

    assert {json.loads(line)["service"] for line in text.splitlines()} == {"speaker-at-info"}
