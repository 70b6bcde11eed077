"""ADAPTER. What the system says that a process has used."""

import os
from pathlib import Path

USER_TICKS, SYSTEM_TICKS = 11, 12  # fields 14 and 15 of /proc/<pid>/stat, counted after the program's name


def cpu_s(pid: int) -> float:
    """The processor time that all threads of a process have taken so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[USER_TICKS]) + int(fields[SYSTEM_TICKS])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int, field: str = "VmRSS") -> float:
    """The resident memory of a process in MB (10^6 bytes); its highest ever with `VmHWM`."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ValueError(f"/proc says nothing of {field}")
