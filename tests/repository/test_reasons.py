import pytest

from repository import reasons, tracked


def test_every_comment_that_switches_a_check_off_says_why() -> None:
    sources = {path: text for path, text in tracked.texts().items() if path.endswith(".py")}

    problems = [each for path, text in sources.items() for each in reasons.unexplained_comments(path, text)]

    assert not problems, "\n".join(problems)


def test_every_setting_that_switches_a_check_off_says_why() -> None:
    tables = {path: text for path, text in tracked.texts().items() if path.endswith(".toml")}

    problems = [each for path, text in tables.items() for each in reasons.unexplained_settings(path, text)]

    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    "comment",
    [
        "# noqa",
        "# NOQA",
        "# noqa: S101",
        "# noqa: S101 -",
        "# noqa: S101 -  ",
        "# noqa: S101 as above",
        "# noqa - a reason, but for which rule?",
        "# ruff: noqa",
        "# ruff: noqa: S101",
        "# type: ignore",
        "# type: ignore[arg-type]",
        "# type: ignore[arg-type]  #",
        "# type: ignore  # a reason, but for which error?",
        "# pragma: no cover",
        "# mypy: ignore-errors",
    ],
)
def test_a_comment_without_a_reason_is_found(comment: str) -> None:
    found = list(reasons.unexplained_comments("a.py", f"first = 1\nsecond = 2  {comment}\n"))

    assert [problem.split(": ")[0] for problem in found] == ["a.py:2"]


@pytest.mark.parametrize(
    "source",
    [
        "x = 1  # noqa: S101 - a reason",
        "x = 1  # noqa: S101, E501 - a reason",
        "x = 1  # ruff: noqa: S101 - a reason",
        "x = 1  # type: ignore[arg-type]  # a reason",
        "x = 1  # type: ignore[arg-type, misc]  # a reason",
        "x = 1  # pragma: no cover - a reason",
        "x = '# noqa'",
        "x = (1,)  # fmt: skip",
        '"""\n# noqa\n"""',
        "x = 1  # the type: what it is",
    ],
)
def test_what_has_a_reason_or_switches_nothing_off_is_left_alone(source: str) -> None:
    assert list(reasons.unexplained_comments("a.py", source)) == []


@pytest.mark.parametrize(
    "line",
    [
        '"tests/**" = ["S101"]',
        '    "S101",',
        'ignore = ["E501"]',
        "ignore_missing_imports = true",
        'ignore_imports = ["a.b -> c"]',
        '    "a.b -> c",',
        '    "ignore:a warning:DeprecationWarning",',
        '    "S101",  #',
    ],
)
def test_a_setting_without_a_reason_is_found(line: str) -> None:
    assert list(reasons.unexplained_settings("a.toml", f"[tool]\n{line}\n")) == [
        "a.toml:2: say why in a comment on this line"
    ]
    assert list(reasons.unexplained_settings("a.toml", f"[tool]\n{line}  # a reason\n")) == []


@pytest.mark.parametrize("line", ['select = ["E", "ASYNC"]', '# "S101" would be too much', "line-length = 115"])
def test_other_settings_need_no_reason(line: str) -> None:
    assert list(reasons.unexplained_settings("a.toml", line)) == []
