"""What can be said of a device's name without torch, which takes seconds to import."""

from __future__ import annotations

import ctypes
import re
import sys
from importlib.metadata import entry_points
from pathlib import Path

from vidrestore.errors import UsageError

__all__ = ["check_device"]

_OWN_KINDS = ("cpu", "cuda", "mps", "xpu")
"""Kinds that torch has itself; others come with a package of their own, which says so."""
_GPU_NODES = ("/dev/nvidiactl", "/dev/kfd")
_NAME = re.compile(r"([a-z0-9]+)(:(0|[1-9][0-9]{0,3}))?", re.ASCII)


def check_device(device: str) -> None:
    """Refuse a device that no computer has, or surely not this one; the others, torch has to try.

    Args:
        device: "auto", or a torch device such as "cpu" or "cuda:1".

    Raises:
        UsageError: it is none.
    """
    if device == "auto":
        return
    if device == "meta":
        raise UsageError("device meta: computes nothing; try 'auto' or 'cpu'")
    named = _NAME.fullmatch(device)
    if named is None or not _may_be_here(named[1]):
        raise UsageError(f"device {device}: not on this machine; try 'auto' or 'cpu'")


def _may_be_here(kind: str) -> bool:
    if kind == "cuda":
        return _may_have_cuda()
    if kind == "mps":
        return sys.platform == "darwin"
    return kind in _OWN_KINDS or bool(entry_points(group="torch.backends"))


def _may_have_cuda() -> bool:
    """Whether there is NVIDIA's driver, or AMD's, whose devices torch calls `cuda` too."""
    if sys.platform == "win32" or any(Path(node).exists() for node in _GPU_NODES):
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True
