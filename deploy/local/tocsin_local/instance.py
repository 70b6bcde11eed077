"""ADAPTER. An instance of the local stack: its folder, who uses it, and what it remembers (ports, passwords)."""

import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from tocsin_local import ports
from tocsin_local.errors import StackError
from tocsin_local.process import pid, wait_until

ROOT = Path(__file__).resolve().parents[3]
LOCK_TIMEOUT_S = 120.0
PORTS_TIMEOUT_S = 10.0
REMOVE_TIMEOUT_S = 10.0
OTHER_USER = "Call this as the user who called it first, or set TOCSIN_LOCAL_DIR to another folder."
NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of ours in it, whose owner is checked
MEMORY_NEEDED = 3 * 2**30  # bytes that must be free there: the servers' write-ahead logs come to one


def data_root() -> Path:
    """Return the folder of all instances: TOCSIN_LOCAL_DIR, or `.local` at the repository's top."""
    return Path(os.environ.get("TOCSIN_LOCAL_DIR") or ROOT / ".local").absolute()


def memory_root() -> Path:
    """Return a folder for instances whose data need not outlive a boot: in memory where there is room.

    It is this user's and this checkout's own. Where there is no room it is the data root.
    """
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < MEMORY_NEEDED:
        return data_root()
    checkout = hashlib.sha256(str(data_root()).encode()).hexdigest()[:12]
    return MEMORY / f"tocsin-{os.geteuid()}-{checkout}"


class Instance:
    """One instance in `<root>/<name>/`: `state.json` (0600), `run/`, `log/`, a folder for each server."""

    def __init__(self, name: str, root: Path | None = None) -> None:
        """Take up an instance; `root` is the data root where it is not given. Nothing happens yet."""
        if not NAME.fullmatch(name):
            raise StackError(f"{name!r} cannot name an instance: small letters, digits and '-', at most 31.")
        self.name = name
        self.folder = (root or data_root()) / name
        self._lock: IO[str] | None = None

    @property
    def unique_name(self) -> str:
        """A name that no other instance on this machine has, by which its servers are known."""
        return f"tocsin-{self.name}-{self.secret('id')[:8]}"

    def record(self, process: str) -> Path:
        """Return the file that holds pid and start time of a process."""
        return self.folder / "run" / process

    def log(self, process: str) -> Path:
        """Return the log file of a process."""
        return self.folder / "log" / f"{process}.log"

    def pids(self) -> dict[str, int | None]:
        """Return each process that was started and not stopped, None for one that is dead."""
        return {record.name: pid(record) for record in sorted((self.folder / "run").iterdir())}

    def exists(self) -> bool:
        """Return whether the instance was ever started here."""
        return (self.folder / "run").is_dir()

    def lock(self) -> None:
        """Become the only user, waiting for another one; StackError after LOCK_TIMEOUT_S or without access."""
        if self._lock is not None:
            return
        try:
            self._make_folders()
        except PermissionError as error:
            raise StackError(f"No access to {error.filename}. {OTHER_USER}") from error
        for folder in (self.folder.parent, self.folder):
            if folder.stat().st_uid != os.geteuid():
                raise StackError(f"{folder} belongs to another user. {OTHER_USER}")
        lock = (self.folder / "lock").open("a+")
        if not wait_until(lambda: _try_lock(lock), 0):
            lock.seek(0)
            holder = lock.read().strip()
            print(f"Waiting for process {holder}, which uses instance {self.name!r}.", flush=True)
            if not wait_until(lambda: _try_lock(lock), LOCK_TIMEOUT_S):
                lock.close()
                raise StackError(f"Instance {self.name!r} is in use by process {holder}.")
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def unlock(self) -> None:
        """Let others use the instance."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def wipe(self) -> None:
        """Remove everything but the lock: data, logs, ports and passwords."""
        for path in self.folder.iterdir():
            if path.is_dir():
                remove(path)
            elif path.name != "lock":
                path.unlink()
        self._make_folders()

    def _make_folders(self) -> None:
        """Create the folders; other accounts may pass through the outer ones, not list them."""
        for folder in (self.folder.parent, self.folder):
            if not folder.exists():
                folder.mkdir(parents=True)
                folder.chmod(0o711)
        for folder in (self.folder / "run", self.folder / "log"):
            folder.mkdir(exist_ok=True, mode=0o700)

    # What is remembered

    def port(self, use: str) -> int:
        """Return the port for a use, chosen free at the first call and then remembered."""
        known: dict[str, int] = self._state().get("ports", {})
        if use not in known:
            known[use] = ports.choose(known.values())
            self._remember(ports=known)
        return known[use]

    def set_port(self, use: str, port: int) -> None:
        """Remember a port that was chosen elsewhere."""
        self._remember(ports=self._state().get("ports", {}) | {use: port})

    def settle_ports(self, uses: Iterable[str], same: bool) -> None:
        """Make sure that a server that is down can listen on its ports.

        Those that somebody else took are forgotten, so that new ones are chosen; with `same` they are
        waited for instead, and StackError is raised if they stay taken.
        """
        known: dict[str, int] = self._state().get("ports", {})
        mine = {use: known[use] for use in uses if use in known}
        if same and not wait_until(lambda: all(map(ports.is_free, mine.values())), PORTS_TIMEOUT_S):
            raise StackError(f"Instance {self.name!r} needs its ports back, another program took one of: {mine}.")
        taken = {use for use, port in mine.items() if not ports.is_free(port)}
        if taken:
            self._remember(ports={use: port for use, port in known.items() if use not in taken})

    def secret(self, use: str, new: str | None = None) -> str:
        """Return the secret for a use; at the first call `new`, else 32 random hexadecimal digits."""
        known: dict[str, str] = self._state().get("secrets", {})
        if use not in known:
            known[use] = new or secrets.token_hex(16)
            self._remember(secrets=known)
        return known[use]

    def flag(self, name: str) -> bool:
        """Return whether a fact was noted with `set_flag`."""
        return name in self._state().get("flags", [])

    def set_flag(self, name: str, on: bool = True) -> None:
        """Note a fact, or that it holds no more."""
        flags = set(self._state().get("flags", []))
        self._remember(flags=sorted(flags | {name} if on else flags - {name}))

    def _state(self) -> dict[str, Any]:
        path = self.folder / "state.json"
        try:
            state: dict[str, Any] = json.loads(path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise StackError(f"{path} is unreadable ({error}). Remove {self.folder} to start afresh.") from error
        return state

    def _remember(self, **changes: object) -> None:
        """Change the state in one step: a killed run leaves the old state or the new one."""
        path = self.folder / "state.json"
        draft = path.with_name("state.json.new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            json.dump(self._state() | changes, file, indent=2)
        draft.replace(path)


def remove(folder: Path) -> None:
    """Remove a folder; a process that was just killed may still write into it for a moment.

    A file system that is mounted there is emptied.
    """

    def removed() -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists() or (folder.is_mount() and not any(folder.iterdir()))

    if not wait_until(removed, REMOVE_TIMEOUT_S):
        raise StackError(f"{folder} cannot be removed.")


def _try_lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
