"""Unit tests reach nothing outside: whatever connects, listens or starts a process fails its test."""

import sys
from collections.abc import Iterator

import pytest

REFUSED = {
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.system",
    "socket.bind",
    "socket.connect",
    "socket.getaddrinfo",
    "subprocess.Popen",
}

_in_test = False


def _refuse(event: str, _: object) -> None:
    if _in_test and event in REFUSED:
        raise RuntimeError(f"a unit test must not reach outside: {event}; its place is tests/integration")


sys.addaudithook(_refuse)


@pytest.fixture(autouse=True)
def _reach_nothing_outside() -> Iterator[None]:
    global _in_test
    _in_test = True
    yield
    _in_test = False
