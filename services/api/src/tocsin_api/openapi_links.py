"""PURE. How one operation's answer leads to the next: what of it the next one takes."""

from collections.abc import Mapping
from typing import Any

_OF_TASK = ("getTask", "changeTask", "toggleTask", "runTask", "testTask", "listTaskLogs", "deleteTask")
_EXECUTION = {"execution_id": "executionId", "taskId": "taskId", "scheduledFor": "scheduledFor"}


def _tasks(place: str, *operations: str) -> dict[str, dict[str, str]]:
    """The task at that place of the answer goes on to these."""
    return {name: {"task_id": f"$response.body#{place}"} for name in operations}


def _execution(place: str) -> dict[str, dict[str, str]]:
    return {"getExecution": {to: f"$response.body#{place}/{of}" for to, of in _EXECUTION.items()}}


LINKS: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "listTasks": _tasks("/data/0/id", *_OF_TASK),
    "createTask": _tasks("/id", *_OF_TASK),
    "getTask": {"changeTask": {"task_id": "$request.path.task_id", "If-Match": "$response.header.ETag"}},
    "changeTask": _tasks("/id", "getTask", "runTask", "deleteTask"),
    "toggleTask": _tasks("/id", "getTask", "toggleTask"),
    "deleteTask": _tasks("/id", "getTask"),
    "runTask": _execution(""),
    "testTask": _execution(""),
    "listExecutions": _execution("/data/0"),
    "listKeys": {"deleteKey": {"key_id": "$response.body#/data/0/id"}},
    "createKey": {"deleteKey": {"key_id": "$response.body#/id"}},
}
"""By operation: those that take something of its answer, and what they take as which parameter."""


def links(name: str) -> dict[str, Any]:
    """The links of an operation's answer."""
    return {
        f"{to}After{name[0].upper()}{name[1:]}": {
            "operationId": to,
            "description": f"What {name} answers, {to} takes.",
            "parameters": dict(taken),
        }
        for to, taken in LINKS.get(name, {}).items()
    }
