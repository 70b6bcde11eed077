"""PURE. How one operation's answer leads to the next: what of it the next one takes."""

from collections.abc import Mapping
from typing import Any

_OF_TASK = ("getTask", "changeTask", "toggleTask", "runTask", "testTask", "listTaskLogs", "deleteTask")
_EXECUTION = {
    "getExecution": {
        "execution_id": "$response.body#/executionId",
        "taskId": "$response.body#/taskId",
        "scheduledFor": "$response.body#/scheduledFor",
    }
}


def _task(*operations: str) -> dict[str, dict[str, str]]:
    """A task goes on to these."""
    return {name: {"task_id": "$response.body#/id"} for name in operations}


LINKS: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "createTask": _task(*_OF_TASK),
    "getTask": {"changeTask": {"task_id": "$request.path.task_id", "If-Match": "$response.header.ETag"}},
    "changeTask": _task("getTask", "runTask", "deleteTask"),
    "toggleTask": _task("getTask", "toggleTask"),
    "deleteTask": _task("getTask"),
    "runTask": _EXECUTION,
    "testTask": _EXECUTION,
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
