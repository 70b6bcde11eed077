"""ADAPTER. Other releases to run beside this one: the last one, out of git, and one whose queues changed."""

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ("libs/common/src", "services/api/src", "services/dispatcher/src")
BEFORE_THE_FIRST = "006215741484"
"""The commit that counts as the last release as long as no tag `v…` lies behind what is checked out."""

CHANGED_QUEUES = """#!{python} -P
import sys
from tocsin_common import topology
topology.FORMER_QUEUES = {{"deliveries": topology.queue_arguments()["deliveries"]}}
topology.WORK_QUEUE, topology.DELIVERY_LIMIT = "deliveries.2", 5
from tocsin_dispatcher.cli import main
sys.exit(main())
"""


class MissingError(Exception):
    """Git does not have the last release; says what to do about it."""


def last_release(folder: Path) -> dict[str, str]:
    """Its code, taken out of git into `folder`: what the environment of a process says that is to run it.

    Its third-party packages are those of this release.
    """
    revision = _git("describe", "--tags", "--abbrev=0", "--match=v*", "HEAD^").decode().strip() or BEFORE_THE_FIRST
    archive = _git("archive", "--format=zip", revision, *SOURCES)
    if not archive:
        raise MissingError(f"git has no {revision}: in a shallow clone `git fetch --unshallow --tags` brings it")
    zipfile.ZipFile(io.BytesIO(archive)).extractall(folder)
    path = os.pathsep.join(str(folder / source) for source in SOURCES)
    return {"PYTHONPATH": path, "COVERAGE_PROCESS_CONFIG": ""}  # what it covers is not this release


def with_changed_queues(folder: Path) -> str:
    """A `tocsin-dispatcher` of this code, as a release has it whose work queue and tiers have other arguments."""
    program = folder / "tocsin-dispatcher"
    program.write_text(CHANGED_QUEUES.format(python=sys.executable))
    program.chmod(0o755)
    return str(program)


def _git(*arguments: str) -> bytes:
    """What it says; nothing where it fails, or is not there."""
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False).stdout
    except FileNotFoundError:
        return b""
