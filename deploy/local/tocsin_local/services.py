"""SHELL. Tocsin's own processes on an instance's stack: api, scheduler, sender."""

import secrets
import subprocess
import urllib.request
from base64 import b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path

from tocsin_local import ports, process
from tocsin_local.environment import caller_environment
from tocsin_local.errors import StackError
from tocsin_local.instance import ROOT
from tocsin_local.stack import Stack

BIN = ROOT / ".venv" / "bin"
COMMANDS = {
    "api": ("tocsin-api", "serve"),
    "scheduler": ("tocsin-dispatcher", "schedule"),
    "sender": ("tocsin-dispatcher", "send"),
}
DEFAULT = ("api", "scheduler", "sender")
# What a process logs once it does its work; the api is asked instead.
READY_EVENTS = {"scheduler": "scheduler.leading", "sender": "sender.consuming"}
API_TIMEOUT_S = 60.0
DISPATCHER_TIMEOUT_S = 30.0


class Services:
    """The processes of one instance, each with a log file.

    A process is named by its role, or by its role and more for a second one: `sender`, `sender-2`.
    """

    def __init__(self, stack: Stack, env: Mapping[str, str] | None = None, port: int | None = None) -> None:
        """Take up a stack that was started.

        `env` is what the processes get (default: the caller's with `.env`) with the instance's own values
        added to it; `port` is for an api that does not run yet (default: the one before, at first a free one).
        Nothing is started yet.
        """
        self._instance = stack.instance
        self._urls = stack.urls
        self._env = dict(caller_environment() if env is None else env)
        self._env.pop("PYTHONPATH", None)  # ours
        if self.pid("api") is None:
            if port is None:
                self._instance.settle_ports(["api"], same=False)
            else:
                self._instance.set_port("api", port)
        self.port = self._instance.port("api")
        self.api_url = f"http://127.0.0.1:{self.port}"
        self.api_key = self._env.get("API_KEY") or self._instance.secret("api_key")

    def migrate(self) -> None:
        """Bring the database to the newest version. StackError with the output if that fails."""
        command = [str(BIN / "tocsin-api"), "migrate"]
        if not Path(command[0]).exists():
            raise StackError("Tocsin's packages are not installed: run `make setup`.")
        done = subprocess.run(
            command, env=self.environment(), cwd=ROOT, text=True, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        if done.returncode != 0:
            raise StackError(f"The migration failed (exit code {done.returncode}):\n{done.stdout}")

    def start(self, names: Iterable[str] = DEFAULT, wait: bool = True) -> list[str]:
        """Start those processes that do not run; with `wait`, wait until all are ready. Return what was started.

        StackError with the log's end if one does not become ready: then none of those started here stays.
        """
        names = list(names)
        started: list[str] = []
        try:
            for name in names:
                if self.pid(name) is None:
                    started.append(name)
                    self._spawn(name)
            for name in names if wait else ():
                self.wait_ready(name)
        except BaseException:
            self.stop(started)
            raise
        return started

    def wait_ready(self, name: str) -> None:
        """Wait until a process does its work. StackError with the log's end if it dies or takes too long."""
        record, log, role = self._instance.record(name), self.log(name), _role(name)
        if role == "api":
            process.wait_ready(name, record, log, self._api_is_ready, API_TIMEOUT_S)
            return
        event = READY_EVENTS[role]
        process.wait_ready(
            name, record, log, lambda: event in log.read_text(errors="replace"), DISPATCHER_TIMEOUT_S
        )

    def stop(self, names: Iterable[str] | None = None) -> None:
        """Stop processes (default: all), with SIGTERM, after 20 s with SIGKILL."""
        with process.uninterrupted():
            process.stop_all([self._instance.record(name) for name in (self.names() if names is None else names)])

    def kill(self, name: str) -> None:
        """Kill a process by SIGKILL, as a crash would, and wait until it is gone; it is then among the `dead`."""
        process.kill(self._instance.record(name))

    def names(self) -> list[str]:
        """Return the processes that were started and not stopped, running or dead."""
        return [name for name in self._instance.pids() if _role(name) in COMMANDS]

    def dead(self) -> list[str]:
        """Return the processes that were started and then ended without being stopped."""
        return [name for name, pid in self._instance.pids().items() if _role(name) in COMMANDS and pid is None]

    def pid(self, name: str) -> int | None:
        """Return the pid of a process, None if it does not run."""
        return process.pid(self._instance.record(name))

    def log(self, name: str) -> Path:
        """Return a process's log file; it begins anew at each start, the one before is kept as `<log>.1`."""
        return self._instance.log(name)

    def environment(self, name: str = "api") -> dict[str, str]:
        """Return the environment that a process gets."""
        own = {
            "DATABASE_URL": self._urls.database_url,
            "RABBITMQ_URL": self._urls.rabbitmq_url,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "API_KEY": self.api_key,
        }
        if self._urls.redis_url:
            own["REDIS_URL"] = self._urls.redis_url
        env = {"ENVIRONMENT": "development"} | self._env | own
        if env["ENVIRONMENT"] == "development":  # production gets its operator's keys or none
            new_key = b64encode(secrets.token_bytes(32)).decode()
            env.setdefault("SEALING_KEYS", self._instance.secret("sealing_key", new_key))
        if _role(name) == "scheduler":  # it opens nothing
            env.pop("SEALING_KEYS", None)
        return env

    def _spawn(self, name: str) -> None:
        program, role = COMMANDS[_role(name)]
        if not (BIN / program).exists():
            raise StackError("Tocsin's packages are not installed: run `make setup`.")
        if role == "serve" and not ports.is_free(self.port):
            raise StackError(f"Port {self.port} is taken by another program: set PORT to a free one.")
        command = [str(BIN / program), role]
        process.spawn(self._instance.record(name), command, self.environment(name), ROOT, self.log(name))

    def _api_is_ready(self) -> bool:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(f"{self.api_url}/health/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:  # HTTPError is one
            return False


def _role(name: str) -> str:
    return name.partition("-")[0]
