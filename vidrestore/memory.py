"""The memory of the process: the largest amount held, and what happens to what is freed."""

from __future__ import annotations

import ctypes
import resource
import sys
from pathlib import Path

__all__ = ["keep_freed_memory", "peak_memory_mib"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Numbers of glibc's malloc.h."""


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


def keep_freed_memory() -> bool:
    """Let the C library keep freed blocks for the next allocation; for programs, not libraries.

    By default glibc gives blocks above 32 MiB back to the system at once, and getting them anew,
    page by page, costs a network's large feature maps more than their arithmetic: 12 to 20 % of
    the time of GFP-GAN on a CPU. The most memory that is held at a time does not change.

    Returns:
        Whether the C library agreed; others than glibc are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, 2**30)) and bool(mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
