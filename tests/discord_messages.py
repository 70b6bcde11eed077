"""Random messages: those that Discord accepts, and any JSON that has the names of their fields."""

from typing import Any

from hypothesis import strategies as st

from tocsin_common.discord import IS_COMPONENTS_V2

_NAMES = st.sampled_from(
    [
        *("content", "username", "avatar_url", "tts", "embeds", "allowed_mentions", "components", "attachments"),
        *("flags", "thread_name", "applied_tags", "poll", "title", "description", "color", "footer", "author"),
        *("fields", "name", "value", "inline", "text", "url", "image", "parse", "users", "roles", "type"),
        *("accessory", "question", "answers", "poll_media", "duration"),
    ]
)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("x" * 7000)

anything = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(_NAMES | st.text(max_size=3), inner, max_size=8),
)


def _texts(most: int) -> st.SearchStrategy[str]:
    """Without space, of which it is not known how Discord counts it."""
    return st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=most)


def _objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """With any of the fields, and null for some."""
    return st.fixed_dictionaries({}, optional={name: st.none() | field for name, field in fields.items()})


_IDS = st.lists(st.integers(0, 2**63 - 1).map(str), max_size=5)
_URLS = st.just("https://example.com/a.png")
_EMBEDS = _objects(
    title=_texts(20),
    description=_texts(50),
    url=_URLS,
    timestamp=st.just("2030-01-31T09:00:00Z"),
    color=st.integers(0, 0xFFFFFF),
    footer=_objects(text=_texts(20), icon_url=_URLS),
    author=_objects(name=_texts(20), url=_URLS),
    image=_objects(url=_URLS),
    thumbnail=_objects(url=_URLS),
    fields=st.lists(
        st.fixed_dictionaries(
            {"name": _texts(20), "value": _texts(20)}, optional={"inline": st.none() | st.booleans()}
        ),
        max_size=4,
    ),
)
_POLLS = st.fixed_dictionaries(
    {
        "question": st.fixed_dictionaries({"text": _texts(300)}),
        "answers": st.lists(
            st.fixed_dictionaries({"poll_media": st.fixed_dictionaries({"text": _texts(55)})}),
            min_size=1,
            max_size=10,
        ),
    },
    optional={"duration": st.integers(1, 768), "allow_multiselect": st.booleans()},
)
_OTHER_FIELDS = _objects(
    username=st.sampled_from(["Ada", "x" * 80, "\N{BELL}"]),
    avatar_url=_URLS,
    tts=st.booleans(),
    allowed_mentions=_objects(parse=st.just(["everyone"]), users=_IDS, roles=_IDS, replied_user=st.booleans()),
    thread_name=_texts(100),
    applied_tags=_IDS,
    attachments=st.just([]),
)
_DISPLAYS = st.fixed_dictionaries({"type": st.just(10), "content": _texts(20)})
_CONTAINERS = st.fixed_dictionaries(
    {"type": st.just(17), "components": st.lists(_DISPLAYS, min_size=1, max_size=6)}
)
_PARTS = {
    "content": _texts(2000),
    "embeds": st.lists(_EMBEDS, min_size=1, max_size=10),
    "poll": _POLLS,
    "components": st.just([{"type": 1, "components": [{"type": 2}]}]),
}


@st.composite
def _usual(draw: st.DrawFn) -> dict[str, Any]:
    """One part at least."""
    chosen = draw(st.sets(st.sampled_from(sorted(_PARTS)), min_size=1))
    flags = draw(st.sampled_from([None, 0, 1 << 2, 1 << 12]))
    return {"flags": flags, **{part: draw(_PARTS[part]) for part in chosen}, **draw(_OTHER_FIELDS)}


@st.composite
def _of_components(draw: st.DrawFn) -> dict[str, Any]:
    components = draw(st.lists(_DISPLAYS | _CONTAINERS, min_size=1, max_size=5))
    return {"flags": IS_COMPONENTS_V2, "components": components, **draw(_OTHER_FIELDS)}


valid = _usual() | _of_components()
