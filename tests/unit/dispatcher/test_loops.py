"""What a process lives by: whatever ends by itself is seen."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from tocsin_dispatcher.loops import LoopEndedError, until

Loop = Callable[[], Awaitable[None]]


async def goes_on() -> None:
    await asyncio.get_running_loop().create_future()


async def returns() -> None:
    """As a loop that somebody gave an end by mistake."""


async def is_cancelled() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await goes_on()


async def fails() -> None:
    raise ValueError("it was this")


async def live_by(**loops: Loop) -> None:
    """What a process does that nobody stops."""
    async with asyncio.TaskGroup() as group:
        await until(asyncio.Event(), *(group.create_task(loop(), name=name) for name, loop in loops.items()))


@pytest.mark.parametrize("ends", [returns, is_cancelled])
async def test_a_loop_that_ends_by_itself_is_an_error_and_a_line_of_the_log(ends: Loop):
    with capture_logs() as log, pytest.raises(ExceptionGroup) as caught:
        await live_by(recording=goes_on, claiming=ends)

    [error] = caught.value.exceptions
    assert isinstance(error, LoopEndedError)
    assert str(error) == "claiming ended although nobody told it to"
    assert log == [{"event": "loop.ended", "log_level": "critical", "loops": ["claiming"]}]


async def test_a_loop_that_fails_ends_the_others_with_its_own_error():
    with capture_logs() as log, pytest.raises(ExceptionGroup) as caught:
        await live_by(recording=goes_on, claiming=fails)

    assert [str(error) for error in caught.value.exceptions] == ["it was this"]
    assert log == []


@pytest.mark.parametrize("loop", [goes_on, returns, is_cancelled])
async def test_the_loops_of_who_is_told_to_stop_may_end(loop: Loop):
    stop = asyncio.Event()
    stop.set()
    task = asyncio.create_task(loop())

    with capture_logs() as log:
        await until(stop, task)

    assert log == []
    task.cancel()


async def test_waiting_that_is_broken_off_leaves_nothing_behind():
    task = asyncio.create_task(goes_on())
    before = asyncio.all_tasks()
    waiting = asyncio.create_task(until(asyncio.Event(), task))
    await asyncio.sleep(0)

    waiting.cancel()
    await asyncio.wait({waiting})
    await asyncio.sleep(0)

    assert asyncio.all_tasks() == before
    task.cancel()
