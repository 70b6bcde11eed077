"""PURE. One POST that the local receiver got: what a test or the demo's summary looks at."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(slots=True)
class Post:
    """A POST that arrived; what comes after `headers` is set when it is answered."""

    webhook_id: str
    execution_id: UUID | None
    """The header `webhook-id`; None where there is none, or no UUID."""
    attempt: int
    """Its number among this execution's POSTs, from 1."""
    arrived_at: datetime
    """Aware, UTC."""
    body: bytes
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case, without those that hold secrets."""
    status: int | None = None
    """None while it has no answer, and for ever where the client went away before that was written."""
    remaining: int | None = None
    """Requests that the webhook's limit left after this one; None without a limit."""
    limit_resets_at: datetime | None = None
    """When the limit's window ends. Aware, UTC."""

    @property
    def succeeded(self) -> bool:
        """Answered 2xx."""
        return self.status is not None and 200 <= self.status < 300
