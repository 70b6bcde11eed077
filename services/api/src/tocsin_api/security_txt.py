"""SHELL. Where somebody who has found a hole can tell the operator: /.well-known/security.txt (RFC 9116)."""

from datetime import UTC, datetime, timedelta

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from tocsin_api.errors import NotFoundError

PATH = "/.well-known/security.txt"
VALID = timedelta(days=180)  # RFC 9116 wants less than a year


def handler(contact: str) -> HTTPRouteHandler:
    """The route; without a contact nothing is there."""

    @get(PATH, media_type="text/plain", sync_to_thread=False)
    def show_contact() -> Response[str]:
        if not contact:
            raise NotFoundError("no contact is set: whoever runs this has to set SECURITY_CONTACT")
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return Response(text(contact, today + VALID), media_type="text/plain")

    return show_contact


def text(contact: str, expires: datetime) -> str:
    """The file."""
    return f"Contact: {contact}\nExpires: {expires:%Y-%m-%dT%H:%M:%SZ}\nPreferred-Languages: en\n"
