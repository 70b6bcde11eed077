"""PURE. Secrets that must not be seen, the ways in which a text may spell one, and the search for all of them."""

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple
from urllib.parse import quote, unquote

PREFIX = 8  # what the search looks up first: the least number of characters that count as a part of a secret
ROUNDS = 4  # of decoding: a URL in a query, in JSON, in a log line that is JSON
CONTEXT = 30
ALIGNMENTS = ((0, 0), (1, 2), (2, 3))
"""Base64 of a text that comes after n bytes of others: n, and the characters that those bytes spoil."""


class Secret(NamedTuple):
    """A value, and how many of its characters in a row give it away."""

    name: str
    value: str
    part: int = PREFIX


def percent_encoded(text: str) -> str:
    """Every character, not only those that must be."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


def json_escaped(text: str) -> str:
    """Every character: `\\u0041`."""
    return "".join(f"\\u{ord(char):04x}" for char in text)


def html_escaped(text: str) -> str:
    """Every character: `&#65;`."""
    return "".join(f"&#{ord(char)};" for char in text)


def html_named(text: str) -> str:
    """What HTML has a name for: `&lowbar;`."""
    return text.replace("_", "&lowbar;").replace("-", "&hyphen;")


def split_over_lines(text: str) -> str:
    """A line break after every third character of the first half: no long part of it stands in one line."""
    half = len(text) // 2
    return "\r\n".join(re.findall(".{1,3}", text[:half])) + text[half:]


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "in capitals": str.upper,
    "in small letters": str.lower,
    "percent-encoded where it must be": lambda text: quote(text, safe=""),
    "percent-encoded": percent_encoded,
    "percent-encoded twice": lambda text: quote(percent_encoded(text), safe=""),
    "in JSON": lambda text: json.dumps(text).replace("/", "\\/"),
    "escaped for JSON": json_escaped,
    "escaped for HTML": html_escaped,
    "with names for HTML": html_named,
    "split over lines": split_over_lines,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(b"?" + text.encode()).decode(),
    "in hexadecimal": lambda text: text.encode().hex(),
}


class Search:
    """Finds parts of secrets, however they are spelled."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self._needles: dict[str, set[tuple[str, str]]] = {}
        for secret in secrets:
            for needle in _needles(secret):
                self._needles.setdefault(needle[:PREFIX], set()).add((needle, secret.name))

    def find(self, text: str, *, stride: int = 1) -> list[str]:
        """One line for each secret that `text` shows a part of, with what stands around it.

        For long texts a part may begin at each `stride`th character only: as much longer must be what is found.
        """
        found: dict[str, str] = {}
        for view in {_bare(text), _bare(_decoded(text))}:
            for start in range(0, len(view) - PREFIX + 1, stride):
                for needle, name in self._needles.get(view[start : start + PREFIX], ()):
                    if view.startswith(needle, start):
                        around = view[max(0, start - CONTEXT) : start + len(needle) + CONTEXT]
                        found.setdefault(name, f"{name}: …{around}…")
        return list(found.values())


def _needles(secret: Secret) -> Iterator[str]:
    value = secret.value.encode()
    yield from _parts(secret.value, secret.part)
    yield from _parts(value.hex(), 2 * secret.part)
    for shift, spoiled in ALIGNMENTS:
        encoded = base64.b64encode(bytes(shift) + value).decode().rstrip("=")
        yield from _parts(encoded[spoiled:-1], secret.part * 4 // 3 + 1)


def _parts(text: str, length: int) -> Iterator[str]:
    bare = _bare(text)
    for start in range(max(1, len(bare) - length + 1)):
        yield bare[start : start + length]


def _bare(text: str) -> str:
    """Letters and digits: what stands between them, and whether they are capitals, tells nothing.

    But for a cut and a quotation mark: what follows there is another text.
    """
    return re.sub('[^a-z0-9…"]', "", text.lower())


def _decoded(text: str) -> str:
    for _ in range(ROUNDS):
        before = text
        text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
        text = unquote(html.unescape(re.sub(r"\\[nrt]", " ", text)))
        if text == before:
            break
    return text
