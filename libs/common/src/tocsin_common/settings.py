"""PURE. Every setting of every process, one frozen struct each."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tocsin_common.settings_forms import apart

Network = IPv4Network | IPv6Network
Secret = Annotated[str, Meta(min_length=1, extra={"secret": True})]
OptionalSecret = Annotated[str, Meta(extra={"secret": True})]
SealingKeys = Annotated[str, Meta(extra={"secret": True, "needed_in_production": True})]
"""Comma-separated base64 of 32 bytes each: the first seals, all of them open. Development may do without."""
Seconds = Annotated[float, Meta(gt=0, le=31_536_000)]
Count = Annotated[int, Meta(ge=1)]


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What every command needs; a migration no more."""

    environment: Literal["development", "production"] = "development"
    """Production asks for sealing keys, https alone and JSON logs."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Less than this is not logged."""
    database_url: Secret
    """PostgreSQL 14 or newer. Of several hosts, with commas, `?target_session_attrs=read-write` takes the one that
    takes changes."""


class RotationSettings(DatabaseSettings, frozen=True, kw_only=True):
    """What sealing everything with the first key needs."""

    sealing_keys: Secret
    """What webhook URLs are sealed with: base64 of 32 bytes, with commas. The first seals, all of them open."""


class Settings(DatabaseSettings, frozen=True, kw_only=True):
    """What every process that goes on needs. Times are in seconds."""

    database_pool_size: Annotated[int, Meta(ge=4, le=100)] = 10
    """Connections to PostgreSQL, each process."""
    rabbitmq_url: Secret
    """RabbitMQ 3.10 or newer."""
    rabbitmq_heartbeat_s: Annotated[int, Meta(ge=1, le=60)] = 10
    """A connection on which RabbitMQ is silent for three times this and 3 s more is given up and made anew."""
    allowed_webhook_hosts: str = ""
    """Comma-separated host names to post to besides Discord's."""
    allow_local_webhooks: bool = False
    """Development only: plain http to loopback addresses is allowed."""
    idle_in_transaction_timeout_s: Seconds = 2
    """PostgreSQL ends what freezes inside a transaction for so long: it would keep others from its rows."""
    connect_timeout_s: Seconds = 60
    """How long a process that starts waits for PostgreSQL and RabbitMQ before it gives up."""
    metrics_host: str = "127.0.0.1"
    """The address that the metrics' port is opened at."""
    metrics_port: Annotated[int, Meta(ge=0, le=65535)] = 0
    """Metrics for Prometheus are served here over HTTP; 0 is nowhere. Each process needs a port of its own."""

    @property
    def webhook_hosts(self) -> frozenset[str]:
        """`allowed_webhook_hosts`, apart and in lower case."""
        return frozenset(host.lower() for host in apart(self.allowed_webhook_hosts))


