"""SHELL. A webhook's URL as a task's row has it: sealed, and what may be seen of it."""

from uuid import UUID

from tocsin_common.sealing import Sealer
from tocsin_common.webhook import Webhook


def sealed_columns(sealer: Sealer, webhook: Webhook, task_id: UUID) -> dict[str, object]:
    """The columns of the task's URL."""
    return {
        "webhook_url_sealed": sealer.seal(webhook.url, context=task_id.bytes),
        "webhook_url_hash": sealer.hash(webhook.url),
        "webhook_url_masked": webhook.masked,
        "destination": webhook.destination,
    }
