"""PURE. Requests, messages and settings that hold a secret where it does not belong."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit
from uuid import uuid4

import msgspec

from tocsin_common import settings
from tocsin_common.messages import Job, JobMessage, encode

FIELDS = (
    *("schedule", "timezone", "runAt", "startsAt", "endsAt", "jitterSeconds", "catchUp", "expiresAfterSeconds"),
    *("overlap", "payload", "maxRetry", "status", "webhookUrl"),
)

PARTS = ("embeds", "components", "poll", "flags", "tts", "allowed_mentions", "attachments", "applied_tags")


class Request(NamedTuple):
    """One request to the API."""

    method: str
    path: str
    options: Mapping[str, Any]


def requests(url: str, token: str, task: str, api_key: str) -> Iterator[Request]:
    """All are refused, but for what takes any text for a key. `task` is the path of one that exists."""
    yield from _bodies(url, token, task, api_key)
    for text in (url, token, api_key):
        for query in ("page", "status", "sort", "taskId", "dateFrom", "search", "state", "reason", "fields", text):
            for path in ("/api/tasks", "/api/logs", f"{task}/logs", "/api/executions", task):
                yield Request("GET", path, {"params": {query: text}})
        for key in ({"taskId": text}, {"scheduledFor": text}, {text: text}):
            yield Request("GET", f"/api/executions/{uuid4()}", {"params": key})
        for etag in (text, f'"{text}"', f'W/"{text}", "{text}"', f'"{text}'):
            yield Request("PATCH", task, {"headers": {"If-Match": etag}, "json": {"name": "x"}})
        yield Request("POST", "/api/tasks", {"params": {"verify": text}, "json": {"webhookUrl": url}})
        yield Request("GET", "/api/tasks", {"params": f"{quote(text)}&{quote(text)}&{quote(text)}"})
        for path in ("/api/tasks/", "/api/executions/", "/api/", "/", f"{task}/", f"{task}/logs/", "/health/"):
            yield Request("GET", path + quote(text, safe=""), {})
            yield Request("PUT", path + text, {})
        for idempotency_key in (text, f'"{text}"', f'"{text}', f"{text} {text}"):
            yield Request("POST", f"{task}/run", {"headers": {"Idempotency-Key": idempotency_key}})
        for action in ("pause", "resume", text):
            yield Request("PUT", f"/api/scheduler/{action}", {"params": {text: text}})
    for key in (f"{api_key}x", api_key[:-1], api_key[::-1], url, token, "", "\N{LATIN SMALL LETTER E WITH ACUTE}"):
        headers = {"X-API-KEY": key.encode("latin-1")}
        yield Request("GET", "/api/tasks", {"headers": headers, "params": {"key": key}})
        yield Request("POST", "/api/tasks", {"headers": headers, "json": {"webhookUrl": url}})


def _bodies(url: str, token: str, task: str, api_key: str) -> Iterator[Request]:
    valid = {"name": "x", "schedule": "0 0 1 1 *", "webhookUrl": url, "payload": {"content": "x"}}
    for text in (url, token, api_key):
        for field in (*FIELDS, text):
            for value in (text, [text], {text: text}, f"{text}\0", f"…{text}"):
                if (field, value) != ("webhookUrl", url):
                    yield Request("POST", "/api/tasks", {"json": {**valid, field: value}})
                    yield Request("PATCH", task, {"json": {field: value}})
        for field in ("executions", "filter", "dryRun", "ratePerSecond", text):
            for value in (text, [text], {text: text}, [{text: text}], {"reason": f"{text}\0", "taskId": text}):
                yield Request("POST", "/api/executions/replay", {"json": {field: value}})
        for payload in ({part: text for part in PARTS}, {part: [{text: [text]}] for part in PARTS}):
            yield Request("POST", "/api/tasks", {"json": {**valid, "payload": payload}})
            yield Request("PATCH", task, {"json": {"payload": payload}})
        for expression in (f"@{text}", f"0 9 * * {text}", f"{text} {text} * * *", f"0 0 1,{text} * *"):
            yield Request("POST", "/api/tasks", {"json": {**valid, "schedule": expression}})
        for long in (text * 10, f"\x07{text}"):
            yield Request("POST", "/api/tasks", {"json": {**valid, "name": long}})
    for wrong in _wrong_urls(url, token):
        yield Request("POST", "/api/tasks", {"json": {**valid, "webhookUrl": wrong}})
        yield Request("PATCH", task, {"json": {"webhookUrl": wrong}})
    for content in (url, f'{{"{url}', f'{{"name": {token}}}', f'["{url}"]', f'{{"{token}": 1}}', f"{url}\udcff"):
        body = content.encode(errors="surrogateescape")
        for kind in ("application/json", "text/plain", token):
            yield Request("POST", "/api/tasks", {"content": body, "headers": {"Content-Type": kind}})


def _wrong_urls(url: str, token: str) -> Iterator[str]:
    parts = urlsplit(url)
    yield from (f"{url}#{token}", f"ftp{url[4:]}", f"{url} ", url.replace("//", f"//{token}@"), url + "x" * 2048)
    yield from (url.replace(f":{parts.port}", f":{token}"), url.replace("127.0.0.1", f"{token}.example.com"))
    yield from (f"https://discord.com/{token}", f"https://discord.com/api/webhooks/{token}/1", f"//{token}")


def poisons(url: str, token: str) -> list[bytes]:
    """Bodies that are no job message, or one that no database can look up."""
    job = {"taskId": str(uuid4()), "scheduledFor": "2026-01-01T00:00:00Z", "destination": "x"}
    parts: list[Any] = [
        {url: 1},
        {"jobs": [{**job, token: url}]},
        {"jobs": [{**job, "taskId": url}]},
        {"jobs": [{**job, "scheduledFor": token}]},
        {"jobs": [{**job, "destination": {token: url}}]},
        {"jobs": [job], "version": url},
        {"jobs": [job], token: token},
        {"jobs": {token: job}},
        [url],
        token,
    ]
    unknown = Job(uuid4(), datetime(2026, 1, 1, tzinfo=UTC), f"{url}\0")
    bodies = [*(json.dumps(part).encode() for part in parts), encode(JobMessage(jobs=[unknown]))]
    return [*bodies, url.encode(), f'{{"{url}"'.encode(), f'"{token}'.encode() + b'\xff"']


def rows(url: str, token: str) -> Iterator[str]:
    """Of another scheduler's table: one that is right, and then the secret in each place but the name."""
    right = {"id": "mark", "name": "x", "schedule": "0 0 1 1 *", "webhookUrl": url, "payload": {"content": "x"}}
    right |= {"maxRetry": 0, "status": "INACTIVE"}
    yield json.dumps(right)
    for text in (url, token):
        for field in (*right.keys() - {"name"}, "timezone", "deletedAt", text):
            for value in (text, [text], {text: text}):
                if (field, value) != ("webhookUrl", url):
                    yield json.dumps({**right, "id": str(uuid4()), field: value})


