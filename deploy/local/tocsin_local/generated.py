"""ADAPTER. The parts of the README that `make docs` writes: from the settings' code and from the schedules' rules.

Each stands between two comments, which stay. What is written there by hand is found by `make check`.
"""

from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from pathlib import Path

from tocsin_common import settings
from tocsin_local import cron_table, settings_table
from tocsin_local.errors import StackError
from tocsin_local.instance import ROOT

README = "README.md"
FIRST = "<!-- `make docs` writes what follows: {} -->"
LAST = "<!-- end of {} -->"


def parts() -> dict[str, str]:
    """What is to stand in the README, by the name that its comments have."""
    source = Path(settings.__file__).read_text(encoding="utf-8")
    return {"schedules": cron_table.table(), "settings": settings_table.tables(source)}


def write() -> None:
    """Write all of them."""
    path = ROOT / README
    text = path.read_text(encoding="utf-8")
    path.write_text(filled(text, parts()), encoding="utf-8")


def filled(text: str, wanted: Mapping[str, str]) -> str:
    """The document with these parts. StackError where it has no place for one."""
    for name, part in wanted.items():
        first, last = FIRST.format(name), LAST.format(name)
        if text.count(first) != 1 or text.count(last) != 1 or text.index(first) > text.index(last):
            raise StackError(f"{README} needs the lines `{first}` and `{last}`, once each.")
        before, after = text.split(first)[0], text.split(last)[1]
        text = f"{before}{first}\n\n{part}\n\n{last}{after}"
    return text


def problems(text: str, wanted: Mapping[str, str]) -> Iterator[str]:
    """Each line that is not as `write` would leave it, with its number."""
    here, there = text.splitlines(), filled(text, wanted).splitlines()
    for kind, low, high, other_low, other_high in SequenceMatcher(None, here, there, autojunk=False).get_opcodes():
        if kind != "equal":
            is_now = "\n".join(here[low:high]) or "nothing"
            would_be = "\n".join(there[other_low:other_high]) or "nothing"
            yield f"{README}:{low + 1}: here is\n{is_now}\nand `make docs` would write\n{would_be}"