class ApiSettings(Settings, frozen=True, kw_only=True):
    """The API service."""

    host: str = "127.0.0.1"
    """The address that the API's port is opened at."""
    port: Annotated[int, Meta(ge=1, le=65535)] = 3005
    """The API's port."""
    api_key: Annotated[str, Meta(min_length=16, extra={"secret": True})]
    """The first API key, of an administrator, who makes others."""
    sealing_keys: SealingKeys = ""
    """What webhook URLs are sealed with: base64 of 32 bytes, with commas. The first seals, all of them open."""
    hint_timeout_s: Seconds = 2
    """How long a schedule change waits for RabbitMQ to take its hint; the feed makes up for a lost one."""
    give_up_after_s: Seconds = 86400
    """The same for those that are asked for by hand or replayed."""
    log_retention_days: Annotated[int, Meta(ge=1, le=3650)] = 90
    """What is older is not replayed, since its day may be removed meanwhile."""
    contact_url: str = "https://tocsin.example"
    """The same where Discord is asked whether a webhook exists."""
    verify_timeout_s: Seconds = 5
    """How long Discord has to say whether a webhook exists."""
    test_wait_s: Annotated[float, Meta(gt=0, le=300)] = 15
    """How long a test run of a task is waited for."""
    test_waits: Count = 20
    """So many requests may wait for a test run at a time; more are refused."""
    stats_cache_s: Seconds = 5
    """For so long all who ask for the dashboard's figures are shown the same."""
    min_interval_s: Annotated[int, Meta(ge=1, le=86_400)] = 1
    """A schedule that comes more often is refused; those that tasks have already stay."""
    rate_limit_per_minute: Annotated[int, Meta(ge=0)] = 0
    """Requests with one API key; 0 is no limit."""
    address_rate_limit_per_minute: Annotated[int, Meta(ge=0)] = 100
    """Requests without a valid API key from one address; 0 is no limit."""
    redis_url: Annotated[str, Meta(extra={"secret": True})] = ""
    """Where all APIs count requests together; without it, each counts its own."""
    redis_host: str = ""
    """Instead of `redis_url`, for a server without a password."""
    redis_port: Annotated[int, Meta(ge=1, le=65535)] = 6379
    """Beside `redis_host`."""
    allowed_origins: str = ""
    """Comma-separated origins whose pages may use the API, or `*`; development allows those of localhost too."""
    security_contact: str = ""
    """Where holes can be reported: mailto, https or tel. It stands in /.well-known/security.txt."""
    trusted_proxies: str = ""
    """Comma-separated addresses and networks of proxies, whose X-Forwarded-For says which address asks."""

    @property
    def redis(self) -> str:
        """The URL of Redis, empty where there is none."""
        if not self.redis_host:
            return self.redis_url
        host = f"[{self.redis_host}]" if ":" in self.redis_host else self.redis_host
        return f"redis://{host}:{self.redis_port}"

    @property
    def origins(self) -> frozenset[str]:
        """`allowed_origins`, apart and in lower case, as browsers send them."""
        return frozenset(origin.lower() for origin in apart(self.allowed_origins))

    @property
    def proxies(self) -> tuple[Network, ...]:
        """`trusted_proxies`, apart. Raises ValueError."""
        return tuple(ip_network(each) for each in apart(self.trusted_proxies))

    migrate_on_start: bool = False
    """Migrate the database before serving. Several may do so at a time."""
    migration_database_url: OptionalSecret = ""
    """The database's owner, as whom that is done; empty is DATABASE_URL."""


class ImportSettings(ApiSettings, frozen=True, kw_only=True):
    """An import, which runs where an API could, and writes what that would write."""

    sealing_keys: Secret
    """Development needs them too: a key that it made in this folder may be another one than the senders have."""
    old_database_url: OptionalSecret = ""
    """Where the tasks of another scheduler are; its `?schema=` is understood. Only an import reads it."""


class DispatcherSettings(Settings, frozen=True, kw_only=True):
    """What both roles of the dispatcher need."""

    publish_timeout_s: Seconds = 10
    """So long after it a publish without a confirm counts as failed."""


class SchedulerSettings(DispatcherSettings, frozen=True, kw_only=True):
    """The dispatcher's role `schedule`."""

    lease_ttl_s: Seconds = 5
    """How long the lease lasts after it was last renewed."""
    lease_renew_s: Seconds = 1.5
    """How often its holder renews it; less than `lease_hold_s`."""
    lease_hold_s: Seconds = 4
    """The holder stops by itself this long after it sent its last successful renewal; less than
    `lease_ttl_s`."""
    reboot_after_s: Seconds = 60
    """Where nobody has led for so long, scheduling starts anew: each @reboot task fires once."""
    standby_poll_s: Seconds = 0.25
    """How often a standby asks whether the lease is free."""
    feed_poll_s: Seconds = 2
    """The feed is read this often where no hint came."""
    drift_check_s: Seconds = 600
    """How often the tasks in memory are compared with the table."""
    metrics_sample_s: Seconds = 15
    """How often the leader looks how many executions are open, where its metrics are served."""
    catch_up_grace_s: Annotated[float, Meta(ge=5)] = 60
    """After an outage instants up to this old all fire; of older ones what each task's policy says."""
    catch_up_limit: Count = 100
    """How many older instants of a task its policy `all` fires after an outage."""
    emission_chunk: Count = 2000
    """Execution rows a statement."""
    jobs_per_message: Annotated[int, Meta(ge=1, le=50)] = 50
    """Executions that one message announces."""
    publish_window: Count = 100
    """Messages published and not yet confirmed."""
    sweep_interval_s: Seconds = 5
    """How often the sweeper looks for rows that are overdue."""
    sweep_patience_s: Seconds = 30
    """A row that is overdue by this is announced again; each further time after twice as long."""
    sweep_outage_patience_s: Seconds = 10
    """After a database outage the sweeper stays quiet this long: senders record what they know first."""
    sweep_batch: Count = 1000
    """Rows that it announces again at a time."""
    sweep_quiet_depth: Count = 1000
    """With more messages than this in the work queue only claims that have expired are announced again, once."""
    give_up_after_s: Seconds = 86400
    """An execution that is so old fails."""
    max_lost_claims: Count = 5
    """An execution that senders took and lost so often fails."""
    partition_days_ahead: Annotated[int, Meta(ge=1, le=30)] = 3
    """Days for which partitions are made ahead."""
    log_retention_days: Annotated[int, Meta(ge=1, le=3650)] = 90
    """Executions and task logs of days that are longer ago are removed."""
    drain_timeout_s: Seconds = 15
    """How long it may take after SIGTERM to announce what is committed."""


