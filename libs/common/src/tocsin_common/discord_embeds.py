"""PURE. The embeds of a Discord message: the limits of each, and the one over all of them.

Source: Discord's documentation, Embed Limits; lengths of URLs by its OpenAPI document.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tocsin_common.discord_values import (
    URL,
    Violation,
    boolean,
    list_of,
    object_of,
    text,
    trimmed_length,
    whole,
)

MAX_EMBEDS = 10
MAX_FIELDS = 25
MAX_CHARACTERS = 6000  # of all that `_texts` names, over all embeds of a message

_FIELD = object_of(
    {"name": text(256, may_be_blank=False), "value": text(1024, may_be_blank=False), "inline": boolean},
    required=("name", "value"),
)
# `type`, `provider`, `video` and images' sizes are Discord's to set: what a webhook sends of them is ignored.
_EMBEDS = list_of(
    object_of(
        {
            "title": text(256),
            "description": text(4096),
            "url": URL,
            "timestamp": text(),
            "color": whole(0, 0xFFFFFF),
            "footer": object_of({"text": text(2048), "icon_url": URL}),
            "image": object_of({"url": URL}),
            "thumbnail": object_of({"url": URL}),
            "author": object_of({"name": text(256), "url": URL, "icon_url": URL}),
            "fields": list_of(_FIELD, MAX_FIELDS),
        }
    ),
    MAX_EMBEDS,
)


def embeds(value: Any, at: str, found: list[Violation]) -> None:
    """A message's list of embeds."""
    _EMBEDS(value, at, found)
    if not isinstance(value, list):
        return
    texts = [each for embed in value[:MAX_EMBEDS] if isinstance(embed, dict) for each in _texts(embed)]
    if sum(map(len, texts)) > MAX_CHARACTERS and (total := sum(map(trimmed_length, texts))) > MAX_CHARACTERS:
        found.append(Violation(at, f"{total} characters in all embeds together, at most {MAX_CHARACTERS}"))


def _texts(embed: Mapping[str, Any]) -> Iterator[str]:
    """Those that count towards the limit of all embeds."""
    footer, author, fields = embed.get("footer"), embed.get("author"), embed.get("fields")
    values = [embed.get("title"), embed.get("description")]
    values.append(footer.get("text") if isinstance(footer, dict) else None)
    values.append(author.get("name") if isinstance(author, dict) else None)
    for field in fields[:MAX_FIELDS] if isinstance(fields, list) else ():
        values += (field.get("name"), field.get("value")) if isinstance(field, dict) else ()
    return (value for value in values if isinstance(value, str))
