"""ADAPTER. Who a process is and what its connections are for, as operators see it in PostgreSQL and RabbitMQ."""

import os
import socket
from typing import NamedTuple


class Purpose(NamedTuple):
    """What a connection to RabbitMQ, or a consumer on it, is for."""

    verb: str
    description: str

    def name(self, process: str) -> str:
        """`tocsin-sender@host:4711 takes jobs`"""
        return f"{process} {self.verb}"


ANNOUNCES_CHANGES = Purpose("announces changes", "Tells the schedulers that a task was changed")
HEARS_CHANGES = Purpose("hears changes", "Is told that a task was changed")
ANNOUNCES_JOBS = Purpose("announces jobs", "Publishes executions that are due")
TAKES_JOBS = Purpose("takes jobs", "Takes executions that are due, to post them")
PARKS_RETRIES = Purpose(
    "parks retries", "Publishes executions that wait for a retry or their turn, or have failed"
)


def process_name(service: str) -> str:
    """`tocsin-sender@host:4711`; a container's processes have one pid, but hosts of their own."""
    return f"tocsin-{service}@{socket.gethostname()}:{os.getpid()}"
