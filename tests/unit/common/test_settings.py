"""Settings from the environment: what is missing, wrong or contradictory is said by its variable."""

import base64
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tocsin_common.errors import SettingsError
from tocsin_common.settings import (
    ApiSettings,
    DatabaseSettings,
    RotationSettings,
    SchedulerSettings,
    SenderSettings,
    Settings,
)
from tocsin_common.settings_forms import rabbitmq_nodes
from tocsin_common.settings_reader import load

PASSWORD = "hunter2-hunter2"  # noqa: S105 - nobody's
REQUIRED = {
    "DATABASE_URL": f"postgresql://tocsin:{PASSWORD}@127.0.0.1:5432/tocsin",
    "RABBITMQ_URL": f"amqp://tocsin:{PASSWORD}@127.0.0.1:5672/",
    "SEALING_KEYS": base64.b64encode(bytes(32)).decode(),
    "API_KEY": f"{PASSWORD}-key",
}
SECRETS = tuple(REQUIRED)
KINDS = (DatabaseSettings, RotationSettings, Settings, ApiSettings, SchedulerSettings, SenderSettings)


def refusal(kind: type[Any], **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(kind, {**REQUIRED, **environ})
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_required_is_enough(kind):
    settings = load(kind, REQUIRED)

    assert settings.database_url == REQUIRED["DATABASE_URL"]
    assert settings == kind(**{name.lower(): REQUIRED[name] for name in known(kind)})


def known(kind: type[Any]) -> list[str]:
    return [name for name in SECRETS if name.lower() in kind.__struct_fields__]


def required(kind: type[Any], environment: str) -> list[str]:
    makes_its_own = environment == "development" and kind in (ApiSettings, SenderSettings)
    return [name for name in known(kind) if name != "SEALING_KEYS" or not makes_its_own]


@pytest.mark.parametrize("kind", [DatabaseSettings, Settings, SchedulerSettings])
def test_who_opens_nothing_is_not_given_the_keys(kind):
    assert not hasattr(load(kind, REQUIRED), "sealing_keys")


@pytest.mark.parametrize("kind", [ApiSettings, SenderSettings])
def test_development_does_without_sealing_keys(kind):
    assert load(kind, {**REQUIRED, "SEALING_KEYS": ""}).sealing_keys == ""


@pytest.mark.parametrize("kind", [ApiSettings, SenderSettings])
def test_production_does_not(kind):
    message = refusal(kind, ENVIRONMENT="production", SEALING_KEYS="")

    assert message == "SEALING_KEYS is not set and has no default where ENVIRONMENT is production"


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (DatabaseSettings, "environment", "development"),
        (DatabaseSettings, "log_level", "info"),
        (Settings, "database_pool_size", 10),
        (Settings, "allowed_webhook_hosts", ""),
        (Settings, "webhook_hosts", frozenset()),
        (Settings, "allow_local_webhooks", False),
        (ApiSettings, "host", "127.0.0.1"),
        (ApiSettings, "port", 3005),
        (ApiSettings, "log_retention_days", 90),
        (ApiSettings, "rate_limit_per_minute", 0),
        (ApiSettings, "address_rate_limit_per_minute", 100),
        (ApiSettings, "proxies", ()),
        (SchedulerSettings, "lease_ttl_s", 5),
        (SchedulerSettings, "lease_renew_s", 1.5),
        (SchedulerSettings, "lease_hold_s", 4),
        (SchedulerSettings, "give_up_after_s", 86_400),
        (SchedulerSettings, "log_retention_days", 90),
        (SchedulerSettings, "max_lost_claims", 5),
        (SenderSettings, "post_timeout_s", 10),
        (SenderSettings, "claim_ttl_s", 30),
        (SenderSettings, "drain_timeout_s", 15),
        (SenderSettings, "in_flight_per_destination", 5),
        (SenderSettings, "auto_disable_after", 10),
    ],
)
def test_what_is_not_set_has_the_value_of_the_design(kind, name, value):
    assert getattr(load(kind, REQUIRED), name) == value


