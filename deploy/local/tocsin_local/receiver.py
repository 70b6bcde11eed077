"""SHELL. A local stand-in for Discord's webhook endpoint, for the demo and for tests.

It answers as Discord does, follows a script for each webhook, enforces limits, and records every POST.
"""

import asyncio
import hmac
import secrets
import ssl
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Self
from uuid import UUID

from aiohttp import web

from tocsin_local import answers
from tocsin_local.answers import Answer
from tocsin_local.limit import headers
from tocsin_local.misbehaviour import misbehave
from tocsin_local.post import Post
from tocsin_local.script import MISBEHAVIOURS, LocalWebhook, Script

SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})
FIRST_ID = 10**17  # as long as Discord's ids
WAIT_S = 30.0  # a bound for tests, which wait for less
BACKLOG = 1024  # a burst's connections come at once, and the machine may be busy
CLOSE_S = 0.2  # what answers under way get to finish
PATH = r"/api{version:(?:/v\d{1,2})?}/webhooks/{id:\d+}/{token}"


class Receiver:
    """The HTTP server, on a free port of the loopback interface. Use it as an async context manager."""

    def __init__(
        self, on_answer: Callable[[Post], None] = lambda post: None, tls: ssl.SSLContext | None = None
    ) -> None:
        """`on_answer` is called once for each POST: when it is answered, or its client went away.

        With `tls`, which holds a certificate, its URLs are https.
        """
        self._tls = tls
        self.posts: list[Post] = []
        self.port = 0
        self._on_answer = on_answer
        self._webhooks: dict[str, LocalWebhook] = {}
        self._attempts: Counter[UUID] = Counter()
        self._changed = asyncio.Event()
        app = web.Application()
        app.router.add_post(PATH, self._receive)
        app.router.add_get(PATH, self._show, allow_head=False)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=CLOSE_S)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls, backlog=BACKLOG)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def add(self, script: Script = Script()) -> LocalWebhook:  # noqa: B008 - immutable
        """A new webhook with an id and a token of its own."""
        webhook_id = str(FIRST_ID + len(self._webhooks) + 1)
        token = secrets.token_urlsafe(51)  # 68 characters, as Discord's
        scheme = "http" if self._tls is None else "https"
        url = f"{scheme}://127.0.0.1:{self.port}/api/webhooks/{webhook_id}/{token}"
        webhook = self._webhooks[webhook_id] = LocalWebhook(webhook_id, token, url, script)
        return webhook

    def remove(self, webhook: LocalWebhook) -> None:
        """Answer for it as Discord does for a deleted webhook."""
        del self._webhooks[webhook.webhook_id]

    async def wait_until(self, done: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
        """Return as soon as `done()`, asked whenever a POST arrives or is answered; else TimeoutError."""
        try:
            async with asyncio.timeout(timeout_s):
                while not done():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            answered = sum(post.status is not None for post in self.posts)
            raise TimeoutError(
                f"not within {timeout_s:g} s; {len(self.posts)} POSTs came, {answered} of them were answered"
            ) from None

    async def wait_for_posts(self, count: int, timeout_s: float = WAIT_S) -> None:
        """Return as soon as `count` POSTs have arrived."""
        await self.wait_until(lambda: len(self.posts) >= count, timeout_s)

    async def wait_for_answers(self, count: int, timeout_s: float = WAIT_S) -> None:
        """Return as soon as `count` POSTs have been answered."""
        await self.wait_until(lambda: sum(post.status is not None for post in self.posts) >= count, timeout_s)

    async def _receive(self, request: web.Request) -> web.Response:
        arrived_at = datetime.now(UTC)
        post = self._record(request, arrived_at, await request.read())
        try:
            answer = await self._answer(post, request.match_info["token"])
            if answer.status in MISBEHAVIOURS:
                await misbehave(answer.status, request, post)
            response = _response(answer)
            with suppress(ConnectionError):  # the client went away: it has no answer
                await response.prepare(request)
                await response.write_eof()
                post.status = answer.status
        finally:  # the handler is cancelled when its client goes away
            self._changed.set()
            self._on_answer(post)
        return response

    async def _show(self, request: web.Request) -> web.Response:
        """Whether the webhook is there."""
        webhook = self._webhooks.get(request.match_info["id"])
        if webhook is None:
            answer = answers.failure(404)
        elif not hmac.compare_digest(webhook.token, request.match_info["token"]):
            answer = answers.failure(401)
        else:
            answer = answers.shown(webhook.webhook_id)
        return web.json_response(answer.body, status=answer.status)

    def _record(self, request: web.Request, arrived_at: datetime, body: bytes) -> Post:
        execution_id = _uuid(request.headers.get("webhook-id", ""))
        if execution_id is not None:
            self._attempts[execution_id] += 1
        post = Post(
            webhook_id=request.match_info["id"],
            execution_id=execution_id,
            attempt=self._attempts[execution_id] if execution_id is not None else 1,
            arrived_at=arrived_at,
            body=body,
            query=dict(request.query),
            headers={
                name.lower(): value
                for name, value in request.headers.items()
                if name.lower() not in SECRET_HEADERS
            },
        )
        self.posts.append(post)
        if (webhook := self._webhooks.get(post.webhook_id)) is not None:
            webhook.posts.append(post)
        self._changed.set()
        return post

    async def _answer(self, post: Post, token: str) -> Answer:
        webhook = self._webhooks.get(post.webhook_id)
        if webhook is None:
            return answers.failure(404)
        if not hmac.compare_digest(webhook.token, token):
            return answers.failure(401)
        now = time.time()
        turn = webhook.turn(now)
        if turn is None or turn.allowed:
            hidden = webhook.hidden_turn(now)
            if hidden is not None and not hidden.allowed:
                return answers.limited_by_another(hidden, turn)
        if turn is None:
            return await self._scripted(webhook, post)
        post.remaining = turn.remaining
        post.limit_resets_at = datetime.fromtimestamp(turn.reset_at, UTC)
        if not turn.allowed:
            return answers.limited(turn)
        answer = await self._scripted(webhook, post)
        return answer._replace(headers={**answer.headers, **headers(turn)})

    async def _scripted(self, webhook: LocalWebhook, post: Post) -> Answer:
        payload = answers.message(post.body)
        if payload is None:
            return answers.failure(400)
        status = webhook.next_status(post.execution_id)
        await asyncio.sleep(webhook.script.delay_s)
        if status in MISBEHAVIOURS:
            return Answer(status)
        if not 200 <= status < 300:
            return answers.failure(status)
        return answers.success(
            payload,
            wait=post.query.get("wait") == "true",
            number=len(self.posts),
            webhook_id=post.webhook_id,
            now=post.arrived_at,
        )


def _response(answer: Answer) -> web.Response:
    if answer.body is None:
        return web.Response(status=answer.status, headers=answer.headers)
    return web.json_response(answer.body, status=answer.status, headers=answer.headers)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
