"""PURE. Which URLs Tocsin posts to, what it calls their destination, and how it shows them.

Rules: Discord's hosts and those that the operator allows, https only; in development, on request, also plain
http to loopback addresses. No error repeats the URL: its path is a bearer secret.
"""

import ipaddress
import re
from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from tocsin_common.errors import InvalidWebhookUrlError

DISCORD_HOSTS = frozenset({"discord.com", "discordapp.com", "canary.discord.com", "ptb.discord.com"})
MAX_URL_LENGTH = 2048
_DISCORD_MASKED = "/api/webhooks/"  # in the masked form of no other URL: there the origin is followed by /…
_DISCORD_PATH = re.compile(r"/api(?:/v\d{1,2})?/webhooks/(?P<id>\d{1,20})/(?P<token>[\w-]+)/?", re.ASCII)

AT_DISCORD = "discord.com/"
_DISCORDS_DESTINATION = re.compile(r"(?:discord\.com|https?://[^/]+)/\d{1,20}", re.ASCII)


class Webhook(NamedTuple):
    """A URL that was accepted."""

    url: str
    destination: str
    """What limits hold for: `discord.com/<webhook id>`, else the origin. Not a secret."""
    masked: str
    """What people are shown."""
    is_discord: bool
    """Speaks Discord's webhook API: its host is Discord's, or a local stand-in has a path of the same form."""


def parse(url: str, *, allowed_hosts: Collection[str] = (), allow_local: bool = False) -> Webhook:
    """Accept `url` or raise InvalidWebhookUrlError, which says what is allowed."""
    parts = _split(url)
    host = parts.hostname or ""
    local = allow_local and _is_loopback(host)
    if parts.scheme != "https" and not (local and parts.scheme == "http"):
        raise InvalidWebhookUrlError("must begin with https://")
    if parts.port not in (None, 443) and not local:
        raise InvalidWebhookUrlError("must not name a port other than 443")
    if host in DISCORD_HOSTS:
        return _discord(url, parts)
    if local or host in allowed_hosts:
        return _other(url, parts)
    allowed = ", ".join(sorted(DISCORD_HOSTS | set(allowed_hosts)))
    raise InvalidWebhookUrlError(f"its host is not allowed; allowed are {allowed}")


def is_discords(destination: str) -> bool:
    """Whether what has this destination speaks Discord's webhook API: it ends with a webhook's id."""
    return _DISCORDS_DESTINATION.fullmatch(destination) is not None


def is_at_discord(destination: str) -> bool:
    """Whether Discord itself is there, and no stand-in: then its limits for an address hold as well."""
    return destination.startswith(AT_DISCORD)


def with_wait(webhook: Webhook) -> str:
    """The URL to post to: Discord is asked to wait until the message is saved, so that a loss is an error."""
    if not webhook.is_discord:
        return webhook.url
    parts = urlsplit(webhook.url)
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != "wait"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("wait", "true")])))


def without_query(webhook: Webhook) -> str:
    """The URL that stands for the webhook itself, whatever it says about posting."""
    return urlunsplit(urlsplit(webhook.url)._replace(query=""))


def with_components(webhook: Webhook) -> Webhook:
    """The same webhook, asked for a message of components; what the URL says about that stays.

    Without it Discord ignores the components where no application owns the webhook.
    """
    parts = urlsplit(webhook.url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    if any(name == "with_components" for name, _ in query):
        return webhook
    wanted = urlencode([*query, ("with_components", "true")])
    return webhook._replace(url=urlunsplit(parts._replace(query=wanted)))


def speaks_discord(masked: str) -> bool:
    """What `is_discord` says of the webhook that people are shown like this."""
    return _DISCORD_MASKED in masked


def _split(url: str) -> SplitResult:
    if len(url) > MAX_URL_LENGTH:
        raise InvalidWebhookUrlError(f"has {len(url)} characters, at most {MAX_URL_LENGTH} are allowed")
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise InvalidWebhookUrlError("must be printable ASCII without spaces or backslashes")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where the port is no number
    except ValueError:
        raise InvalidWebhookUrlError("is not a URL") from None  # its text repeats a part of the URL
    if parts.username is not None or parts.password is not None:
        raise InvalidWebhookUrlError("must not hold a user name or password")
    if parts.fragment:
        raise InvalidWebhookUrlError("must not hold a fragment (#…)")
    return parts


def _discord(url: str, parts: SplitResult) -> Webhook:
    match = _DISCORD_PATH.fullmatch(parts.path)
    if match is None:
        raise InvalidWebhookUrlError("must have the form https://discord.com/api/webhooks/<id>/<token>")
    masked = f"https://{parts.hostname}/api/webhooks/{match['id']}/…{match['token'][-4:]}"
    return Webhook(url, f"{AT_DISCORD}{match['id']}", masked, is_discord=True)


def _other(url: str, parts: SplitResult) -> Webhook:
    origin = _origin(parts)
    match = _DISCORD_PATH.fullmatch(parts.path)
    if match is not None:
        destination = f"{origin}/{match['id']}"
        return Webhook(
            url, destination, f"{origin}/api/webhooks/{match['id']}/…{match['token'][-4:]}", is_discord=True
        )
    return Webhook(url, origin, f"{origin}/…{url[-4:]}", is_discord=False)


def _origin(parts: SplitResult) -> str:
    """Without the scheme's own port, so that one server is one destination."""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    own = {"https": 443, "http": 80}[parts.scheme]
    port = f":{parts.port}" if parts.port not in (None, own) else ""
    return f"{parts.scheme}://{host}{port}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
