"""SHELL. `make screenshots`: the pictures of `docs/images/`, of the real console while Tocsin works."""

import asyncio
import ctypes
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from tocsin_local import packages, python_packages, rest
from tocsin_local.errors import StackError
from tocsin_local.instance import ROOT, data_root
from tocsin_local.plan import MAX_RETRY, PLANS, Plan
from tocsin_local.receiver import Receiver
from tocsin_local.script import LocalWebhook, Script
from tocsin_local.services import Services
from tocsin_local.stack import Stack
from tocsin_local.urls import StackUrls

INSTANCE = "screenshots"
HOME = ROOT / "docs" / "screenshots"
LOCK = HOME / "requirements.lock"
IMAGES = ROOT / "docs" / "images"
FAILING = Plan(("never-succeeds",), "*/5 * * * * *", Script(then=503))
BURST_EVERY_S = 30
BURST = Plan(tuple(f"burst-{number}" for number in range(2000)), f"*/{BURST_EVERY_S} * * * * *", Script(delay_s=3))
SETTINGS = {
    "ALLOW_LOCAL_WEBHOOKS": "1",
    "IN_FLIGHT_PER_DESTINATION": "1000",  # the receiver stands for many webhooks, and is one destination
}
CREATED_AT_A_TIME = 8
WARM_UP_S = 25.0  # the console's charts then have something to show
OUTAGE_S = 45.0
CLONE_NEWUTS = 0x04000000  # unshare(2)
HOST = "tocsin-host"


def main() -> None:
    """Take them; StackError where that fails. Nothing is left running."""
    if shutil.which("chromium") is None:
        packages.install({"chromium": "the browser that takes the pictures"})
    python_packages.make_venv(_venv(), LOCK)
    _hide_host()
    with Stack(INSTANCE, fresh=True, env={}) as stack:
        services = Services(stack, {"PATH": os.environ["PATH"], **SETTINGS})
        services.migrate()
        services.start()
        asyncio.run(_take_all(stack.urls, services))
    for path in sorted(IMAGES.glob("*.png")):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} KiB")


async def _take_all(urls: StackUrls, services: Services) -> None:
    async def take(*pictures: str) -> None:
        await asyncio.to_thread(_take, urls, services.api_url, *pictures)

    async with Receiver() as receiver, rest.connect(services.api_url, services.api_key) as api:
        for plan in (*PLANS, FAILING):
            await _create(api, receiver, plan)
        await asyncio.sleep(WARM_UP_S)
        await take("swagger")
        await take("queues", "queue-deliveries", "connections")
        webhook = await _create(api, receiver, BURST)
        await asyncio.sleep(BURST_EVERY_S)
        await asyncio.sleep(BURST_EVERY_S - time.time() % BURST_EVERY_S)
        await take("burst")
        webhook.script = Script(then=503)
        await asyncio.sleep(OUTAGE_S)
        await take("outage-receivers")
        await asyncio.to_thread(services.stop, ["sender"])
        await asyncio.sleep(OUTAGE_S)
        await take("outage-senders")


async def _create(api: rest.Api, receiver: Receiver, plan: Plan) -> LocalWebhook:
    """Its tasks; returns the webhook that they post to."""
    webhook, slots = receiver.add(plan.script), asyncio.Semaphore(CREATED_AT_A_TIME)

    async def create(name: str) -> None:
        async with slots:
            await api.create_task(
                name=name,
                schedule=plan.schedule,
                webhook_url=webhook.url,
                payload={"content": name},
                max_retry=MAX_RETRY,
            )

    await asyncio.gather(*map(create, plan.names))
    return webhook


def _take(urls: StackUrls, api_url: str, *pictures: str) -> None:
    IMAGES.mkdir(exist_ok=True)
    wanted = {
        "folder": str(IMAGES),
        "pictures": pictures,
        "console": urls.management_url,
        "user": urls.management_user,
        "password": urls.management_password,
        "api": api_url,
    }
    command = [str(_venv() / "bin" / "python"), str(HOME / "camera.py")]
    done = subprocess.run(command, input=json.dumps(wanted), text=True, check=False)
    if done.returncode != 0:
        raise StackError("The pictures could not be taken, or another host was asked for something.")


def _venv() -> Path:
    """An environment for the camera alone: Tocsin needs no browser."""
    return data_root() / "screenshots-venv"


def _hide_host() -> None:
    """The console shows the host in names: with the right to, give this process another, for itself alone."""
    if ctypes.CDLL(None).unshare(CLONE_NEWUTS) == 0:
        socket.sethostname(HOST)
