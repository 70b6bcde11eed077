"""ADAPTER. A clock of the day that is wrong for one process alone, by as much as is said while it runs.

What counts seconds (CLOCK_MONOTONIC, CLOCK_BOOTTIME) is left as it is: no machine sets those.
"""

from collections.abc import Mapping
from pathlib import Path

from tocsin_local.errors import StackError

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
"""Of Debian's package `libfaketime`. time.sleep() fails below it, and nothing else: asyncio's pauses are whole."""
NEEDED = "A wrong clock needs Debian's package libfaketime. As root: apt-get install libfaketime"
NOTICED_AFTER_S = 2.0
"""It looks for another offset once a whole second, as it counts them, has passed since it last did."""


class WrongClock:
    """Its offset stands in a file of `folder`, which the process looks at."""

    def __init__(self, folder: Path, name: str) -> None:
        """One that is right, until it is set. StackError where the library is missing."""
        if not LIBRARIES:
            raise StackError(NEEDED)
        self._file = folder / f"{name}.offset"
        self.set(0)

    @property
    def environment(self) -> Mapping[str, str]:
        """What the process is started with."""
        return {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, offset_s: int) -> None:
        """Go ahead by so much, or behind; the process knows within NOTICED_AFTER_S of reading its clock."""
        draft = self._file.with_suffix(".new")  # it would take half a file for another time
        draft.write_text(f"{offset_s:+d}\n")
        draft.replace(self._file)
