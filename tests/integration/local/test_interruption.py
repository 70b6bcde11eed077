"""Signals are for a whole process, so each case is a program of its own."""

import signal
import subprocess
import sys

import pytest

from environment import INHERITED

PROGRAM = """
import asyncio, sys
from environment import INHERITED
from tocsin_local.interruption import Interruption

async def work():
    try:
        print("working", flush=True)
        await asyncio.Event().wait()
    finally:
        print("tidying", flush=True)
        sys.stdin.readline()  # another signal comes meanwhile

try:
    with Interruption() as interruption:
        {run}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
IN_A_LOOP = "interruption.run(work())"
OUTSIDE = """try:
            print("working", flush=True)
            sys.stdin.readline()
        finally:
            print("tidying", flush=True)
            sys.stdin.readline()"""


@pytest.mark.parametrize("run", [IN_A_LOOP, OUTSIDE])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_interrupts_and_a_second_one_disturbs_nothing(run: str, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(run=run)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**INHERITED, "PYTHONPATH": ":".join(sys.path)},
    ) as program:
        assert program.stdout is not None
        try:
            assert program.stdout.readline() == "working\n"
            program.send_signal(number)
            assert program.stdout.readline() == "tidying\n"
            program.send_signal(number)
            rest, _ = program.communicate("\n", timeout=10)
        except BaseException:
            program.kill()  # one that hangs would be waited for without end
            raise

    assert rest == "interrupted\n"
    assert program.returncode == 0