@pytest.mark.parametrize(
    ("kind", "variable", "text", "value"),
    [
        (ApiSettings, "PORT", "8080", 8080),
        (ApiSettings, "HOST", "null", "null"),
        (ApiSettings, "HINT_TIMEOUT_S", "0.25", 0.25),
        (ApiSettings, "HINT_TIMEOUT_S", "3", 3.0),
        (SenderSettings, "AUTO_DISABLE_AFTER", "0", 0),
        (Settings, "LOG_LEVEL", "debug", "debug"),
        (Settings, "ENVIRONMENT", "production", "production"),
        (Settings, "ALLOW_LOCAL_WEBHOOKS", "1", True),
        (Settings, "ALLOW_LOCAL_WEBHOOKS", "True", True),
        (Settings, "ALLOW_LOCAL_WEBHOOKS", "YES", True),
        (Settings, "ALLOW_LOCAL_WEBHOOKS", "0", False),
        (Settings, "ALLOW_LOCAL_WEBHOOKS", "false", False),
        (Settings, "ALLOW_LOCAL_WEBHOOKS", "No", False),
        (RotationSettings, "SEALING_KEYS", "true", "true"),
    ],
)
def test_a_variable_becomes_a_value_of_its_type(kind, variable, text, value):
    found = getattr(load(kind, {**REQUIRED, variable: text}), variable.lower())

    assert found == value
    assert type(found) is type(value)


def test_webhook_hosts_are_taken_apart_and_lowered():
    settings = load(Settings, {**REQUIRED, "ALLOWED_WEBHOOK_HOSTS": " Hooks.Example.com, other.example ,,"})

    assert settings.webhook_hosts == {"hooks.example.com", "other.example"}


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, ""),
        ({"REDIS_URL": "redis://:p%40ss@redis.example:6380/2"}, "redis://:p%40ss@redis.example:6380/2"),
        ({"REDIS_URL": "rediss://user:p@redis.example?db=1"}, "rediss://user:p@redis.example?db=1"),
        ({"REDIS_HOST": "redis.example"}, "redis://redis.example:6379"),
        ({"REDIS_HOST": "redis.example", "REDIS_PORT": "6380"}, "redis://redis.example:6380"),
        ({"REDIS_HOST": "2001:db8::1"}, "redis://[2001:db8::1]:6379"),
        ({"REDIS_PORT": "6380"}, ""),
    ],
)
def test_redis_is_found_by_its_url_or_by_host_and_port(environ, url):
    assert load(ApiSettings, {**REQUIRED, **environ}).redis == url


def test_url_of_redis_may_be_given_as_a_file(tmp_path):
    file = tmp_path / "redis"
    file.write_text("redis://:password@redis.example\n")

    assert load(ApiSettings, {**REQUIRED, "REDIS_URL_FILE": str(file)}).redis == "redis://:password@redis.example"


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("", set()),
        ("*", {"*"}),
        (" https://Tocsin.example , http://[::1]:8080,", {"https://tocsin.example", "http://[::1]:8080"}),
    ],
)
def test_origins_are_taken_apart_and_lowered(text, origins):
    assert load(ApiSettings, {**REQUIRED, "ALLOWED_ORIGINS": text}).origins == origins


def test_proxies_are_taken_apart():
    settings = load(ApiSettings, {**REQUIRED, "TRUSTED_PROXIES": "192.0.2.0/24, ::1 ,127.0.0.1,"})

    assert settings.proxies == (ip_network("192.0.2.0/24"), ip_network("::1/128"), ip_network("127.0.0.1/32"))


def test_variables_that_belong_to_others_are_left_alone():
    environ = {**REQUIRED, "PATH": "/bin", "HOST_FILE": "/nowhere", "database_url": "ignored", "PORT": "not ours"}

    assert load(Settings, environ) == load(Settings, REQUIRED)


@pytest.mark.parametrize(
    ("kind", "variable"),
    [(kind, variable) for kind in KINDS for variable in required(kind, "development")],
)
@pytest.mark.parametrize("empty", [False, True])
def test_what_is_required_and_not_set_is_named(kind, variable, empty):
    environ = {name: value for name, value in REQUIRED.items() if name != variable}

    with pytest.raises(SettingsError) as caught:
        load(kind, {**environ, variable: ""} if empty else environ)

    assert str(caught.value) == f"{variable} is not set and has no default"


def test_an_empty_variable_counts_as_not_set():
    empty = dict.fromkeys(["PORT", "HOST", "LOG_LEVEL", "ALLOW_LOCAL_WEBHOOKS", "API_KEY_FILE"], "")

    assert load(ApiSettings, {**REQUIRED, **empty}) == load(ApiSettings, REQUIRED)


