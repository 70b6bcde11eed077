"""The command's errors. Each run is a process of its own: a command sets up logging for its whole process."""

import base64
import subprocess
import sys
from pathlib import Path

import pytest

from environment import INHERITED

COMMAND = Path(sys.executable).parent / "tocsin-api"
SECRETS = {
    "DATABASE_URL": "postgresql://user:database-password@127.0.0.1:1/x",
    "RABBITMQ_URL": "amqp://user:broker-password@127.0.0.1:1/",
    "API_KEY": "the-key-of-the-api",
    "SEALING_KEYS": "not-a-sealing-key",
}


def run(command: str, **variables: str) -> tuple[int, str]:
    """The exit status of `tocsin-api command`, and what it printed as its error."""
    environment = {**INHERITED, **variables}
    done = subprocess.run(
        [COMMAND, command], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("command", "variables"),
    [
        ("serve", ["DATABASE_URL", "RABBITMQ_URL", "API_KEY", "SEALING_KEYS"]),
        ("migrate", ["DATABASE_URL"]),
        ("rotate-keys", ["DATABASE_URL", "SEALING_KEYS"]),
    ],
)
def test_missing_settings_are_named_in_one_line(command: str, variables: list[str]) -> None:
    status, error = run(command, ENVIRONMENT="production")

    assert status == 2
    assert error.count("\n") == 1
    assert all(variable in error for variable in variables)


@pytest.mark.parametrize("command", ["serve", "rotate-keys"])
def test_bad_settings_are_named_without_any_secret(command: str) -> None:
    status, error = run(command, **SECRETS)

    assert status == 2
    assert "SEALING_KEYS: entry 1" in error
    assert not any(value in error for value in SECRETS.values())


def test_address_that_cannot_be_listened_on_is_not_repeated() -> None:
    keys = base64.b64encode(bytes(32)).decode()

    status, error = run("serve", **{**SECRETS, "SEALING_KEYS": keys, "HOST": SECRETS["API_KEY"]})

    assert status == 1
    assert error.startswith("tocsin-api: cannot listen on HOST and PORT: ")
    assert SECRETS["API_KEY"] not in error


def test_keys_are_not_rotated_without_keys_not_even_in_development() -> None:
    status, error = run("rotate-keys", DATABASE_URL=SECRETS["DATABASE_URL"])

    assert (status, error) == (2, "tocsin-api: SEALING_KEYS is not set and has no default\n")


def test_database_that_is_away_ends_a_migration_with_one_line() -> None:
    status, error = run("migrate", DATABASE_URL=SECRETS["DATABASE_URL"])

    assert status == 1
    assert error.startswith("tocsin-api: ")
    assert error.count("\n") == 1
    assert "database-password" not in error
