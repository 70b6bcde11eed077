"""PURE. Bodies that the OpenAPI document shows as examples, by the struct that reads them."""

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