class SenderSettings(DispatcherSettings, frozen=True, kw_only=True):
    """The dispatcher's role `send`."""

    sealing_keys: SealingKeys = ""
    """What webhook URLs are sealed with: base64 of 32 bytes, with commas. The first seals, all of them open."""
    prefetch: Count = 8
    """Job messages held before their claim; each has up to 50 jobs."""
    post_slots: Annotated[int, Meta(ge=50, le=1000)] = 300
    """POSTs at the same time in this process; at least one whole job message."""
    in_flight_per_destination: Count = 5
    """POSTs at the same time at one destination, in this process."""
    breaker_failures: Count = 5
    """So many POSTs in a row that end without an answer or with HTTP 5xx, of all senders: then the destination is
    left alone for a while."""
    breaker_first_s: Seconds = 1
    """The first such block; each further one is twice as long, up to `breaker_most_s`. One POST ends each."""
    breaker_most_s: Seconds = 60
    """The longest such block."""
    egress_group: str = ""
    """Senders that share a public IP address have the same; empty is the host's name, which in a container is the
    container's own."""
    discord_posts_per_s: Annotated[int, Meta(ge=1, le=10_000)] = 50
    """POSTs to Discord in a second, of an egress group."""
    discord_invalid_answers: Annotated[int, Meta(ge=10)] = 10_000
    """So many answers 401, 403 or 429 in ten minutes make Discord block an address; from half of them on it is
    posted to more slowly."""
    post_timeout_s: Seconds = 10
    """A POST that takes longer is given up; less than `claim_ttl_s`."""
    claim_ttl_s: Seconds = 30
    """How long an execution belongs to the sender that took it; then another one may."""
    record_batch: Annotated[int, Meta(ge=1, le=1000)] = 100
    """Outcomes that one statement records."""
    record_delay_s: Seconds = 0.005
    """How long an outcome waits for others, to be recorded in one statement with them."""
    retry_first_s: Seconds = 1
    """The wait before the first retry; each further one is twice as long, up to `retry_most_s`."""
    retry_most_s: Seconds = 512
    """The longest wait before a retry."""
    retry_jitter: Annotated[float, Meta(ge=0, le=1)] = 0.2
    """Up to this share of a wait is added to it, at random."""
    memory_wait_s: Seconds = 2
    """An execution that came back from a retry tier early waits out less than this in memory."""
    memory_waits: Count = 10000
    """Executions that wait in memory: for less than the smallest tier, or until RabbitMQ has confirmed that
    they are in one. Beyond that a tier alone has them."""
    drain_timeout_s: Seconds = 15
    """How long POSTs under way may take after SIGTERM to end and to be recorded; at least 3 s more than
    `post_timeout_s`."""
    contact_url: str = "https://tocsin.example"
    """Goes into the User-Agent, as Discord asks: where the operator of this installation can be reached."""
    auto_disable_after: Annotated[int, Meta(ge=0)] = 10
    """So many failed executions in a row make a task FAILED; 0 is never."""
