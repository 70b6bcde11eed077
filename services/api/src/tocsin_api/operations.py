"""SHELL. The operations that the OpenAPI document tells of: each with what it reads, and how it answers."""

from typing import NamedTuple

import msgspec

from tocsin_api.api_key_fields import ApiKey, ApiKeyList, ApiKeyQuery, CreatedApiKey, NewApiKey
from tocsin_api.api_key_sql import MAX_KEYS
from tocsin_api.execution_fields import ExecutionKeyQuery, ExecutionQuery, ReplayRequest
from tocsin_api.executions import ExecutionDetails, ExecutionList, ManualExecution
from tocsin_api.health import Liveness, Readiness
from tocsin_api.logs import LogList, LogQuery, TaskLogQuery
from tocsin_api.preview import Preview
from tocsin_api.replays import Replay
from tocsin_api.scheduler import Scheduler
from tocsin_api.schedules import PreviewQuery
from tocsin_api.stats import Stats
from tocsin_api.task_details import TaskDetails, TaskDetailsQuery
from tocsin_api.task_fields import NewTask, SaveQuery, TaskChange
from tocsin_api.task_lists import TaskList, TaskQuery
from tocsin_api.task_rows import Task


class Operation(NamedTuple):
    """One line of the document."""

    method: str
    path: str
    name: str
    summary: str
    answer: type[msgspec.Struct]
    status: int = 200
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    tag: str = "tasks"
    also: int | None = None
    """Another status that comes with the same answer."""
    conflict: str = ""
    """When it is refused with 409."""
    has_key: bool = False
    """Whether it takes an Idempotency-Key."""
    has_match: bool = False
    """Whether it takes If-Match."""
    has_etag: bool = False
    """Whether its answer has an ETag."""
    has_location: bool = False
    """Whether its answer says where the execution is shown."""


TASK = "/api/tasks/{task_id}"
STATS = "/api/tasks/dashboard/stats"
EXECUTIONS = "/api/executions"
SCHEDULER = "/api/scheduler"
KEYS = "/api/keys"
_RUN_AT_HAS_PASSED = "The task's `runAt` has passed: change it before the task is started again."
OPERATIONS = (
    Operation("get", "/api/tasks", "listTasks", "List tasks", TaskList, query=TaskQuery),
    Operation(
        "post",
        "/api/tasks",
        "createTask",
        "Create a task",
        Task,
        201,
        query=SaveQuery,
        body=NewTask,
        conflict="The task that this Idempotency-Key made was deleted meanwhile.",
        has_key=True,
        has_etag=True,
    ),
    Operation("get", STATS, "showStats", "All tasks and executions at a glance", Stats),
    Operation(
        "get",
        TASK,
        "getTask",
        "Show a task",
        TaskDetails,
        query=TaskDetailsQuery,
        has_etag=True,
    ),
    Operation(
        "patch",
        TASK,
        "changeTask",
        "Change a task",
        Task,
        query=SaveQuery,
        body=TaskChange,
        conflict=_RUN_AT_HAS_PASSED,
        has_match=True,
        has_etag=True,
    ),
    Operation("delete", TASK, "deleteTask", "Delete a task", Task, has_match=True),
    Operation(
        "post",
        f"{TASK}/toggle",
        "toggleTask",
        "Stop an active task, start another",
        Task,
        conflict=_RUN_AT_HAS_PASSED,
        has_match=True,
        has_etag=True,
    ),
    Operation(
        "post",
        f"{TASK}/run",
        "runTask",
        "Run a task once now",
        ManualExecution,
        202,
        has_key=True,
        has_location=True,
    ),
    Operation(
        "post",
        f"{TASK}/test",
        "testTask",
        "Run a task once now and wait for the outcome",
        ExecutionDetails,
        also=202,
        has_key=True,
        has_location=True,
    ),
    Operation(
        "get",
        f"{TASK}/logs",
        "listTaskLogs",
        "List a task's attempts",
        LogList,
        query=TaskLogQuery,
        tag="logs",
    ),
    Operation("get", "/api/logs", "listLogs", "List all attempts", LogList, query=LogQuery, tag="logs"),
    Operation(
        "get",
        EXECUTIONS,
        "listExecutions",
        "List what tasks owe and have owed",
        ExecutionList,
        query=ExecutionQuery,
        tag="executions",
    ),
    Operation(
        "get",
        f"{EXECUTIONS}/{{execution_id}}",
        "getExecution",
        "Show an execution with its attempts",
        ExecutionDetails,
        query=ExecutionKeyQuery,
        tag="executions",
    ),
    Operation(
        "post",
        f"{EXECUTIONS}/replay",
        "replayExecutions",
        "Bring failed executions back",
        Replay,
        202,
        body=ReplayRequest,
        tag="executions",
    ),
    Operation(
        "get",
        "/api/schedules/preview",
        "previewSchedule",
        "Show when a schedule comes",
        Preview,
        query=PreviewQuery,
        tag="schedules",
    ),
    Operation("get", SCHEDULER, "showScheduler", "Who schedules, and how far?", Scheduler, tag="scheduler"),
    Operation("post", f"{SCHEDULER}/pause", "pauseScheduler", "Pause all schedules", Scheduler, tag="scheduler"),
    Operation("post", f"{SCHEDULER}/resume", "resumeScheduler", "End the pause", Scheduler, tag="scheduler"),
    Operation("get", KEYS, "listKeys", "List API keys", ApiKeyList, query=ApiKeyQuery, tag="keys"),
    Operation(
        "post",
        KEYS,
        "createKey",
        "Make an API key",
        CreatedApiKey,
        201,
        body=NewApiKey,
        conflict=f"There are {MAX_KEYS:,} API keys already: delete those that nobody needs.",
        tag="keys",
    ),
    Operation("delete", f"{KEYS}/{{key_id}}", "deleteKey", "Delete an API key", ApiKey, tag="keys"),
    Operation("get", "/health/live", "live", "Is the process alive?", Liveness, tag="health"),
    Operation("get", "/health/ready", "ready", "Can requests be answered?", Readiness, tag="health"),
)
