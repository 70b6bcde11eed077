"""PURE. What a receiver says without the secret that it was called by: error pages like to repeat a URL.

Only letters and digits are compared, small and capital alike, and what is encoded is compared decoded: so a
secret is found in any spelling, over a line break, and where a cut left a part of it.
"""

import base64
import html
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from tocsin_common.webhook import Webhook

PART = 8
"""So many characters of a secret in a row are taken out. Fewer tell little: people are shown the last four."""
SHORTEST = 4  # a shorter part of a URL is no secret
HIDDEN = "…"
ROUNDS = 3  # of decoding: what was encoded twice
OPEN_PARAMETERS = frozenset({"thread_id", "wait", "with_components"})
"""Of Discord's webhooks: no secrets."""

_ENCODED = re.compile(
    r"%[0-9a-f]{2}|\\u[0-9a-f]{4}|\\x[0-9a-f]{2}|\\[nrt]|&(?:#x?[0-9a-f]{1,6}|[a-z]{2,8});", re.IGNORECASE
)
_OTHERS = re.compile("[^A-Za-z0-9]+")
_ALIGNMENTS = ((0, 0), (1, 2), (2, 3))
"""Base64 of what follows n bytes of others: n, and the characters that those bytes have a part in."""


class _Sign(NamedTuple):
    """One character that is meant, and where it is spelled."""

    character: str
    start: int
    end: int


def secrets_of(target: Webhook) -> list[str]:
    """The parts of a webhook's URL that nobody may learn: Discord's token; of others all of path and query."""
    parts = urlsplit(target.url)
    segments = parts.path.split("/")
    if target.is_discord:
        segments = [segment for segment in segments if segment][-1:]
    query = parse_qsl(parts.query, keep_blank_values=True)
    words = [word for pair in query if pair[0] not in OPEN_PARAMETERS for word in pair]
    return [unquote(part) for part in (*segments, *words)]


def hide(text: str, secrets: Iterable[str]) -> str:
    """`text` with HIDDEN in the place of every part of a secret."""
    forms = [form for secret in secrets for form in _forms(secret)]
    if _ENCODED.search(text) is None and not any(_found(_bare(text), forms)):
        return text  # as nearly always
    signs = [sign for sign in _signs(text) if _bare(sign.character)]
    found = _found("".join(_bare(sign.character) for sign in signs), forms)
    return _without(text, [(signs[start].start, signs[end - 1].end) for start, end in sorted(found)])


def _found(bare: str, forms: list[str]) -> Iterator[tuple[int, int]]:
    long = "\n".join(form for form in forms if len(form) >= PART)
    for start in range(len(bare) - PART + 1):
        if bare[start : start + PART] in long:
            yield start, start + PART
    for form in forms:
        # Short ones count as a whole, and only with a digit: without one they are words, such as `hook`.
        if len(form) < PART and any(character.isdigit() for character in form):
            yield from ((found.start(), found.end()) for found in re.finditer(re.escape(form), bare))


def _forms(secret: str) -> list[str]:
    """A secret as it is, in hexadecimal and in base64, bare."""
    bare, value = _bare(secret), secret.encode()
    if len(bare) < PART:
        return [bare] if len(bare) >= SHORTEST else []
    encoded = [
        base64.b64encode(bytes(shift) + value).decode().rstrip("=")[spoiled:-1] for shift, spoiled in _ALIGNMENTS
    ]
    return [bare, value.hex(), *map(_bare, encoded)]


def _signs(text: str) -> list[_Sign]:
    signs = [_Sign(character, place, place + 1) for place, character in enumerate(text)]
    for _ in range(ROUNDS):
        spelled = "".join(sign.character for sign in signs)
        decoded: list[_Sign] = []
        rest = 0
        for found in _ENCODED.finditer(spelled):
            decoded += signs[rest : found.start()]
            decoded.append(_Sign(_decode(found[0]), signs[found.start()].start, signs[found.end() - 1].end))
            rest = found.end()
        if rest == 0:
            break
        signs = decoded + signs[rest:]
    return signs


def _decode(spelled: str) -> str:
    """One character; a byte that is none by itself becomes one that is not compared."""
    if spelled[0] == "&":
        return html.unescape(spelled)[:1] or " "
    if spelled[-1] in "nrtNRT":
        return " "
    return chr(int(spelled.lstrip("%\\uUxX"), 16))


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    kept: list[str] = []
    rest = 0
    for start, end in spans:
        if start > rest or not kept:
            kept.append(text[rest:start])
        rest = max(rest, end)
    return HIDDEN.join([*kept, text[rest:]])


def _bare(text: str) -> str:
    return _OTHERS.sub("", text).lower()
