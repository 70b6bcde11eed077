"""PURE. What the text of a setting looks like, and which settings do not go together."""

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from typing import Any

DRAIN_MARGIN_S = 3
"""A POST that begins right before SIGTERM may take its whole time, and its outcome is to be recorded then."""

_HOST = r"(?:\[[\w:.%]+\]|[^\s/?#@:,\[\]]+)(?::\d{1,5})?"
_USER = r"(?:[^\s/?#\[\]]*@)?"
_REST = r"(?:[/?][^\s#]*)?"
# Stricter than what parses URLs later: an error there repeats what stands where a port should, and that is
# the rest of a password that was not percent-encoded.
_DATABASE = (
    "postgresql://user:password@host:port/name",
    re.compile(rf"postgres(?:ql)?(?:\+\w+)?://{_USER}(?:{_HOST}(?:,{_HOST})*)?{_REST}"),
)
URLS = {
    "DATABASE_URL": _DATABASE,
    "MIGRATION_DATABASE_URL": _DATABASE,
    "OLD_DATABASE_URL": _DATABASE,
    "RABBITMQ_URL": (
        "amqp://user:password@host:port/vhost, or one for each node of a cluster with commas between them",
        re.compile(rf"amqps?://{_USER}{_HOST}{_REST}"),
    ),
    "REDIS_URL": (
        "redis://user:password@host:port/number",
        re.compile(rf"rediss?://{_USER}{_HOST}(?:/\d*)?(?:\?[^\s#]*)?"),
    ),
    "SECURITY_CONTACT": ("mailto:…, https://… or tel:…", re.compile(r"(?:mailto:|https://|tel:)[!-~]+")),
    # It goes into a header.
    "CONTACT_URL": ("https://host/path", re.compile(r"https?://[!-~]+")),
}
_NEXT_NODE = re.compile(r"\s*,\s*(?=amqps?://)")  # passwords have commas, too
_ORIGIN = re.compile(rf"\*|https?://{_HOST}")


def _check_origin(text: str) -> None:
    if not _ORIGIN.fullmatch(text):
        raise ValueError


LISTS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "ALLOWED_ORIGINS": ("* or origins such as https://host:port, without a path", _check_origin),
    "TRUSTED_PROXIES": ("addresses, or networks such as 192.0.2.0/24", ip_network),
}


def rabbitmq_nodes(rabbitmq_url: str) -> list[str]:
    """The URL of each node that RABBITMQ_URL names, in its order."""
    return _NEXT_NODE.split(rabbitmq_url)


def apart(text: str) -> list[str]:
    """What a text with commas lists."""
    return [each.strip() for each in text.split(",") if each.strip()]


def check_url(variable: str, text: str) -> None:
    """Raises ValueError where `text` is not a URL as this variable needs it."""
    if variable not in URLS:
        return
    form, pattern = URLS[variable]
    urls = rabbitmq_nodes(text) if variable == "RABBITMQ_URL" else [text]
    if not text.isascii() or not all(map(pattern.fullmatch, urls)):
        raise ValueError(f"expected {form}, with other characters than letters and digits percent-encoded")


def check_list(variable: str, text: str) -> None:
    """Raises ValueError where `text` lists what this variable cannot hold."""
    if variable not in LISTS:
        return
    form, check = LISTS[variable]
    for each in apart(text):
        try:
            check(each)
        except ValueError:
            raise ValueError(f"expected {form}, with commas between them") from None


def contradictions(values: Mapping[str, Any]) -> list[str]:
    """What is wrong with `values`, by field, though each is fine by itself."""
    problems = []
    if values.get("environment") == "production" and values.get("allow_local_webhooks"):
        problems.append("ALLOW_LOCAL_WEBHOOKS must not be set where ENVIRONMENT is production")
    if values.get("redis_url") and values.get("redis_host"):
        problems.append("set either REDIS_URL or REDIS_HOST, not both")
    if values.get("lease_hold_s", 4) >= values.get("lease_ttl_s", 5):
        problems.append("LEASE_HOLD_S must be less than LEASE_TTL_S, or two schedulers may lead at once")
    if values.get("lease_renew_s", 1.5) >= values.get("lease_hold_s", 4):
        problems.append(
            "LEASE_RENEW_S must be less than LEASE_HOLD_S, or the lease is given up before each renewal"
        )
    if values.get("retry_first_s", 1) > values.get("retry_most_s", 512):
        problems.append("RETRY_FIRST_S must not be more than RETRY_MOST_S")
    if values.get("breaker_first_s", 1) > values.get("breaker_most_s", 60):
        problems.append("BREAKER_FIRST_S must not be more than BREAKER_MOST_S")
    if values.get("post_timeout_s", 10) >= values.get("claim_ttl_s", 30):
        problems.append("POST_TIMEOUT_S must be less than CLAIM_TTL_S, or a POST outlives its claim")
    return problems


def too_short_a_drain(values: Mapping[str, Any]) -> list[str]:
    """A problem where a sender would end before its POSTs do."""
    least_s = values.get("post_timeout_s", 10) + DRAIN_MARGIN_S
    if values.get("drain_timeout_s", 15) >= least_s:
        return []
    return [
        f"DRAIN_TIMEOUT_S must be at least {DRAIN_MARGIN_S} more than POST_TIMEOUT_S, here {least_s:g}, or a POST "
        "that ends late is not recorded and comes again"
    ]
