"""SHELL. Limits how often the API is asked: by each API key, and by each address without a valid one."""

import time
from collections.abc import Mapping, Sequence

from tocsin_api import addresses
from tocsin_api.access import Caller
from tocsin_api.rate_limits import Limit, Windows, judge
from tocsin_common.settings import ApiSettings


class Limiter:
    """Counts every request, whatever becomes of it."""

    def __init__(self, settings: ApiSettings) -> None:
        self._trusted = settings.proxies
        self._of_a_key = Limit("key", "with this API key", settings.rate_limit_per_minute)
        self._of_an_address = Limit(
            "address", "without a valid API key from this address", settings.address_rate_limit_per_minute
        )
        # Apart: strangers, however many, must not push out the counts of keys.
        self._windows = {limit.name: Windows() for limit in (self._of_a_key, self._of_an_address)}

    async def admit(self, caller: Caller | None, peer: str, forwarded: Sequence[bytes]) -> Mapping[str, str]:
        """Count a request; what its answer says about that. Raises TooManyRequestsError."""
        limit = self._of_an_address if caller is None else self._of_a_key
        if limit.per_minute == 0:
            return {}
        who = addresses.client(peer, forwarded, self._trusted) if caller is None else caller.name
        return judge(limit, self._windows[limit.name].count(who, time.monotonic()))
