"""ADAPTER. The peers' own packages, in `.local/bench-peers`: Python's, npm's, and some of Debian's."""

import asyncio
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from tocsin_local import packages, python_packages, redis
from tocsin_local.errors import StackError
from tocsin_local.instance import data_root

PROGRAMS = Path(__file__).parent / "programs"
LOCK = PROGRAMS / "requirements.lock"
NPM_FILES = (PROGRAMS / "package.json", PROGRAMS / "package-lock.json")
PYTHON_PEERS = ("apscheduler", "celery", "taskiq", "taskiq-aio-pika", "aiohttp", "gevent", "urllib3", "uvloop")
NPM_PEERS = ("bullmq", "ioredis", "undici")
DEBIAN = {
    "node": ("nodejs", "what BullMQ runs on"),
    "npm": ("npm", "what installs BullMQ"),
    "wrk": ("wrk", "what finds the limit of the sink"),
}


def folder() -> Path:
    """Where they are."""
    return data_root() / "bench-peers"


def python() -> Path:
    """The folder with the Python peers' commands."""
    return folder() / "venv" / "bin"


def node_modules() -> Path:
    """What Node's programs find their packages in."""
    return folder() / "node" / "node_modules"


def install() -> None:
    """Install what is missing. StackError where that fails."""
    missing = {package: why for program, (package, why) in DEBIAN.items() if shutil.which(program) is None}
    if redis.find_server() is None:
        missing["redis-server"] = "what BullMQ keeps its jobs in"
    packages.install(missing)
    python_packages.make_venv(folder() / "venv", LOCK)
    _install_node_modules()


async def run(command: Sequence[str], env: Mapping[str, str], *, timeout_s: float) -> str:
    """What one of their programs prints; StackError where its exit code does not say that it has done all."""
    path = python() / command[0]
    program = str(path) if path.exists() else command[0]
    running = await asyncio.create_subprocess_exec(
        program, *command[1:], env=env, cwd=PROGRAMS, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(timeout_s):
            printed, _ = await running.communicate()
    except TimeoutError:
        raise StackError(f"`{' '.join(command)}` was not done within {timeout_s:.0f} s.") from None
    finally:
        if running.returncode is None:
            running.kill()
    if running.returncode != 0:
        raise StackError(f"`{' '.join(command)}` ended with {running.returncode}.")
    return printed.decode()


def versions() -> dict[str, str]:
    """What is installed, by name."""
    locked = dict(re.findall(r"^([\w-]+)==(\S+)", LOCK.read_text(), re.MULTILINE))
    npm = msgspec.json.decode(NPM_FILES[1].read_bytes())["packages"]
    return {
        **{name: locked[name] for name in PYTHON_PEERS},
        **{name: npm[f"node_modules/{name}"]["version"] for name in NPM_PEERS},
        "wrk": _said("wrk", "--version").split()[1].removeprefix("debian/"),
        "node": _said("node", "--version").removeprefix("v"),
        "redis": _said("redis-server", "--version").partition("v=")[2].partition(" ")[0],
    }


def _install_node_modules() -> None:
    """As package-lock.json says; nothing of the packages runs meanwhile."""
    home, stamp, wanted = node_modules().parent, node_modules().parent / "lock", NPM_FILES[1].read_text()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print("Installing the packages of BullMQ, some seconds.", flush=True)
    home.mkdir(parents=True, exist_ok=True)
    for file in NPM_FILES:
        shutil.copy(file, home)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StackError(f"`{' '.join(command)}` failed:\n{done.stderr}")
    stamp.write_text(wanted)


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
