import pytest

from repository import documents, makefile, tracked

TEXTS = tracked.texts()
DOCUMENTS = sorted(path for path in TEXTS if path.endswith(".md"))
COMMANDS = {
    "make": makefile.targets(TEXTS["Makefile"]),
    "tocsin-api": documents.subcommands(TEXTS["services/api/src/tocsin_api/cli.py"]),
    "tocsin-dispatcher": documents.subcommands(TEXTS["services/dispatcher/src/tocsin_dispatcher/cli.py"]),
    "tocsin_local": documents.subcommands(TEXTS["deploy/local/tocsin_local/__main__.py"]),
}


def test_links_lead_to_files_and_headings() -> None:
    problems = [each for path in DOCUMENTS for each in documents.broken_links(path, TEXTS)]

    assert not problems, "\n".join(problems)


def test_commands_exist() -> None:
    problems = [each for path in DOCUMENTS for each in documents.unknown_commands(path, TEXTS[path], COMMANDS)]

    assert not problems, "\n".join(problems)


def test_files_exist() -> None:
    problems = [each for path in DOCUMENTS for each in documents.unknown_files(path, TEXTS[path], TEXTS)]

    assert not problems, "\n".join(problems)


def test_the_commands_of_the_programs_are_found() -> None:
    assert COMMANDS["tocsin-api"] == {"serve", "migrate", "import", "rotate-keys", "doctor"}
    assert COMMANDS["tocsin-dispatcher"] == {"schedule", "send", "doctor"}
    assert {"up", "down", "stack"} <= COMMANDS["tocsin_local"]
    assert {"help", "check", "test"} <= set(COMMANDS["make"])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[a](missing.md)", "docs/a.md:1: the link missing.md leads to no tracked file"),
        ("text\n\n[a](../docs/b.md)", "docs/a.md:3: the link ../docs/b.md leads to no tracked file"),
        ("![a](a.png)", "docs/a.md:1: the link a.png leads to no tracked file"),
        ("[a](#gone)", "docs/a.md:1: docs/a.md has no heading for the link #gone"),
        ("[a](../README.md#gone)", "docs/a.md:1: README.md has no heading for the link ../README.md#gone"),
        ("[a][b]\n\n[b]: missing.md", "docs/a.md:1: the link missing.md leads to no tracked file"),
    ],
)
def test_a_broken_link_is_found(text: str, problem: str) -> None:
    assert list(documents.broken_links("docs/a.md", {"docs/a.md": text, "README.md": "# Here"})) == [problem]


@pytest.mark.parametrize(
    "text",
    [
        "[a](../README.md)",
        "[a](../README.md#the-only-one-at-once)",
        "# Again\n# Again\n[a](#again-1)",
        "[a](../docs)",
        "[a](..)",
        "[a](https://example.com/missing.md)",
        "`[a](missing.md)`",
    ],
)
def test_a_link_that_leads_somewhere_is_left_alone(text: str) -> None:
    texts = {"docs/a.md": text, "README.md": "# The *only* one, `at once`"}

    assert list(documents.broken_links("docs/a.md", texts)) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Run `make nothing`.", "a.md:1: `make` has no `nothing`"),
        ("Run `make test nothing`.", "a.md:1: `make` has no `nothing`"),
        (
            "Run\n\n    make test      # the tests\n    make nothing   # no tests",
            "a.md:4: `make` has no `nothing`",
        ),
        ("```sh\ncd tocsin && make nothing\n```", "a.md:2: `make` has no `nothing`"),
        ("`make SLOW=1 nothing`", "a.md:1: `make` has no `nothing`"),
        ("`tocsin-api send`", "a.md:1: `tocsin-api` has no `send`"),
        ("`python3 -m tocsin_local nothing`", "a.md:1: `python3 -m tocsin_local` has no `nothing`"),
    ],
)
def test_a_command_that_does_not_exist_is_found(text: str, problem: str) -> None:
    assert list(documents.unknown_commands("a.md", text, COMMANDS)) == [problem]


@pytest.mark.parametrize(
    "text",
    [
        "`make check test SLOW=1`",
        "`make check && git push`",
        "`make` and `make -n test`",
        "They make nothing up.",
        "    tocsin-api migrate    # make nothing twice",
        "`tocsin-dispatcher send --help`",
        "`python -m tocsin_local stack NAME`",
    ],
)
def test_a_command_that_exists_is_left_alone(text: str) -> None:
    assert list(documents.unknown_commands("a.md", text, COMMANDS)) == []


@pytest.mark.parametrize(
    "name", ["libs/common/missing.py", "libs/missing/", "libs/…/missing", "missing.py", "common/missing.py"]
)
def test_a_file_that_does_not_exist_is_found(name: str) -> None:
    found = list(documents.unknown_files("a.md", f"See `{name}`.", ["libs/common/src/log.py", "README.md"]))

    assert found == [f"a.md:1: there is no tracked `{name}`"]


@pytest.mark.parametrize(
    "name",
    [
        "libs/common/src/log.py",
        "libs/common",
        "libs/",
        "libs/…/log.py",
        "libs/*/src",
        "log.py",
        "src/log.py",
        "README.md",
        "./README.md",
        "application/json",
        "/api/tasks",
        ".venv/bin/pytest",
        "asyncio.sleep",
        "make check",
    ],
)
def test_a_file_that_exists_and_what_is_no_file_are_left_alone(name: str) -> None:
    found = documents.unknown_files("a.md", f"See `{name}`.", ["libs/common/src/log.py", "README.md"])

    assert list(found) == []
