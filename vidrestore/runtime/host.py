"""Which machine this is, as far as programs on other machines can tell."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Host", "this_host"]


@dataclass(frozen=True, slots=True)
class Host:
    """A machine, as far as it can be told from others."""

    name: str
    machine: str
    """Constant over restarts where the system has such a number, else ''."""
    boot: str
    """New with every start of the system, else ''."""

    def is_same(self, other: Host) -> bool:
        """Whether both are one machine, started again or not."""
        if self.boot and self.boot == other.boot:
            return True
        return self.name == other.name and self.machine == other.machine


def this_host() -> Host:
    """The machine that this process runs on."""
    return Host(
        platform.node(),
        _read_line("/etc/machine-id"),
        _read_line("/proc/sys/kernel/random/boot_id"),
    )


def _read_line(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
