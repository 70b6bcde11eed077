"""PURE. The targets of a Makefile, and which of them `make help` does not show."""

import re
from collections.abc import Iterator

TARGET = re.compile(r"^([A-Za-z][\w-]*):(?!=)", re.MULTILINE)


def targets(text: str) -> list[str]:
    """The targets that people call, as they stand in the Makefile."""
    return TARGET.findall(text)


def unlisted(text: str, shown: str) -> Iterator[str]:
    """The targets that `shown`, what `make help` prints, does not explain."""
    explained = dict(re.findall(r"^ *make ([\w-]+) +(\S.*)$", shown, re.MULTILINE))
    for target in targets(text):
        if target not in explained:
            yield f"Makefile: `make help` does not show `{target}`: it needs `## …` on its line"
