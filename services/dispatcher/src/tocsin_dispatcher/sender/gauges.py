"""SHELL. What a sender shows of the moment, asked for when it is fetched: no POST pays for it."""

from tocsin_dispatcher import metrics
from tocsin_dispatcher.clock import DatabaseClock
from tocsin_dispatcher.sender.crowd import Crowd
from tocsin_dispatcher.sender.destinations import Destinations
from tocsin_dispatcher.sender.record import Recorder
from tocsin_dispatcher.sender.slots import Slots
from tocsin_dispatcher.sender.tiers import Waits


def show(
    slots: Slots,
    crowd: Crowd,
    waits: Waits,
    recorder: Recorder,
    destinations: Destinations,
    clock: DatabaseClock,
) -> None:
    """Show these parts of this process from now on."""
    metrics.POST_SLOTS.set(slots.total)
    metrics.POST_SLOTS_TAKEN.set_function(lambda: slots.taken)
    metrics.EXECUTIONS_HELD.labels("time").set_function(waits.in_memory)
    metrics.EXECUTIONS_HELD.labels("room").set_function(crowd.waiting)
    metrics.OUTCOMES_UNRECORDED.set_function(recorder.unrecorded)
    metrics.DESTINATIONS_BLOCKED.labels("asked").set_function(lambda: destinations.blocked(clock.now())[0])
    metrics.DESTINATIONS_BLOCKED.labels("broken").set_function(lambda: destinations.blocked(clock.now())[1])
