"""Looking names up on threads: what is found, and that nobody waits for what hangs."""

import asyncio
import errno
import socket
import threading

import pytest
import uvloop

from tocsin_common.resolver import Resolver

WAIT_S = 30.0  # a bound for tests, which wait for less


class Hanging:
    """A look-up that does not return before it is told to."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.goes_on = threading.Event()
        self.thread: threading.Thread | None = None

    def __call__(self, *_: object) -> list[object]:
        self.thread = threading.current_thread()
        self.began.set()
        self.goes_on.wait()
        return []

    def end(self) -> None:
        """Let it return, and wait until its thread has ended: what goes wrong there fails the test."""
        self.goes_on.set()
        assert self.thread is not None
        self.thread.join(WAIT_S)


async def test_a_name_is_found_with_all_that_is_connected_to():
    results = await Resolver().resolve("localhost", 443)

    assert {result["host"] for result in results} <= {"127.0.0.1", "::1"}
    assert results[0]["hostname"] == "localhost"
    assert results[0]["port"] == 443
    assert results[0]["family"] in (socket.AF_INET, socket.AF_INET6)


@pytest.mark.parametrize("name", ["a" * 64, "a..b", "a" * 300])
async def test_what_can_be_no_name_is_an_error_of_the_system(name: str):
    with pytest.raises(OSError, match="not a name"):
        await Resolver().resolve(name, 443)


async def test_an_error_of_the_system_is_passed_on():
    def look_up(*_: object) -> list[object]:
        raise socket.gaierror(socket.EAI_AGAIN, "later")

    with pytest.raises(socket.gaierror, match="later"):
        await Resolver(look_up).resolve("hooks.example.com", 443)


async def test_a_look_up_without_memory_is_an_error_of_this_machine():
    def look_up(*_: object) -> list[object]:
        raise socket.gaierror(socket.EAI_MEMORY, "Memory allocation failure")

    with pytest.raises(OSError, match="no memory") as caught:
        await Resolver(look_up).resolve("hooks.example.com", 443)

    assert caught.value.errno == errno.ENOMEM


async def test_who_goes_away_leaves_the_thread_alone():
    hanging = Hanging()
    asking = asyncio.create_task(Resolver(hanging).resolve("hooks.example.com", 443))
    await asyncio.to_thread(hanging.began.wait, WAIT_S)

    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    hanging.end()


@pytest.mark.parametrize("loop_factory", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_no_loop_waits_for_a_look_up_when_it_ends(loop_factory):
    hanging = Hanging()

    async def ask_and_leave() -> None:
        asking = asyncio.create_task(Resolver(hanging).resolve("hooks.example.com", 443))
        await asyncio.to_thread(hanging.began.wait, WAIT_S)
        asking.cancel()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(ask_and_leave())

    assert hanging.thread is not None
    assert hanging.thread.is_alive()
    hanging.end()
