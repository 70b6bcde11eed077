"""Each statement of a service may be run by its user: as PostgreSQL itself says, without running it."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType

import asyncpg
import pytest

import tocsin_api
import tocsin_dispatcher.scheduler
import tocsin_dispatcher.sender
from logins import as_service
from tocsin_local.urls import StackUrls

PACKAGES = {"serve": tocsin_api, "schedule": tocsin_dispatcher.scheduler, "send": tocsin_dispatcher.sender}
STATEMENT = re.compile(r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE)\b")
PART = re.compile(r"\s*FROM\b")
GAP = re.compile(r"%\(\w+\)s")  # what is filled in elsewhere
IS_PART_OF_OTHERS = {"_APPEND_REVISION"}


def statements() -> Iterator[tuple[str, str, str]]:
    """Whose, its name, and itself; of what statements are put together from, a count."""
    for task, package in PACKAGES.items():
        for found in pkgutil.iter_modules(package.__path__):
            if found.name.endswith("sql"):
                module = importlib.import_module(f"{package.__name__}.{found.name}")
                yield from ((task, f"{found.name}.{name}", text) for name, text in _texts(module))


def _texts(module: ModuleType) -> Iterator[tuple[str, str]]:
    for name, value in vars(module).items():
        for text in value if isinstance(value, tuple) else (value,):
            if not isinstance(text, str) or GAP.search(text) or name in IS_PART_OF_OTHERS:
                continue
            if STATEMENT.match(text):
                yield name, text
            elif PART.match(text):
                yield name, f"SELECT count(*) {text}"


ALL = list(statements())


def test_the_statements_of_all_services_are_found() -> None:
    names = {name for _, name, _ in ALL}

    assert {"task_sql._REVISE_TASK", "log_sql._LATEST_LOGS", "emission_sql.EMIT", "sql.CLAIM"} <= names
    assert {"sample_sql.OPEN_EXECUTIONS", "limit_sql.KEEP_ROOM"} <= names


@pytest.mark.parametrize(("task", "text"), [pytest.param(task, text, id=name) for task, name, text in ALL])
async def test_a_services_user_may_run_it(
    shared_database_url: str, servers: StackUrls, task: str, text: str
) -> None:
    connection = await asyncpg.connect(as_service(shared_database_url, servers, task))
    try:
        places = len((await connection.prepare(text)).get_parameters())
        await connection.execute(f"PREPARE it AS {text}")
        nulls = f"({', '.join(['NULL'] * places)})" if places else ""
        plan = await connection.fetch(f"EXPLAIN EXECUTE it{nulls}")
    finally:
        await connection.close()

    assert plan
