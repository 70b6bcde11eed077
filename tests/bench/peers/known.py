"""The peers: how each is started, and how it is given its work."""

from bench.peers.peer import Setup
from tocsin_local import redis

CELERY = (
    *("celery", "--app", "celery_bell", "worker", "--pool", "gevent", "--concurrency", "100"),
    *("--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"),
)
TASKIQ = (
    *("taskiq", "worker", "taskiq_bell:broker", "--workers", "2", "--max-async-tasks", "100"),
    *("--log-level", "WARNING", "--ack-type", "when_executed"),
)
BULLMQ = ("node", "bullmq_bell.cjs", "work")
APSCHEDULER = ("python", "apscheduler_bell.py")


def _bullmq(name: str, redis_contents: str) -> Setup:
    return Setup(
        name,
        1.0,
        [BULLMQ, BULLMQ],
        ready=1,
        give=("node", "bullmq_bell.cjs", "send"),
        server="redis",
        redis_contents=redis_contents,
    )


PEERS = (
    Setup("apscheduler", 1.0, [APSCHEDULER], ready=1),
    Setup("apscheduler_postgresql", 4.0, [APSCHEDULER], ready=1, server="postgres"),
    Setup(
        "celery",
        2.0,
        [(*CELERY, "--hostname", f"{n}@%h") for n in ("first", "second")],
        ready=1,
        give=("python", "celery_bell.py"),
        server="rabbitmq",
    ),
    Setup("taskiq", 1.5, [TASKIQ], ready=2, give=("python", "taskiq_bell.py"), server="rabbitmq"),
    _bullmq("bullmq", redis.WORK),
    _bullmq("bullmq_fsync", redis.SAFE_WORK),
)
"""`apscheduler` keeps its jobs in memory, which nothing else here does."""
