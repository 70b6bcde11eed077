"""ADAPTER. What the system says that a process has used."""

import os
from contextlib import suppress
from pathlib import Path

# Fields of /proc/<pid>/stat, counted after the program's name: 4, 14 and 15, 16 and 17 there.
PARENT = 1
OWN_TICKS = slice(11, 13)  # as user and as system
ENDED_TICKS = slice(13, 15)  # of children that have ended


def cpu_s(pid: int) -> float:
    """The processor time that all threads of a process have taken so far, in seconds."""
    return _seconds(_fields(Path(f"/proc/{pid}"))[OWN_TICKS])


def tree_cpu_s(pid: int) -> float:
    """That of a process and of all that descend from it, those that have ended included."""
    ticks: list[str] = []
    for folder in _tree(pid):
        with suppress(OSError):  # it ends just now: its parent has what it took
            ticks += _fields(folder)[OWN_TICKS.start : ENDED_TICKS.stop]
    return _seconds(ticks)


def tree_memory_mb(pid: int) -> float:
    """What a process and all that descend from it have in memory, in MB; what several share, each by its share."""
    found_kb = 0
    for folder in _tree(pid):
        with suppress(OSError):  # it ends just now
            found_kb += _proportional_kb(folder)
    return found_kb * 1024 / 1e6


def _tree(pid: int) -> list[Path]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ends just now
            children.setdefault(int(_fields(folder)[PARENT]), []).append(int(folder.name))
    found = [pid]
    for each in found:  # which grows meanwhile
        found += children.get(each, [])
    return [Path(f"/proc/{each}") for each in found]


def _proportional_kb(folder: Path) -> int:
    lines = (folder / "smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _fields(folder: Path) -> list[str]:
    return (folder / "stat").read_text().rpartition(")")[2].split()


def _seconds(ticks: list[str]) -> float:
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int, field: str = "VmRSS") -> float:
    """The resident memory of a process in MB (10^6 bytes); its highest ever with `VmHWM`."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ValueError(f"/proc says nothing of {field}")
