"""SHELL. What a scheduler shows of the moment, asked for when it is fetched."""

from datetime import timedelta

from tocsin_dispatcher import metrics
from tocsin_dispatcher.clock import DatabaseClock
from tocsin_dispatcher.scheduler.feed import Feed
from tocsin_dispatcher.scheduler.lease import Lease

UNKNOWN = float("nan")
"""Prometheus compares it with nothing: no alert comes of it."""


def show(lease: Lease, feed: Feed, clock: DatabaseClock) -> None:
    """Show these parts of this process from now on."""
    metrics.LEADER.set_function(lambda: lease.is_held)
    metrics.EPOCH.set_function(lambda: lease.epoch)
    metrics.PAUSED.set_function(lambda: feed.is_paused)
    metrics.TASKS.set_function(lambda: len(feed.heap))
    metrics.SCHEDULES.set_function(lambda: feed.heap.schedules)
    metrics.WATERMARK_LAG.set_function(lambda: _lag_s(feed, clock))


def _lag_s(feed: Feed, clock: DatabaseClock) -> float:
    if feed.database_id is None:  # it has not read the watermark yet
        return UNKNOWN
    return max(0.0, (clock.now() - feed.heap.watermark) / timedelta(seconds=1))
