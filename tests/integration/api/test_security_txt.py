"""Where holes can be reported (RFC 9116)."""

from datetime import UTC, datetime, timedelta

import httpx
import msgspec

from integration.api.serving import send_without_key, serve
from tocsin_common.settings import ApiSettings

PATH = "/.well-known/security.txt"


async def test_contact_that_is_set_is_shown_to_anybody(settings: ApiSettings) -> None:
    changed = msgspec.structs.replace(settings, security_contact="mailto:security@tocsin.example")
    async with serve(changed) as client:
        answer = await send_without_key(client, "GET", PATH)

    fields = dict(line.split(": ", 1) for line in answer.text.splitlines())
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert fields["Contact"] == "mailto:security@tocsin.example"
    expires = datetime.fromisoformat(fields["Expires"])
    assert timedelta(days=30) < expires - datetime.now(UTC) < timedelta(days=365)


async def test_without_a_contact_nothing_is_there(shared_client: httpx.AsyncClient) -> None:
    answer = await send_without_key(shared_client, "GET", PATH)

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
