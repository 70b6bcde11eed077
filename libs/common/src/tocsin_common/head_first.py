"""ADAPTER. Reads an answer up to the end of its headers, and then what came behind them.

Where all came together, and what is behind is no HTTP, as a body of a 204 or one that is longer than its
`Content-Length`, aiohttp forgets that there was a status. Who sent it has acted, and would be posted to again.
"""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage
from aiohttp.streams import StreamReader

SWITCHING_PROTOCOLS = 101  # the one answer below 200 that no other one follows
MOST_HEADS = 8
"""Of one packet, interim answers too, are read one by one: whoever sends more of them is to cost no more."""
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_MOST_OF_END = 3  # bytes of it may come in an earlier packet


class HeadFirst(ResponseHandler):
    """aiohttp's side of a connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._has_status = False
        self._last = b""
        """What came last without a status."""

    def set_response_params(self, **params: Any) -> None:
        self._has_status, self._last = False, b""
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        if self._has_status or self._parser is None or not data:
            super().data_received(data)
            return
        for part in self._parts(data):
            super().data_received(part)
            if self.exception() is not None:
                return

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        self._has_status = not 100 <= data[0].code < 200 or data[0].code == SWITCHING_PROTOCOLS
        super().feed_data(data, size)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        super().set_exception(exc, *cause)
        if self._payload is not None:
            self._loop.call_soon(_break_off, self._payload)  # not before what came of the body has been read

    def _parts(self, data: bytes) -> Iterator[bytes]:
        """Heads one by one, while no status has come, and the rest."""
        for _ in range(MOST_HEADS):
            found = _HEAD_END.search(self._last + data)
            if found is None or self._has_status:
                break
            end = found.end() - len(self._last)
            head, data, self._last = data[:end], data[end:], b""
            yield head
        if data:
            last = (self._last + data)[-_MOST_OF_END:]
            self._last = b"" if _HEAD_END.search(last) else last  # one that is over ends nothing more
            yield data


def _break_off(payload: StreamReader) -> None:
    """Nobody need wait for the rest of it."""
    if not payload.is_eof() and payload.exception() is None:
        payload.set_exception(aiohttp.ClientPayloadError("the answer is broken"))
