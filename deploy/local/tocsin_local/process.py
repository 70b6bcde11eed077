"""ADAPTER. Start, recognise and stop long-lived processes, remembered in record files by pid and start time."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import current_thread, main_thread

from tocsin_local.errors import StackError

POLL_S = 0.05
KILL_TIMEOUT_S = 10.0  # a process in the middle of a disk access goes when that is done
TAIL_LINES = 30

# The shell goes away at once, so the process belongs to init and never becomes our zombie. The
# record is written before the shell ends: whoever is killed here leaves no unrecorded process.
# One that ended already has no /proc entry any more: its record is incomplete, and names nobody.
# A shell ignores SIGINT and SIGQUIT for what it puts into the background: env gives them back.
SPAWN = """
record=$1 folder=$2; shift 2
setsid env --default-signal=INT,QUIT --chdir="$folder" "$@" < /dev/null &
cat /proc/$!/stat /proc/sys/kernel/random/boot_id > "$record.new"
mv "$record.new" "$record"
"""


def spawn(record: Path, command: Sequence[str], env: Mapping[str, str], folder: Path, log: Path) -> None:
    """Start a process in its own session, its output in `log` (the one before is kept as `<log>.1`).

    `record` is the file that `pid` and `stop` know it by.
    """
    if log.exists():
        log.replace(log.with_name(log.name + ".1"))
    record.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        subprocess.run(
            ["sh", "-c", SPAWN, "sh", str(record), str(folder), *command],
            env=dict(env), stdout=output, stderr=output, check=True, start_new_session=True,
        )  # fmt: skip


def pid(record: Path) -> int | None:
    """Return the pid of the recorded process if that very process still runs, else None."""
    try:
        stat, boot_id = record.read_text().splitlines()
        number, ticks = int(stat.split(" ", 1)[0]), _start_ticks(stat)
    except (OSError, ValueError, IndexError):
        return None
    if boot_id != Path("/proc/sys/kernel/random/boot_id").read_text().strip():
        return None
    return number if start_ticks(number) == ticks else None


def start_ticks(number: int) -> int | None:
    """Return when a live process started (clock ticks since boot), None for a dead one or a zombie."""
    try:
        stat = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return None
    state = stat.rpartition(")")[2].split()[0]
    return None if state in "ZX" else _start_ticks(stat)


def _start_ticks(stat: str) -> int:
    """Return field 22 of a /proc/<pid>/stat line; the program's name in it may hold anything."""
    return int(stat.rpartition(")")[2].split()[19])


def stop(record: Path, first: signal.Signals = signal.SIGTERM, patience_s: float = 20) -> bool:
    """Stop the recorded process: `first`, after `patience_s` SIGKILL; its session's rest is killed too.

    Returns whether it was running. A process that merely took over its pid is left alone.
    """
    number = pid(record)
    if number is not None:
        for signal_number in (first, signal.SIGCONT):  # a frozen process acts only once it goes on
            with suppress(ProcessLookupError):
                os.kill(number, signal_number)
        if not wait_until(lambda: pid(record) is None, patience_s):
            kill(record)
        with suppress(ProcessLookupError):
            os.killpg(number, signal.SIGKILL)
    record.unlink(missing_ok=True)
    return number is not None


def kill(record: Path) -> None:
    """Kill the recorded process if it runs and wait until it is gone; its record stays, so it counts as dead."""
    number = pid(record)
    if number is not None:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
        wait_until(lambda: pid(record) is None, KILL_TIMEOUT_S)


def stop_all(records: Iterable[Path]) -> None:
    """Stop several recorded processes at the same time, each with SIGTERM and the usual patience."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(stop, records))


def kill_all(is_mine: Callable[[list[str]], bool]) -> None:
    """Kill every process whose command line (program and arguments) is recognised, and wait until all are gone.

    For what has no record: children, and what is left where the records were lost.
    """
    for number in _recognised(is_mine):
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    wait_until(lambda: not _recognised(is_mine), KILL_TIMEOUT_S)


def _recognised(is_mine: Callable[[list[str]], bool]) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if is_mine(path.read_text(errors="replace").split("\0")):
                found.append(int(path.parent.name))
    return found


def wait_until(done: Callable[[], bool], timeout_s: float) -> bool:
    """Poll until `done()`; return False when that takes longer than `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def wait_ready(name: str, record: Path, log: Path, ready: Callable[[], bool], timeout_s: float) -> None:
    """Wait until a process is ready; StackError with its log's end if it dies or takes too long."""
    if wait_until(lambda: ready() or pid(record) is None, timeout_s) and pid(record) is not None:
        return
    why = "ended" if pid(record) is None else f"was not ready within {timeout_s:.0f} s"
    raise StackError(f"{name} {why}. The end of {log}:\n{tail(log)}")


def tail(log: Path) -> str:
    """Return a log's last lines, or a note that there are none."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError as error:
        return f"  (unreadable: {error.strerror})"
    return "\n".join(f"  {line}" for line in lines[-TAIL_LINES:]) or "  (empty)"


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let a clean-up finish: SIGINT, SIGTERM and SIGHUP do nothing meanwhile."""
    if current_thread() is not main_thread():  # only the main thread gets signals
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
