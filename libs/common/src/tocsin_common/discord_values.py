"""PURE. The kinds of values that a Discord message is made of, and what is said of one that is none.

A check is given a value and its place, and appends what is wrong with it. It looks at no more entries of a list
than may be there, so that what it does and what it finds stay bounded whatever was sent.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

ASCII_SPACE = " \t\n\r\v\f"
_DIGITS = re.compile("-?[0-9]{1,20}", re.ASCII)
_ID = re.compile("[0-9]{1,20}", re.ASCII)


class Violation(NamedTuple):
    """One thing that Discord refuses."""

    pointer: str
    """Where: a JSON pointer (RFC 6901) into the message; empty where that is the message as a whole."""
    message: str

    @property
    def field(self) -> str:
        """Where, as errors name it: `payload/embeds/0/title`."""
        return f"payload{self.pointer}"


Check = Callable[[Any, str, list[Violation]], None]
"""Is given a value that is not null, its pointer, and the list for what is wrong with it."""


def is_blank(text: str) -> bool:
    """Nothing is left of it once Discord has trimmed it. What it takes for space it does not say: surely these."""
    return not text.strip(ASCII_SPACE)


def trimmed_length(text: str) -> int:
    """Characters, which are Unicode code points, without all that may count as space around them."""
    return len(text.strip())


def whole_number(value: Any) -> int | None:
    """What Discord reads as one, digits in a string as well; None for everything else."""
    if isinstance(value, str):
        return int(value) if _DIGITS.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or value % 1:
        return None
    return int(value)


def text(most: int | None = None, *, may_be_blank: bool = True) -> Check:
    """A string of at most so many characters."""

    def check(value: Any, at: str, found: list[Violation]) -> None:
        if not isinstance(value, str):
            found.append(Violation(at, "must be a text"))
        elif not may_be_blank and is_blank(value):
            found.append(Violation(at, "must not be empty"))
        elif most is not None and len(value) > most and (length := trimmed_length(value)) > most:
            found.append(Violation(at, f"{length} characters, at most {most}"))

    return check


def whole(least: int | None = None, most: int | None = None) -> Check:
    """A whole number, within bounds where there are some."""
    within = "" if least is None or most is None else f" from {least} to {most}"

    def check(value: Any, at: str, found: list[Violation]) -> None:
        number = whole_number(value)
        is_low = number is not None and least is not None and number < least
        is_high = number is not None and most is not None and number > most
        if number is None or is_low or is_high:
            found.append(Violation(at, f"must be a whole number{within}"))

    return check


def boolean(value: Any, at: str, found: list[Violation]) -> None:
    """True or false."""
    if not isinstance(value, bool):
        found.append(Violation(at, "must be true or false"))


def discord_id(value: Any, at: str, found: list[Violation]) -> None:
    """A snowflake: Discord writes it as a string of digits and reads a number as well."""
    is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if not is_number and not (isinstance(value, str) and _ID.fullmatch(value)):
        found.append(Violation(at, "must be an id: digits in a string"))


def one_of(*words: str) -> Check:
    """One of these strings."""

    def check(value: Any, at: str, found: list[Violation]) -> None:
        if value not in words:
            found.append(Violation(at, f"must be one of {', '.join(words)}"))

    return check


def list_of(check_entry: Check, most: int, *, least: int = 0, may_hold_null: bool = False) -> Check:
    """A list whose entries all pass `check_entry`."""

    def check(value: Any, at: str, found: list[Violation]) -> None:
        if not isinstance(value, list):
            found.append(Violation(at, "must be a list"))
            return
        if len(value) > most:
            found.append(Violation(at, f"{len(value)} entries, at most {most}"))
        elif len(value) < least:
            found.append(Violation(at, "must not be empty"))
        for place, entry in enumerate(value[:most]):
            if entry is not None or not may_hold_null:
                check_entry(entry, f"{at}/{place}", found)

    return check


def object_of(checks: Mapping[str, Check], *, required: Collection[str] = ()) -> Check:
    """An object. A null stands for a field that is missing; what has no check is not looked at."""

    def check(value: Any, at: str, found: list[Violation]) -> None:
        if not isinstance(value, dict):
            found.append(Violation(at, "must be an object"))
            return
        for name, check_field in checks.items():
            field = value.get(name)
            if field is not None:
                check_field(field, f"{at}/{name}", found)
            elif name in required:
                found.append(Violation(f"{at}/{name}", "is missing"))

    return check


URL = text(2048)
"""Whether Discord can use it is Discord's to say."""
