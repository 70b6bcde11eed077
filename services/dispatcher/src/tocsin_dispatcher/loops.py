"""SHELL. What a process does for as long as it runs: a loop that ends by itself takes its process along."""

import asyncio
from typing import Any

import structlog

from tocsin_common.errors import TocsinError

_log = structlog.get_logger(__name__)


class LoopEndedError(TocsinError):
    """A loop has ended although nobody told it to. Its process ends as well, and is started again."""


async def until(stop: asyncio.Event, *loops: asyncio.Task[Any]) -> None:
    """Returns once `stop` is set; raises LoopEndedError where one of `loops` ends before.

    The TaskGroup that they are in notices a loop that fails, but none that returns or was cancelled.
    """
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({stopping, *loops}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
    ended = [loop.get_name() for loop in loops if loop.done()]
    if ended and not stop.is_set():
        _log.critical("loop.ended", loops=ended)
        raise LoopEndedError(f"{', '.join(ended)} ended although nobody told it to")
