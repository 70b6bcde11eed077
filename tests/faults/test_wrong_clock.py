"""A clock that is wrong for one process alone."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from environment import INHERITED
from faults import wrong_clock
from faults.wrong_clock import WrongClock
from tocsin_local.process import wait_until

HOUR_S = 3600
SAYS_ITS_CLOCKS = """
import asyncio, time, uvloop
from datetime import UTC, datetime
async def main():
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, input):
        begun = time.clock_gettime(time.CLOCK_BOOTTIME)
        await asyncio.sleep(0.01)
        slept = time.clock_gettime(time.CLOCK_BOOTTIME) - begun
        print(time.time(), datetime.now(UTC).timestamp(), begun, time.monotonic(), slept, flush=True)
uvloop.run(main())
"""
"""Each time that it is asked: the day's, twice, since boot, since some time, and how long it slept."""


@pytest.mark.skipif(not wrong_clock.LIBRARIES, reason="Debian's package libfaketime is not installed")
def test_a_process_has_the_wrong_time_as_long_as_is_said_and_waits_as_ever(tmp_path: Path) -> None:
    clock = WrongClock(tmp_path, "some")

    with subprocess.Popen(
        [sys.executable, "-c", SAYS_ITS_CLOCKS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**INHERITED, **clock.environment},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def clocks() -> list[float]:
            print("and now?", file=process.stdin, flush=True)
            return [float(part) for part in process.stdout.readline().split()]

        def is_off_by(offset_s: float) -> bool:
            day, date, *_ = clocks()
            return [round((each - time.time()) / 10) * 10 for each in (day, date)] == [offset_s, offset_s]

        try:
            assert is_off_by(0)
            for offset_s in (HOUR_S, -HOUR_S, 0):
                clock.set(offset_s)
                assert wait_until(lambda offset_s=offset_s: is_off_by(offset_s), 10), offset_s
                *_, boot, monotonic, slept = clocks()
                assert boot == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=5)
                assert monotonic == pytest.approx(time.monotonic(), abs=5)
                assert 0.01 <= slept < 5
        finally:
            process.kill()  # one that no longer answers would be waited for without end
