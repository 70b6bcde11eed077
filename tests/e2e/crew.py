"""SHELL. The processes of one run: all that they write, and starts that cannot succeed."""

import asyncio
import base64
import secrets
from collections.abc import Container, Iterable, Mapping

from e2e.processes import Tocsin
from logins import as_service
from tocsin_local.urls import StackUrls

STARTS_AT_A_TIME = 2
SETTINGS = {
    "LOG_LEVEL": "debug",
    "ALLOW_LOCAL_WEBHOOKS": "1",
    "ALLOWED_WEBHOOK_HOSTS": "canary.invalid",
    "AUTO_DISABLE_AFTER": "2",
    "IN_FLIGHT_PER_DESTINATION": "50",
    "BREAKER_FAILURES": "1000",  # many hostile webhooks share one host
    "LEASE_TTL_S": "2",
    "LEASE_RENEW_S": "0.5",
    "LEASE_HOLD_S": "1.5",
    "POST_TIMEOUT_S": "4",  # more than an answer takes on a busy machine
    "CLAIM_TTL_S": "6",
    "SWEEP_INTERVAL_S": "0.5",
    "SWEEP_PATIENCE_S": "1",
    "SWEEP_OUTAGE_PATIENCE_S": "0.5",
    "HINT_TIMEOUT_S": "0.5",
}

SERVERS = ("DATABASE_URL", "RABBITMQ_URL")

Command = tuple[str, ...]


def new_environment(
    database_url: str, rabbitmq_url: str, settings: Mapping[str, str] = SETTINGS
) -> dict[str, str]:
    """Valid settings for all processes, with secrets that nobody else has."""
    return {
        **settings,
        "DATABASE_URL": database_url,
        "RABBITMQ_URL": rabbitmq_url,
        "API_KEY": secrets.token_urlsafe(32),
        "SEALING_KEYS": base64.b64encode(secrets.token_bytes(32)).decode(),
    }


class Crew:
    """Processes with one environment, each as a user with just its rights."""

    def __init__(
        self, environment: dict[str, str], servers: StackUrls, uninteresting: Container[str] = ()
    ) -> None:
        """`uninteresting`: see Tocsin."""
        self.environment = environment
        self._uninteresting = uninteresting
        self._servers = servers
        self._processes: list[tuple[str, Tocsin]] = []

    async def start(self, *command: str, **changes: str) -> Tocsin:
        """Start one."""
        env = self.environment | changes
        role = command[1]
        env |= {name: as_service(env[name], self._servers, role) for name in SERVERS}
        process = await Tocsin.start(*command, env=env, uninteresting=self._uninteresting)
        self._processes.append((role, process))
        return process

    async def stop(self) -> None:
        """Stop those that still run; each must end as it should."""
        running = [process for _, process in self._processes if process.process.returncode is None]
        assert await asyncio.gather(*(process.stop() for process in running)) == [0] * len(running)

    def output(self, role: str) -> str:
        """All that processes with this role (`serve`, `send` …) have written."""
        return "".join(each.output.decode(errors="replace") for of, each in self._processes if of == role)

    async def fail_to_start(self, starts: Iterable[tuple[Command, Mapping[str, str]]]) -> str:
        """What is written by starts with these changes, each of which must end with an error."""
        slots = asyncio.Semaphore(STARTS_AT_A_TIME)

        async def start(command: Command, changes: Mapping[str, str]) -> str:
            async with slots:
                process = await Tocsin.start(*command, env={**self.environment, **changes})
                assert await process.ended() != 0, (command, changes)
            return process.output.decode(errors="replace")

        return "\n".join(await asyncio.gather(*(start(*each) for each in starts)))
