"""ADAPTER. All that somebody could see of a run, as text: messages, answers, RabbitMQ's console, logs."""

from collections.abc import Mapping

from e2e.crew import Crew
from e2e.evidence import Answers, Console, Tap
from faults.matrix.watch import Watch
from faults.own_servers import OwnServer
from tocsin_common.settings_forms import rabbitmq_nodes
from tocsin_local import ports
from tocsin_local.urls import StackUrls

ROOT_VHOST = "%2F"
CONSUMER = "the fault matrix"


class Evidence:
    """Of one run. Each client keeps what it sees."""

    def __init__(self, servers: StackUrls) -> None:
        self.console = Console(servers, ROOT_VHOST)
        self.answers: list[Answers] = []
        """Of each API, in the order of `add_api`."""
        self._node = rabbitmq_nodes(servers.rabbitmq_url)[0]
        self.watch = Watch()
        self._ports: list[int] = []
        self._taps: list[Tap] = []
        self.queues = ""
        """What has stayed in them."""
        self._server_logs = ""

    def add_process(self) -> int:
        """Another one that serves its metrics; at which port."""
        port = ports.choose(self._ports)
        self._ports.append(port)
        self.watch.add_process(port)
        return port

    def add_api(self, url: str, api_key: str) -> None:
        """Another one; its client is opened by whoever closes it."""
        self.answers.append(Answers(url, {"X-API-KEY": api_key}))

    async def tap(self) -> None:
        """Keep all messages from now on; a tap ends with its broker."""
        if self._taps and self._taps[-1].is_open:
            return
        self._taps.append(await Tap(self._node, CONSUMER).__aenter__())

    async def close_taps(self) -> None:
        """What they kept stays."""
        for tap in self._taps:
            await tap.__aexit__(None, None, None)

    async def look(self) -> None:
        """At RabbitMQ, when all is over."""
        await self.console.look()
        self.queues = await self.console.messages()

    def keep_logs(self, server: OwnServer) -> None:
        """Its logs so far: its next start begins new ones."""
        self._server_logs += "".join(log.read_text(errors="replace") for log in server.logs)

    def places(self, crew: Crew) -> Mapping[str, str]:
        """All of it, by where it was seen."""
        return {
            "output of the api": crew.output("serve"),
            "output of the scheduler": crew.output("schedule"),
            "output of the sender": crew.output("send"),
            "messages": "".join(tap.text for tap in self._taps),
            "messages that stay in queues": self.queues,
            "management console": self.console.text,
            "answers of the API": "".join(answers.text for answers in self.answers),
            "logs of the servers": self._server_logs,
            **self.watch.places(),
        }
