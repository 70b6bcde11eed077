"""ADAPTER. A file system of fixed size that can be full: a tmpfs, mounted on the folder of a server."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tocsin_local.errors import StackError
from tocsin_local.instance import Instance

MEBIBYTE = 2**20
PAGE = 4096
NEEDED = "Only root may mount a small file system, with the capability CAP_SYS_ADMIN."


class SmallDisk:
    """The one that is mounted at `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Take all that is free."""
        if not self._folder.is_mount():
            raise RuntimeError(f"{self._folder} is on a file system of others, which is not to be filled")
        with self._filler.open("ab") as filler:
            while (free := self.free()) >= PAGE:
                with suppress(OSError):  # somebody else was faster
                    os.posix_fallocate(filler.fileno(), filler.seek(0, os.SEEK_END), free)

    def clear(self) -> None:
        """Give it back."""
        self._filler.unlink(missing_ok=True)

    def free(self) -> int:
        """Bytes that can be written yet."""
        state = os.statvfs(self._folder)
        return state.f_bavail * state.f_frsize


@contextmanager
def mounted(folder: Path, mebibytes: int) -> Iterator[SmallDisk]:
    """A new one; what the folder holds is hidden meanwhile. StackError where this user may not mount it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.is_mount():  # a killed run left it
        _unmount(folder)
    options = f"size={mebibytes * MEBIBYTE},mode=0700"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tocsin-small-disk", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StackError(f"{NEEDED} {done.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        _unmount(folder)


@contextmanager
def mounted_for(instance: Instance, servers: Mapping[str, int]) -> Iterator[None]:
    """One for all that a server of an instance writes: its name and MiB. To be there before the server's start."""
    instance.lock()  # makes the instance's folders
    with ExitStack() as stack:
        for server, mebibytes in servers.items():
            stack.enter_context(mounted(instance.folder / server, mebibytes))
        yield


def may_mount(folder: Path) -> bool:
    """Whether this user may."""
    with suppress(StackError), mounted(folder, 1):
        return True
    return False


def _unmount(folder: Path) -> None:
    # Lazily: a server that was just killed may hold it for a moment.
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
