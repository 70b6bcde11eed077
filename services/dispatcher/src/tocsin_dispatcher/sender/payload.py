"""PURE. A payload right before its POST: judged once more, for it may be older than the rules, or than the URL."""

import msgspec

from tocsin_common import discord, webhook
from tocsin_common.discord_values import Violation
from tocsin_common.errors import TocsinError
from tocsin_common.webhook import Webhook
from tocsin_dispatcher.sender.outcome import clean

MAX_SHOWN = 3  # violations that an outcome names


class RefusedPayloadError(TocsinError):
    """Discord would refuse it; the text says why."""


def webhook_for(payload: str, target: Webhook) -> Webhook:
    """The webhook as this payload is posted to it; raises RefusedPayloadError."""
    if not target.is_discord:
        return target
    try:
        message = msgspec.json.decode(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RefusedPayloadError("the payload cannot be read") from error
    found = discord.violations(message)
    if found:
        raise RefusedPayloadError(_told(found))
    return webhook.with_components(target) if message.get("components") else target


def _told(found: list[Violation]) -> str:
    told = [f"{each.field}: {each.message}" for each in found[:MAX_SHOWN]]
    if len(found) > MAX_SHOWN:
        told.append(f"and {len(found) - MAX_SHOWN} more")
    return clean(f"not sent, for Discord would refuse it: {'; '.join(told)}")
