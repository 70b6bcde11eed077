"""ADAPTER. One POST: opens the sealed URL, sends the payload, and says what came back."""

import time
from collections.abc import Collection
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import aiohttp
import structlog

from tocsin_common import webhook
from tocsin_common.errors import InvalidWebhookUrlError, MissingKeyError, SealingError
from tocsin_common.http import ForbiddenAddressError, is_connected
from tocsin_common.messages import execution_id
from tocsin_common.sealing import Sealer
from tocsin_dispatcher import metrics
from tocsin_dispatcher.clock import DatabaseClock, boottime
from tocsin_dispatcher.sender import echo, payload
from tocsin_dispatcher.sender.claim import Grant
from tocsin_dispatcher.sender.exchange import Exchanger, NotHttpError, Target, UnusableUrlError
from tocsin_dispatcher.sender.limits import Told, tell
from tocsin_dispatcher.sender.outcome import Answer, Failure, Phase, Verdict, judge, shortage

SHORTAGE_WAIT_S = 1.0
"""Before what this machine lacked is asked for again."""
URLS = 5000
"""That are kept as they were read: some MB. Most come again."""

_log = structlog.get_logger(__name__)


class Attempt(NamedTuple):
    """A POST and what came of it."""

    started_at: datetime
    """Database time."""
    duration_s: float
    verdict: Verdict
    told: Told | None
    """What the answer shows of limits; None where there is none."""


class NotPosted(NamedTuple):
    """Nothing was sent, for a reason that lies here: the claim is to be given back, and charged to nobody."""

    reason: str
    wait_s: float = 0.0
    """Before the execution is claimed again."""


