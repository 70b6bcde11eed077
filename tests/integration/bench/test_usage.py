import asyncio
import sys

import pytest

from bench import usage

CHILD = '"$1" -c "$2"; read line'
GRANDCHILD = f'sh -c \'{CHILD}\' sh "$1" "$2"; read line'
BURN = "import time\nwhile time.process_time() < 0.3: pass"


@pytest.mark.parametrize("ends", [True, False])
async def test_the_time_of_children_counts_whether_they_have_ended_or_not(ends: bool) -> None:
    burn = f"{BURN}\nprint('burnt', flush=True)\n" + ("" if ends else "input()")
    parent = await asyncio.create_subprocess_exec(
        "sh", "-c", '"$1" -c "$2"; echo ended; read line', "sh", sys.executable, burn,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert parent.stdout is not None
    try:
        for _ in range(2 if ends else 1):
            await parent.stdout.readline()

        own, all_of_them = usage.cpu_s(parent.pid), usage.tree_cpu_s(parent.pid)
    finally:
        await parent.communicate(b"\n\n")

    assert own < 0.2 <= all_of_them


@pytest.mark.parametrize("script", [CHILD, GRANDCHILD], ids=["children", "theirs"])
async def test_the_memory_of_all_that_descend_counts(script: str) -> None:
    fill = "held = b'x' * 30_000_000\nprint('filled', flush=True)\ninput()"
    parent = await asyncio.create_subprocess_exec(
        "sh", "-c", script, "sh", sys.executable, fill,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert parent.stdout is not None
    try:
        await parent.stdout.readline()

        own, all_of_it = usage.memory_mb(parent.pid), usage.tree_memory_mb(parent.pid)
    finally:
        await parent.communicate(b"\n\n\n")

    assert own < 10 < 30 < all_of_it < 60