@pytest.mark.parametrize(
    ("kind", "variable", "text"),
    [
        (ApiSettings, "PORT", "abc"),
        (ApiSettings, "PORT", "0"),
        (ApiSettings, "PORT", "65536"),
        (ApiSettings, "PORT", "-1"),
        (ApiSettings, "PORT", "80.5"),
        (ApiSettings, "PORT", " "),
        (ApiSettings, "PORT", "9" * 5000),
        (ApiSettings, "HINT_TIMEOUT_S", "0"),
        (ApiSettings, "HINT_TIMEOUT_S", "-1"),
        (ApiSettings, "HINT_TIMEOUT_S", "soon"),
        (ApiSettings, "HINT_TIMEOUT_S", "nan"),
        (ApiSettings, "API_KEY", "short"),
        (ApiSettings, "RATE_LIMIT_PER_MINUTE", "-1"),
        (ApiSettings, "ALLOWED_ORIGINS", "tocsin.example"),
        (ApiSettings, "ALLOWED_ORIGINS", "https://tocsin.example/"),
        (ApiSettings, "ALLOWED_ORIGINS", "https://tocsin.example,null"),
        (ApiSettings, "ALLOWED_ORIGINS", "https://*.tocsin.example/x"),
        (ApiSettings, "SECURITY_CONTACT", "security@tocsin.example"),
        (ApiSettings, "SECURITY_CONTACT", "http://tocsin.example"),
        (ApiSettings, "SECURITY_CONTACT", "mailto:a@tocsin.example\nContact: mailto:b@tocsin.example"),
        (ApiSettings, "TRUSTED_PROXIES", "proxy.example.com"),
        (ApiSettings, "TRUSTED_PROXIES", "192.0.2.0/24,192.0.2.1/24"),
        (Settings, "ENVIRONMENT", "staging"),
        (Settings, "LOG_LEVEL", "verbose"),
        (Settings, "LOG_LEVEL", "INFO"),
        (Settings, "ALLOW_LOCAL_WEBHOOKS", "maybe"),
        (Settings, "DATABASE_POOL_SIZE", "3"),
        (Settings, "DATABASE_POOL_SIZE", "101"),
        (SchedulerSettings, "EMISSION_CHUNK", "0"),
        (SchedulerSettings, "JOBS_PER_MESSAGE", "51"),
        (SenderSettings, "POST_SLOTS", "49"),
        (SenderSettings, "AUTO_DISABLE_AFTER", "-1"),
        (SenderSettings, "CONTACT_URL", "ops@example.com"),
        (SenderSettings, "CONTACT_URL", "https://tocsin.example\r\nX-Evil: 1"),
        (SenderSettings, "CONTACT_URL", "https://tocsin.example\n"),
        (SenderSettings, "CONTACT_URL", "https://tocsin.example/über"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_by_its_variable(kind, variable, text):
    message = refusal(kind, **{variable: text})

    assert message.startswith(f"{variable}: ")
    assert ";" not in message


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_in_the_wrong_variable_is_not_repeated(kind):
    everywhere = {field.encode_name.upper(): PASSWORD for field in msgspec.structs.fields(kind)}

    message = refusal(kind, **everywhere)

    assert "LOG_LEVEL: expected one of debug, info, warning, error" in message
    assert PASSWORD not in message


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("DATABASE_URL", f"{PASSWORD}"),
        ("DATABASE_URL", f"mysql://tocsin:{PASSWORD}@host/name"),
        ("DATABASE_URL", f"postgresql:tocsin:{PASSWORD}@host/name"),
        ("DATABASE_URL", f"postgresql://tocsin:{PASSWORD}@host:port/name"),
        ("DATABASE_URL", f"postgresql://tocsin:a/{PASSWORD}@host/name"),
        ("DATABASE_URL", f"postgresql://tocsin:a?{PASSWORD}@host/name"),
        ("DATABASE_URL", f"postgresql://tocsin:a#{PASSWORD}@host/name"),
        ("DATABASE_URL", f"postgresql://tocsin:a[{PASSWORD}@host/name"),
        ("DATABASE_URL", f"postgresql://tocsin:{PASSWORD} @host/name"),
        ("DATABASE_URL", f"postgresql://tocsin:{PASSWORD}\u2100@host/name"),
        ("REDIS_URL", f"{PASSWORD}"),
        ("REDIS_URL", f"http://:{PASSWORD}@host/0"),
        ("REDIS_URL", f"redis://:{PASSWORD}@host:port/0"),
        ("REDIS_URL", f"redis://:a/{PASSWORD}@host/0"),
        ("REDIS_URL", f"redis://host/{PASSWORD}"),
        ("RABBITMQ_URL", f"{PASSWORD}"),
        ("RABBITMQ_URL", f"http://tocsin:{PASSWORD}@host/"),
        ("RABBITMQ_URL", f"amqp://tocsin:{PASSWORD}@host:port/"),
        ("RABBITMQ_URL", f"amqp://tocsin:{PASSWORD}@/"),
        ("RABBITMQ_URL", "amqp:///"),
        ("RABBITMQ_URL", f"amqp://tocsin:a/{PASSWORD}@host/"),
        ("RABBITMQ_URL", f"amqp://tocsin:a[{PASSWORD}@host/"),
        ("RABBITMQ_URL", f"amqp://host/,amqp://tocsin:a/{PASSWORD}@host/"),
        ("RABBITMQ_URL", f"amqp://tocsin:{PASSWORD}\u2100@host/"),
    ],
)
def test_what_is_no_url_of_the_server_is_refused_with_the_form_it_must_have(variable, url):
    scheme = {"DATABASE_URL": "postgresql", "RABBITMQ_URL": "amqp", "REDIS_URL": "redis"}[variable]

    message = refusal(ApiSettings, **{variable: url})

    assert message.startswith(f"{variable}: expected {scheme}://user:password@host:port/")
    assert "percent-encoded" in message


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("DATABASE_URL", "postgresql://localhost/name"),
        ("DATABASE_URL", "postgres://localhost"),
        ("DATABASE_URL", "postgresql://user:p%40ss%2Fw%3Frd@localhost:5432/name?schema=public&sslmode=require"),
        ("DATABASE_URL", "postgresql://user:p@ss:word@localhost:5432/name"),
        ("DATABASE_URL", "postgresql+asyncpg://user@[::1]:5432/name"),
        ("DATABASE_URL", "postgresql://user@a:5432,b:5433/name?target_session_attrs=primary"),
        ("DATABASE_URL", "postgresql:///name?host=/run/postgresql"),
        ("DATABASE_URL", "postgresql://user:password@/name?host=/run/postgresql"),
        ("RABBITMQ_URL", "amqp://localhost"),
        ("RABBITMQ_URL", "amqps://user:p%2Fss@rabbitmq.example.com:5671/%2Fvhost?heartbeat=10"),
        ("RABBITMQ_URL", "amqp://user:password@[::1]:5672/vhost"),
        ("RABBITMQ_URL", "amqp://user:pass,word@a:5672/vhost,amqp://user:pass,word@b/vhost, amqps://c"),
    ],
)
def test_every_usual_form_of_a_servers_url_is_accepted(variable, url):
    assert getattr(load(Settings, {**REQUIRED, variable: url}), variable.lower()) == url


