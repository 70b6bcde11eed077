"""PURE. Every setting as tables for people: who reads it, its default, what it may be, what it means."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from msgspec import Meta
from msgspec.structs import FieldInfo, fields

from tocsin_common.settings import ApiSettings, SchedulerSettings, SenderSettings, Settings
from tocsin_common.settings_forms import LISTS, URLS

READERS: Mapping[str, type[Settings]] = {
    "API": ApiSettings,
    "Scheduler": SchedulerSettings,
    "Sender": SenderSettings,
}
HEADER = "| variable | default | may be | meaning |\n|---|---|---|---|"
A_YEAR = 31_536_000
VARIABLE = re.compile(r"`[a-z]+(?:_[a-z]+)+`")  # what one setting's text calls another one
KINDS = {int: "a whole number", float: "a number", str: "text", bool: "`true` or `false`"}

Meanings = Mapping[str, Mapping[str, str]]
"""By class and field: the text below the field."""


class _Setting(NamedTuple):
    readers: tuple[str, ...]
    field: FieldInfo
    meaning: str


def tables(source: str) -> str:
    """One table for all that the same processes read, folded; `source` is the text of the settings' module."""
    groups: dict[tuple[str, ...], list[_Setting]] = defaultdict(list)
    for setting in _settings(meanings(source)):
        groups[setting.readers].append(setting)
    return "\n\n".join(
        f"<details>\n<summary>{_heading(readers)}</summary>\n\n"
        + "\n".join([HEADER, *(_row(each) for each in groups[readers])])
        + "\n\n</details>"
        for readers in sorted(groups, key=lambda readers: (len(readers) < len(READERS), len(readers), readers))
    )


def meanings(source: str) -> Meanings:
    """Read from the module's text: Python itself forgets what stands below a field."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(source).body:
        if not isinstance(node, ast.ClassDef):
            continue
        own = found[node.name] = {}
        for field, below in zip(node.body, node.body[1:], strict=False):
            match field, below:
                case ast.AnnAssign(target=ast.Name(name)), ast.Expr(value=ast.Constant(value=str(text))):
                    own[name] = " ".join(text.split())
    return found


def may_be(variable: str, kind: Any) -> str:
    """What a variable of this type takes, in a few words."""
    is_annotated = get_origin(kind) is Annotated
    base, *annotations = get_args(kind) if is_annotated else (kind,)
    metas = [each for each in annotations if isinstance(each, Meta)]
    words = ["secret"] if any((meta.extra or {}).get("secret") for meta in metas) else []
    bounds = [text for meta in metas if (text := _bounds(base, meta))]
    if variable in URLS:
        form, comma, more = URLS[variable][0].partition(", ")
        words.append(f"`{form}`{comma}{more}" if "user:password" in form else URLS[variable][0])
    elif variable in LISTS:
        words.append(LISTS[variable][0])
    elif get_origin(base) is Literal:
        words.append(" or ".join(f"`{each}`" for each in get_args(base)))
    else:
        words += bounds or ([] if words else [KINDS[base]])
    return ", ".join(words)


def _settings(texts: Meanings) -> Iterator[_Setting]:
    every = {field.name: field for kind in READERS.values() for field in fields(kind)}
    for name, field in every.items():
        readers = tuple(who for who, kind in READERS.items() if name in {each.name for each in fields(kind)})
        said = {who: _meaning(READERS[who], name, texts) for who in readers}
        is_one = len(set(said.values())) == 1
        meaning = said[readers[0]] if is_one else " ".join(f"{who}: {said[who]}" for who in reversed(readers))
        yield _Setting(readers, field, VARIABLE.sub(lambda found: found[0].upper(), meaning))


def _meaning(kind: type, name: str, texts: Meanings) -> str:
    for each in kind.__mro__:
        if name in texts.get(each.__name__, {}):
            return texts[each.__name__][name]
    raise ValueError(f"the setting {name} has no text below it that says what it means")


def _heading(readers: tuple[str, ...]) -> str:
    if len(readers) == len(READERS):
        return "All processes"
    return f"{readers[0]}{''.join(f' and {each.lower()}' for each in readers[1:])}"


def _row(setting: _Setting) -> str:
    variable = setting.field.encode_name.upper()
    cells = (f"`{variable}`", _default(setting.field), may_be(variable, setting.field.type), setting.meaning)
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _default(field: FieldInfo) -> str:
    if field.required:
        return "**none: set it**"
    if field.default == "":
        is_needed = any(
            (each.extra or {}).get("needed_in_production")
            for each in get_args(field.type)
            if isinstance(each, Meta)
        )
        return "none: **set it in production**" if is_needed else ""
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def _bounds(base: type, meta: Meta) -> str:
    if meta.min_length is not None and meta.min_length > 1:
        return f"at least {meta.min_length} characters"
    low, above, high = meta.ge, meta.gt, meta.le
    if above is not None:
        return f"more than {above}" if high in (None, A_YEAR) else f"more than {above}, at most {high}"
    if low is None:
        return ""
    return f"at least {low}" if high is None else f"{low} to {high}"
