"""ADAPTER. What this machine is and which commit runs on it, for reports."""

import asyncio
import base64
import json
import os
import platform
import subprocess
import urllib.request

import asyncpg

from tocsin_local.instance import ROOT
from tocsin_local.report import Machine
from tocsin_local.urls import StackUrls

TIMEOUT_S = 10
UNKNOWN = "unknown"


async def describe(urls: StackUrls) -> Machine:
    """The machine and the versions of its servers, which must run."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        memory_mib=memory // 2**20,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        postgresql=await _postgresql(urls.database_url),
        rabbitmq=await asyncio.to_thread(_rabbitmq, urls),
    )


def commit() -> str:
    """What is checked out, `-dirty` where more differs from it than docs/, which keeps figures; else `unknown`."""
    described = _git("describe", "--always", "--exclude=*", "--abbrev=12").stdout.strip()
    is_dirty = _git("diff", "--quiet", "HEAD", "--", ".", ":!docs").returncode == 1
    return (described + "-dirty" * is_dirty) or UNKNOWN


def _git(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


async def _postgresql(database_url: str) -> str:
    connection = await asyncpg.connect(database_url, timeout=TIMEOUT_S)
    try:
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()


def _rabbitmq(urls: StackUrls) -> str:
    """From the management API; unknown where its URL is not given."""
    if not urls.management_url:
        return UNKNOWN
    login = base64.b64encode(f"{urls.management_user}:{urls.management_password}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310 - http to our own broker
        f"{urls.management_url}/api/overview", headers={"Authorization": f"Basic {login}"}
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=TIMEOUT_S) as answer:
        return str(json.load(answer)["rabbitmq_version"])
