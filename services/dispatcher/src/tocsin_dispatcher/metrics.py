"""ADAPTER. What the dispatcher counts and shows; docs/architecture.md lists all of it.

Counters and histograms begin at 0 with the process. What is shown of a moment is asked for when it is fetched, but
for what the leader samples.
"""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge

from tocsin_common.metrics import Histogram, MetricsError, served

__all__ = ["MetricsError", "served"]  # what a process of the dispatcher needs beside its own

SCHEDULER, SENDER = CollectorRegistry(), CollectorRegistry()
"""What one role alone shows: the other would say 0 where it knows nothing."""

OUTCOMES = ("succeeded", "retryable", "permanent", "gone", "limited")
ENDS = ("succeeded", "failed", "expired", "skipped", "cancelled")
"""The states in which an execution may end at a sender."""

# --- Scheduler ------------------------------------------------------------------------------------------------

LEADER = Gauge("tocsin_leader", "1 where this scheduler leads, else 0", registry=SCHEDULER)
EPOCH = Gauge("tocsin_epoch", "Epoch of the last lease that this scheduler held; 0: none yet", registry=SCHEDULER)
WATERMARK_LAG = Gauge(
    "tocsin_watermark_lag_seconds",
    "Time since the instant up to which every owed execution has its row",
    registry=SCHEDULER,
)
PAUSED = Gauge("tocsin_paused", "1 while all schedules are paused, else 0", registry=SCHEDULER)
TASKS = Gauge("tocsin_tasks", "Active tasks that this scheduler holds", registry=SCHEDULER)
SCHEDULES = Gauge("tocsin_schedules", "Distinct schedules of those tasks", registry=SCHEDULER)
EMISSION_LATENESS = Histogram(
    "tocsin_emission_lateness_seconds", "From an execution's instant to the commit of its row", registry=SCHEDULER
)
EXECUTIONS_EMITTED = Counter(
    "tocsin_executions_emitted_total", "Rows that were written for owed executions", registry=SCHEDULER
)
EXECUTIONS_ANNOUNCED_AGAIN = Counter(
    "tocsin_executions_announced_again_total", "Executions that the sweeper announced again", registry=SCHEDULER
)
EXECUTIONS_MISSED = Counter(
    "tocsin_executions_missed_total", "Tasks whose missed instants got a row, one each time", registry=SCHEDULER
)
EXECUTIONS_GIVEN_UP = Counter(
    "tocsin_executions_given_up_total", "Executions that failed by age or by lost claims", registry=SCHEDULER
)
TASKS_DRIFTED = Counter(
    "tocsin_tasks_drifted_total",
    "Tasks that the leader held otherwise than the database had them",
    registry=SCHEDULER,
)
STEP_DOWNS = Counter(
    "tocsin_step_downs_total",
    "Terms that ended before their scheduler did, but for those without RabbitMQ from their beginning",
    registry=SCHEDULER,
)
HINTS_HEARD = Counter(
    "tocsin_hints_heard_total", "Hints of changed tasks that a scheduler heard", registry=SCHEDULER
)

WATERMARK_LAG.set(float("nan"))  # until it is known; no alert comes of that

# Sampled by the leader; no other process shows them.
EXECUTIONS_OPEN = Gauge(
    "tocsin_executions_open",
    "Executions that have not ended, by state; sampled, at most 10,000 in all",
    ["state"],
    registry=SCHEDULER,
)
EXECUTIONS_OLDEST_AGE = Gauge(
    "tocsin_executions_oldest_age_seconds",
    "Time since the earliest instant of those executions",
    ["state"],
    registry=SCHEDULER,
)
EXECUTIONS_OVERDUE = Gauge(
    "tocsin_executions_overdue_seconds",
    "How long the first of them could have been claimed already",
    ["state"],
    registry=SCHEDULER,
)
EXECUTIONS_STORED = Gauge(
    "tocsin_executions_stored",
    "Executions that are kept, ended ones too; PostgreSQL's own estimate",
    registry=SCHEDULER,
)
EXECUTIONS_STORED.set(float("nan"))

# --- Sender ---------------------------------------------------------------------------------------------------

POST_LATENESS = Histogram(
    "tocsin_post_lateness_seconds",
    "From an execution's instant and jitter to the start of a POST: of its first claim, or of a later one",
    ["claim"],
    registry=SENDER,
)
POST_DURATION = Histogram("tocsin_post_duration_seconds", "From the start of a POST to its end", registry=SENDER)
ATTEMPTS = Counter("tocsin_attempts_total", "Attempts, by outcome", ["outcome"], registry=SENDER)
EXECUTIONS_ENDED = Counter(
    "tocsin_executions_ended_total",
    "Executions that ended at a sender, by the state that they ended in",
    ["state"],
    registry=SENDER,
)
POSTS_IN_FLIGHT = Gauge("tocsin_posts_in_flight", "POSTs that have begun and not ended", registry=SENDER)
POST_SLOTS_TAKEN = Gauge(
    "tocsin_post_slots_taken",
    "POST slots in use, from before the claim until the outcome is recorded",
    registry=SENDER,
)
POST_SLOTS = Gauge("tocsin_post_slots", "POST slots of this sender", registry=SENDER)
EXECUTIONS_HELD = Gauge(
    "tocsin_executions_held",
    "Executions that wait in a sender's memory: until their time comes, or until a destination has room",
    ["until"],
    registry=SENDER,
)
OUTCOMES_UNRECORDED = Gauge(
    "tocsin_outcomes_unrecorded", "Outcomes that are not yet in the database", registry=SENDER
)
DESTINATIONS_BLOCKED = Gauge(
    "tocsin_destinations_blocked",
    "Destinations that are left alone, as far as this sender has looked: they asked for it, or broke down",
    ["reason"],
    registry=SENDER,
)
CLAIMS_LOST = Counter(
    "tocsin_claims_lost_total",
    "Claims that ran out without an outcome, seen when the execution was granted again",
    registry=SENDER,
)
JOBS_DROPPED = Counter(
    "tocsin_jobs_dropped_total", "Jobs that the claim refused: done already, or another sender's", registry=SENDER
)
MESSAGES_PARKED = Counter(
    "tocsin_messages_parked_total",
    "Times that a message of another release's version was parked, which this sender cannot read",
    registry=SENDER,
)
ANSWERS_INVALID = Counter(
    "tocsin_answers_invalid_total",
    "Answers 401, 403 or 429 that Discord counts against this address",
    registry=SENDER,
)

for _outcome in OUTCOMES:  # each is shown from the start: a rate needs a 0 to begin with
    ATTEMPTS.labels(_outcome)
for _state in ENDS:
    EXECUTIONS_ENDED.labels(_state)

# --- Both -----------------------------------------------------------------------------------------------------

MESSAGES_UNCONFIRMED = Counter(
    "tocsin_messages_unconfirmed_total", "Messages that RabbitMQ did not confirm in time"
)


def show(role: CollectorRegistry) -> None:
    """Let this process show what that role does, beside what all do."""
    REGISTRY.register(role)
