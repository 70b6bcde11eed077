"""What a process shows of its connections to PostgreSQL."""

from prometheus_client import REGISTRY

from tocsin_common import database


def connections(state: str) -> float | None:
    return REGISTRY.get_sample_value("tocsin_database_connections", {"state": state})


async def test_connections_in_use_are_busy_and_the_others_idle(database_url: str):
    async with await database.open_pool(database_url, size=5, name="test", timeout_s=10) as pool:
        before = connections("busy")
        async with pool.acquire(), pool.acquire():
            during = connections("busy")
        after = connections("busy"), connections("idle")

        assert (before, during, after) == (0.0, 2.0, (0.0, 2.0))
        assert REGISTRY.get_sample_value("tocsin_database_connections_max") == 5.0