def test_each_node_of_a_cluster_has_a_url():
    assert rabbitmq_nodes("amqp://u:p,w@a/v,amqp://u:p,w@b/v, amqps://c") == [
        "amqp://u:p,w@a/v",
        "amqp://u:p,w@b/v",
        "amqps://c",
    ]


def test_everything_that_is_wrong_is_said_at_once():
    message = refusal(ApiSettings, DATABASE_URL="", PORT="x", ALLOW_LOCAL_WEBHOOKS="x", API_KEY="x")

    assert [part.split(" ")[0].rstrip(":") for part in message.split("; ")] == [
        "DATABASE_URL",
        "ALLOW_LOCAL_WEBHOOKS",
        "PORT",
        "API_KEY",
    ]


@pytest.mark.parametrize(
    ("kind", "environ", "named"),
    [
        (
            Settings,
            {"ENVIRONMENT": "production", "ALLOW_LOCAL_WEBHOOKS": "true"},
            ["ALLOW_LOCAL_WEBHOOKS", "ENVIRONMENT"],
        ),
        (ApiSettings, {"REDIS_URL": "redis://a", "REDIS_HOST": "b"}, ["REDIS_URL", "REDIS_HOST"]),
        (SchedulerSettings, {"LEASE_HOLD_S": "5"}, ["LEASE_HOLD_S", "LEASE_TTL_S"]),
        (SchedulerSettings, {"LEASE_TTL_S": "4"}, ["LEASE_HOLD_S", "LEASE_TTL_S"]),
        (SchedulerSettings, {"LEASE_HOLD_S": "1.5"}, ["LEASE_RENEW_S", "LEASE_HOLD_S"]),
        (SenderSettings, {"POST_TIMEOUT_S": "30"}, ["POST_TIMEOUT_S", "CLAIM_TTL_S"]),
        (SenderSettings, {"CLAIM_TTL_S": "10"}, ["POST_TIMEOUT_S", "CLAIM_TTL_S"]),
        (SenderSettings, {"DRAIN_TIMEOUT_S": "10"}, ["POST_TIMEOUT_S", "DRAIN_TIMEOUT_S", "13"]),
        (SenderSettings, {"DRAIN_TIMEOUT_S": "12.9"}, ["POST_TIMEOUT_S", "DRAIN_TIMEOUT_S", "13"]),
        (SenderSettings, {"POST_TIMEOUT_S": "20"}, ["POST_TIMEOUT_S", "DRAIN_TIMEOUT_S", "23"]),
    ],
)
def test_a_contradiction_names_both_variables(kind, environ, named):
    message = refusal(kind, **environ)

    assert all(variable in message for variable in named)


