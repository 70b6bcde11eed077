"""A call to RabbitMQ ends in one of BROKER_ERRORS or with the task that makes it, and never in silence."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tocsin_common.broker import BROKER_ERRORS, CallLostError, call

Ended = Callable[["asyncio.Future[None]"], Any]


async def wait_for(answer: "asyncio.Future[None]", timeout_s: float | None = None) -> str:
    """What a loop does: it asks, and goes on where RabbitMQ is away."""
    try:
        async with call(timeout_s):
            await answer
    except BROKER_ERRORS as error:
        return type(error).__name__
    return "answered"


async def under_way(answer: "asyncio.Future[None]") -> "asyncio.Task[str]":
    """A loop that waits for `answer`."""
    task = asyncio.create_task(wait_for(answer))
    await asyncio.sleep(0)
    return task


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        pytest.param(lambda answer: answer.set_result(None), "answered", id="answered"),
        pytest.param(lambda answer: answer.cancel(), "CallLostError", id="cancelled by another"),
        # As aiormq does, with the class or with one of it.
        pytest.param(
            lambda answer: answer.set_exception(asyncio.CancelledError), "CallLostError", id="a silent server"
        ),
        pytest.param(
            lambda answer: answer.set_exception(asyncio.CancelledError()), "CallLostError", id="an instance of it"
        ),
        pytest.param(lambda answer: answer.set_exception(Exception), "CallLostError", id="last words"),
        pytest.param(
            lambda answer: answer.set_exception(ConnectionResetError()), "ConnectionResetError", id="another error"
        ),
    ],
)
async def test_a_call_that_rabbitmq_ends_does_not_end_its_task(end: Ended, expected: str):
    answer = asyncio.get_running_loop().create_future()
    task = await under_way(answer)

    end(answer)

    assert await task == expected


async def test_a_task_that_is_cancelled_in_a_call_is_cancelled():
    task = await under_way(asyncio.get_running_loop().create_future())

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_a_task_that_is_cancelled_is_cancelled_although_the_call_was_lost_at_the_same_moment():
    answer = asyncio.get_running_loop().create_future()
    task = await under_way(answer)

    answer.set_exception(ConnectionResetError())
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_is_not_lost_where_the_library_makes_an_error_of_it():
    async def asks_through_aiormq() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError as error:
            raise ConnectionResetError from error

    async def loop() -> None:
        async with call():
            await asks_through_aiormq()

    task = asyncio.create_task(loop())
    await asyncio.sleep(0)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_is_not_lost_where_the_answer_comes_at_the_same_moment():
    answer = asyncio.get_running_loop().create_future()

    async def loop() -> None:
        async with call():
            await asyncio.wait_for(answer, 60)  # as aiormq does where it is given a timeout

    task = asyncio.create_task(loop())
    await asyncio.sleep(0)

    answer.set_result(None)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_call_that_takes_too_long_is_a_timeout():
    assert await wait_for(asyncio.get_running_loop().create_future(), timeout_s=0) == "TimeoutError"


async def test_a_bound_around_several_calls_ends_the_one_under_way():
    answer = asyncio.get_running_loop().create_future()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await wait_for(answer)


async def test_a_task_that_cleans_up_after_its_cancellation_is_told_of_a_lost_call_too():
    answer = asyncio.get_running_loop().create_future()

    async def loop() -> str:
        with suppress(asyncio.CancelledError):
            await asyncio.get_running_loop().create_future()
        return await wait_for(answer)

    task = asyncio.create_task(loop())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)

    answer.set_exception(asyncio.CancelledError)

    assert await task == CallLostError.__name__
