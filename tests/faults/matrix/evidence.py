"""ADAPTER. All that somebody could see of a run, as text: messages, answers, RabbitMQ's console, logs."""

from collections.abc import Mapping

from e2e.crew import Crew
from e2e.evidence import Answers, Console
from faults.matrix.firehose import Firehose
from faults.matrix.watch import Watch
from faults.own_servers import OwnServer
from tocsin_local import ports
from tocsin_local.stack import Stack

ROOT_VHOST = "%2F"
CONSUMER = "the fault matrix"


class Evidence:
    """Of one run. Each client keeps what it sees."""

    def __init__(self, stack: Stack) -> None:
        self.console = Console(stack.urls, ROOT_VHOST)
        self.answers: list[Answers] = []
        """Of each API, in the order of `add_api`."""
        self.messages = Firehose(stack.urls, stack.broker.management_urls, CONSUMER)
        """All of them; it is opened by whoever closes it."""
        self.watch = Watch()
        self._ports: list[int] = []
        self.queues = ""
        """What has stayed in them."""
        self._server_logs = ""

    def add_process(self, name: str) -> int:
        """Another one that serves its metrics; at which port."""
        port = ports.choose(self._ports)
        self._ports.append(port)
        self.watch.add_process(name, port)
        return port

    def add_api(self, url: str, api_key: str) -> None:
        """Another one; its client is opened by whoever closes it."""
        self.answers.append(Answers(url, {"X-API-KEY": api_key}))

    async def look(self) -> None:
        """At RabbitMQ, when all is over."""
        await self.console.look()
        self.queues = await self.console.messages()

    def keep_logs(self, server: OwnServer) -> None:
        """Its logs so far: its next start begins new ones."""
        self._server_logs += server.log

    def places(self, crew: Crew) -> Mapping[str, str]:
        """All that there must be something of, by where it was seen."""
        return {
            "output of the api": crew.output("serve"),
            "output of the scheduler": crew.output("schedule"),
            "output of the sender": crew.output("send"),
            "messages": self.messages.text,
            "management console": self.console.text,
            **{f"answers of API {number}": answers.text for number, answers in enumerate(self.answers, 1)},
            "logs of the servers": self._server_logs,
            **self.watch.places(),
        }

    def rest(self) -> Mapping[str, str]:
        """Where there may be nothing."""
        return {"messages that stay in queues": self.queues}
