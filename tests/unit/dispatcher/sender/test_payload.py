"""What is said of a payload right before its POST."""

import json
from typing import Any

import pytest

from tocsin_common import webhook
from tocsin_dispatcher.sender.outcome import MAX_MESSAGE
from tocsin_dispatcher.sender.payload import RefusedPayloadError, webhook_for

DISCORD = webhook.parse("https://discord.com/api/webhooks/123/token")
OTHER = webhook.parse("https://hooks.example.com/in/secret", allowed_hosts=["hooks.example.com"])
DISPLAY = {"type": 10, "content": "hi"}
LINK = {"type": 2, "style": 5, "label": "here", "url": "https://example.com"}


def test_message_is_posted_as_the_url_says() -> None:
    assert webhook_for('{"content": "hi"}', DISCORD) == DISCORD
    assert webhook_for('{"content": "hi", "components": []}', DISCORD) == DISCORD


@pytest.mark.parametrize(
    "message",
    [
        {"flags": 32768, "components": [DISPLAY]},
        {"content": "hi", "components": [{"type": 1, "components": [LINK]}]},
    ],
)
def test_components_are_announced_in_the_url(message: dict[str, Any]) -> None:
    target = webhook_for(json.dumps(message), DISCORD)

    assert target == DISCORD._replace(url=f"{DISCORD.url}?with_components=true")


@pytest.mark.parametrize(
    "payload", ['{"content": ""}', '{"flags": 32768, "components": [{"type": 10}]}', "no JSON"]
)
def test_other_receivers_are_posted_whatever_they_are_meant_to_get(payload: str) -> None:
    assert webhook_for(payload, OTHER) == OTHER


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ({"content": "x" * 2001}, "payload/content: 2001 characters, at most 2000"),
        ({}, "payload: must have at least one of content, embeds, components, poll"),
        (
            {"content": "", "tts": 1},
            "payload/tts: must be true or false; "
            "payload: must have at least one of content, embeds, components, poll",
        ),
        (
            {"content": 1, "tts": 1, "username": 1, "poll": 1, "embeds": 1},
            "payload/content: must be a text; payload/username: must be a text; "
            "payload/tts: must be true or false; and 2 more",
        ),
    ],
)
def test_payload_that_discord_would_refuse_is_refused_with_the_first_reasons(payload: Any, told: str) -> None:
    with pytest.raises(RefusedPayloadError) as caught:
        webhook_for(json.dumps(payload), DISCORD)

    assert str(caught.value) == f"not sent, for Discord would refuse it: {told}"


@pytest.mark.parametrize("payload", ["", "{", "[" * 100_000, '{"content": 1e999}', '"\\ud800"'])
def test_payload_that_is_no_json_is_refused(payload: str) -> None:
    with pytest.raises(RefusedPayloadError, match="cannot be read"):
        webhook_for(payload, DISCORD)


def test_reason_has_a_bound() -> None:
    component: dict[str, Any] = {}
    for _ in range(15):
        component = {"components": [component]}

    with pytest.raises(RefusedPayloadError) as caught:
        webhook_for(json.dumps({"flags": 32768, "components": [component]}), DISCORD)

    assert len(str(caught.value)) <= MAX_MESSAGE
