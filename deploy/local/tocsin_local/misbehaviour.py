"""ADAPTER. How the local receiver misbehaves: what no server should do, and some do."""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import NoReturn

from aiohttp import web

from tocsin_local.post import Post
from tocsin_local.script import DRIP, HUGE, NO_ANSWER, RESET, RESET_AFTER_HEADERS

DRIP_S = 0.2
CHUNK = b"x" * 65_536
MANY = 1_000_000
AT_ONCE = struct.pack("ii", 1, 0)
"""Of SO_LINGER: with no time to linger, closing resets."""


async def misbehave(how: int, request: web.Request, post: Post) -> NoReturn:
    """Do one of MISBEHAVIOURS until the client goes away; this is cancelled then. `post` gets its status."""
    if how == NO_ANSWER:
        await asyncio.Event().wait()
    if how != RESET:
        answer = web.StreamResponse()
        answer.content_length = MANY if how == RESET_AFTER_HEADERS else None
        await answer.prepare(request)
        post.status = answer.status
        with suppress(ConnectionResetError):  # the client went away before this was cancelled
            await _say(how, answer)
    _reset(request)
    raise asyncio.CancelledError  # nobody is there to be answered


async def _say(how: int, answer: web.StreamResponse) -> None:
    await answer.write(b".")
    while how == DRIP:
        await asyncio.sleep(DRIP_S)
        await answer.write(b".")
    while how == HUGE:
        await answer.write(CHUNK)


def _reset(request: web.Request) -> None:
    if request.transport is None:
        return  # the client was faster
    connection: socket.socket = request.transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    request.transport.abort()
