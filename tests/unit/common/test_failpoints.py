"""Failpoints do nothing where nobody armed them, and nothing that is installed can arm one."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from tocsin_common import failpoints
from tocsin_common.failpoints import Failpoint

ROOT = Path(__file__).parents[3]
INSTALLED = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for part in ("libs", "services", "deploy")
    for path in sorted((ROOT / part).rglob("*.py"))
}
DEFINITION = "libs/common/src/tocsin_common/failpoints.py"


def nodes(*names: str) -> Iterator[ast.AST]:
    """The syntax of the named files, or of all that is installed."""
    for name in names or INSTALLED:
        yield from ast.walk(ast.parse(INSTALLED[name]))


def reached() -> Counter[str]:
    """How often each failpoint stands in what is installed."""
    calls = [node for node in nodes() if isinstance(node, ast.Call)]
    return Counter(
        ast.literal_eval(call.args[0]) for call in calls if ast.unparse(call.func) == "failpoints.reach"
    )


@pytest.fixture
def disarmed() -> Iterator[None]:
    yield
    failpoints._handler = None


def test_no_failpoint_is_armed_where_nobody_asked_for_it():
    assert failpoints._handler is None
    failpoints.reach("sender.claimed")


@pytest.mark.usefixtures("disarmed")
def test_an_armed_handler_hears_each_failpoint_that_is_reached():
    heard: list[str] = []

    failpoints.arm(heard.append)
    failpoints.reach("sender.claimed")
    failpoints.reach("sender.acked")

    assert heard == ["sender.claimed", "sender.acked"]


def test_what_is_installed_reaches_failpoints_and_arms_none():
    used = {
        node.attr for node in nodes() if isinstance(node, ast.Attribute) and "failpoint" in ast.dump(node.value)
    }
    imported = {node.module for node in nodes() if isinstance(node, ast.ImportFrom)}

    assert used == {"reach"}
    assert "tocsin_common.failpoints" not in imported


def test_failpoints_read_neither_settings_nor_the_environment():
    imported = {node.module for node in nodes(DEFINITION) if isinstance(node, ast.ImportFrom)}

    assert imported == {"collections.abc", "typing"}
    assert not [node for node in nodes(DEFINITION) if isinstance(node, ast.Import)]


def test_each_failpoint_is_at_one_place():
    assert reached() == Counter(get_args(Failpoint))


@pytest.mark.parametrize("name", ["docs/architecture.md", "tests/e2e/test_crash_points.py"])
def test_each_failpoint_is_explained_and_tried(name: str):
    text = (ROOT / name).read_text(encoding="utf-8")

    assert [failpoint for failpoint in get_args(Failpoint) if failpoint not in text] == []
