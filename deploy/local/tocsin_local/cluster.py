"""ADAPTER. A RabbitMQ cluster of an instance, all nodes on this machine: to see what becomes of one that fails."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from tocsin_local import process
from tocsin_local.errors import StackError
from tocsin_local.instance import Instance
from tocsin_local.rabbitmq import INITIALISED, RabbitMQ

STATE = ("leader", "members", "online")
WHOLE_TIMEOUT_S = 90.0  # a queue's member that was away has much to catch up with


class Cluster:
    """Nodes 1, 2, 3 …, each with data, ports and a console of its own; they share user, cookie and epmd.

    A quorum queue has a member on each of three nodes, and works while two of them do.
    """

    name = "rabbitmq"

    def __init__(self, instance: Instance, size: int = 3) -> None:
        self._instance = instance
        self._nodes = [RabbitMQ(instance, number) for number in range(1, size + 1)]

    @property
    def url(self) -> str:
        """The nodes' AMQP URLs, separated by commas: what RABBITMQ_URL takes."""
        return ",".join(node.url for node in self._nodes)

    @property
    def management_url(self) -> str:
        """The URL of the first node's console; it shows the whole cluster."""
        return self._nodes[0].management_url

    @property
    def management_urls(self) -> list[str]:
        """Those of all nodes."""
        return [node.management_url for node in self._nodes]

    @property
    def password(self) -> str:
        """The password of user `tocsin`, for AMQP and the consoles."""
        return self._nodes[0].password

    @property
    def processes(self) -> list[str]:
        """The names of the processes that run when all is well."""
        return [*(node.name for node in self._nodes), "epmd"]

    def pids(self) -> dict[str, int]:
        """Return what runs of nodes and epmd: `rabbitmq-1` …, `epmd` → pid."""
        return {name: pid for node in self._nodes for name, pid in node.pids().items()}

    def is_running(self) -> bool:
        """Return whether all nodes and epmd run."""
        return self.pids().keys() == set(self.processes)

    def start(self, same_ports: bool = False) -> None:
        """Start what does not run and wait until all nodes take connections; see RabbitMQ.start."""
        first, *others = self._nodes
        if not self._instance.flag(INITIALISED):
            self.stop(at_once=True)  # of a first start that was cut off, whose data goes
            first.launch(same_ports)
            first.wait_ready()  # the others join it
        for node in (first, *others):
            node.launch(same_ports)
        for node in (first, *others):
            node.wait_ready()
        self._instance.set_flag(INITIALISED)

    def stop(self, at_once: bool = False) -> None:
        """Stop all nodes, then their epmd; see RabbitMQ.stop."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(partial(RabbitMQ.stop, at_once=at_once), self._nodes))
        self._nodes[0].stop_epmd()

    def kill(self, number: int) -> None:
        """Kill a node by SIGKILL, and wait until it is gone."""
        process.kill(self._instance.record(self._node(number).name))

    def start_node(self, number: int) -> None:
        """Bring one back, on the same ports and data, and wait until it takes connections."""
        self._node(number).launch(same_ports=True)
        self._node(number).wait_ready()

    def part(self, number: int) -> None:
        """Cut one off from the others: none of them takes connections from the other side any more.

        They all use one epmd and loopback, so no line between them can be cut; a wrong cookie has the same effect.
        """
        self._let_in(number, "parted")
        others = self._names(number)
        self._node(number).control("eval", f"[erlang:disconnect_node(N) || N <- {others}].")

    def stands_still(self, number: int) -> bool:
        """Whether a node takes no connections: as one of the few, after a partition."""
        return not self._node(number).is_ready()

    def join(self, number: int) -> None:
        """Let them see each other again; one that stood still for it goes on by itself."""
        self._let_in(number, self._instance.secret("cookie"))

    def control(self, *command: str) -> str:
        """Return what `rabbitmqctl` says about the first node."""
        return self._nodes[0].control(*command)

    def wait_whole(self) -> None:
        """Wait until all nodes run, and each queue of `/` has a leader and all members online. StackError."""
        if not process.wait_until(lambda: not self.gaps(), WHOLE_TIMEOUT_S):
            raise StackError(f"The cluster is not whole after {WHOLE_TIMEOUT_S:.0f} s: {'; '.join(self.gaps())}")

    def gaps(self) -> list[str]:
        """Return what of it is missing, in words; nothing where it is whole."""
        gone = [f"{node.name} does not run" for node in self._nodes if node.name not in self.pids()]
        if gone:
            return gone
        try:
            return [gap for node in self._nodes for gap in self._gaps_seen_by(node)] or self._gaps_of_queues()
        except OSError as error:
            return [f"a console does not answer: {error}"]

    def _gaps_seen_by(self, node: RabbitMQ) -> list[str]:
        running = [each for each in node.ask("nodes") if each["running"]]
        return [] if len(running) == len(self._nodes) else [f"{node.name} sees {len(running)} nodes"]

    def _gaps_of_queues(self) -> list[str]:
        # Not from the console, which shows for some seconds what was.
        listed = self.control("list_queues", "--quiet", "--formatter", "json", "name", "type", *STATE)
        return [gap for queue in json.loads(listed) for gap in gaps_of(queue)]

    def _let_in(self, number: int, cookie: str) -> None:
        setting = f"[erlang:set_cookie(N, '{cookie}') || N <- {self._names(number)}]."
        self._node(number).control("eval", setting)

    def _names(self, number: int) -> str:
        """Of the others, as Erlang writes them."""
        return f"[{', '.join(repr(node.node) for node in self._nodes if node is not self._node(number))}]"

    def _node(self, number: int) -> RabbitMQ:
        return self._nodes[number - 1]


def gaps_of(queue: dict[str, Any]) -> list[str]:
    """Return what a queue lacks, as `rabbitmqctl list_queues` tells of it with its name, type and STATE."""
    if queue["type"] != "quorum":
        return []
    leader, members, online = (queue[name] for name in STATE)
    gaps = [] if leader in online else [f"{queue['name']} has no leader"]
    return gaps + [f"{queue['name']} has no member online on {name}" for name in sorted({*members} - {*online})]
