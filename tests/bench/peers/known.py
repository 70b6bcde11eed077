"""The peers: how each is started, and how it is given its work."""

from bench.peers.contender import described
from bench.peers.peer import Setup
from bench.peers.work import IN_FLIGHT
from tocsin_local import redis

TWICE = f"{IN_FLIGHT} in each"
AIOHTTP = "aiohttp's session"

CELERY = (
    *("celery", "--app", "celery_bell", "worker", "--pool", "gevent", "--concurrency", str(IN_FLIGHT)),
    *("--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"),
)
TASKIQ = (
    *("taskiq", "worker", "taskiq_bell:broker", "--workers", "2", "--max-async-tasks", str(IN_FLIGHT)),
    *("--log-level", "WARNING", "--ack-type", "when_executed"),
)
BULLMQ = ("node", "bullmq_bell.cjs", "work")
APSCHEDULER = ("python", "apscheduler_bell.py")


def _apscheduler(name: str, server: str, kept: str) -> Setup:
    return Setup(
        name,
        described(
            processes="one on uvloop: it knows no more",
            in_flight=f"{2 * IN_FLIGHT}, by the limit of aiohttp's connector",
            client=AIOHTTP,
            server=kept,
            setup="APScheduler 3, `AsyncIOScheduler`; `misfire_grace_time` unlimited, or it would drop what is "
            "more than a second late; no second tries: it has none",
            given="`add_job` with a `DateTrigger`",
        ),
        [APSCHEDULER],
        ready=1,
        jobs_table="apscheduler_jobs",
        server=server,
        in_flight=2 * IN_FLIGHT,
    )


def _bullmq(name: str, redis_contents: str) -> Setup:
    contents = ", ".join(f"`{line}`" for line in redis_contents.splitlines())
    return Setup(
        name,
        described(
            processes="two of Node",
            in_flight=TWICE,
            client="undici",
            server=f"Redis: {contents}",
            setup=f"a worker of `concurrency: {IN_FLIGHT}` each; `attempts: 4`; finished jobs removed but "
            "for the newest 1,000",
            given="`addBulk` with `delay`",
        ),
        [BULLMQ, BULLMQ],
        ready=1,
        give=("node", "bullmq_bell.cjs", "send"),
        left=("node", "bullmq_bell.cjs", "left"),
        server="redis",
        redis_contents=redis_contents,
    )


PEERS = (
    _apscheduler("apscheduler", "", "its memory"),
    _apscheduler("apscheduler_postgresql", "postgres", "PostgreSQL (`SQLAlchemyJobStore`)"),
    Setup(
        "celery",
        described(
            processes="two workers with the gevent pool",
            in_flight=TWICE,
            client="urllib3",
            server="RabbitMQ (a durable classic queue: with quorum queues `eta` takes a chain of delay queues)",
            setup=f"`--concurrency {IN_FLIGHT}`, `task_acks_late`, `task_reject_on_worker_lost`, confirmed "
            "publishes, three second tries; no results, gossip, mingle",
            given="`apply_async` with `eta`",
        ),
        [(*CELERY, "--hostname", f"{n}@%h") for n in ("first", "second")],
        ready=1,
        give=("python", "celery_bell.py"),
        server="rabbitmq",
    ),
    Setup(
        "taskiq",
        described(
            processes="two workers on uvloop",
            in_flight=TWICE,
            client=AIOHTTP,
            server="RabbitMQ (quorum queues)",
            setup=f"taskiq-aio-pika, `--max-async-tasks {IN_FLIGHT}`, acknowledged when executed, "
            f"{2 * IN_FLIGHT} messages prefetched, three second tries; no results",
            given="`kiq` with the label `delay`",
        ),
        [TASKIQ],
        ready=2,
        give=("python", "taskiq_bell.py"),
        server="rabbitmq",
    ),
    _bullmq("bullmq", redis.WORK),
    _bullmq("bullmq_fsync", redis.SAFE_WORK),
)
"""`apscheduler` keeps its jobs in memory, which nothing else here does; `bullmq_fsync` has what it was given on
disk before that is answered, as PostgreSQL and quorum queues have."""
