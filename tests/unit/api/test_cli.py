"""The command's errors."""

import pytest

from tocsin_api.cli import main

SECRETS = {
    "DATABASE_URL": "postgresql://user:database-password@127.0.0.1:1/x",
    "RABBITMQ_URL": "amqp://user:broker-password@127.0.0.1:1/",
    "API_KEY": "the-key-of-the-api",
    "SEALING_KEYS": "not-a-sealing-key",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (*SECRETS, "PORT", "HOST", "ENVIRONMENT", "LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("command", "variables"),
    [("serve", ["DATABASE_URL", "RABBITMQ_URL", "API_KEY", "SEALING_KEYS"]), ("migrate", ["DATABASE_URL"])],
)
@pytest.mark.usefixtures("environment")
def test_missing_settings_are_named_in_one_line(
    command: str, variables: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([command])

    error = capsys.readouterr().err
    assert code == 2
    assert error.count("\n") == 1
    assert all(variable in error for variable in variables)


def test_bad_settings_are_named_without_any_secret(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in SECRETS.items():
        environment.setenv(name, value)

    code = main(["serve"])

    error = capsys.readouterr().err
    assert code == 2
    assert "SEALING_KEYS: entry 1" in error
    assert not any(value in error for value in SECRETS.values())


def test_database_that_is_away_ends_a_migration_with_one_line(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("DATABASE_URL", SECRETS["DATABASE_URL"])

    code = main(["migrate"])

    error = capsys.readouterr().err
    assert code == 1
    assert error.startswith("tocsin-api: ")
    assert error.count("\n") == 1
    assert "database-password" not in error
