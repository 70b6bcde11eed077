"""SHELL. A day on which everything fails that can, in some seconds, with real processes."""

import asyncio
import base64
import secrets
from collections.abc import Callable
from contextlib import suppress
from tempfile import NamedTemporaryFile
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import asyncpg
import httpx

from e2e import misuses
from e2e.crew import Crew
from e2e.evidence import Answers, Console, Tap, until
from e2e.failures import FAILURES, MARK
from e2e.hostile import Hostile, is_silent, says
from e2e.processes import Tocsin, free_port
from relay import Relay
from tocsin_common.sealing import KEY_BYTES, Sealer

SHAPE = "http://127.0.0.1:<port>/api/webhooks/<number>/<token>"


class Surroundings(NamedTuple):
    """What the day needs and does not make."""

    crew: Crew
    hostile: Hostile
    tap: Tap
    console: Console
    broker: Relay
    """Before RabbitMQ."""
    server: Relay
    """Before PostgreSQL."""
    database: asyncpg.Pool


class WorstDay:
    """What happens, part by part; the parts need what came before."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._start, self._hostile, self._database = around.crew.start, around.hostile, around.database
        self._port = free_port()
        self._api_url = f"http://127.0.0.1:{self._port}"
        self._api_key = around.crew.environment["API_KEY"]
        self.answers = Answers(self._api_url, {"X-API-KEY": self._api_key, "X-Request-ID": MARK})
        self._metrics_ports = {command: str(free_port()) for command in ("serve", "schedule", "send")}
        self.metrics = ""
        """The pages of all processes."""
        self.tokens: list[str] = []
        self.ids: dict[str, UUID] = {}
        """Of the tasks, by the failure's name."""
        self.given_key = ""
        """Of somebody who may only read."""
        self.new_key = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()

    async def live(self) -> None:
        """All of it."""
        await self.begin()
        await self.give_out_key()
        async with self.answers as client:
            await self.let_receivers_fail(client)
            await self.misuse_api(client)
            await self.poison()
            await self._around.console.look()
            await self.take_database_away(client)
            await self.take_broker_away(client)
            await self.kill_and_stop(client)
            await self.change_keys()
            await self.import_tasks()
            await self.read_everything(client)
        with suppress(asyncpg.UndefinedTableError):
            await self._database.execute(f"SELECT '{MARK}' FROM nowhere")  # noqa: S608 - for the server's log

    async def begin(self) -> None:
        """Start everything."""
        self._scheduler, self._sender, self._api = await asyncio.gather(
            self._start_measured("tocsin-dispatcher", "schedule"),
            self._start_measured("tocsin-dispatcher", "send"),
            self._start_measured("tocsin-api", "serve", PORT=str(self._port)),
        )
        await self._scheduler.logged("scheduler.leading")
        await self._sender.logged("sender.consuming")
        await self._api.logged("api.started")
        await until(self._api_answers, "the API answers")

    async def give_out_key(self) -> None:
        """The answer is not kept: it is the one that may show the key."""
        async with httpx.AsyncClient(base_url=self._api_url, headers={"X-API-KEY": self._api_key}) as client:
            answer = await client.post("/api/keys", json={"name": MARK, "scopes": ["read"]})
        self.given_key = answer.json()["key"]

    async def let_receivers_fail(self, client: httpx.AsyncClient) -> None:
        """A task for each failure, until each was tried once."""
        for failure in FAILURES:
            url = self._hostile.add(failure.behaviour, failure.shape, self.new_token())
            self.ids[failure.name] = await self._create(client, failure.name, url, maxRetry=failure.max_retry)
        wrong = Sealer([secrets.token_bytes(32)])
        await self._create_broken(client, "wrong key", lambda task_id, url: wrong.seal(url, context=task_id.bytes))
        await self._create_broken(client, "changed row", lambda task_id, url: self._sealed(url, uuid4()))
        await until(self._all_are_logged, "an attempt of each task")
        # Or what comes again and again would grow to more than a busy machine can do beside the rest.
        for name in self.ids.keys() - {"200", "204"}:
            answer = await client.patch(f"/api/tasks/{self.ids[name]}", json={"status": "INACTIVE"})
            assert answer.status_code == 200, answer.text

    async def misuse_api(self, client: httpx.AsyncClient) -> None:
        """Requests that put a secret where it does not belong, or have no right to anything."""
        token = self.new_token()
        url = self._hostile.add(says("204 No Content"), SHAPE, token)
        task_id = await self._create(client, "misused", url, status="INACTIVE")
        path = f"/api/tasks/{task_id}"
        wrong = [
            each for key in (self._api_key, self.given_key) for each in misuses.requests(url, token, path, key)
        ]
        statuses = [(await client.request(each.method, each.path, **each.options)).status_code for each in wrong]
        given = {"X-API-KEY": self.given_key}
        for method in ("GET", "DELETE"):
            statuses.append((await client.request(method, path, headers=given)).status_code)
        assert {200, 400, 401, 403, 404, 405, 415} <= set(statuses)
        assert max(statuses) < 500
        await self._write_to_api(f"GET {url} HTTP/9.9 {token}\r\n\r\n")
        await self._write_to_api(f"{token}\r\n{url}\r\n\r\n")

    async def poison(self) -> None:
        """Messages in the work queue that no sender should be handed, until all of them were put away."""
        bodies = misuses.poisons(self._hostile.add(is_silent, SHAPE, self.new_token()), self.tokens[-1])
        tap = self._around.tap
        for body in bodies:
            await tap.publish(body)
        # Each comes once as a stranger's and once more on its way to the dead queue.
        await until(lambda: all(tap.bodies.count(body) >= 2 for body in bodies), "poison in the dead queue")

    async def take_database_away(self, client: httpx.AsyncClient) -> None:
        """In the middle of a POST, for longer than a lease lasts."""
        url = self._hostile.add(is_silent, SHAPE, self.new_token())
        await self._create(client, "outlives PostgreSQL", url, maxRetry=9)
        await self._hostile.called(url)
        await self._around.server.cut()
        assert (await client.get("/api/tasks")).status_code == 503
        await self._sender.logged("outcomes.kept")
        await self._scheduler.logged("scheduler.stepped_down")
        await self._around.server.restore()
        await self._scheduler.logged("scheduler.leading", count=2)

    async def take_broker_away(self, client: httpx.AsyncClient) -> None:
        """Until a hint is lost."""
        await self._around.broker.cut()
        await until(lambda: self._sees_broker(client, "away"), "RabbitMQ is away")
        await client.patch(f"/api/tasks/{self.ids['204']}", json={"name": f"Renamed {MARK}"})
        await self._api.logged("hint.lost")
        await self._around.broker.restore()
        await until(lambda: self._sees_broker(client, "connected"), "RabbitMQ is back")

    async def kill_and_stop(self, client: httpx.AsyncClient) -> None:
        """A sender dies in the middle of a POST, a scheduler is stopped; others go on."""
        url = self._hostile.add(is_silent, SHAPE, self.new_token())
        await self._create(client, "killed", url, maxRetry=9)
        await self._hostile.called(url)
        await self.read_metrics()
        await self._sender.kill()
        await self._scheduler.stop()
        self._sender = await self._start_measured("tocsin-dispatcher", "send")
        self._scheduler = await self._start_measured("tocsin-dispatcher", "schedule")
        await self._scheduler.logged("executions.announced_again")
        await self._sender.logged("attempt.finished")

    async def change_keys(self) -> None:
        """With two URLs that cannot be opened. The senders do not get the new key."""
        keys = f"{self.new_key},{self._around.crew.environment['SEALING_KEYS']}"
        rotation = await self._start("tocsin-api", "rotate-keys", SEALING_KEYS=keys)
        assert await rotation.ended() == 1
        await self._sender.logged("attempt.finished", count=len(self._sender.all_logged("attempt.finished")) + 1)

    async def import_tasks(self) -> None:
        """From rows with a secret wherever one can be."""
        url = self._hostile.add(is_silent, SHAPE, self.new_token())
        with NamedTemporaryFile("w", suffix=".json") as file:
            file.write("\n".join(misuses.rows(url, self.tokens[-1])))
            file.flush()
            run = await self._start("tocsin-api", "import", file.name, "--time-zone", "UTC")
            assert await run.ended() == 1

    async def read_everything(self, client: httpx.AsyncClient) -> None:
        """Every answer of the API that a person might look at, and the console."""
        await client.get("/api/keys")
        for path in ("/api/tasks?limit=100", "/api/logs?limit=100", "/api/docs-json", "/api/docs", "/metrics"):
            await client.get(path)
        for query in ("state=failed", "state=succeeded", "reason=HTTP", ""):
            await client.get(f"/api/executions?limit=100&{query}")
        for dry_run in (True, False):
            await client.post("/api/executions/replay", json={"filter": {"reason": "HTTP 4"}, "dryRun": dry_run})
        for path in ("/health/live", "/health/ready", "/api/metrics", "/debug", "/health/metrics", "/"):
            await client.get(path)
        for task_id in self.ids.values():
            await client.get(f"/api/tasks/{task_id}")
            await client.get(f"/api/tasks/{task_id}/logs?limit=20")
        await self._around.console.look()
        await self.read_metrics()
        for program in ("tocsin-api", "tocsin-dispatcher"):
            doctor = await self._start(program, "doctor")
            await doctor.ended()
        deleted = await self._create(client, "deleted", self._hostile.add(is_silent, SHAPE, self.new_token()))
        await client.delete(f"/api/tasks/{deleted}")

    async def read_metrics(self) -> None:
        """Of every process that runs."""
        async with httpx.AsyncClient() as client:
            for port in self._metrics_ports.values():
                with suppress(httpx.TransportError):
                    self.metrics += (await client.get(f"http://127.0.0.1:{port}/metrics")).text

    async def attempts(self) -> dict[str, tuple[str, str]]:
        """Outcome and message of the first attempt of each task, by the failure's name."""
        rows = await self._database.fetch(
            "SELECT DISTINCT ON (task_id) task_id, outcome, message FROM task_logs"
            " ORDER BY task_id, execution_time, seq"
        )
        first = {row["task_id"]: (row["outcome"], row["message"]) for row in rows}
        return {name: first[task_id] for name, task_id in self.ids.items()}

    def new_token(self) -> str:
        """As long as Discord's."""
        self.tokens.append(secrets.token_urlsafe(51))
        return self.tokens[-1]

    async def _start_measured(self, program: str, command: str, **changes: str) -> Tocsin:
        return await self._start(program, command, METRICS_PORT=self._metrics_ports[command], **changes)

    async def _create(self, client: httpx.AsyncClient, name: str, url: str, **fields: Any) -> UUID:
        body = {"name": name, "schedule": "* * * * * *", "webhookUrl": url, "payload": {"content": "x"}}
        answer = await client.post("/api/tasks", json={**body, **fields})
        assert answer.status_code == 201, answer.text
        return UUID(answer.json()["id"])

    async def _create_broken(
        self, client: httpx.AsyncClient, name: str, seal: Callable[[UUID, str], bytes]
    ) -> None:
        """A task whose sealed URL cannot be opened."""
        url = self._hostile.add(is_silent, SHAPE, self.new_token())
        task_id = self.ids[name] = await self._create(client, name, url, status="INACTIVE", maxRetry=0)
        sealed = seal(task_id, url)
        await self._database.execute("UPDATE tasks SET webhook_url_sealed = $2 WHERE id = $1", task_id, sealed)
        await client.post(f"/api/tasks/{task_id}/toggle")

    def _sealed(self, url: str, task_id: UUID) -> bytes:
        return Sealer.from_setting(self._around.crew.environment["SEALING_KEYS"]).seal(url, context=task_id.bytes)

    async def _all_are_logged(self) -> bool:
        rows = await self._database.fetch("SELECT DISTINCT task_id FROM task_logs")
        return set(self.ids.values()) <= {row["task_id"] for row in rows}

    async def _api_answers(self) -> bool:
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"{self._api_url}/health/live")).status_code == 200
        except httpx.TransportError:
            return False

    async def _sees_broker(self, client: httpx.AsyncClient, state: str) -> bool:
        shown: dict[str, str] = (await client.get("/health/ready")).json()
        return shown["rabbitmq"] == state

    async def _write_to_api(self, text: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(text.encode())
        writer.write_eof()
        self.answers.text += (await reader.read()).decode(errors="replace") + "\n"
        writer.close()
