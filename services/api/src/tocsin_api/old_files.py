"""PURE. JSON objects one after another out of a text of any length: an array of them, or one behind the other."""

import json
from collections.abc import Callable, Iterator

from tocsin_common.errors import TocsinError

CHUNK = 32_768  # characters that are read at a time
MAX_LENGTH = 1_000_000  # of one object, as of a body of the API's
_SPACE = " \t\r\n"
# What it makes of the text is thrown away: it finds where an object ends.
_decoder = json.JSONDecoder(parse_int=str, parse_float=str)

Read = Callable[[int], str]
"""Returns up to so many characters, an empty text at the end."""


class InvalidFileError(TocsinError):
    """The text is not made of JSON objects; the text says where."""


def objects(read: Read) -> Iterator[str]:
    """Each object as it is written; raises InvalidFileError at what is none."""
    buffer = _skip_space("", read)
    is_array = buffer.startswith("[")
    if is_array:
        buffer = _skip_space(buffer[1:], read)
    place = 0
    while buffer and not (is_array and buffer[0] == "]"):
        if is_array and place:
            if buffer[0] != ",":
                raise InvalidFileError(f"behind object {place} a comma or ] is missing")
            buffer = _skip_space(buffer[1:], read)
        place += 1
        found, buffer = _first(buffer, read, place)
        yield found
        buffer = _skip_space(buffer, read)
    if is_array and not buffer:
        raise InvalidFileError(f"behind object {place} the array does not end")
    if _skip_space(buffer[1:], read):
        raise InvalidFileError("something follows the array")


def _first(buffer: str, read: Read, place: int) -> tuple[str, str]:
    """The object that the text begins with, and what follows."""
    if not buffer.startswith("{"):
        raise InvalidFileError(f"object {place} does not begin with {{")
    while (end := _end(buffer)) is None:
        more = read(CHUNK) if len(buffer) <= MAX_LENGTH else ""
        if not more:
            raise InvalidFileError(
                f"object {place} is no JSON, does not end, or is longer than {MAX_LENGTH} characters"
            )
        buffer += more
    return buffer[:end], buffer[end:]


def _end(buffer: str) -> int | None:
    try:
        return _decoder.raw_decode(buffer)[1]
    except (ValueError, RecursionError):
        return None


def _skip_space(buffer: str, read: Read) -> str:
    buffer = buffer.lstrip(_SPACE)
    while not buffer and (more := read(CHUNK)):
        buffer = more.lstrip(_SPACE)
    return buffer
