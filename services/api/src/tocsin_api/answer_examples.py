"""PURE. Answers that the OpenAPI document shows as examples, by the name of their struct."""

from collections.abc import Mapping
from typing import Any

TASK_ID = "01a209bf-cc04-7028-8e49-dbf8110cffff"
EXECUTION_ID = "4bb58ef6-0b91-5e0d-9e16-7bb8d8f9c6a2"
_SCHEDULED_FOR = "2026-11-23T08:00:00Z"

_TASK = {
    "id": TASK_ID,
    "name": "Stand-up",
    "schedule": "0 9 * * mon-fri",
    "timezone": "Europe/Berlin",
    "runAt": None,
    "startsAt": None,
    "endsAt": None,
    "webhookUrl": "https://discord.com/api/webhooks/123456789012345678/…oken",
    "payload": {"content": "Stand-up in five minutes"},
    "maxRetry": 3,
    "jitterSeconds": 0,
    "catchUp": "latest",
    "expiresAfterSeconds": None,
    "overlap": "allow",
    "status": "ACTIVE",
    "statusReason": None,
    "createdAt": "2026-11-20T18:51:34.278296Z",
    "updatedAt": "2026-11-20T18:51:34.278296Z",
}
_EXECUTION = {
    "executionId": EXECUTION_ID,
    "taskId": TASK_ID,
    "taskName": "Stand-up",
    "scheduledFor": _SCHEDULED_FOR,
    "kind": "schedule",
    "state": "failed",
    "reason": "retries exhausted: HTTP 500",
    "destination": "discord.com/123456789012345678",
    "seq": 4,
    "attempts": 4,
    "latenessMs": 31,
    "failures": 4,
    "nextAt": None,
    "giveUpAt": None,
    "createdAt": "2026-11-23T08:00:00.021488Z",
    "finishedAt": "2026-11-23T08:00:07.551200Z",
    "replayedAt": None,
    "missedFrom": None,
    "missedCount": None,
}
_LOG = {
    "id": "5b2f0f6c-2a0e-5d0f-9a55-0a4f2c7f4c11",
    "taskId": TASK_ID,
    "executionTime": "2026-11-23T08:00:07.410300Z",
    "status": "FAILED",
    "retryCount": 3,
    "message": "HTTP 500",
    "createdAt": "2026-11-23T08:00:07.551200Z",
}
_REFUSED = {"unknown": 0, "taskDeleted": 0, "succeeded": 1, "notFailed": 0, "tooOld": 0, "taskFailed": 0}
_NAMED_REPLAY = {
    "executionId": EXECUTION_ID,
    "taskId": TASK_ID,
    "scheduledFor": _SCHEDULED_FOR,
    "result": "replayed",
    "nextAt": "2026-11-23T18:52:11.021488Z",
}
_EXECUTIONS_TODAY = {
    "due": 0,
    "waiting": 1,
    "running": 2,
    "succeeded": 840,
    "failed": 3,
    "missed": 0,
    "skipped": 0,
    "expired": 0,
    "cancelled": 0,
}
_LATENESS = {"p50Ms": 31.4, "p99Ms": 120.9, "executions": 843, "isSample": False}
_INSTANT = {
    "utc": "2027-03-28T01:00:00Z",
    "local": "2027-03-28T03:00:00+02:00",
    "remark": "the clock skips 2027-03-28 02:00 to 03:00; what is due then comes right after",
}
_API_KEY = {
    "id": TASK_ID,
    "name": "dashboard",
    "hint": "tocsin_…x7Qd",
    "scopes": ["read"],
    "createdAt": "2026-11-23T18:51:34.278296Z",
    "expiresAt": "2030-01-31T00:00:00Z",
    "lastUsedAt": "2026-11-24T08:00:00Z",
}
_META = {"page": 1, "limit": 20, "total": 1, "totalPages": 1}
_VIOLATION = {
    "field": "maxRetry",
    "message": "must be a whole number from 0 to 10, got 11",
    "pointer": "/maxRetry",
}

ANSWERS: Mapping[str, dict[str, Any]] = {
    "Task": _TASK,
    "TaskDetails": {
        **_TASK,
        "failuresInRow": 1,
        "nextRuns": ["2026-11-24T08:00:00Z", "2026-11-25T08:00:00Z"],
        "lastExecution": _EXECUTION,
        "logs": [_LOG],
    },
    "TaskList": {"data": [_TASK], "meta": _META},
    "Execution": _EXECUTION,
    "ExecutionDetails": {**_EXECUTION, "logs": [_LOG]},
    "ExecutionList": {"data": [_EXECUTION], "meta": _META},
    "ManualExecution": {
        "executionId": EXECUTION_ID,
        "taskId": TASK_ID,
        "scheduledFor": "2026-11-23T18:52:10.114209Z",
        "kind": "manual",
        "state": "due",
    },
    "Log": _LOG,
    "LogList": {"data": [_LOG], "meta": _META},
    "Refused": _REFUSED,
    "NamedReplay": _NAMED_REPLAY,
    "Replay": {
        "dryRun": False,
        "matched": 2,
        "replayed": 1,
        "refused": _REFUSED,
        "remaining": 0,
        "upTo": "2026-11-23T08:00:00Z",
        "lastAt": "2026-11-23T18:52:11.021488Z",
        "executions": [_NAMED_REPLAY],
    },
    "ExecutionsToday": _EXECUTIONS_TODAY,
    "Lateness": _LATENESS,
    "Stats": {
        "total": 12,
        "active": 9,
        "inactive": 2,
        "failed": 1,
        "executionsToday": _EXECUTIONS_TODAY,
        "successRate": 0.9964,
        "lateness": _LATENESS,
        "waiting": 1,
        "failedExecutions": 17,
        "nextDue": "2026-11-23T19:00:00Z",
        "asOf": "2026-11-23T18:52:11.021488Z",
    },
    "NextInstant": _INSTANT,
    "Preview": {
        "schedule": "30 2 * * *",
        "timezone": "Europe/Berlin",
        "words": "At 02:30",
        "remark": None,
        "instants": [_INSTANT],
    },
    "Scheduler": {
        "leader": "tocsin-scheduler@host:4021/0c9d41aa",
        "epoch": 3,
        "watermark": "2026-11-23T18:52:11.021488Z",
        "lagSeconds": 0.41,
        "tasks": 12,
        "schedules": 5,
        "paused": True,
        "pausedAt": "2026-11-23T18:50:00.120044Z",
    },
    "ApiKey": _API_KEY,
    "CreatedApiKey": {**_API_KEY, "lastUsedAt": None, "key": f"tocsin_{'x' * 39}x7Qd"},
    "ApiKeyList": {"data": [_API_KEY], "meta": _META},
    "Liveness": {"status": "alive"},
    "Readiness": {"status": "ready", "postgresql": "ready", "rabbitmq": "connected"},
    "PageMeta": {"page": 1, "limit": 20, "total": 48213, "totalPages": 2411, "totalIsEstimate": True},
    "Violation": _VIOLATION,
    "Problem": {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "maxRetry: must be a whole number from 0 to 10, got 11",
        "instance": "/api/tasks",
        "statusCode": 400,
        "message": "maxRetry: must be a whole number from 0 to 10, got 11",
        "requestId": "request-of-monday-morning",
        "errors": [_VIOLATION],
    },
}
