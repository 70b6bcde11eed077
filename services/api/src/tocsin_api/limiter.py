"""SHELL. Limits how often the API is asked: by each API key, and by each address without a valid one."""

from collections.abc import Iterable, Mapping

from tocsin_api import addresses
from tocsin_api.access import Caller
from tocsin_api.counts import Counts
from tocsin_api.rate_limits import Limit, judge
from tocsin_common.settings import ApiSettings


class Limiter:
    """Counts every request, whatever becomes of it."""

    def __init__(self, settings: ApiSettings, counts: Counts) -> None:
        self._counts = counts
        self._trusted = settings.proxies
        self._of_a_key = Limit("key", "with this API key", settings.rate_limit_per_minute)
        self._of_an_address = Limit(
            "address", "without a valid API key from this address", settings.address_rate_limit_per_minute
        )

    async def admit(
        self, caller: Caller | None, peer: str, headers: Iterable[tuple[bytes, bytes]]
    ) -> Mapping[str, str]:
        """Count a request; what its answer says about that. Raises TooManyRequestsError."""
        limit = self._of_an_address if caller is None else self._of_a_key
        if limit.per_minute == 0:
            return {}
        if caller is None:
            who = addresses.client(peer, addresses.forwarded(headers), self._trusted)
        else:
            who = caller.name
        return judge(limit, await self._counts.count(limit.name, who))
