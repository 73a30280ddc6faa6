"""The largest memory the process has held."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

__all__ = ["peak_memory_mib"]


def peak_memory_mib() -> float:
    """Largest resident memory of this process so far, in MiB.

    Linux keeps it in /proc as VmHWM, which starts anew with each program; `getrusage` would carry
    over the peak of the program that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)
