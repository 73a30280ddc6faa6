"""What the file of an output's lock holds: who writes the output, and that the writer lives."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass

from vidrestore.runtime.host import Host

__all__ = ["MOST_BYTES", "LockRecord", "read_lock_record"]

MOST_BYTES = 1 << 16
"""Of a lock's file."""

_FORMAT = "vidrestore lock"
_VERSION = 1


@dataclass(slots=True)
class LockRecord:
    """What a lock file holds."""

    host: Host
    process: int
    since: str
    """Local time with its zone, for people."""
    output: str
    heartbeat: int
    temporaries: list[str]
    """Names of files in the lock's folder."""

    def to_bytes(self) -> bytes:
        """As the file holds it."""
        record = {"format": _FORMAT, "version": _VERSION, **asdict(self)}
        return json.dumps(record, indent=1).encode()


def read_lock_record(file: int) -> LockRecord | None:
    """What a lock says; None if it says nothing: its holder died, or has not written yet."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        os.lseek(file, 0, os.SEEK_SET)
        record = json.loads(os.read(file, MOST_BYTES))
        if record["format"] != _FORMAT or record["version"] != _VERSION:
            return None
        host = record["host"]
        return LockRecord(
            Host(str(host["name"]), str(host["machine"]), str(host["boot"])),
            int(record["process"]),
            str(record["since"]),
            str(record["output"]),
            int(record["heartbeat"]),
            [str(name) for name in record["temporaries"]],
        )
    return None
