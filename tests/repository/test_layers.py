"""The layers that pyproject.toml draws hold bad code off: import-linter's contracts and ruff's banned names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from repository import roles, tracked

BIN = Path(sys.executable).parent
SOURCES = ("libs/common/src", "services/api/src", "services/dispatcher/src", "deploy/local")
COMMON = "libs/common/src/tocsin_common"
API = "services/api/src/tocsin_api"
DISPATCHER = "services/dispatcher/src/tocsin_dispatcher"
LOCAL = "deploy/local/tocsin_local"
PURE = sorted(path for path, text in tracked.modules().items() if roles.role(text) == "PURE")


# What each module must not import, and what import-linter says of it.
SPOILT = [
    (f"{API}/pages.py", "tocsin_dispatcher", "tocsin_api is not allowed to import tocsin_dispatcher"),
    (f"{DISPATCHER}/clock.py", "tocsin_api.task_sql", "tocsin_dispatcher is not allowed to import tocsin_api"),
    (f"{COMMON}/log.py", "tocsin_api", "tocsin_common is not allowed to import tocsin_api"),
    (f"{COMMON}/log.py", "tocsin_dispatcher.clock", "tocsin_common is not allowed to import tocsin_dispatcher"),
    (f"{COMMON}/log.py", "tocsin_local", "tocsin_common is not allowed to import tocsin_local"),
    (f"{API}/server.py", "tocsin_local.ports", "tocsin_api is not allowed to import tocsin_local"),
    (f"{DISPATCHER}/cli.py", "tocsin_local.ports", "tocsin_dispatcher is not allowed to import tocsin_local"),
    (
        f"{DISPATCHER}/scheduler/heap.py",
        "tocsin_dispatcher.sender.backoff",
        "tocsin_dispatcher.scheduler is not allowed to import tocsin_dispatcher.sender",
    ),
    (
        f"{DISPATCHER}/sender/tiers.py",
        "tocsin_dispatcher.scheduler.heap",
        "tocsin_dispatcher.sender is not allowed to import tocsin_dispatcher.scheduler",
    ),
    (
        f"{DISPATCHER}/metrics.py",
        "tocsin_dispatcher.sender.tiers",
        "tocsin_dispatcher.metrics is not allowed to import tocsin_dispatcher.sender",
    ),
    (f"{API}/task_sql.py", "croniter", "tocsin_api is not allowed to import croniter"),
    (f"{COMMON}/topology.py", "croniter", "tocsin_common is not allowed to import croniter"),
    (f"{COMMON}/messages.py", "asyncio", "tocsin_common.messages is not allowed to import asyncio"),
    (
        f"{LOCAL}/oracle.py",
        "tocsin_local.process",  # which starts processes
        "tocsin_local.oracle is not allowed to import subprocess",
    ),
    (
        f"{COMMON}/errors.py",  # which pure modules import
        "socket",
        "tocsin_common.webhook is not allowed to import socket",
    ),
]


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What import-linter says of a copy of the modules that all of SPOILT is added to."""
    copy = tmp_path_factory.mktemp("copy")
    for name, text in {**tracked.modules(), "pyproject.toml": tracked.texts()["pyproject.toml"]}.items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(text, encoding="utf-8")
    for name, module, _ in SPOILT:
        with (copy / name).open("a") as file:
            file.write(f"\nimport {module}\n")
    done = subprocess.run(
        [BIN / "lint-imports", "--no-cache", "--no-logo"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(copy / folder) for folder in SOURCES)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    return done.stdout


def banned(path: str, code: str) -> bool:
    """Whether ruff refuses `code` in the file `path`."""
    done = subprocess.run(
        [BIN / "ruff", "check", "--no-cache", "--select", "TID251", "--stdin-filename", path, "-"],
        cwd=tracked.ROOT,
        input=code,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return "TID251" in done.stdout


@pytest.mark.parametrize("complaint", [complaint for _, _, complaint in SPOILT])
def test_an_import_against_the_layers_is_refused(complaints: str, complaint: str) -> None:
    assert f"{complaint}:" in complaints


@pytest.mark.parametrize("path", PURE)
def test_a_pure_module_may_use_nothing_that_is_banned(path: str) -> None:
    assert banned(path, "import time")


@pytest.mark.parametrize(
    "code",
    [
        "import aiohttp",
        "from aio_pika.abc import AbstractChannel",
        "import asyncpg",
        "from croniter import croniter",
        "from datetime import UTC, datetime\nx = datetime.now(UTC)",
        "import datetime\nx = datetime.datetime.utcnow()",
        "from datetime import date\nx = date.today()",
        "from socket import socket",
        "import sqlalchemy as sa",
        "import subprocess",
        "from time import monotonic",
        "import urllib.request",
    ],
)
def test_a_module_that_is_not_listed_may_not_speak_to_the_outside(code: str) -> None:
    assert banned(f"{DISPATCHER}/scheduler/leader.py", code)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"{DISPATCHER}/clock.py", "import time"),
        (f"{COMMON}/migrations/versions/0001_first_tables.py", "from alembic import op"),
        (f"{DISPATCHER}/scheduler/leader.py", "import asyncio\nfrom datetime import datetime\nx = datetime.max"),
    ],
)
def test_a_module_may_use_what_it_is_listed_for_or_what_is_not_banned(path: str, code: str) -> None:
    assert not banned(path, code)