@pytest.mark.parametrize(
    ("kind", "environ"),
    [
        (Settings, {"ENVIRONMENT": "production", "ALLOW_LOCAL_WEBHOOKS": "false"}),
        (SchedulerSettings, {"LEASE_HOLD_S": "4.9"}),
        (SchedulerSettings, {"LEASE_HOLD_S": "8", "LEASE_TTL_S": "10"}),
        (SenderSettings, {"POST_TIMEOUT_S": "29", "DRAIN_TIMEOUT_S": "32"}),
        (SenderSettings, {"POST_TIMEOUT_S": "12"}),
        (SenderSettings, {"DRAIN_TIMEOUT_S": "13"}),
        (SenderSettings, {"POST_TIMEOUT_S": "0.5", "DRAIN_TIMEOUT_S": "3.5"}),
        (SchedulerSettings, {"DRAIN_TIMEOUT_S": "0.01"}),
    ],
)
def test_what_does_not_contradict_is_loaded(kind, environ):
    load(kind, {**REQUIRED, **environ})


@pytest.mark.parametrize("variable", SECRETS)
def test_a_secret_may_be_given_as_a_file_and_loses_the_line_end(variable, tmp_path):
    file = tmp_path / "secret"
    file.write_text(f" {REQUIRED[variable]}\n")

    settings = load(ApiSettings, {**REQUIRED, variable: "", f"{variable}_FILE": str(file)})

    assert settings == load(ApiSettings, REQUIRED)


@pytest.mark.parametrize("variable", SECRETS)
def test_a_secret_that_is_given_twice_is_refused(variable, tmp_path):
    file = tmp_path / "secret"
    file.write_text("other")

    message = refusal(ApiSettings, **{f"{variable}_FILE": str(file)})

    assert message == f"{variable}: set either {variable} or {variable}_FILE, not both"


def test_only_a_secret_may_be_given_as_a_file(tmp_path):
    file = tmp_path / "port"
    file.write_text("8080")

    assert load(ApiSettings, {**REQUIRED, "PORT_FILE": str(file)}).port == 3005


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "API_KEY: its file cannot be read: No such file or directory"),
        (b"", "API_KEY is not set and has no default"),
        (b" \n\n", "API_KEY is not set and has no default"),
        (b"short", "API_KEY: Expected `str` of length >= 16"),
        (b"binary \xff\xfe", "API_KEY: its file is not UTF-8"),
    ],
)
def test_a_secret_file_that_is_of_no_use_is_said_by_its_variable(content: bytes | None, message, tmp_path: Path):
    file = tmp_path / "api-key"
    if content is not None:
        file.write_bytes(content)

    assert refusal(ApiSettings, API_KEY="", API_KEY_FILE=str(file)) == message


def test_a_folder_is_no_secret_file(tmp_path):
    message = refusal(ApiSettings, API_KEY="", API_KEY_FILE=str(tmp_path))

    assert message == "API_KEY: its file cannot be read: Is a directory"


@pytest.mark.parametrize("variable", SECRETS)
@pytest.mark.parametrize(
    "wrong",
    [
        "{}",
        "{}\u2100",
        "postgresql://tocsin:{}:/@host",
        "amqp://tocsin:{}:/@host",
        "amqp://[{}",
        "https://{}@host",
    ],
)
def test_no_error_repeats_a_secret(variable, wrong):
    # The other variables are wrong too, so that there always is an error.
    errors = refusal(ApiSettings, **{variable: wrong.replace("{}", PASSWORD), "PORT": "x"})

    assert PASSWORD not in errors


@pytest.mark.parametrize("variable", SECRETS)
def test_no_error_repeats_a_secret_that_stands_where_its_file_should(variable):
    errors = refusal(ApiSettings, **{variable: "", f"{variable}_FILE": REQUIRED[variable]})

    assert errors == f"{variable}: its file cannot be read: No such file or directory"


def test_settings_cannot_be_changed():
    settings = load(Settings, REQUIRED)

    with pytest.raises(AttributeError):
        settings.log_level = "debug"  # type: ignore[misc]  # that it cannot be set is the claim
