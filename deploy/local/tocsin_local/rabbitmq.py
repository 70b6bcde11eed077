"""ADAPTER. A private RabbitMQ node of an instance, with its management console and an epmd, on loopback only."""

import os
import shutil
import signal
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path

from tocsin_local import process
from tocsin_local.errors import StackError
from tocsin_local.instance import Instance, remove

READY_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0
USER = "tocsin"
CLIENT_PORTS = ("amqp", "management")
INNER_PORTS = ("distribution", "epmd")


def find_server() -> str | None:
    """Return the server's start script, None if there is none.

    Debian's command in PATH is a wrapper that insists on root or user rabbitmq; the script behind it does not.
    """
    behind_wrapper = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    return str(behind_wrapper) if behind_wrapper.exists() else shutil.which("rabbitmq-server")


class RabbitMQ:
    """The node in `<instance>/rabbitmq`, with one user, an administrator (there is no guest).

    It runs as whoever calls, root too: unlike PostgreSQL it could not work in a folder below root's home
    as another user, because Erlang asks access(2), which ignores the capability that would let it pass.
    """

    name = "rabbitmq"

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._folder = instance.folder / "rabbitmq"
        self._record = instance.record(self.name)
        self._epmd_record = instance.record("epmd")
        self._log = instance.log(self.name)

    @property
    def url(self) -> str:
        """The AMQP URL of the default virtual host."""
        return f"amqp://{USER}:{self.password}@127.0.0.1:{self._instance.port('amqp')}/"

    @property
    def management_url(self) -> str:
        """The URL of the management console."""
        return f"http://127.0.0.1:{self._instance.port('management')}"

    @property
    def password(self) -> str:
        """The password of user `tocsin`, for AMQP and the console."""
        return self._instance.secret("rabbitmq")

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
        if process.pid(self._record) is None:
            process.kill_all(self._is_node)  # a second node on the same data would spoil them
            process.stop(self._epmd_record)  # one that a killed run left would still know the node's name
            self._instance.settle_ports(CLIENT_PORTS, same_ports)
            self._instance.settle_ports(INNER_PORTS, same=False)  # nobody else knows these
            self._configure()
        self._start_epmd()
        if process.pid(self._record) is None:
            self._spawn(self._record, [find_server() or "rabbitmq-server"], self._log)
        process.wait_ready("RabbitMQ", self._record, self._log, self._is_ready, READY_TIMEOUT_S)
        self._instance.set_flag("rabbitmq initialised")

    def stop(self, at_once: bool = False) -> None:
        """Stop the node, then its epmd. That takes 6 s: a call of the management plugin must time out.

        `at_once` kills it instead, for data that nobody needs any more.
        """
        process.stop(self._record, signal.SIGKILL if at_once else signal.SIGTERM, STOP_TIMEOUT_S)
        process.stop(self._epmd_record)

    def _start_epmd(self) -> None:
        if process.pid(self._epmd_record) is None:
            port = str(self._instance.port("epmd"))
            command = ["epmd", "-address", "127.0.0.1", "-port", port]
            self._spawn(self._epmd_record, command, self._instance.log("epmd"))

    def _spawn(self, record: Path, command: list[str], log: Path) -> None:
        process.spawn(record, command, self._environment(), self._folder, log)

    def _configure(self) -> None:
        """Write the node's files; data of a first start that was cut off goes, it may lack the user."""
        data = self._folder / "data"
        if data.exists() and not self._instance.flag("rabbitmq initialised"):
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
listeners.tcp.1 = 127.0.0.1:{self._instance.port("amqp")}
management.tcp.ip = 127.0.0.1
management.tcp.port = {self._instance.port("management")}
default_user = {USER}
default_pass = {self.password}
default_user_tags.administrator = true
disk_free_limit.absolute = 100MB
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
            "RABBITMQ_NODENAME": f"{self._instance.unique_name}@localhost",
            "RABBITMQ_DIST_PORT": str(self._instance.port("distribution")),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "env.conf"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_LOGS": "-",  # to the log file that the process was started with
            # The script then becomes the node, instead of waiting for it: the recorded pid is the node's.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_START_ARGS": f"-noinput -tocsin {self._instance.unique_name}",  # see _is_node
        }

    def _is_node(self, command: list[str]) -> bool:
        """Recognise the node by its command line."""
        return command[0].endswith("/beam.smp") and self._instance.unique_name in command

    def _is_ready(self) -> bool:
        """Ask the management API, as the user, whether AMQP is listened for."""
        path = f"/api/health/checks/port-listener/{self._instance.port('amqp')}"
        login = b64encode(f"{USER}:{self.password}".encode()).decode()
        request = urllib.request.Request(self.management_url + path)  # noqa: S310 - our own http: URL
        request.add_header("Authorization", f"Basic {login}")
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(request, timeout=5):
                return True
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 401:
                raise StackError(f"RabbitMQ refuses the login in {self._instance.folder}/state.json.") from error
            return False
        except OSError:
            return False
