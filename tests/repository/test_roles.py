import tomllib

import pytest

from repository import roles, tracked


def test_every_module_with_functions_says_what_it_is() -> None:
    problems = [each for path, text in tracked.modules().items() for each in roles.missing_role(path, text)]

    assert not problems, "\n".join(problems)


def test_the_contract_for_pure_modules_lists_those_that_say_pure() -> None:
    pure = [roles.module_name(path) for path, text in tracked.modules().items() if roles.role(text) == "PURE"]
    contracts = tomllib.loads(tracked.texts()["pyproject.toml"])["tool"]["importlinter"]["contracts"]
    listed = next(each for each in contracts if each["name"].startswith("PURE"))["source_modules"]

    problems = list(roles.contract_differences(pure, listed))

    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("docstring", ["", '"""Adds."""', '"""PURE"""', '"""PURE: adds."""', '"""Pure. Adds."""'])
@pytest.mark.parametrize("code", ["def f(): ...", "async def f(): ...", "class A:\n    def f(self): ..."])
def test_functions_without_a_role_are_found(docstring: str, code: str) -> None:
    found = list(roles.missing_role("libs/a.py", f"{docstring}\n{code}\n"))

    assert [problem.split(": ")[0] for problem in found] == ["libs/a.py:1"]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("libs/a.py", '"""PURE. Adds."""\ndef f(): ...'),
        ("libs/a.py", '"""SHELL. Adds."""\ndef f(): ...'),
        ("libs/a.py", '"""ADAPTER. Adds.\n\nMore.\n"""\ndef f(): ...'),
        ("libs/a.py", '"""Plain data."""\nclass AnError(Exception): ...\nX = 1'),
        ("libs/migrations/versions/0001_a.py", '"""A migration."""\ndef upgrade(): ...'),
    ],
)
def test_a_role_plain_data_and_migrations_are_left_alone(path: str, source: str) -> None:
    assert list(roles.missing_role(path, source)) == []


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("libs/common/src/tocsin_common/log.py", "tocsin_common.log"),
        ("libs/common/src/tocsin_common/migrations/__init__.py", "tocsin_common.migrations"),
        ("deploy/local/tocsin_local/up.py", "tocsin_local.up"),
    ],
)
def test_a_path_has_the_name_that_is_imported(path: str, name: str) -> None:
    assert roles.module_name(path) == name


@pytest.mark.parametrize(
    ("pure", "listed", "module"),
    [(["tocsin_common.a"], [], "tocsin_common.a"), ([], ["tocsin_common.b"], "tocsin_common.b")],
)
def test_a_difference_between_docstrings_and_contract_is_found(
    pure: list[str], listed: list[str], module: str
) -> None:
    found = list(roles.contract_differences(pure, listed))

    assert [problem.split()[0] for problem in found] == [module]