class Poster:
    """Posts for one sender."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        sealer: Sealer,
        clock: DatabaseClock,
        *,
        timeout_s: float,
        allowed_hosts: Collection[str],
        allow_local: bool,
    ) -> None:
        self._exchanger = Exchanger(session)
        self._sealer = sealer
        self._clock = clock
        self._timeout_s = timeout_s
        self._allowed_hosts = allowed_hosts
        self._allow_local = allow_local
        self._webhook = lru_cache(URLS)(self._read)
        self._place = lru_cache(URLS)(self._place_of)

    async def post(self, grant: Grant, *, limited_in_row: int = 0) -> Attempt | NotPosted:
        """POST under `grant`, if its time still suffices and this machine has what it takes."""
        attempt = await self._try(grant, limited_in_row)
        if isinstance(attempt, NotPosted):
            _log.warning(
                "post.not_sent",
                task_id=str(grant.job.task_id),
                destination=grant.job.destination,
                reason=attempt.reason,
            )
        return attempt

    async def _try(self, grant: Grant, limited_in_row: int) -> Attempt | NotPosted:
        if boottime() + self._timeout_s > grant.deadline:
            return NotPosted("too late for its claim")
        started_at, started = self._clock.now(), time.monotonic()
        try:
            target = self._target(grant)
        except (SealingError, InvalidWebhookUrlError) as error:
            return Attempt(started_at, 0.0, _refusal(error), None)
        except payload.RefusedPayloadError as error:
            return Attempt(started_at, 0.0, Verdict("permanent", str(error)), None)
        with metrics.POSTS_IN_FLIGHT.track_inprogress():
            result = await self._send(target, grant)
        if isinstance(result, NotPosted):
            return result
        duration_s = time.monotonic() - started
        metrics.POST_DURATION.observe(duration_s)
        metrics.POST_LATENESS.observe(grant.lateness_ms(started_at) / 1000, "first" if grant.seq == 1 else "later")
        verdict = judge(result, limited_in_row, is_at_discord=webhook.is_at_discord(target.destination))
        if isinstance(result, Failure):
            return Attempt(started_at, duration_s, verdict, None)
        if result.body:
            message = echo.hide(verdict.message, echo.secrets_of(target))
            verdict = verdict._replace(message=message)
        if verdict.is_unconfirmed:
            _warn_of_unconfirmed(grant, target)
        return Attempt(started_at, duration_s, verdict, tell(result, verdict))

    def url_hashes(self, grant: Grant) -> list[bytes]:
        """By which the tasks with this URL are found, whichever of our keys was the first when they got theirs."""
        try:
            return self._sealer.hashes(self._open(grant))
        except SealingError:
            return [grant.webhook_url_hash]

    def _target(self, grant: Grant) -> webhook.Webhook:
        return payload.webhook_for(grant.payload, self._webhook(self._open(grant)))

    def _open(self, grant: Grant) -> str:
        return self._sealer.open(grant.webhook_url_sealed, context=grant.job.task_id.bytes)

    def _read(self, url: str) -> webhook.Webhook:
        return webhook.parse(url, allowed_hosts=self._allowed_hosts, allow_local=self._allow_local)

    def _place_of(self, target: webhook.Webhook) -> Target:
        return self._exchanger.target(webhook.with_wait(target))

    async def _send(self, target: webhook.Webhook, grant: Grant) -> Answer | Failure | NotPosted:
        is_connected.set(False)
        try:
            return await self._exchanger.post(
                self._place(target),
                self._headers(target, grant),
                grant.payload.encode(),
                timeout_s=self._timeout_s,  # the claim's deadline counts on it
            )
        except TimeoutError:
            phase = _phase()
            return Failure(f"no {phase} within {self._timeout_s:g} s", phase)
        except UnusableUrlError as error:
            return Failure(f"the webhook URL is {error}", "URL")
        except Exception as error:  # whatever a strange receiver provokes must end in a recorded outcome
            return _failure(error)

    def _headers(self, target: webhook.Webhook, grant: Grant) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if not webhook.is_at_discord(target.destination):
            # Receivers other than Discord can tell a repeated POST by these (standard-webhooks.com).
            headers["webhook-id"] = str(execution_id(grant.job.task_id, grant.job.scheduled_for))
            headers["webhook-timestamp"] = str(int(self._clock.now().timestamp()))
        return headers


def _refusal(error: SealingError | InvalidWebhookUrlError) -> Verdict:
    """Nothing was posted. A key that is missing may be there in another sender, or be brought back."""
    if isinstance(error, MissingKeyError):
        return Verdict("retryable", f"the webhook URL cannot be opened: {error}", is_ours=True)
    if isinstance(error, SealingError):
        return Verdict("permanent", f"the webhook URL cannot be opened: {error}")
    return Verdict("permanent", f"the webhook URL {error}")


def _warn_of_unconfirmed(grant: Grant, target: webhook.Webhook) -> None:
    _log.warning(
        "message.unconfirmed",
        task_id=str(grant.job.task_id),
        execution_id=str(execution_id(grant.job.task_id, grant.job.scheduled_for)),
        destination=target.destination,
    )


def _phase() -> Phase:
    """What the current task's request waits for, or failed for want of."""
    return "answer" if is_connected.get() else "connection"


def _failure(error: Exception) -> Failure | NotPosted:
    """Tells only the kind of `error`: its text may hold the URL."""
    phase, lacked = _phase(), shortage(error)
    if lacked is not None and phase == "connection":
        return NotPosted(f"this machine lacks resources ({lacked})", SHORTAGE_WAIT_S)
    if isinstance(error, aiohttp.ClientError | OSError | NotHttpError):
        return Failure(_reason(error), phase)
    _log.error("post.crashed", kind=type(error).__name__)
    return Failure(f"internal error ({type(error).__name__})", phase)


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ForbiddenAddressError):
        return "the host has no public address"
    known = {
        aiohttp.ClientConnectorDNSError: "the host's name could not be resolved",
        aiohttp.ClientConnectorCertificateError: "the host's certificate is not valid",
        aiohttp.ClientConnectorSSLError: "TLS failed",
        aiohttp.ClientConnectorError: "could not connect",
        aiohttp.ServerDisconnectedError: "the receiver closed the connection",
        aiohttp.ClientOSError: "the connection broke off",
        NotHttpError: "the answer was not HTTP",
    }
    for kind, reason in known.items():
        if isinstance(error, kind):
            return reason
    return f"the connection failed ({type(error).__name__})"
