"""The memory of the process: the largest amount held, and what happens to what is freed."""

from __future__ import annotations

import ctypes
import errno
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    import resource as _posix_resource
except ImportError:  # Windows
    _posix_resource = None  # type: ignore[assignment]

__all__ = [
    "available_memory_mib",
    "current_memory_mib",
    "give_back_freed_memory",
    "is_out_of_memory",
    "keep_freed_memory",
    "peak_memory_mib",
]

_resource: Any = _posix_resource
"""None on Windows."""

_STATUS, _MEMINFO = Path("/proc/self/status"), Path("/proc/meminfo")
_CGROUPS, _CGROUP_ROOT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
_NO_LIMIT = 2**60
"""Version 1 of control groups says "no limit" by a number near 2^63."""
_NO_MEMORY = (
    "can't allocate memory",  # PyTorch's CPU allocator
    "not enough memory: you tried to allocate",  # the same, on Windows
    "insufficient memory",  # OpenCV
    "cannot allocate memory",  # FFmpeg and the C library
)

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Numbers of glibc's malloc.h."""


def peak_memory_mib() -> float:
    """Largest resident memory of this process so far, in MiB; 0 where the system does not say.

    Linux keeps it in /proc as VmHWM, which starts anew with each program; `getrusage` would carry
    over the peak of the program that started this one.
    """
    peak_kib = _table(_STATUS).get("VmHWM")
    if peak_kib is not None:
        return peak_kib / 1024
    if _resource is None:
        return 0.0
    peak = float(_resource.getrusage(_resource.RUSAGE_SELF).ru_maxrss)
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


def current_memory_mib() -> float:
    """Return the resident memory of this process, in MiB; 0 where the system does not say."""
    return _table(_STATUS).get("VmRSS", 0) / 1024


def available_memory_mib() -> float | None:
    """Return what this process can still take, in MiB; None where the system does not say.

    The least of what the system has left, what the limits of its control groups leave (containers,
    batch systems) and what its own limit of address space leaves.
    """
    found = [*_system_mib(), *_cgroup_mib(), *_address_space_mib()]
    return max(0.0, min(found)) if found else None


def is_out_of_memory(error: BaseException | None) -> bool:
    """Return whether an error, or one that caused it, says that memory ran out.

    Python, PyTorch (CPU and GPU), OpenCV and FFmpeg have an error each.
    """
    while error is not None:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
            return True
        text = str(error).lower()
        if type(error).__name__ == "OutOfMemoryError" or any(one in text for one in _NO_MEMORY):
            return True
        error = error.__cause__ or error.__context__
    return False


def _table(path: Path) -> dict[str, int]:
    """Lines such as "VmHWM:  123 kB" of a file of the Linux kernel; empty elsewhere."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return {}
    parts = [line.replace(":", " ").split() for line in lines]
    return {part[0]: int(part[1]) for part in parts if len(part) > 1 and part[1].isdigit()}


def _system_mib() -> Iterator[float]:
    if (free_kib := _table(_MEMINFO).get("MemAvailable")) is not None:
        yield free_kib / 1024
    elif sys.platform == "win32":
        yield from _windows_mib()


def _windows_mib() -> Iterator[float]:
    """`GlobalMemoryStatusEx` fills two 32-bit numbers, its size and the load, and seven of 64 bits,
    of which the second is the free physical memory.
    """
    status = (ctypes.c_uint64 * 8)()
    ctypes.cast(status, ctypes.POINTER(ctypes.c_uint32))[0] = ctypes.sizeof(status)
    library: Any = getattr(ctypes, "windll")  # noqa: B009 - Windows only
    if library.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        yield status[2] / 2**20


def _cgroup_mib() -> Iterator[float]:
    """What each limit on the way to the root leaves; cached files do not count as used."""
    for folder in _cgroup_folders():
        limit = _number(folder / "memory.max", folder / "memory.limit_in_bytes")
        used = _number(folder / "memory.current", folder / "memory.usage_in_bytes")
        if limit is not None and used is not None and limit < _NO_LIMIT:
            cached = _table(folder / "memory.stat").get("inactive_file", 0)
            yield (limit - max(0, used - cached)) / 2**20


def _cgroup_folders() -> Iterator[Path]:
    """Version 2 has one tree, version 1 one for memory; containers may see theirs as the root."""
    try:
        lines = _CGROUPS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root = _CGROUP_ROOT / "memory" if controllers else _CGROUP_ROOT
        folder = root / place.lstrip("/")
        yield from (one for one in (folder, *folder.parents) if one.is_relative_to(root))


def _number(*paths: Path) -> int | None:
    for path in paths:
        try:
            return int(path.read_text())
        except (OSError, ValueError):  # absent, or "max"
            continue
    return None


def _address_space_mib() -> Iterator[float]:
    if _resource is None:
        return
    limit, _ = _resource.getrlimit(_resource.RLIMIT_AS)
    used_kib = _table(_STATUS).get("VmSize")
    if limit != _resource.RLIM_INFINITY and used_kib is not None:
        yield limit / 2**20 - used_kib / 1024


def keep_freed_memory() -> bool:
    """Let the C library keep freed blocks for the next allocation, of any thread; for programs, not
    libraries, before threads begin.

    By default glibc gives blocks above 32 MiB back to the system at once, and getting them anew,
    page by page, costs a network's large feature maps more than their arithmetic: 12 to 20 % of
    the time of GFP-GAN on a CPU. And each thread has a heap of its own by default, so that what
    detecting has freed is of no use to restoring: a tenth of a run's memory. What lies between
    blocks in use adds up, unless `give_back_freed_memory` is called now and then.

    Returns:
        Whether the C library agreed; others than glibc are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    options = {_M_MMAP_THRESHOLD: 2**30, _M_TRIM_THRESHOLD: 2**31 - 1, _M_ARENA_MAX: 1}
    return all(bool(mallopt(option, value)) for option, value in options.items())


def give_back_freed_memory() -> None:
    """Let the C library give freed blocks back to the system, where it can.

    Gaps between blocks in use add up, while a run lasts and from video to video of a long-lived
    process. Takes some hundredths of a second, and as long again until what is needed is back.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return
