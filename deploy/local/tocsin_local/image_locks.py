"""ADAPTER. What each image installs of requirements.lock: what its service needs, and nothing that is for tests.

Asks the packages in `.venv` what they need, so it is to be run where that is what the lock says.
"""

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tocsin_local.instance import ROOT
from tocsin_local.python_packages import LOCK

FOLDER = ROOT / "deploy" / "images"
ROOTS = {"api": "tocsin-api", "dispatcher": "tocsin-dispatcher", "build": "hatchling"}
"""By the lock's name: whose needs are in it. `build` makes Tocsin's own packages."""
OWN = ("tocsin-api", "tocsin-common", "tocsin-dispatcher")
# Of an image, whichever Python runs this.
IMAGE = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
PYTHON = {"python_version": "3.13", "python_full_version": "3.13.0", "implementation_name": "cpython"}


def write() -> None:
    """Write all of them."""
    for name, text in texts().items():
        path(name).write_text(text, encoding="utf-8")


def texts() -> dict[str, str]:
    """What each lock is to hold."""
    locked = entries(LOCK.read_text(encoding="utf-8"))
    return {
        name: "".join(locked[each] for each in sorted(needed(root)) if each not in OWN)
        for name, root in ROOTS.items()
    }


def path(name: str) -> Path:
    """Where a lock is."""
    return FOLDER / f"{name}.lock"


def entries(text: str) -> dict[str, str]:
    """A lock's entries by the name of their package, each with its hashes."""
    found = re.findall(r"^\S[^\n]*\n(?:^\s+[^\n]*\n)*", text, re.MULTILINE)
    return {canonicalize_name(Requirement(each.split("\\")[0].strip()).name): each for each in found}


def needed(root: str) -> set[str]:
    """The names of all packages that `root` needs, itself too."""
    found: set[tuple[str, str]] = set()
    left: list[tuple[str, str]] = [(canonicalize_name(root), "")]
    while left:
        wanted = left.pop()
        if wanted not in found:
            found.add(wanted)
            left += _requirements(*wanted)
    return {name for name, _ in found}


def _requirements(name: str, extra: str) -> Iterator[tuple[str, str]]:
    for text in metadata.requires(name) or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or marker.evaluate({**IMAGE, **PYTHON, "extra": extra}):
            for each in ("", *requirement.extras):
                yield canonicalize_name(requirement.name), each
