"""ADAPTER. A private Redis of an instance, on loopback only. Tocsin needs nothing in it to outlive it."""

import os
import shutil
import signal
import socket

from tocsin_local import process
from tocsin_local.instance import Instance

READY_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 5.0
# What is in it is counted anew, and may go where there is much; or it is work that nothing else knows.
COUNTS = 'save ""\nmaxmemory 64mb\nmaxmemory-policy allkeys-lru\n'
WORK = 'save ""\nmaxmemory-policy noeviction\nappendonly yes\nappendfsync everysec\n'
SAFE_WORK = WORK.replace("everysec", "always")  # on disk before it is answered


def find_server() -> str | None:
    """Return the server's program, None if there is none."""
    return shutil.which("redis-server")


class Redis:
    """The server of `<instance>/redis`, for whoever has its password."""

    name = "redis"

    def __init__(self, instance: Instance, contents: str = COUNTS) -> None:
        """Take up an instance; `contents` says what is kept. Nothing happens yet."""
        self._instance = instance
        self._contents = contents
        self._folder = instance.folder / "redis"
        self._settings_file = self._folder / "redis.conf"
        self._record = instance.record(self.name)
        self._log = instance.log(self.name)

    @property
    def url(self) -> str:
        """The URL of its first database."""
        return f"redis://:{self._instance.secret('redis')}@127.0.0.1:{self._instance.port('redis')}"

    def pids(self) -> dict[str, int]:
        """Return the process if it runs: name → pid."""
        number = process.pid(self._record)
        return {} if number is None else {self.name: number}

    def is_running(self) -> bool:
        """Return whether the server runs."""
        return bool(self.pids())

    def start(self, same_ports: bool = False) -> None:
        """Start the server unless it runs, and wait until it answers.

        A port that is taken is replaced, or with `same_ports` waited for. StackError with the log's end.
        """
        if not self.is_running():
            process.kill_all(self._is_server)
            self._instance.settle_ports(["redis"], same_ports)
            self._configure()
            command = [find_server() or "redis-server", str(self._settings_file)]
            environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
            process.spawn(self._record, command, environment, self._folder, self._log)
        process.wait_ready("Redis", self._record, self._log, self._is_ready, READY_TIMEOUT_S)

    def stop(self) -> None:
        """Stop the server."""
        process.stop(self._record, signal.SIGTERM)

    def _configure(self) -> None:
        """Write its settings, for this user's eyes: on the command line anybody would see the password."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._settings_file.touch(mode=0o600)
        self._settings_file.write_text(f"""\
bind 127.0.0.1
port {self._instance.port("redis")}
requirepass {self._instance.secret("redis")}
set-proc-title no
{self._contents}""")

    def _is_server(self, command: list[str]) -> bool:
        """Recognise the server by its command line, which `set-proc-title` leaves as it is."""
        return command[0].endswith("redis-server") and str(self._settings_file) in command

    def _is_ready(self) -> bool:
        try:
            address = ("127.0.0.1", self._instance.port("redis"))
            with socket.create_connection(address, timeout=ANSWER_TIMEOUT_S) as line:
                line.sendall(f"AUTH {self._instance.secret('redis')}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\n") < 2 and (more := line.recv(100)):
                    answer += more
        except OSError:
            return False
        return answer == b"+OK\r\n+PONG\r\n"
