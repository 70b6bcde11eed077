"""No tracked file holds a secret, or names a person, a machine or a host.

The bad examples are put together from pieces, since this file is tracked too.
"""

from pathlib import Path

import pytest

from repository import leaks, scan, tracked

LOCK = "requirements.lock"
TOKEN = "a1B2-" * 14
DIGITS = "1234567890" * 4


def test_no_file_names_a_person_a_machine_or_a_host() -> None:
    problems = [each for path, text in tracked.texts().items() for each in leaks.leaks(path, text)]

    assert not problems, "\n".join(problems)


def test_no_file_holds_a_secret() -> None:
    # Tests and documents show made-up keys, and the lock holds hashes: there only the forms of real ones count.
    problems = [
        f"{path}:{line}: this looks like a secret ({kind})"
        for path in tracked.texts()
        for line, kind in scan.secrets(
            tracked.ROOT / path, guess=not path.startswith(("tests/", "docs/")) and path != LOCK
        )
    ]

    assert not problems, "\n".join(problems)


def test_no_lock_holds_an_address() -> None:
    locks = {path: text for path, text in tracked.texts().items() if path.endswith((".lock", "package-lock.json"))}

    assert LOCK in locks
    assert [path for path, text in locks.items() if "://" in text] == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (f"https://discord.com/api/webhooks/1234567890/{TOKEN}", "a webhook's URL"),
        ("--index-url https://packages.{}/simple", "the host packages."),
        ("http://user:password@mirror." + "intranet:8080/", "the host mirror.intranet"),
        ("Download it from files.{}.", "the host files."),
        ("https://discord.com.{}/", "the host discord.com."),
        ("someone@mail.{}", "an e-mail address"),
        ("git@code.{}:tocsin.git", "an e-mail address"),
        ("http://10." + "1.2.3:3005/", "the address 10."),
        ("8.8." + "8.8", "the address 8."),
        ("[2a00:1450:" + ":1]", "the address 2a00:"),
        ("fe80:" + ":1%eth0", "the address fe80:"),
        ("cd /home" + "/someone/tocsin", "a path of one machine"),
        ('"/root' + '/.cache"', "a path of one machine"),
        ("=/tmp" + "/x", "a path of one machine"),
        ("C:" + "\\Users\\someone", "a path of one machine"),
    ],
)
def test_what_must_not_be_named_is_found(line: str, problem: str) -> None:
    spoilt = line.replace("{}", "acme." + "org")

    found = list(leaks.leaks("README.md", f"# Title\n{spoilt}\n"))

    assert any(each.startswith(f"README.md:2: {problem}") for each in found), found


@pytest.mark.parametrize(
    "line",
    [
        "https://discord.com/api/webhooks/1234567890/your-token",
        "https://canary.discord.com/api/webhooks/1/x",
        "postgresql://tocsin:password@127.0.0.1:5432/tocsin",
        "amqp://user:password@rabbitmq.example.com/",
        "someone@example.org, https://tocsin.example, http://localhost:3005, http://api:3005",
        "http://{host}:{port}/ and http://[::1]/ and 0.0.0.0 and ::",
        "192.0.2.7, 2001:db8::7, at 12:30:45, version 2.1.0, 1.2.3.400",
        "structlog.dev, pytest.org(), asyncio.io_uring",
        "/usr/lib/postgresql, /api/tasks, /health/live, ~/tocsin, $HOME/tocsin, /tmp",
    ],
)
def test_what_may_be_named_is_left_alone(line: str) -> None:
    assert list(leaks.leaks("README.md", line)) == []


def test_addresses_may_stand_where_they_are_the_subject() -> None:
    assert list(leaks.leaks("tests/unit/common/test_http.py", "10.1." + "2.3")) == []


@pytest.mark.parametrize(
    ("line", "guess"),
    [
        ("-----BEGIN " + "PRIVATE KEY-----", False),
        ("-----BEGIN RSA " + "PRIVATE KEY-----", False),
        ("aws = " + "'AKIA" + "IOSFODNN7ABCDEFG'", False),
        ("token = " + "'ghp" + f"_{DIGITS[:36]}'", False),
        ("xoxb" + f"-{DIGITS[:12]}-{DIGITS[:12]}-abcdefghijklmnopqrstuvwx", False),
        ("api_key = " + "'swordfish-of-the-night'", True),
        ("digest = " + f"'{'0123456789abcdef' * 2}'", True),
    ],
)
def test_a_secret_is_found(tmp_path: Path, line: str, guess: bool) -> None:
    path = tmp_path / "settings.py"
    path.write_text(f"# Settings\n{line}\n", encoding="utf-8")

    assert {number for number, _ in scan.secrets(path, guess=guess)} == {2}


def test_made_up_keys_are_left_alone_where_nobody_guesses(tmp_path: Path) -> None:
    path = tmp_path / "test_api.py"
    path.write_text("API_KEY = " + "'a key of these tests'\n", encoding="utf-8")

    assert list(scan.secrets(path, guess=False)) == []
