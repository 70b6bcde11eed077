"""PURE. What Discord's answer to a GET of a webhook's URL says: whether the webhook is there.

Source: Discord's API documentation, "Get Webhook with Token" and "JSON error codes".
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

RETRY_AFTER_S = 5
MOST_RETRY_AFTER_S = 3600
NO_REFUSALS = (408, 425, 429)  # of the 4xx: they say nothing of what was asked for


class Dead(NamedTuple):
    """Discord knows no such webhook."""

    reason: str


class Unknown(NamedTuple):
    """Discord did not say; ask again after so many seconds."""

    reason: str
    retry_after_s: int = RETRY_AFTER_S


def judge(status: int, headers: Mapping[str, str], body: bytes) -> Dead | Unknown | None:
    """None where the webhook is there. `headers` by their names in lower case.

    A refusal is Discord's own only with one of its JSON error codes: a proxy before it answers with 403 as well.
    """
    if 200 <= status < 300:
        return None
    code = _code(body)
    if 400 <= status < 500 and status not in NO_REFUSALS and code is not None:
        return Dead(f"HTTP {status}, code {code}")
    return Unknown(f"HTTP {status}", _retry_after_s(headers.get("retry-after", "")))


def _code(body: bytes) -> int | None:
    answer = _json(body)
    code = answer.get("code") if isinstance(answer, dict) else None
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _retry_after_s(told: str) -> int:
    try:
        wait_s = float(told)
    except ValueError:  # not there, or a date
        return RETRY_AFTER_S
    return min(MOST_RETRY_AFTER_S, max(1, math.ceil(wait_s))) if math.isfinite(wait_s) else RETRY_AFTER_S
