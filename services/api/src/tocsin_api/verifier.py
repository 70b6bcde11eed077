"""ADAPTER. Asks Discord whether a webhook is there, before a task is saved with it."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import aiohttp
import structlog

from tocsin_api.errors import InvalidInputError, TooBusyError, Violation
from tocsin_api.verification import Dead, Unknown, judge
from tocsin_common import http
from tocsin_common.settings import ApiSettings
from tocsin_common.webhook import Webhook, without_query

CONNECTIONS = 10  # at a time: who finds none within the timeout is to ask again

_log = structlog.get_logger(__name__)


class Verifier:
    """Asks for one process. No answer of Discord's is repeated: its text may hold parts of the URL."""

    def __init__(self, session: aiohttp.ClientSession, *, timeout_s: float) -> None:
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, ceil_threshold=math.inf)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: ApiSettings) -> AsyncIterator["Verifier"]:
        """With a client of its own."""
        user_agent = f"DiscordBot ({settings.contact_url}, {version('tocsin-api')})"
        async with http.open_session(
            allow_local=settings.allow_local_webhooks, user_agent=user_agent, connections=CONNECTIONS
        ) as session:
            yield cls(session, timeout_s=settings.verify_timeout_s)

    async def verify(self, webhook: Webhook) -> None:
        """Raises InvalidInputError where there is no such webhook, or it is none that can be asked for;
        TooBusyError where Discord does not say."""
        if not webhook.is_discord:
            message = "only webhooks of Discord can be verified; leave it out for this host"
            raise InvalidInputError([Violation("verify", message)])
        finding = await self._ask(webhook)
        told = "is there" if finding is None else finding.reason
        _log.info("webhook.verified", destination=webhook.destination, answer=told)
        if isinstance(finding, Dead):
            message = f"there is no such webhook, says Discord: {finding.reason}"
            raise InvalidInputError([Violation("webhookUrl", message, "/webhookUrl")])
        if isinstance(finding, Unknown):
            raise TooBusyError(
                f"nothing was saved: Discord did not say whether the webhook exists ({finding.reason})",
                retry_after_s=finding.retry_after_s,
            )

    async def _ask(self, webhook: Webhook) -> Dead | Unknown | None:
        try:
            async with self._session.get(
                without_query(webhook), allow_redirects=False, timeout=self._timeout
            ) as response:
                body = await http.read_some(response)
                headers = {name.lower(): value for name, value in response.headers.items()}
                return judge(response.status, headers, body.data)
        except TimeoutError:
            return Unknown(f"no answer within {self._timeout.total:g} s")
        except (aiohttp.ClientError, OSError) as error:
            return Unknown(f"no connection: {type(error).__name__}")  # its text may hold the URL
