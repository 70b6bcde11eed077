"""PURE. The answers of Discord's webhook endpoint, by status.

Source: Discord's API documentation, "Execute Webhook", "Rate Limits" and "JSON error codes".
"""

import json
from collections.abc import Mapping
from datetime import datetime
from math import ceil
from typing import Any, NamedTuple

from tocsin_local.limit import Turn, headers

MESSAGE_PARTS = ("content", "embeds", "components", "poll")
"""A message must hold at least one of these."""

_ERRORS: Mapping[int, tuple[str, int]] = {
    400: ("Cannot send an empty message", 50006),
    401: ("Invalid Webhook Token", 50027),
    404: ("Unknown Webhook", 10015),
}


class Answer(NamedTuple):
    """A status, a JSON body (none with a 204) and headers."""

    status: int
    body: dict[str, Any] | None = None
    headers: Mapping[str, str] = {}


def success(payload: Mapping[str, Any], *, wait: bool, number: int, webhook_id: str, now: datetime) -> Answer:
    """200 with the saved message where the client asked to wait for it, else 204. `number` makes its id."""
    if not wait:
        return Answer(204)
    return Answer(
        200,
        {
            "id": str(10**17 + number),
            "type": 0,
            "content": payload.get("content", ""),
            "embeds": payload.get("embeds", []),
            "channel_id": webhook_id,
            "webhook_id": webhook_id,
            "timestamp": now.isoformat(),
            "author": {"bot": True, "id": webhook_id, "username": payload.get("username", "Tocsin")},
        },
    )


def shown(webhook_id: str) -> Answer:
    """The webhook itself, as a GET of its URL shows it, but for its token."""
    return Answer(200, {"id": webhook_id, "type": 1, "name": "Tocsin", "channel_id": webhook_id})


def failure(status: int) -> Answer:
    """What Discord says with an error status; a scripted 429 asks for a second's patience."""
    if status == 429:
        return Answer(429, _limited(1.0), {"Retry-After": "1"})
    message, code = _ERRORS.get(status, (f"{status}: scripted by the local receiver", 0))
    return Answer(status, {"message": message, "code": code})


def limited(turn: Turn) -> Answer:
    """429 to a request that the webhook's limit refused."""
    return Answer(429, _limited(round(turn.reset_after_s, 3)), headers(turn))


def limited_by_another(hidden: Turn, shown: Turn | None) -> Answer:
    """429 by a limit that no header shows: what they show is of the webhook's own, which has room."""
    wait_s = hidden.reset_after_s
    told = headers(shown) if shown is not None else {}
    return Answer(429, _limited(round(wait_s, 3)), told | {"Retry-After": str(ceil(wait_s))})


def message(body: bytes) -> dict[str, Any] | None:
    """The message in a request's body; None where it is no JSON object that holds a message."""
    try:
        payload = json.loads(body)
    except ValueError:
        return None
    if not isinstance(payload, dict) or not any(payload.get(part) for part in MESSAGE_PARTS):
        return None
    return payload


def _limited(retry_after_s: float) -> dict[str, Any]:
    return {"message": "You are being rate limited.", "retry_after": retry_after_s, "global": False}
