"""PURE. When a failed execution is tried again, and what becomes of it after an attempt."""

from typing import Literal, NamedTuple

from tocsin_dispatcher.sender.outcome import Verdict


class Backoff(NamedTuple):
    """How retries are spaced: a base that doubles, and a jitter of its own."""

    first_s: float
    most_s: float
    jitter_share: float
    """So that what failed together does not come back together."""

    def base_s(self, retry: int) -> float:
        """Seconds before retry number `retry`, which begins at 0: 1, 2, 4 … 512."""
        return min(self.first_s * 2.0**retry, self.most_s)

    def jittered(self, seconds: float, chance: float) -> float:
        """`seconds` and up to `jitter_share` of them more; `chance` is drawn from [0, 1)."""
        return seconds * (1 + self.jitter_share * chance)


class Next(NamedTuple):
    """An execution's state after an attempt."""

    state: Literal["succeeded", "failed", "waiting"]
    failures: int
    """Spent so far."""
    wait_s: float
    log_status: Literal["SUCCESS", "FAILED", "RETRYING"]
    reason: str | None


def decide(verdict: Verdict, backoff: Backoff, *, failures: int, max_retry: int, chance: float) -> Next:
    """What becomes of an execution that had failed `failures` times before this attempt."""
    if verdict.outcome == "succeeded":
        return Next("succeeded", failures, 0.0, "SUCCESS", None)
    if verdict.outcome == "limited":  # spends no retry
        return Next("waiting", failures, verdict.wait_s, "RETRYING", None)
    if verdict.outcome == "retryable" and failures < max_retry:
        wait_s = max(verdict.wait_s, backoff.jittered(backoff.base_s(failures), chance))
        return Next("waiting", failures + 1, wait_s, "RETRYING", None)
    reason = "retries exhausted" if verdict.outcome == "retryable" else verdict.outcome
    return Next("failed", failures + 1, 0.0, "FAILED", f"{reason}: {verdict.message}")
