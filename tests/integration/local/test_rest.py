from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web

from tocsin_local import ports, rest
from tocsin_local.errors import StackError
from tocsin_local.rest import Api

TASK_ID = UUID(int=5)
CREATED_AT = datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
WANTED = {"name": "mine", "schedule": "* * * * * *", "webhook_url": "http://x", "payload": {}, "max_retry": 3}


class FakeApi:
    """Keeps tasks in memory; `mishaps` happen to the next calls that create one."""

    def __init__(self) -> None:
        self.tasks: list[dict[str, object]] = [{"name": "mine too"}]
        self.log_ids: list[str] = []
        self.mishaps: list[Callable[[], web.StreamResponse]] = []

    async def create(self, request: web.Request) -> web.StreamResponse:
        mishap = self.mishaps.pop(0) if self.mishaps else None
        if mishap is not None and mishap is not lost_answer:
            return mishap()
        task = {"id": str(TASK_ID), "createdAt": "2030-01-01T12:00:00.123456Z", **await request.json()}
        self.tasks.append(task)
        return mishap() if mishap is not None else web.json_response(task, status=201)

    async def list_tasks(self, request: web.Request) -> web.StreamResponse:
        return page(request, [task for task in self.tasks if request.query["search"] in str(task["name"])])

    async def list_logs(self, request: web.Request) -> web.StreamResponse:
        assert request.query["status"] == "SUCCESS"
        return page(request, [{"id": log_id} for log_id in self.log_ids])


def page(request: web.Request, found: list[dict[str, object]]) -> web.Response:
    number, limit = int(request.query["page"]), int(request.query["limit"])
    data = found[(number - 1) * limit : number * limit]
    return web.json_response({"data": data, "meta": {"totalPages": -(-len(found) // limit)}})


def away() -> web.Response:
    return web.json_response({"detail": "the database is away"}, status=503)


def lost_answer() -> web.Response:
    return web.Response(status=502, text="no JSON")


def refusal() -> web.Response:
    return web.json_response({"detail": "schedule: no"}, status=400)


@pytest.fixture
def fake() -> FakeApi:
    return FakeApi()


@pytest.fixture
async def url(fake: FakeApi) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/api/tasks", fake.create)
    app.router.add_get("/api/tasks", fake.list_tasks)
    app.router.add_get("/api/tasks/{id}/logs", fake.list_logs)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def api(url: str) -> AsyncIterator[Api]:
    async with rest.connect(url, "key") as api:
        yield api


async def test_a_task_comes_back_with_its_effective_from(api: Api) -> None:
    assert await api.create_task(**WANTED) == (TASK_ID, CREATED_AT)


@pytest.mark.parametrize("mishap", [away, lost_answer])
async def test_a_task_is_created_once_through_an_outage(
    api: Api, fake: FakeApi, mishap: Callable[[], web.StreamResponse]
) -> None:
    fake.mishaps = [mishap]

    await api.create_task(**WANTED)

    assert [task["name"] for task in fake.tasks] == ["mine too", "mine"]


async def test_a_refusal_is_an_error_with_its_reason(api: Api, fake: FakeApi) -> None:
    fake.mishaps = [refusal]

    with pytest.raises(StackError, match="refused the task 'mine': 400, schedule: no"):
        await api.create_task(**WANTED)


async def test_all_pages_of_a_log_are_read(api: Api, fake: FakeApi) -> None:
    log_ids = {UUID(int=number) for number in range(250)}
    fake.log_ids = [str(number) for number in log_ids]

    assert await api.succeeded_log_ids(TASK_ID) == log_ids


async def test_an_api_that_stays_away_is_an_error(url: str, fake: FakeApi) -> None:
    fake.mishaps = [away] * 10
    async with aiohttp.ClientSession(url) as session:
        with pytest.raises(StackError, match=r"away for 0 s: 503: the database is away"):
            await Api(session, patience_s=0.01).create_task(**WANTED)


async def test_nobody_listening_is_being_away() -> None:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{ports.choose()}") as session:
        with pytest.raises(StackError, match="ClientConnectorError"):
            await Api(session, patience_s=0).succeeded_log_ids(TASK_ID)
