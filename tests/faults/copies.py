"""ADAPTER. Copies of a database, made and read back with PostgreSQL's own programs, as docs/deployment.md says."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from environment import INHERITED
from tocsin_local.postgres import find_binaries

SLOT = "backup"  # the server keeps for it what it has not had yet
PARTIAL = ".partial"  # what pg_receivewal calls the file that it was writing


async def dump(database_url: str, file: Path) -> None:
    """All that was committed when it began."""
    await _run("pg_dump", "--format=custom", f"--file={file}", database_url)


async def restore(file: Path, database_url: str) -> None:
    """A dump, into a database without any table, on a server that has the users."""
    await _run("pg_restore", "--exit-on-error", f"--dbname={database_url}", str(file))


def base_backup(database_url: str, data: Path, *more: str) -> None:
    """The data of a server, while it works."""
    _call("pg_basebackup", "--checkpoint=fast", f"--pgdata={data}", f"--dbname={database_url}", *more)


def follow(data: Path, database_url: str) -> None:
    """Make `data` that of a standby of the server."""
    base_backup(database_url, data, "--write-recovery-conf")


@contextmanager
def log_kept(database_url: str, folder: Path) -> Iterator[None]:
    """Write down each commit of the server in `folder`, before it counts where the server waits for that."""
    folder.mkdir()
    server = f"--dbname={database_url}", f"--slot={SLOT}"
    _call("pg_receivewal", *server, "--create-slot")
    command = [_program("pg_receivewal"), *server, "--synchronous", f"--directory={folder}"]
    process = subprocess.Popen(command, env=INHERITED, stderr=subprocess.DEVNULL)  # it will say that it is cut off
    try:
        yield
    finally:
        process.kill()
        process.wait()


def replay(data: Path, backup: Path, log: Path) -> None:
    """Make `data` what `backup` becomes with all that is in the `log`."""
    shutil.copytree(backup, data)
    own = data.parent / "log"  # a copy, which the server may read whoever it runs as
    shutil.copytree(log, own)
    for part in own.glob(f"*{PARTIAL}"):
        part.rename(part.with_suffix(""))
    with (data / "postgresql.auto.conf").open("a") as settings:
        settings.write(f"restore_command = 'cp {own}/%f %p'\n")
    (data / "recovery.signal").touch()


async def _run(*command: str) -> None:
    await asyncio.to_thread(_call, *command)


def _call(program: str, *arguments: str) -> None:
    command = [_program(program), *arguments]
    done = subprocess.run(command, env=INHERITED, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _program(name: str) -> Path:
    found = find_binaries()
    assert found is not None, "PostgreSQL's programs are missing: make install"
    return (found / "postgres").resolve().parent / name  # what is found may be links to some of them
