"""ADAPTER. RabbitMQ's management API, as the doctor asks it: who leads the queues, and what time it is."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from tocsin_common import diagnosis, topology
from tocsin_common.diagnosis import Finding

SECOND = timedelta(seconds=1)
HTTP_DATE_S = 1.0  # an HTTP date has whole seconds
PORTS = {"amqp": ("http", 15672), "amqps": ("https", 15671)}


async def look(
    nodes: list[URL], management_url: str, now: Callable[[], datetime], timeout_s: float
) -> AsyncIterator[Finding]:
    """What the first says that answers within that time: of those at `management_url`, else of the nodes'."""
    why = ""
    for base in management_url.split(",") if management_url else map(_of_node, nodes):
        try:
            shown, headers, at = await _list_queues(base, nodes[0], now, timeout_s)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            status = getattr(error, "status", None)
            why = f"answers HTTP {status}" if status else "does not answer"
        else:
            break
    else:
        yield Finding("queue leaders", "unknown", f"the management API {why}")
        return
    yield diagnosis.leaders(shown, topology.queue_arguments())
    for finding in diagnosis.of_other_releases(shown, topology.queue_arguments(), topology.FAMILY):
        yield finding
    with suppress(KeyError, ValueError):
        says = parsedate_to_datetime(headers["Date"]).astimezone(UTC)
        yield diagnosis.clock("RabbitMQ", (at - says) / SECOND - HTTP_DATE_S / 2, HTTP_DATE_S / 2)


def _of_node(node: URL) -> str:
    scheme, port = PORTS[node.scheme]
    return f"{scheme}://{node.host_subcomponent}:{port}"


async def _list_queues(
    base: str, node: URL, now: Callable[[], datetime], timeout_s: float
) -> tuple[list[dict[str, Any]], Mapping[str, str], datetime]:
    """The queues of the node's virtual host, the answer's headers, and when it came; ValueError for no URL.

    Asked as the node's user, unless `base` names another one.
    """
    url = URL(base.strip())
    who = url if url.user else node
    login = {"Authorization": aiohttp.encode_basic_auth(who.user or "guest", who.password or "guest")}
    vhost = quote(node.path.removeprefix("/") or "/", safe="")
    queues = URL(f"{str(url.with_user(None)).rstrip('/')}/api/queues/{vhost}", encoded=True)
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    async with aiohttp.ClientSession(headers=login, timeout=timeout) as session, session.get(queues) as answer:
        at = now()
        answer.raise_for_status()
        return await answer.json(), answer.headers, at
