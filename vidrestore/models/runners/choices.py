"""What was measured to be the fastest backend on this machine, as `bench --choose` writes it.

A choice holds for one weights file on one device with the versions it was measured with; where one
of them changes, it is not found, and the default of the device holds again. The file is
`choices.json` in `VIDRESTORE_HOME`, else in the user's configuration folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs
import torch
from pydantic import TypeAdapter, ValidationError

from vidrestore.errors import UsageError
from vidrestore.models.runners.backends import Backend, version_of
from vidrestore.runtime.durable import write_durably
from vidrestore.runtime.machine import describe_processor

__all__ = ["Choice", "choices_file", "device_name", "find_choice", "make_choice", "store_choices"]


@dataclass(frozen=True, slots=True)
class Choice:
    """The backend of one network on one device."""

    model: str
    """Name, for a person."""
    sha256: str
    """Of the weights."""
    device: str
    """See `device_name`."""
    torch: str
    """Version."""
    backend: Backend
    version: str
    """Of the backend's package."""


def choices_file() -> Path:
    """Where choices are kept; it may not exist."""
    home = os.environ.get("VIDRESTORE_HOME")
    base = Path(home).expanduser() if home else platformdirs.user_config_path("vidrestore", False)
    return base / "choices.json"


def device_name(device: torch.device) -> str:
    """The processor or card, as it calls itself."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else describe_processor()


def make_choice(model: str, sha256: str, device: torch.device, backend: Backend) -> Choice:
    """A choice with the versions that are installed."""
    return Choice(
        model, sha256, device_name(device), torch.__version__, backend, version_of(backend)
    )


def find_choice(sha256: str, device: torch.device) -> Backend | None:
    """The backend that was chosen for weights on a device, with the versions installed now.

    Raises:
        UsageError: the file of choices is damaged.
    """
    for one in _read():
        if one == make_choice(one.model, sha256, device, one.backend):
            return one.backend
    return None


def store_choices(found: Sequence[Choice]) -> Path:
    """Store choices in place of those for the same weights and devices.

    Returns:
        The file.

    Raises:
        UsageError: the file of choices is damaged.
        OSError: it cannot be written.
    """
    path = choices_file()
    replaced = {(one.sha256, one.device) for one in found}
    kept = [one for one in _read() if (one.sha256, one.device) not in replaced]
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [asdict(one) for one in (*kept, *found)]
    write_durably(path, (json.dumps({"version": 1, "choices": rows}, indent=1) + "\n").encode())
    return path


def _read() -> list[Choice]:
    path = choices_file()
    if not path.is_file():
        return []
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["version"] != 1:
            raise ValueError("another version")
        return TypeAdapter(list[Choice]).validate_python(stored["choices"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise UsageError(
            f"{path}: cannot be read; delete it, or measure again with `vidrestore bench --choose`"
        ) from error
