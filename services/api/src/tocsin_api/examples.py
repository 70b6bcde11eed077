"""PURE. Examples that the OpenAPI document shows: bodies by the struct that reads them, answers by its name."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tocsin_api.api_key_fields import NewApiKey
from tocsin_api.execution_fields import ReplayRequest
from tocsin_api.task_fields import NewTask, TaskChange

_WEBHOOK_URL = "https://discord.com/api/webhooks/123456789012345678/your-token"

BODIES: Mapping[type[msgspec.Struct], Mapping[str, dict[str, Any]]] = {
    NewTask: {
        "weekdays": {
            "name": "Stand-up",
            "schedule": "0 9 * * mon-fri",
            "timezone": "Europe/Berlin",
            "webhookUrl": _WEBHOOK_URL,
            "payload": {"content": "Stand-up in five minutes"},
        },
        "once": {
            "name": "Launch",
            "runAt": "2030-01-31T09:00:00+01:00",
            "webhookUrl": _WEBHOOK_URL,
            "payload": {"content": "We are live"},
        },
        "everySecondForAWhile": {
            "name": "Countdown",
            "schedule": "* * * * * *",
            "startsAt": "2030-01-31T08:59:50+01:00",
            "endsAt": "2030-01-31T09:00:00+01:00",
            "webhookUrl": _WEBHOOK_URL,
            "payload": {"content": "Soon"},
            "maxRetry": 0,
            "catchUp": "skip",
            "expiresAfterSeconds": 2,
        },
        "spreadOut": {
            "name": "Report",
            "schedule": "@hourly",
            "jitterSeconds": 300,
            "overlap": "skip",
            "webhookUrl": _WEBHOOK_URL,
            "payload": {"content": "All is well"},
            "status": "INACTIVE",
        },
    },
    TaskChange: {
        "schedule": {"schedule": "30 9 * * mon-fri", "timezone": "America/New_York"},
        "onceInstead": {"runAt": "2030-01-31T09:00:00Z"},
        "noEnd": {"endsAt": None},
        "stop": {"status": "INACTIVE"},
        "another": {
            "name": "Report",
            "webhookUrl": _WEBHOOK_URL,
            "payload": {"content": "All is well"},
            "startsAt": "2030-01-31T09:00:00Z",
            "jitterSeconds": 60,
            "maxRetry": 5,
            "catchUp": "skip",
            "expiresAfterSeconds": 600,
            "overlap": "skip",
        },
    },
    NewApiKey: {
        "forADashboard": {"name": "dashboard", "scopes": ["read"]},
        "forAWhile": {"name": "deployments", "scopes": ["write"], "expiresAt": "2030-01-31T00:00:00Z"},
    },
    ReplayRequest: {
        "howManyServerErrors": {"filter": {"reason": "HTTP 500", "dateFrom": "2026-01-31"}, "dryRun": True},
        "ofOneTask": {"filter": {"taskId": "01a209bf-cc04-7028-8e49-dbf8110cffff"}, "ratePerSecond": 2},
        "oneByName": {
            "executions": [
                {"taskId": "01a209bf-cc04-7028-8e49-dbf8110cffff", "scheduledFor": "2026-01-31T08:00:00Z"}
            ]
        },
    },
}

_TASK_ID = "01a209bf-cc04-7028-8e49-dbf8110cffff"
_EXECUTION_ID = "4bb58ef6-0b91-5e0d-9e16-7bb8d8f9c6a2"
_SCHEDULED_FOR = "2026-11-23T08:00:00Z"

_TASK = {
    "id": _TASK_ID,
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
    "executionId": _EXECUTION_ID,
    "taskId": _TASK_ID,
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
    "taskId": _TASK_ID,
    "executionTime": "2026-11-23T08:00:07.410300Z",
    "status": "FAILED",
    "retryCount": 3,
    "message": "HTTP 500",
    "createdAt": "2026-11-23T08:00:07.551200Z",
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
        "executionId": _EXECUTION_ID,
        "taskId": _TASK_ID,
        "scheduledFor": "2026-11-23T18:52:10.114209Z",
        "kind": "manual",
        "state": "due",
    },
    "Log": _LOG,
    "LogList": {"data": [_LOG], "meta": _META},
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
