"""ADAPTER. An AMQP connection as bare as can be, to find the broker's limit: each frame is encoded once."""

import socket
from collections.abc import Iterator
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from pamqp import commands, frame
from pamqp.base import Frame
from pamqp.body import ContentBody
from pamqp.header import ContentHeader, ProtocolHeader

from bench.peers.confirms import Confirms
from tocsin_local.errors import StackError

CHANNEL = 1
WINDOW = 2000  # messages that wait for their confirms
BATCH = 200  # that are written together
TIMEOUT_S = 60.0
READ_BYTES = 65536
HEADER_BYTES, END_BYTES = 7, 1  # around a frame's own
LENGTH = slice(3, 7)  # of a frame's own, in its header


class Line:
    """A channel with confirms, and one quorum queue."""

    def __init__(self, url: str, queue: str) -> None:
        """Connect, log in, declare the queue. StackError where the broker says anything unexpected."""
        parts = urlsplit(url)
        self._queue = queue
        self._unread = b""
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=TIMEOUT_S)
        self._socket.sendall(ProtocolHeader().marshal())
        self._expect("Connection.Start")
        login = f"\0{parts.username}\0{unquote(parts.password or '')}"
        self._send(0, commands.Connection.StartOk(mechanism="PLAIN", response=login))
        tune = self._expect("Connection.Tune")
        self._send(0, commands.Connection.TuneOk(tune.channel_max, tune.frame_max, 0))
        self._ask(0, commands.Connection.Open(parts.path.removeprefix("/")))
        self._ask(CHANNEL, commands.Channel.Open())
        self._ask(CHANNEL, commands.Confirm.Select())
        kind: dict[str, Any] = {"x-queue-type": "quorum"}
        self._ask(CHANNEL, commands.Queue.Declare(queue=queue, durable=True, arguments=kind))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def publish(self, body: bytes, count: int) -> None:
        """So many persistent messages, a multiple of BATCH; return once all are confirmed."""
        batch, sent, confirms = self._message(body) * BATCH, 0, Confirms()
        while confirms.count < count:
            while sent < count and sent - confirms.count < WINDOW:
                self._socket.sendall(batch)
                sent += BATCH
            for answer in self._answers():
                if not isinstance(answer, commands.Basic.Ack):
                    raise StackError(f"The broker answers {answer} to what is published.")
                confirms.add(answer.delivery_tag, multiple=answer.multiple)

    def _message(self, body: bytes) -> bytes:
        persistent = commands.Basic.Properties(delivery_mode=2)
        parts = (
            commands.Basic.Publish(routing_key=self._queue),
            ContentHeader(body_size=len(body), properties=persistent),
            ContentBody(body),
        )
        return b"".join(frame.marshal(part, CHANNEL) for part in parts)

    def _ask(self, channel: int, method: Frame) -> None:
        self._send(channel, method)
        self._expect(f"{method.name}Ok")

    def _send(self, channel: int, method: Frame) -> None:
        self._socket.sendall(frame.marshal(method, channel))

    def _expect(self, name: str) -> Any:
        answer, *more = self._answers()
        if more or answer.name != name:
            raise StackError(f"The broker answers {answer.name} and not {name}.")
        return answer

    def _answers(self) -> Iterator[Any]:
        """The frames that have come entirely; at least one."""
        found = False
        while not found:
            read = self._socket.recv(READ_BYTES)
            if not read:
                raise StackError("The broker has closed the connection.")
            self._unread += read
            while len(self._unread) >= HEADER_BYTES + END_BYTES:
                size = HEADER_BYTES + int.from_bytes(self._unread[LENGTH]) + END_BYTES
                if len(self._unread) < size:
                    break
                _, _, answer = frame.unmarshal(self._unread[:size])
                self._unread = self._unread[size:]
                found = True
                yield answer
