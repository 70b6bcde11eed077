"""ADAPTER. A private PostgreSQL cluster of an instance, on loopback only."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tocsin_local import account, process
from tocsin_local.errors import StackError
from tocsin_local.instance import Instance, remove

OLDEST_VERSION = 14
READY_TIMEOUT_S = 60.0  # crash recovery on a slow disk included
LOGINS = """\
host all all 127.0.0.1/32 scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
"""
STATUS_LINE = 7  # of postmaster.pid, what `pg_ctl -w` reads too


def find_binaries() -> Path | None:
    """Return the folder of initdb and postgres, the newest version of at least 14; None if there is none."""
    in_path = shutil.which("initdb")
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    found = {path.parent: _version(path) for path in [*debian, *([Path(in_path)] if in_path else [])]}
    usable = [(version, folder) for folder, version in found.items() if version >= OLDEST_VERSION]
    return max(usable)[1] if usable else None


def _version(initdb: Path) -> int:
    answer = subprocess.run([initdb, "--version"], capture_output=True, text=True, check=False).stdout
    number = re.search(r"\d+", answer)
    return int(number[0]) if number and (initdb.parent / "postgres").exists() else 0


class Postgres:
    """The cluster in `<instance>/postgres/data`, with role and database `tocsin`."""

    name = "postgres"

    def __init__(self, instance: Instance, settings: Mapping[str, str] | None = None) -> None:
        """`settings` of the server, beside those that every cluster of ours has, for each start."""
        self._instance = instance
        self._settings = settings or {}
        self._folder = instance.folder / "postgres"
        self._data = self._folder / "data"
        self._record = instance.record(self.name)
        self._log = instance.log(self.name)

    @property
    def url(self) -> str:
        """The URL of database `tocsin` for its owner, who may create databases and roles."""
        password = self._instance.secret("postgres")
        return f"postgresql://tocsin:{password}@127.0.0.1:{self._instance.port('postgres')}/tocsin"

    def pids(self) -> dict[str, int]:
        """Return the main process if it runs: name → pid."""
        number = process.pid(self._record)
        return {} if number is None else {self.name: number}

    def is_running(self) -> bool:
        """Return whether the server runs."""
        return bool(self.pids())

    def start(self, same_ports: bool = False) -> None:
        """Start the server unless it runs, and wait until it takes connections; mend what a killed run left.

        A port that is taken is replaced, or with `same_ports` waited for. StackError with the log's end.
        """
        if not self.is_running():
            self._spawn(same_ports)
        process.wait_ready("PostgreSQL", self._record, self._log, self._is_ready, READY_TIMEOUT_S)

    def _spawn(self, same_ports: bool) -> None:
        process.kill_all(self._is_part)  # a second server on the same data would spoil them
        self._instance.settle_ports(["postgres"], same_ports)
        if not self._instance.flag("postgres initialised"):
            self._initialise()
            self._instance.set_flag("postgres initialised")
        account.own(self._folder)
        # No server works here now, so the pid in this file is of the past, whoever has it today.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        prefix = account.command_prefix(self._folder)
        command = [*prefix, str(_binary("postgres")), "-D", str(self._data), *self._options()]
        process.spawn(self._record, command, _environment(), self._folder, self._log)

    def stop(self) -> None:
        """Stop the server, at once for its clients (a fast shutdown)."""
        process.stop(self._record, signal.SIGINT)
        process.kill_all(self._is_part)  # a frozen child does not notice the end

    def _initialise(self) -> None:
        """Make the cluster anew; role and database are made before it ever listens."""
        if self._data.exists():
            print("Removing the PostgreSQL data of a start that was cut off.", flush=True)
            remove(self._data)
        account.own(self._folder)
        initdb = ["--auth=reject", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8"]
        self._run("initdb", [*initdb, "-D", str(self._data)])
        (self._data / "pg_hba.conf").write_text(LOGINS)
        password = self._instance.secret("postgres")
        # The last right lets it drop a database in which an autovacuum works; replication, have a standby.
        rights = "LOGIN CREATEDB CREATEROLE REPLICATION"
        sql = f"""CREATE ROLE tocsin {rights} PASSWORD '{password}' IN ROLE pg_signal_backend
CREATE DATABASE tocsin OWNER tocsin
"""
        self._run("postgres", ["--single", "-D", str(self._data), "-c", "exit_on_error=on", "postgres"], sql)

    def _run(self, program: str, arguments: list[str], text: str = "") -> None:
        command = [*account.command_prefix(self._folder), str(_binary(program)), *arguments]
        with subprocess.Popen(
            command, env=_environment(), cwd=self._folder, text=True, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as running:  # fmt: skip
            try:
                output = running.communicate(text)[0]
            except BaseException:
                os.killpg(running.pid, signal.SIGKILL)  # initdb has a server working for it
                raise
        if running.returncode != 0:
            raise StackError(f"{program} failed:\n{output}")

    def _options(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self._instance.port("postgres"),
            "unix_socket_directories": "",  # a socket's path may be no longer than 107 bytes
            "cluster_name": self._instance.unique_name,  # in every process title: see _is_part
            "max_connections": 200,
            "timezone": "UTC",
            "log_timezone": "UTC",
            **self._settings,
        }
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _is_part(self, command: list[str]) -> bool:
        """Recognise by its command line what works on the data: server, child of it, initdb."""
        child = command[0].startswith(f"postgres: {self._instance.unique_name}: ")
        return child or (command[0].endswith(("/postgres", "/initdb")) and str(self._data) in command)

    def _is_ready(self) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > STATUS_LINE and lines[STATUS_LINE].strip() == "ready"


def _binary(program: str) -> Path:
    folder = find_binaries()
    if folder is None:
        raise StackError(f"No PostgreSQL of version {OLDEST_VERSION} or newer found.")
    return folder / program


def _environment() -> dict[str, str]:
    """Return the servers' environment: nothing of the caller's, whose PG* variables would change their ways."""
    return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
