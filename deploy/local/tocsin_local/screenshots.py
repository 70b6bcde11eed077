"""SHELL. `make screenshots`: the pictures of `docs/images/`, of the real console while Tocsin works."""

import asyncio
import ctypes
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

from tocsin_local import packages, python_packages, rest
from tocsin_local.errors import StackError
from tocsin_local.instance import ROOT, data_root
from tocsin_local.plan import MAX_RETRY, PLANS, Plan
from tocsin_local.receiver import Receiver
from tocsin_local.script import Script
from tocsin_local.services import Services
from tocsin_local.stack import Stack
from tocsin_local.urls import StackUrls

INSTANCE = "screenshots"
HOME = ROOT / "docs" / "screenshots"
LOCK = HOME / "requirements.lock"
IMAGES = ROOT / "docs" / "images"
FAILING = Plan(("never-succeeds",), "*/5 * * * * *", Script(then=503))
WARM_UP_S = 25.0  # the console's charts then have something to show
CLONE_NEWUTS = 0x04000000  # unshare(2)
HOST = "tocsin-host"


def main() -> None:
    """Take them; StackError where that fails. Nothing is left running."""
    if shutil.which("chromium") is None:
        packages.install({"chromium": "the browser that takes the pictures"})
    python_packages.make_venv(_venv(), LOCK)
    _hide_host()
    with Stack(INSTANCE, fresh=True, env={}) as stack:
        services = Services(stack, {"PATH": os.environ["PATH"], "ALLOW_LOCAL_WEBHOOKS": "1"})
        services.migrate()
        services.start()
        asyncio.run(_take_while_it_works(stack.urls, services))
    for path in sorted(IMAGES.glob("*.png")):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} KiB")


async def _take_while_it_works(urls: StackUrls, services: Services) -> None:
    async with Receiver() as receiver, rest.connect(services.api_url, services.api_key) as api:
        for plan in (*PLANS, FAILING):
            for name in plan.names:
                await api.create_task(
                    name=name,
                    schedule=plan.schedule,
                    webhook_url=receiver.add(plan.script).url,
                    payload={"content": name},
                    max_retry=MAX_RETRY,
                )
        await asyncio.sleep(WARM_UP_S)
        await asyncio.to_thread(_take, urls, services.api_url)


def _take(urls: StackUrls, api_url: str) -> None:
    IMAGES.mkdir(exist_ok=True)
    wanted = {
        "folder": str(IMAGES),
        "console": urls.management_url,
        "user": urls.management_user,
        "password": urls.management_password,
        "api": api_url,
    }
    command = [str(_venv() / "bin" / "python"), str(HOME / "camera.py")]
    done = subprocess.run(command, input=json.dumps(wanted), text=True, check=False)
    if done.returncode != 0:
        raise StackError("The pictures could not be taken.")


def _venv() -> Path:
    """An environment for the camera alone: Tocsin needs no browser."""
    return data_root() / "screenshots-venv"


def _hide_host() -> None:
    """The console shows the host in names: with the right to, give this process another, for itself alone."""
    if ctypes.CDLL(None).unshare(CLONE_NEWUTS) == 0:
        socket.sethostname(HOST)
