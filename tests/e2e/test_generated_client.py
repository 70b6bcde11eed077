"""A client that is generated from the OpenAPI document, with real processes on real servers."""

import ast
import asyncio
import sys
from collections.abc import Iterator
from datetime import datetime
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx
import pytest

from e2e.conftest import API_KEY
from environment import INHERITED
from tocsin_local.receiver import Receiver

GENERATOR = Path(sys.executable).parent / "openapi-python-client"
OPERATIONS = {
    "tasks": ("create_task", "get_task", "list_tasks", "change_task", "test_task", "run_task", "delete_task"),
    "executions": ("get_execution",),
}


@pytest.fixture
async def package(api: httpx.AsyncClient, tmp_path: Path) -> Path:
    """The generated package. A warning would be of something in the document that the generator leaves out."""
    package, config = tmp_path / f"tocsin_client_{uuid4().hex}", tmp_path / "config.yml"
    config.write_text("post_hooks: []\n")  # nobody reads it
    process = await asyncio.create_subprocess_exec(
        *(GENERATOR, "generate", "--url", f"{api.base_url}/api/docs-json", "--output-path", package),
        *("--meta", "none", "--config", config, "--fail-on-warning"),
        env=INHERITED,
    )
    assert await process.wait() == 0
    return package


@pytest.fixture
def tocsin(package: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The client's operations, and its models."""
    monkeypatch.syspath_prepend(str(package.parent))
    operations = {
        name: import_module(f"{package.name}.api.{tag}.{name}")
        for tag, names in OPERATIONS.items()
        for name in names
    }
    return SimpleNamespace(
        **operations, client=import_module(package.name), models=import_module(f"{package.name}.models")
    )


def untyped(package: Path) -> Iterator[str]:
    """Models and answers of any type, but for what nobody knows: a payload, and fields of a later release."""
    for path in sorted(package.glob("models/*.py")) + sorted(package.glob("api/*/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            known = annotation(node)
            if known is not None and "Any" in known:
                yield f"{path.name}: {known}"


def annotation(node: ast.AST) -> str | None:
    """The type of a model's field, or of what an operation answers."""
    if isinstance(node, ast.ClassDef):
        fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
        return "; ".join(
            ast.unparse(each) for each in fields if ast.unparse(each.target) != "additional_properties"
        )
    if isinstance(node, ast.AsyncFunctionDef) and node.returns is not None:
        return f"{node.name}: {ast.unparse(node.returns)}"
    return None


@pytest.mark.usefixtures("scheduler", "sender")
async def test_generated_client_creates_reads_edits_runs_and_deletes_a_task(
    api: httpx.AsyncClient, receiver: Receiver, package: Path, tocsin: SimpleNamespace
) -> None:
    webhook, models = receiver.add(), tocsin.models
    async with tocsin.client.AuthenticatedClient(base_url=str(api.base_url), token=API_KEY) as client:

        async def ask(operation: Any, *path: Any, **fields: Any) -> Any:
            return await operation.asyncio(*path, client=client, **fields)

        payload = models.Payload.from_dict({"content": "hello"})
        new = models.NewTask(name="a task", schedule="0 0 0 1 1 *", webhook_url=webhook.url, payload=payload)
        created = await ask(tocsin.create_task, body=new)
        shown = await ask(tocsin.get_task, created.id)
        listed = await ask(tocsin.list_tasks, status=models.TaskStatus.ACTIVE, sort=models.TaskSort.NAME)
        edited = await ask(tocsin.change_task, created.id, body=models.TaskChange(name="edited"), if_match='"1"')
        tested = await ask(tocsin.test_task, created.id)
        run = await ask(tocsin.run_task, created.id, idempotency_key="once")
        found = await ask(
            tocsin.get_execution, run.execution_id, task_id=created.id, scheduled_for=run.scheduled_for
        )
        refused = await ask(tocsin.change_task, created.id, body=models.TaskChange(max_retry=11))
        deleted = await ask(tocsin.delete_task, created.id)
        gone = await ask(tocsin.get_task, created.id)

    assert (type(created), type(created.created_at)) == (models.Task, datetime)
    assert (shown.id, shown.status, shown.logs) == (created.id, models.TaskStatus.ACTIVE, [])
    assert shown.payload.to_dict() == {"content": "hello"}
    assert [task.id for task in listed.data] == [created.id]
    assert (edited.id, edited.name, edited.schedule) == (created.id, "edited", created.schedule)
    assert (tested.kind, tested.state) == (models.ExecutionKind.MANUAL, models.ExecutionState.SUCCEEDED)
    assert [log.status for log in tested.logs] == [models.LogStatus.SUCCESS]
    assert (found.execution_id, found.task_name) == (run.execution_id, "edited")
    assert isinstance(refused, models.Problem)
    assert [(each.field, each.pointer) for each in refused.errors] == [("maxRetry", "/maxRetry")]
    assert deleted.id == created.id
    assert (type(gone), gone.status) == (models.Problem, 404)
    assert receiver.posts[0].execution_id == tested.execution_id
    assert list(untyped(package)) == []
