"""PURE. Which messages Discord refuses: every limit of a webhook's message, and all that a payload breaks at once.

Sources: Discord's documentation (Execute Webhook, Allowed Mentions, Poll) and its OpenAPI document. Where they
leave something open this is the milder one: nothing that Discord would accept may be refused here, and what slips
through Discord refuses itself. So lengths are those of trimmed texts, null is as good as missing, and fields that
are not named here, which Discord ignores, are left alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from tocsin_common.discord_embeds import embeds
from tocsin_common.discord_values import (
    URL,
    Violation,
    boolean,
    discord_id,
    is_blank,
    list_of,
    object_of,
    one_of,
    text,
    whole,
    whole_number,
)

MAX_COMPONENTS = 40
SUPPRESS_EMBEDS = 1 << 2
SUPPRESS_NOTIFICATIONS = 1 << 12
IS_COMPONENTS_V2 = 1 << 15
FLAGS = SUPPRESS_EMBEDS | SUPPRESS_NOTIFICATIONS | IS_COMPONENTS_V2
PARTS = ("content", "embeds", "components", "poll")
"""A message has at least one of them; with IS_COMPONENTS_V2 it has components and none of the others."""
MENTIONS = ("users", "roles", "everyone")
NAME_PARTS = ("clyde", "discord")  # no username may contain one, in any case
NAMES = ("everyone", "here")  # nor be one


def violations(message: object) -> list[Violation]:
    """All that Discord would refuse of a payload; their number is bounded by that of the fields it may have."""
    found: list[Violation] = []
    _MESSAGE(message, "", found)
    if isinstance(message, dict):
        _check_parts(message, found)
    return found


def is_components_v2(message: Mapping[str, Any]) -> bool:
    """Whether the message is made of components alone."""
    return bool((whole_number(message.get("flags")) or 0) & IS_COMPONENTS_V2)


def _check_parts(message: Mapping[str, Any], found: list[Violation]) -> None:
    is_v2 = is_components_v2(message)
    there = {part for part in PARTS if _is_there(message.get(part))}
    if is_v2:
        others = [part for part in PARTS if part in there and part != "components"]
        found += [Violation(f"/{part}", "must be empty where flags has IS_COMPONENTS_V2") for part in others]
        if "components" not in there:
            found.append(Violation("", "must have components, for flags has IS_COMPONENTS_V2"))
    elif not there:
        found.append(Violation("", f"must have at least one of {', '.join(PARTS)}"))
    if message.get("components") is not None:
        _check_components(message["components"], found, is_v2=is_v2)


def _is_there(part: Any) -> bool:
    return not is_blank(part) if isinstance(part, str) else bool(part)


def _check_components(components: Any, found: list[Violation], *, is_v2: bool) -> None:
    if not isinstance(components, list):
        found.append(Violation("/components", "must be a list"))
        return
    nested = _nested(components)
    first = list(islice(nested, MAX_COMPONENTS))
    count = len(first) + sum(1 for _ in nested) if is_v2 else len(components)
    if count > MAX_COMPONENTS:
        found.append(Violation("/components", f"{count} components, at most {MAX_COMPONENTS}"))
    for at, component in first:
        _COMPONENT(component, at, found)


def _nested(components: list[Any]) -> Iterator[tuple[str, Any]]:
    """Each component with its pointer, level by level: a component holds others in `components` or `accessory`."""
    groups: list[tuple[str, Iterable[tuple[int | str, Any]]]] = [("/components", enumerate(components))]
    for above, group in groups:  # which grows meanwhile
        for step, component in group:
            at = f"{above}/{step}"
            yield at, component
            if not isinstance(component, dict):
                continue
            if isinstance(component.get("components"), list):
                groups.append((f"{at}/components", enumerate(component["components"])))
            if component.get("accessory") is not None:
                groups.append((at, [("accessory", component["accessory"])]))


def _username(value: Any, at: str, found: list[Violation]) -> None:
    _NAME(value, at, found)
    if isinstance(value, str):
        found += [Violation(at, f'must not contain "{part}"') for part in NAME_PARTS if part in value.lower()]
        found += [Violation(at, f'must not be "{name}"') for name in NAMES if value.strip() == name]


def _allowed_mentions(value: Any, at: str, found: list[Violation]) -> None:
    _ALLOWED_MENTIONS(value, at, found)
    parse = value.get("parse") if isinstance(value, dict) else None
    if isinstance(parse, list):
        twice = [word for word in ("users", "roles") if word in parse and value.get(word)]
        found += [Violation(f"{at}/{word}", f'must be empty where parse has "{word}"') for word in twice]


def _flags(value: Any, at: str, found: list[Violation]) -> None:
    _WHOLE(value, at, found)
    if (whole_number(value) or 0) & ~FLAGS:
        names = "SUPPRESS_EMBEDS (4), SUPPRESS_NOTIFICATIONS (4096) and IS_COMPONENTS_V2 (32768)"
        found.append(Violation(at, f"must have no bits but {names}"))


def _attachments(value: Any, at: str, found: list[Violation]) -> None:
    # They describe files that come in the same request; Discord refuses those that it does not find there.
    if value != []:
        found.append(Violation(at, "must be an empty list: Tocsin sends no files"))


_WHOLE = whole()
_NAME = text(80, may_be_blank=False)
_COMPONENT = object_of({"type": _WHOLE}, required=("type",))
_IDS = list_of(discord_id, 100, may_hold_null=True)
_ALLOWED_MENTIONS = object_of(
    {
        # More than three would name one twice, which Discord refuses.
        "parse": list_of(one_of(*MENTIONS), len(MENTIONS), may_hold_null=True),
        "users": _IDS,
        "roles": _IDS,
        "replied_user": boolean,
    }
)
_ANSWER = object_of({"poll_media": object_of({"text": text(55, may_be_blank=False)})}, required=("poll_media",))
_POLL = object_of(
    {
        "question": object_of({"text": text(300, may_be_blank=False)}),
        "answers": list_of(_ANSWER, 10, least=1),
        "allow_multiselect": boolean,
        "duration": whole(1, 768),  # hours
    },
    required=("question", "answers"),
)
_MESSAGE = object_of(
    {
        "content": text(2000),
        "username": _username,
        "avatar_url": URL,
        "tts": boolean,
        "embeds": embeds,
        "allowed_mentions": _allowed_mentions,
        "attachments": _attachments,
        "flags": _flags,
        "thread_name": text(100),
        "applied_tags": list_of(discord_id, 5),
        "poll": _POLL,
    }
)
