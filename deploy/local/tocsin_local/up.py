"""SHELL. What `make up`, `down`, `status`, `migrate` and `cluster-up` do, on the instances `up` and `cluster`."""

import shutil

from tocsin_local.environment import caller_environment
from tocsin_local.errors import StackError
from tocsin_local.instance import data_root, memory_root
from tocsin_local.services import COMMANDS, Services
from tocsin_local.stack import Stack

INSTANCE = "up"
CLUSTER = "cluster"
NODES = 3
DEFAULT_PORT = 3005


def up() -> None:
    """Start what does not run of servers, api, scheduler and sender, and print where they are.

    StackError if that fails: what was started here is stopped again.
    """
    env = caller_environment()
    stack = _stack(env)
    port = _port(env)
    print("Starting the servers.", flush=True)
    stack.start()
    try:
        services = Services(stack, env, port)
        if stack.started:
            services.stop()  # they may know the servers by old ports
        print("Starting Tocsin.", flush=True)
        services.migrate()
        services.start()
    except BaseException:
        stack.stop_started()
        raise
    print(_summary(stack, services), flush=True)


def down() -> None:
    """Stop all that `up` started."""
    print("Stopping Tocsin.", flush=True)
    Stack(INSTANCE).stop()


def status() -> bool:
    """Print each process with its pid, and return whether all of them run."""
    stack = _stack(caller_environment())
    pids: dict[str, int | None] = {}
    if stack.instance.exists():
        pids = dict.fromkeys((*stack.expected(), *COMMANDS)) | stack.instance.pids()
    for name, pid in pids.items():
        print(f"{name:<12}{f'runs, pid {pid}' if pid else 'does not run'}")
    if not pids:
        print("Never started: `make up` starts Tocsin.")
    return bool(pids) and None not in pids.values()


def migrate() -> None:
    """Migrate the database of DATABASE_URL, else the instance's own, started for it if it does not run."""
    env = caller_environment()
    without_broker = {"RABBITMQ_URL": "amqp://127.0.0.1/"} | env  # a migration needs none
    with Stack(INSTANCE, env=without_broker) as stack:
        Services(stack, without_broker).migrate()


def cluster_up() -> None:
    """Start a RabbitMQ cluster and print where it is."""
    print(f"Starting {NODES} nodes of RabbitMQ.", flush=True)
    stack = _cluster()
    urls = stack.start()
    rows = {
        "RABBITMQ_URL": urls.rabbitmq_url,
        "Console": f"{urls.management_url} (user {urls.management_user}, password {urls.management_password})",
        "Logs": str(stack.instance.log("rabbitmq-1").parent),
        **{name: f"pid {pid}" for name, pid in stack.pids().items()},
    }
    lines = [f"  {name:<14}{value}" for name, value in rows.items()]
    print("\n".join(["The cluster is up; again brings dead nodes back. `make cluster-down` ends it.", *lines]))


def cluster_down() -> None:
    """Stop what `cluster_up` started."""
    print("Stopping the cluster.", flush=True)
    _cluster().stop()


def clean() -> None:
    """Stop every instance and remove its data."""
    for root in {data_root(), memory_root()}:
        for folder in sorted(root.glob("*/run")):
            Stack(folder.parent.name, root=root).stop()
        shutil.rmtree(root, ignore_errors=True)


def _cluster() -> Stack:
    return Stack(CLUSTER, env={"DATABASE_URL": "postgresql://127.0.0.1/"}, rabbitmq_nodes=NODES)  # it needs none


def _stack(env: dict[str, str]) -> Stack:
    """REDIS=1, on make's command line or in `.env`, asks for a Redis."""
    return Stack(INSTANCE, env=env, with_redis=env.get("REDIS") == "1")


def _port(env: dict[str, str]) -> int:
    port = env.get("PORT", str(DEFAULT_PORT))
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        raise StackError(f"PORT is {port!r}, no port number.")
    return int(port)


def _summary(stack: Stack, services: Services) -> str:
    urls = stack.urls
    console = f"{urls.management_url} (user {urls.management_user}, password {urls.management_password})"
    rows = {
        "API": services.api_url,
        "API docs": f"{services.api_url}/api/docs",
        "API key": services.api_key,
        "RabbitMQ": console if urls.management_url else "the one of RABBITMQ_URL",
        **({"Redis": urls.redis_url} if "redis" in stack.expected() else {}),
        "Logs": str(services.log("api").parent),
    }
    lines = [f"  {name:<10}{value}" for name, value in rows.items()]
    return "\n".join(["Tocsin is up. `make down` ends it.", *lines])