def environments(secret: str) -> Iterator[tuple[tuple[str, ...], dict[str, str]]]:
    """Commands, with what to change in a valid environment, that must all end with an error."""
    kinds = {
        ("tocsin-api", "serve"): settings.ApiSettings,
        ("tocsin-dispatcher", "schedule"): settings.SchedulerSettings,
        ("tocsin-dispatcher", "send"): settings.SenderSettings,
        ("tocsin-api", "rotate-keys"): settings.RotationSettings,
        ("tocsin-api", "import", "--time-zone", "UTC"): settings.ImportSettings,
        ("tocsin-api", "doctor"): settings.ApiSettings,
        ("tocsin-dispatcher", "doctor"): settings.SenderSettings,
    }
    for command, kind in kinds.items():
        names = [field.encode_name.upper() for field in msgspec.structs.fields(kind)]
        yield command, dict.fromkeys(names, secret) | {"SEALING_KEYS": secret}
    files = {name: "" for name in ("DATABASE_URL", "RABBITMQ_URL", "SEALING_KEYS", "API_KEY")}
    yield ("tocsin-api", "serve"), files | {f"{name}_FILE": secret for name in files}
    yield ("tocsin-api", "serve"), {"HOST": secret}
    for command in (("tocsin-api", "serve"), ("tocsin-api", "rotate-keys")):
        yield command, {"SEALING_KEYS": f"{secret},{secret}"}


def wrong_servers(database_url: str, rabbitmq_url: str) -> Iterator[tuple[tuple[str, ...], dict[str, str]]]:
    """The same for servers that refuse the login, or that nobody can find."""
    migrate, send, doctor = ("tocsin-api", "migrate"), ("tocsin-dispatcher", "send"), ("tocsin-api", "doctor")
    yield migrate, {"DATABASE_URL": _refused(database_url)}
    yield migrate, {"DATABASE_URL": _nowhere(database_url)}
    yield ("tocsin-api", "serve"), {"DATABASE_URL": _refused(database_url)}
    yield ("tocsin-api", "rotate-keys"), {"DATABASE_URL": _refused(database_url)}
    yield send, {"RABBITMQ_URL": _refused(rabbitmq_url), "CONNECT_TIMEOUT_S": "1"}
    yield send, {"RABBITMQ_URL": _nowhere(rabbitmq_url), "CONNECT_TIMEOUT_S": "1"}
    for spoil in (_refused, _nowhere):
        yield doctor, {"DATABASE_URL": spoil(database_url), "RABBITMQ_URL": spoil(rabbitmq_url)}


def _refused(url: str) -> str:
    """With a password that is nearly right."""
    return url.replace("@", "x@")


def _nowhere(url: str) -> str:
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{login}@nowhere.invalid:{parts.port}").geturl()
