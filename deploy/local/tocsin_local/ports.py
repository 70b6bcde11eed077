"""ADAPTER. Free ports of the loopback interface."""

import random
import socket
from collections.abc import Iterable

# Below what Linux gives to outgoing connections (32768 and up), so that none of those takes
# the port of a server that is down for a moment.
CANDIDATES = range(20_000, 32_000)


def is_free(port: int) -> bool:
    """Return whether a server could listen on 127.0.0.1 at this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is no obstacle
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError:
            return False
    return True


def choose(taken: Iterable[int] = ()) -> int:
    """Return a free port that is not among `taken`."""
    avoid = set(taken)
    while True:
        port = random.choice(CANDIDATES)  # noqa: S311 - no secret
        if port not in avoid and is_free(port):
            return port
