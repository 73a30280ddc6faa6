"""Files that a command writes beside its main output: checked first, then written whole."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from vidrestore.errors import UsageError, VideoWriteError
from vidrestore.runtime.printable import well_formed_record

__all__ = ["check_extra_output", "write_json", "write_whole"]


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file, completely or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        raise VideoWriteError(f"{path}: {error.strerror}; choose another place") from error


def write_json(path: Path, record: dict[str, Any]) -> None:
    """Writes a record as JSON, completely or not at all."""
    write_whole(
        path, (json.dumps(well_formed_record(record), indent=2, default=str) + "\n").encode()
    )


def check_extra_output(path: Path | None, *others: Path) -> None:
    """Refuses an output that cannot be written or would replace another file of the command."""
    if path is None:
        return
    if not path.absolute().parent.is_dir():
        raise VideoWriteError(f"{path}: the folder {path.parent} does not exist; create it first")
    if path.absolute() in [other.absolute() for other in others]:
        raise UsageError(f"{path}: is also the input or another output; choose another name")
