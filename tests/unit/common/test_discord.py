"""Which messages Discord refuses: each limit from both sides, and all that is wrong at once."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given

from discord_messages import anything, valid
from tocsin_common.discord import IS_COMPONENTS_V2, is_components_v2, violations

HI = {"content": "hi"}
TEXT = {"type": 10, "content": "hi"}
FIELD = {"name": "n", "value": "v"}
ANSWER = {"poll_media": {"text": "yes"}}
POLL = {"question": {"text": "Well?"}, "answers": [ANSWER]}
ID = "123456789012345678"


def embed(**fields: Any) -> dict[str, Any]:
    return {"embeds": [fields]}


def mentions(**fields: Any) -> dict[str, Any]:
    return HI | {"allowed_mentions": fields}


def poll(**fields: Any) -> dict[str, Any]:
    return {"poll": POLL | fields}


def v2(*components: Any, **fields: Any) -> dict[str, Any]:
    return {"flags": IS_COMPONENTS_V2, "components": list(components), **fields}


def told(message: object) -> list[tuple[str, str]]:
    return [(each.pointer, each.message) for each in violations(message)]


LIMITS: list[tuple[str, Any, Any, str]] = [
    ("/content", {"content": "x" * 2000}, {"content": "x" * 2001}, "2001 characters, at most 2000"),
    ("/username", HI | {"username": "x" * 80}, HI | {"username": "x" * 81}, "81 characters, at most 80"),
    ("/username", HI | {"username": "x"}, HI | {"username": ""}, "must not be empty"),
    (
        "/avatar_url",
        HI | {"avatar_url": "x" * 2048},
        HI | {"avatar_url": "x" * 2049},
        "2049 characters, at most 2048",
    ),
    (
        "/thread_name",
        HI | {"thread_name": "x" * 100},
        HI | {"thread_name": "x" * 101},
        "101 characters, at most 100",
    ),
    ("/applied_tags", HI | {"applied_tags": [ID] * 5}, HI | {"applied_tags": [ID] * 6}, "6 entries, at most 5"),
    ("/embeds", {"embeds": [{"title": "x"}] * 10}, {"embeds": [{"title": "x"}] * 11}, "11 entries, at most 10"),
    ("/embeds/0/title", embed(title="x" * 256), embed(title="x" * 257), "257 characters, at most 256"),
    (
        "/embeds/0/description",
        embed(description="x" * 4096),
        embed(description="x" * 4097),
        "4097 characters, at most 4096",
    ),
    ("/embeds/0/url", embed(url="x" * 2048), embed(url="x" * 2049), "2049 characters, at most 2048"),
    ("/embeds/0/color", embed(color=0), embed(color=-1), "must be a whole number from 0 to 16777215"),
    ("/embeds/0/color", embed(color=16777215), embed(color=16777216), "must be a whole number from 0 to 16777215"),
    ("/embeds/0/fields", embed(fields=[FIELD] * 25), embed(fields=[FIELD] * 26), "26 entries, at most 25"),
    (
        "/embeds/0/fields/1/name",
        embed(fields=[FIELD, FIELD | {"name": "x" * 256}]),
        embed(fields=[FIELD, FIELD | {"name": "x" * 257}]),
        "257 characters, at most 256",
    ),
    (
        "/embeds/0/fields/0/value",
        embed(fields=[FIELD | {"value": "x" * 1024}]),
        embed(fields=[FIELD | {"value": "x" * 1025}]),
        "1025 characters, at most 1024",
    ),
    ("/embeds/0/fields/0/name", embed(fields=[FIELD]), embed(fields=[FIELD | {"name": ""}]), "must not be empty"),
    (
        "/embeds/0/fields/0/value",
        embed(fields=[FIELD]),
        embed(fields=[FIELD | {"value": " "}]),
        "must not be empty",
    ),
    ("/embeds/0/fields/0/name", embed(fields=[FIELD]), embed(fields=[{"value": "v"}]), "is missing"),
    ("/embeds/0/fields/0/value", embed(fields=[FIELD]), embed(fields=[FIELD | {"value": None}]), "is missing"),
    (
        "/embeds/0/footer/text",
        embed(footer={"text": "x" * 2048}),
        embed(footer={"text": "x" * 2049}),
        "2049 characters, at most 2048",
    ),
    (
        "/embeds/0/author/name",
        embed(author={"name": "x" * 256}),
        embed(author={"name": "x" * 257}),
        "257 characters, at most 256",
    ),
    (
        "/embeds",
        {"embeds": [{"description": "x" * 3000}] * 2},
        {"embeds": [{"description": "x" * 3000}, {"description": "x" * 3000, "title": "x"}]},
        "6001 characters in all embeds together, at most 6000",
    ),
    (
        "/allowed_mentions/users",
        mentions(users=[ID] * 100),
        mentions(users=[ID] * 101),
        "101 entries, at most 100",
    ),
    (
        "/allowed_mentions/roles",
        mentions(roles=[ID] * 100),
        mentions(roles=[ID] * 101),
        "101 entries, at most 100",
    ),
    (
        "/allowed_mentions/parse/1",
        mentions(parse=["users", "roles", "everyone"]),
        mentions(parse=["users", "here"]),
        "must be one of users, roles, everyone",
    ),
    (
        "/allowed_mentions/users",
        mentions(parse=["users"], users=[], roles=[ID]),
        mentions(parse=["users"], users=[ID]),
        'must be empty where parse has "users"',
    ),
    (
        "/allowed_mentions/roles",
        mentions(parse=["everyone", "users"], roles=[ID]),
        mentions(parse=["everyone", "roles"], roles=[ID]),
        'must be empty where parse has "roles"',
    ),
    (
        "/flags",
        HI | {"flags": 4 | 4096},
        HI | {"flags": 4 | 64},
        "must have no bits but SUPPRESS_EMBEDS (4), SUPPRESS_NOTIFICATIONS (4096) and IS_COMPONENTS_V2 (32768)",
    ),
    ("/components", v2(*[TEXT] * 40), v2(*[TEXT] * 41), "41 components, at most 40"),
    (
        "/components",
        v2({"type": 17, "components": [TEXT] * 39}),
        v2({"type": 17, "components": [TEXT] * 40}),
        "41 components, at most 40",
    ),
    (
        "/components",
        v2(*[{"type": 9, "components": [TEXT], "accessory": {"type": 11}}] * 13, TEXT),
        v2(*[{"type": 9, "components": [TEXT], "accessory": {"type": 11}}] * 13, TEXT, TEXT),
        "41 components, at most 40",
    ),
    (
        "/poll/question/text",
        poll(question={"text": "x" * 300}),
        poll(question={"text": "x" * 301}),
        "301 characters, at most 300",
    ),
    ("/poll/answers", poll(answers=[ANSWER] * 10), poll(answers=[ANSWER] * 11), "11 entries, at most 10"),
    ("/poll/answers", poll(), poll(answers=[]), "must not be empty"),
    ("/poll/answers", poll(), {"poll": {"question": {"text": "Well?"}}}, "is missing"),
    ("/poll/question", poll(), {"poll": {"answers": [ANSWER]}}, "is missing"),
    ("/poll/answers/0/poll_media", poll(), poll(answers=[{"text": "yes"}]), "is missing"),
    (
        "/poll/answers/1/poll_media/text",
        poll(answers=[ANSWER, {"poll_media": {"text": "x" * 55}}]),
        poll(answers=[ANSWER, {"poll_media": {"text": "x" * 56}}]),
        "56 characters, at most 55",
    ),
    ("/poll/duration", poll(duration=768), poll(duration=769), "must be a whole number from 1 to 768"),
    ("/poll/duration", poll(duration=1), poll(duration=0), "must be a whole number from 1 to 768"),
    (
        "/attachments",
        HI | {"attachments": []},
        HI | {"attachments": [{"id": 0}]},
        "must be an empty list: Tocsin sends no files",
    ),
]


@pytest.mark.parametrize(("pointer", "allowed", "refused", "message"), LIMITS)
def test_what_is_at_its_limit_is_accepted_and_one_more_is_refused(
    pointer: str, allowed: Any, refused: Any, message: str
) -> None:
    assert told(allowed) == []
    assert told(refused) == [(pointer, message)]


@pytest.mark.parametrize(
    ("fields", "pointer", "message"),
    [
        ({"content": 5}, "/content", "must be a text"),
        ({"content": ["hi"]}, "/content", "must be a text"),
        ({"username": 7}, "/username", "must be a text"),
        ({"avatar_url": {}}, "/avatar_url", "must be a text"),
        ({"thread_name": True}, "/thread_name", "must be a text"),
        ({"tts": 1}, "/tts", "must be true or false"),
        ({"tts": "yes"}, "/tts", "must be true or false"),
        ({"embeds": {"title": "x"}}, "/embeds", "must be a list"),
        ({"embeds": ["x"]}, "/embeds/0", "must be an object"),
        ({"embeds": [None]}, "/embeds/0", "must be an object"),
        (embed(title=[]), "/embeds/0/title", "must be a text"),
        (embed(url=1), "/embeds/0/url", "must be a text"),
        (embed(timestamp=1), "/embeds/0/timestamp", "must be a text"),
        (embed(color="#ff0000"), "/embeds/0/color", "must be a whole number from 0 to 16777215"),
        (embed(color="red"), "/embeds/0/color", "must be a whole number from 0 to 16777215"),
        (embed(color="1" * 5000), "/embeds/0/color", "must be a whole number from 0 to 16777215"),
        (embed(color=1.5), "/embeds/0/color", "must be a whole number from 0 to 16777215"),
        (embed(color=True), "/embeds/0/color", "must be a whole number from 0 to 16777215"),
        (embed(footer="x"), "/embeds/0/footer", "must be an object"),
        (embed(footer={"icon_url": 1}), "/embeds/0/footer/icon_url", "must be a text"),
        (embed(image="https://example.com/a.png"), "/embeds/0/image", "must be an object"),
        (embed(image={"url": 1}), "/embeds/0/image/url", "must be a text"),
        (embed(thumbnail={"url": []}), "/embeds/0/thumbnail/url", "must be a text"),
        (embed(author=[]), "/embeds/0/author", "must be an object"),
        (embed(author={"url": 1}), "/embeds/0/author/url", "must be a text"),
        (embed(author={"icon_url": 1}), "/embeds/0/author/icon_url", "must be a text"),
        (embed(fields={}), "/embeds/0/fields", "must be a list"),
        (embed(fields=[[]]), "/embeds/0/fields/0", "must be an object"),
        (embed(fields=[FIELD | {"inline": "true"}]), "/embeds/0/fields/0/inline", "must be true or false"),
        ({"allowed_mentions": []}, "/allowed_mentions", "must be an object"),
        (mentions(parse="users"), "/allowed_mentions/parse", "must be a list"),
        (mentions(parse=[[]]), "/allowed_mentions/parse/0", "must be one of users, roles, everyone"),
        (mentions(parse=["users"] * 4), "/allowed_mentions/parse", "4 entries, at most 3"),
        (mentions(users=[""]), "/allowed_mentions/users/0", "must be an id: digits in a string"),
        (mentions(users=["1" * 21]), "/allowed_mentions/users/0", "must be an id: digits in a string"),
        (mentions(users=["@ada"]), "/allowed_mentions/users/0", "must be an id: digits in a string"),
        (mentions(roles=[True]), "/allowed_mentions/roles/0", "must be an id: digits in a string"),
        (mentions(roles=[-1]), "/allowed_mentions/roles/0", "must be an id: digits in a string"),
        (mentions(replied_user=0), "/allowed_mentions/replied_user", "must be true or false"),
        ({"flags": []}, "/flags", "must be a whole number"),
        ({"flags": "4,"}, "/flags", "must be a whole number"),
        ({"components": {}}, "/components", "must be a list"),
        ({"components": [5]}, "/components/0", "must be an object"),
        ({"components": [{}]}, "/components/0/type", "is missing"),
        ({"components": [{"type": "row"}]}, "/components/0/type", "must be a whole number"),
        (
            {"components": [{"type": 1, "components": [{"type": 2}, {"label": "x"}]}]},
            "/components/0/components/1/type",
            "is missing",
        ),
        ({"components": [{"type": 9, "accessory": []}]}, "/components/0/accessory", "must be an object"),
        ({"components": [{"type": 1}] * 41}, "/components", "41 components, at most 40"),
        ({"attachments": {}}, "/attachments", "must be an empty list: Tocsin sends no files"),
        ({"applied_tags": ["news"]}, "/applied_tags/0", "must be an id: digits in a string"),
        ({"poll": []}, "/poll", "must be an object"),
        (poll(question="Well?"), "/poll/question", "must be an object"),
        (poll(question={"text": ""}), "/poll/question/text", "must not be empty"),
        (poll(answers=["yes"]), "/poll/answers/0", "must be an object"),
        (poll(answers=[{"poll_media": {"text": " "}}]), "/poll/answers/0/poll_media/text", "must not be empty"),
        (poll(answers=[{"poll_media": "yes"}]), "/poll/answers/0/poll_media", "must be an object"),
        (poll(allow_multiselect=1), "/poll/allow_multiselect", "must be true or false"),
        (poll(duration="a day"), "/poll/duration", "must be a whole number from 1 to 768"),
    ],
)
def test_value_of_another_type_is_refused(fields: dict[str, Any], pointer: str, message: str) -> None:
    assert told(HI | fields) == [(pointer, message)]


@pytest.mark.parametrize("message", [None, True, 1, 1.5, "hi", [], [HI]])
def test_message_that_is_no_object_is_refused(message: object) -> None:
    assert told(message) == [("", "must be an object")]


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"content": ""},
        {"content": " \n\t"},
        {"content": None, "embeds": None, "components": None, "poll": None},
        {"content": "", "embeds": [], "components": []},
        {"username": "Ada", "tts": True},
        {"something": "else"},
    ],
)
def test_message_without_anything_to_show_is_refused(message: dict[str, Any]) -> None:
    assert told(message) == [("", "must have at least one of content, embeds, components, poll")]


@pytest.mark.parametrize("part", [HI, {"embeds": [{"title": "x"}]}, {"components": [{"type": 1}]}, {"poll": POLL}])
def test_one_part_is_enough(part: dict[str, Any]) -> None:
    assert told(part) == []
    assert told({"content": "", "embeds": [], "components": [], "poll": None, **part}) == []


@pytest.mark.parametrize(
    ("part", "value"), [("content", "hi"), ("embeds", [{"title": "x"}]), ("poll", POLL), ("content", 5)]
)
def test_message_of_components_has_no_other_part(part: str, value: Any) -> None:
    refused = (f"/{part}", "must be empty where flags has IS_COMPONENTS_V2")

    assert refused in told(v2(TEXT, **{part: value}))
    assert told({"components": [TEXT], "content": "hi"}) == []


@pytest.mark.parametrize("fields", [{"content": ""}, {"content": None}, {"embeds": []}, {"poll": None}])
def test_message_of_components_may_have_other_parts_that_are_empty(fields: dict[str, Any]) -> None:
    assert told(v2(TEXT, **fields)) == []


def test_message_of_components_must_have_some() -> None:
    assert told(v2()) == [("", "must have components, for flags has IS_COMPONENTS_V2")]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [(32768, True), (32768 | 4, True), ("32768", True), (4, False), (None, False), ("x", False), ([], False)],
)
def test_message_of_components_is_known_by_its_flag(flags: Any, expected: bool) -> None:
    assert is_components_v2({"flags": flags}) is expected
    assert not is_components_v2({})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Discord", 'must not contain "discord"'),
        ("my DISCORD bot", 'must not contain "discord"'),
        ("xclydex", 'must not contain "clyde"'),
        ("everyone", 'must not be "everyone"'),
        (" here ", 'must not be "here"'),
        ("   ", "must not be empty"),
    ],
)
def test_username_that_discord_keeps_for_itself_is_refused(name: str, message: str) -> None:
    assert told(HI | {"username": name}) == [("/username", message)]


@pytest.mark.parametrize("name", ["Ada", "Here", "everyone else", "disc ord", "Clive", "🔔" * 80, None])
def test_other_username_is_accepted(name: str | None) -> None:
    assert told(HI | {"username": name}) == []


@pytest.mark.parametrize(
    "message",
    [
        # One character is one code point, however many bytes or UTF-16 units it has.
        {"content": "🔔" * 2000},
        {"content": "é" * 2000},
        # Space around a text is trimmed before it is counted, whichever kinds of space that means.
        {"content": " " * 500 + "x" * 2000 + "\n" * 500},
        {"content": "\N{IDEOGRAPHIC SPACE}" + "x" * 2000},
        embed(title="x" * 256 + " "),
        {"embeds": [{"description": "x" * 3000 + " " * 1000}] * 2},
        # What is no space for everybody shows something.
        {"content": "\N{NO-BREAK SPACE}"},
        embed(fields=[{"name": "\N{ZERO WIDTH SPACE}", "value": "\N{ZERO WIDTH SPACE}"}]),
        # A number in a string is a number, and an id may be a number.
        embed(title="x", color="65280"),
        embed(title="x", color=255.0),
        HI | {"flags": "4"},
        mentions(users=[123456789012345678, 0, "0", "1" * 20]),
        # A null is as good as a field that is missing.
        {name: None for name in ("username", "avatar_url", "tts", "allowed_mentions", "flags", "poll")} | HI,
        embed(title="x", color=None, footer=None, fields=None, author={"name": None}),
        mentions(parse=[None], users=[None], roles=None),
        {"poll": POLL | {"duration": None, "answers": [{"poll_media": {"emoji": {"name": "🔔"}}}]}},
        # Discord ignores what it does not know.
        HI | {"nonce": [], "z": {"a": [1e2]}, "": None},
        embed(title="x", type=5, provider=1, video="v", footer={"text": "x", "proxy_icon_url": 1}),
        v2({"type": 99, "content": 5, "components": "x"}),
    ],
)
def test_nothing_that_discord_would_accept_is_refused(message: dict[str, Any]) -> None:
    assert told(message) == []


def test_everything_that_is_wrong_is_said_at_once() -> None:
    field = {"name": "", "value": "v" * 1203}
    message = {
        "content": "x" * 2001,
        "tts": "no",
        "username": "Discord Clyde",
        "embeds": [{"fields": [FIELD, FIELD, FIELD, field], "color": -1}, []],
        "thread_name": 1,
    }

    assert [f"{each.pointer}: {each.message}" for each in violations(message)] == [
        "/content: 2001 characters, at most 2000",
        '/username: must not contain "clyde"',
        '/username: must not contain "discord"',
        "/tts: must be true or false",
        "/embeds/0/color: must be a whole number from 0 to 16777215",
        "/embeds/0/fields/3/name: must not be empty",
        "/embeds/0/fields/3/value: 1203 characters, at most 1024",
        "/embeds/1: must be an object",
        "/thread_name: must be a text",
    ]


@pytest.mark.parametrize(
    "message",
    [
        {"embeds": [{"title": 1}] * 80_000},
        {"embeds": [{"fields": [{}] * 80_000}] * 10},
        {"components": [{}] * 80_000, "flags": IS_COMPONENTS_V2},
        {"content": "x", "allowed_mentions": {"parse": [1] * 80_000, "users": ["x"] * 80_000}},
        {"poll": {"question": {}, "answers": [0] * 80_000}, "applied_tags": [0.5] * 80_000},
    ],
)
def test_number_of_violations_is_bounded(message: dict[str, Any]) -> None:
    assert len(violations(message)) < 1000


def test_components_may_be_nested_as_deep_as_json_can_be_read() -> None:
    component: dict[str, Any] = dict(TEXT)
    for _ in range(400):
        component = {"type": 17, "components": [component]}

    assert told(v2(component)) == [("/components", "401 components, at most 40")]


@given(anything)
def test_whatever_is_sent_is_judged_and_each_pointer_leads_to_a_value_or_to_what_lacks_it(message: Any) -> None:
    for each in violations(message):
        value = message
        for step in each.pointer.split("/")[1:]:
            assert isinstance(value, dict | list)
            value = value[int(step)] if isinstance(value, list) else value.get(step)


@given(valid)
def test_valid_message_has_no_violations_before_or_after_its_way_through_json(message: dict[str, Any]) -> None:
    assert told(message) == []
    assert told(json.loads(msgspec.json.encode(message))) == []
