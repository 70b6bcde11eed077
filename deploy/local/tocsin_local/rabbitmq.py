"""ADAPTER. A private RabbitMQ node of an instance, with its management console and an epmd, on loopback only."""

import json
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import Any

from tocsin_local import process
from tocsin_local.errors import StackError
from tocsin_local.instance import Instance, remove

READY_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0
CONTROL_TIMEOUT_S = 60.0  # a command line tool of Erlang's takes some seconds to start
ANSWER_TIMEOUT_S = 5.0
USER = "tocsin"
CLIENT_PORTS = ("amqp", "management")
INNER_PORTS = ("distribution",)
INITIALISED = "rabbitmq initialised"
"""The flag of data that a start was not cut off from, of all nodes."""
SCRIPTS = Path("/usr/lib/rabbitmq/bin")
"""Debian's, behind the wrappers in PATH, which insist on root or user rabbitmq."""


def find_server() -> str | None:
    """Return the server's start script, None if there is none."""
    return _find("rabbitmq-server")


class RabbitMQ:
    """The node in `<instance>/rabbitmq`, with one user, an administrator (there is no guest).

    A node of a cluster has a number, from 1 on, and all things of its own but the epmd: see Cluster.

    It runs as whoever calls, root too: unlike PostgreSQL it could not work in a folder below root's home
    as another user, because Erlang asks access(2), which ignores the capability that would let it pass.
    """

    def __init__(self, instance: Instance, number: int | None = None) -> None:
        self._instance = instance
        self._suffix = "" if number is None else f"-{number}"
        self.name = f"rabbitmq{self._suffix}"
        self._folder = instance.folder / self.name
        self._record = instance.record(self.name)
        self._epmd_record = instance.record("epmd")
        self._log = instance.log(self.name)

    @property
    def node(self) -> str:
        """Its name for Erlang."""
        return self._node()

    @property
    def url(self) -> str:
        """The AMQP URL of the default virtual host."""
        return f"amqp://{USER}:{self.password}@127.0.0.1:{self._port('amqp')}/"

    @property
    def management_url(self) -> str:
        """The URL of the management console."""
        return f"http://127.0.0.1:{self._port('management')}"

    @property
    def management_urls(self) -> list[str]:
        """Those of all nodes, of which it is the only one."""
        return [self.management_url]

    @property
    def password(self) -> str:
        """The password of user `tocsin`, for AMQP and the console."""
        return self._instance.secret("rabbitmq")

    @property
    def processes(self) -> list[str]:
        """The names of the processes that run when all is well."""
        return [self.name, "epmd"]

    def pids(self) -> dict[str, int]:
        """Return what runs of node and epmd: name → pid."""
        found = {self.name: process.pid(self._record), "epmd": process.pid(self._epmd_record)}
        return {name: number for name, number in found.items() if number is not None}

    def is_running(self) -> bool:
        """Return whether node and epmd run."""
        return len(self.pids()) == 2

    def start(self, same_ports: bool = False) -> None:
        """Start what does not run and wait until the node takes connections.

        A port that is taken is replaced, or with `same_ports` waited for. StackError with the log's end.
        """
        self.launch(same_ports)
        self.wait_ready()
        self._instance.set_flag(INITIALISED)

    def launch(self, same_ports: bool = False) -> None:
        """Start what does not run, and do not wait."""
        if process.pid(self._record) is None:
            process.kill_all(self._is_node)  # a second node on the same data would spoil them
            if not self._suffix:
                process.stop(self._epmd_record)  # one that a killed run left would still know the node's name
            self._instance.settle_ports(map(self._use, CLIENT_PORTS), same_ports)
            self._instance.settle_ports(map(self._use, INNER_PORTS), same=False)  # nobody else knows these
            self._configure()
        self._start_epmd()
        if process.pid(self._record) is None:
            self._spawn(self._record, [find_server() or "rabbitmq-server"], self._log)

    def wait_ready(self) -> None:
        """Wait until the node takes connections. StackError with the log's end."""
        process.wait_ready("RabbitMQ", self._record, self._log, self.is_ready, READY_TIMEOUT_S)

    def stop(self, at_once: bool = False) -> None:
        """Stop the node, then its epmd unless others need it.

        That takes 6 s: a call of the management plugin must time out. `at_once` kills it instead, for data that
        nobody needs any more.
        """
        process.stop(self._record, signal.SIGKILL if at_once else signal.SIGTERM, STOP_TIMEOUT_S)
        if not self._suffix:
            self.stop_epmd()

    def stop_epmd(self) -> None:
        """Stop it, also that of a cluster."""
        process.stop(self._epmd_record)

    def control(self, *command: str) -> str:
        """Return what `rabbitmqctl` says about the node. StackError where it fails."""
        program = [_find("rabbitmqctl") or "rabbitmqctl", "--node", self._node(), *command]
        done = subprocess.run(
            program, env=self._environment(), cwd=self._folder, capture_output=True, text=True, check=False,
            timeout=CONTROL_TIMEOUT_S,
        )  # fmt: skip
        if done.returncode != 0:
            raise StackError(f"rabbitmqctl {' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def _use(self, port: str) -> str:
        return f"{port}{self._suffix}"

    def _port(self, use: str) -> int:
        return self._instance.port(self._use(use))

    def _node(self, suffix: str | None = None) -> str:
        """Return the node's name for Erlang, or that of another one of its cluster."""
        return f"{self._instance.unique_name}{self._suffix if suffix is None else suffix}@localhost"

    def _start_epmd(self) -> None:
        if process.pid(self._epmd_record) is None:
            self._instance.settle_ports(["epmd"], same=False)
            port = str(self._instance.port("epmd"))
            command = ["epmd", "-address", "127.0.0.1", "-port", port]
            self._spawn(self._epmd_record, command, self._instance.log("epmd"))

    def _spawn(self, record: Path, command: list[str], log: Path) -> None:
        process.spawn(record, command, self._environment(), self._folder, log)

    def _configure(self) -> None:
        """Write the node's files; data of a first start that was cut off goes, it may lack the user."""
        data = self._folder / "data"
        if data.exists() and not self._instance.flag(INITIALISED):
            print("Removing the RabbitMQ data of a start that was cut off.", flush=True)
            remove(data)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder.chmod(0o700)
        files = {
            "enabled_plugins": "[rabbitmq_management].\n",
            "env.conf": "",  # instead of the machine's own
            "rabbitmq.conf": self._settings(),
            ".erlang.cookie": self._instance.secret("cookie"),  # Erlang's own choice is easy to guess
        }
        for name, text in files.items():
            path = self._folder / name
            path.touch(mode=0o600)
            path.write_text(text)

    def _settings(self) -> str:
        return f"""\
listeners.tcp.1 = 127.0.0.1:{self._port("amqp")}
management.tcp.ip = 127.0.0.1
management.tcp.port = {self._port("management")}
default_user = {USER}
default_pass = {self.password}
default_user_tags.administrator = true
disk_free_limit.absolute = 100MB
{self._membership() if self._suffix else ""}"""

    def _membership(self) -> str:
        """A new node joins the first one, which alone begins a cluster; those that stay few take no part."""
        return f"""\
cluster_name = {self._instance.unique_name}
cluster_formation.peer_discovery_backend = classic_config
cluster_formation.classic_config.nodes.1 = {self._node("-1")}
cluster_partition_handling = pause_minority
"""

    def _environment(self) -> dict[str, str]:
        """Return the node's environment; nothing of the caller's, whose RABBITMQ_* would change its ways."""
        folder = self._folder
        return {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "HOME": str(folder),  # the cookie
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._instance.port("epmd")),
            "ERL_ZFLAGS": "-kernel inet_dist_use_interface {127,0,0,1}",  # for every Erlang that the script starts
            "ERL_CRASH_DUMP": str(folder / "erl_crash.dump"),
            "RABBITMQ_NODENAME": self._node(),
            "RABBITMQ_DIST_PORT": str(self._port("distribution")),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "env.conf"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_LOGS": "-",  # to the log file that the process was started with
            # The script then becomes the node, instead of waiting for it: the recorded pid is the node's.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_START_ARGS": f"-noinput -tocsin {self._mark}",  # see _is_node
        }

    @property
    def _mark(self) -> str:
        return f"{self._instance.unique_name}{self._suffix}"

    def _is_node(self, command: list[str]) -> bool:
        """Recognise the node by its command line."""
        return command[0].endswith("/beam.smp") and self._mark in command

    def ask(self, path: str) -> Any:
        """Return what the node's management API answers to its user. OSError where it does not."""
        login = b64encode(f"{USER}:{self.password}".encode()).decode()
        request = urllib.request.Request(f"{self.management_url}/api/{path}")  # noqa: S310 - our own http: URL
        request.add_header("Authorization", f"Basic {login}")
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=ANSWER_TIMEOUT_S) as answer:
            return json.load(answer)

    def is_ready(self) -> bool:
        """Ask whether AMQP is listened for."""
        try:
            self.ask(f"health/checks/port-listener/{self._port('amqp')}")
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 401:
                raise StackError(f"RabbitMQ refuses the login in {self._instance.folder}/state.json.") from error
            return False
        except OSError:
            return False
        return True


def _find(script: str) -> str | None:
    behind_wrapper = SCRIPTS / script
    return str(behind_wrapper) if behind_wrapper.exists() else shutil.which(script)
