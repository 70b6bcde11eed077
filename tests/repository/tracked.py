"""ADAPTER. The files that git tracks: what a fresh clone has, and nothing that lies about beside it."""

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@cache
def texts() -> dict[str, str]:
    """Every tracked file: path from the top of the repository → text, which a picture has none of."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    found = {}
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if path.is_file():  # one that was removed is tracked until the removal is committed
            try:
                found[name] = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                found[name] = ""
    return found


def modules() -> dict[str, str]:
    """The Python modules that people run: those of the packages and of the local stack."""
    folders = ("libs/", "services/", "deploy/")
    return {name: text for name, text in texts().items() if name.startswith(folders) and name.endswith(".py")}
