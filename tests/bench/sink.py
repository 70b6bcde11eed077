"""ADAPTER. Receivers that answer at once: an nginx on many addresses of the loopback interface, and its log."""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench import arrivals
from bench.arrivals import Arrival
from tocsin_local import packages, process
from tocsin_local.errors import StackError
from tocsin_local.instance import Instance

NAME = "nginx"
READY_TIMEOUT_S = 20.0
POLL_S = 0.05
FLUSH_S = 0.05  # how long nginx keeps what it logs
OUTSIDE_PATH = "/usr/sbin:/usr/local/sbin"  # where Debian has it; not in everybody's PATH
CONNECTIONS = 18_000  # it listens on a thousand sockets, and each sender keeps its connections open
FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")  # Debian's own are for its service alone


class Sink:
    """The nginx in `<instance>/nginx`, a master and one worker; whatever stops the instance stops it."""

    def __init__(self, instance: Instance, addresses: Sequence[str]) -> None:
        """Nothing happens yet."""
        self._instance = instance
        self._addresses = addresses
        self._folder = instance.folder / NAME
        self._record = instance.record(NAME)
        self._counted = self._size = 0

    @property
    def origins(self) -> list[str]:
        """`http://<address>:<port>` of each receiver."""
        port = self._instance.port(NAME)
        return [f"http://{address}:{port}" for address in self._addresses]

    def start(self) -> None:
        """Start it, and install it before where it is missing. StackError with its log's end if that fails."""
        program = find_program()
        if program is None:
            packages.install({"nginx": "the web server that executions are posted to"})
            program = find_program() or NAME
        self._instance.settle_ports([NAME], same=False)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = configuration(self._folder, self._addresses, self._instance.port(NAME))
        (self._folder / "nginx.conf").write_text(text)
        command = [program, "-p", str(self._folder), "-c", "nginx.conf", "-e", "stderr"]
        log = self._instance.log(NAME)
        process.spawn(self._record, command, {"PATH": os.environ["PATH"]}, self._folder, log)
        process.wait_ready(NAME, self._record, log, self._is_ready, READY_TIMEOUT_S)

    def forget(self) -> None:
        """Empty the log. Nothing may be on its way."""
        os.truncate(self._log, 0)
        self._counted = self._size = 0

    def count(self) -> int:
        """How many POSTs are in the log: all that arrived, but for the last FLUSH_S."""
        with self._log.open("rb") as log:
            log.seek(self._size)
            new = log.read()
        self._size += len(new)
        self._counted += new.count(b"\n")
        return self._counted

    async def reached(self, posts: int, *, timeout_s: float) -> None:
        """Return once so many POSTs are in the log; StackError after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.count() < posts:  # noqa: ASYNC110 - a file does not tell by itself
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise StackError(f"After {timeout_s:.0f} s {self.count()} of {posts} POSTs have arrived.") from None

    async def arrived(self) -> list[Arrival]:
        """Every POST since `forget`."""
        await asyncio.sleep(2 * FLUSH_S)
        return arrivals.parse(self._log.read_text())

    @property
    def _log(self) -> Path:
        return self._folder / "arrivals.log"

    def _is_ready(self) -> bool:
        try:
            socket.create_connection((self._addresses[-1], self._instance.port(NAME)), timeout=1).close()
        except OSError:
            return False
        return True


def find_program() -> str | None:
    """The path of nginx, None where it is not installed."""
    return shutil.which(NAME) or shutil.which(NAME, path=OUTSIDE_PATH)


def versions() -> dict[str, str]:
    """Of nginx, which says it among its errors."""
    said = subprocess.run([find_program() or NAME, "-v"], capture_output=True, text=True, check=True).stderr
    return {NAME: said.strip().rpartition("/")[2]}


def addresses(count: int) -> list[str]:
    """`count` addresses of the loopback interface: 127.1.0.1 and up."""
    return [f"127.1.{n // 250}.{n % 250 + 1}" for n in range(count)]


def configuration(folder: Path, addresses: Sequence[str], port: int) -> str:
    """What nginx is told: to answer 204 to everything, on these addresses and no other, and to log it."""
    listen = "\n".join(f"        listen {address}:{port} backlog=1024;" for address in addresses)
    temporary = "\n".join(f"    {name}_temp_path {folder}/{name};" for name in FOLDERS)
    return f"""\
daemon off;
worker_processes 1;
worker_rlimit_nofile {CONNECTIONS + 1000};
pid {folder}/nginx.pid;
error_log stderr warn;
events {{
    worker_connections {CONNECTIONS};
    multi_accept on;
}}
http {{
{temporary}
    log_format arrival '$msec $server_addr $http_webhook_id';
    access_log {folder}/arrivals.log arrival buffer=64k flush={FLUSH_S * 1000:.0f}ms;
    keepalive_requests 1000000000;
    keepalive_timeout 1h 1h;
    server {{
{listen}
        location / {{
            return 204;
        }}
    }}
}}
"""
