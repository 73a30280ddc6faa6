"""What a machine is and which versions run on it, for reports that are compared later."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["describe_machine", "describe_processor", "source_commit"]

_PACKAGES = ("vidrestore", "torch", "av", "numpy", "opencv-python")
_CPUINFO, _MEMINFO = Path("/proc/cpuinfo"), Path("/proc/meminfo")


def describe_machine() -> dict[str, str]:
    """Processor, memory, GPUs, and versions; what is not known is left out."""
    import torch

    facts = {
        "processor": describe_processor(),
        "cores": f"{os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "memory": _memory(),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
        "commit": source_commit(),
    }
    for index in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(index)
        facts[f"cuda:{index}"] = f"{card.name}, {card.total_memory / 2**30:.0f} GiB"
    return {name: fact for name, fact in facts.items() if fact}


def source_commit() -> str:
    """The commit of the checkout that the package is run from; "" where it is installed."""
    folder = Path(__file__).parents[2]
    if not (folder / ".git").exists():
        return ""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def describe_processor() -> str:
    """The processor, as it calls itself."""
    return _field(_CPUINFO, "model name") or platform.processor() or platform.machine()


def _memory() -> str:
    words = _field(_MEMINFO, "MemTotal").split()
    return f"{int(words[0]) / 2**20:.0f} GiB" if words and words[0].isdigit() else ""


def _field(path: Path, name: str) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    found = (line.partition(":") for line in text.splitlines())
    return next((value.strip() for key, _, value in found if key.strip() == name), "")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
