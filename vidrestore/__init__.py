"""Restore the faces in a video: steady over time, in sync, with nothing else touched.

    from vidrestore import restore_video
    report = restore_video("tape.mp4", "restored.mp4")

Three depths, each usable alone: `restore_video(src, dst)`, `for frame in restore_frames(src)`, and
`load_restorer(name)(crops)`. Nothing heavy is imported until it is used (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Job": "vidrestore.job",
    "Options": "vidrestore.session",
    "Progress": "vidrestore.session",
    "RestoreConfig": "vidrestore.config",
    "RestoreReport": "vidrestore.structs",
    "Session": "vidrestore.session",
    "Tracks": "vidrestore.tracks",
    "VidRestoreError": "vidrestore.errors",
    "frame_to_rgb": "vidrestore.api",
    "inspect_video": "vidrestore.api",
    "load_restorer": "vidrestore.api",
    "probe": "vidrestore.api",
    "restore_frames": "vidrestore.api",
    "restore_image": "vidrestore.api",
    "restore_video": "vidrestore.api",
}

__all__ = [
    "Job",
    "Options",
    "Progress",
    "RestoreConfig",
    "RestoreReport",
    "Session",
    "Tracks",
    "VidRestoreError",
    "__version__",
    "frame_to_rgb",
    "inspect_video",
    "load_restorer",
    "probe",
    "restore_frames",
    "restore_image",
    "restore_video",
]

if TYPE_CHECKING:
    from vidrestore.api import (
        frame_to_rgb,
        inspect_video,
        load_restorer,
        probe,
        restore_frames,
        restore_image,
        restore_video,
    )
    from vidrestore.config import RestoreConfig
    from vidrestore.errors import VidRestoreError
    from vidrestore.job import Job
    from vidrestore.session import Options, Progress, Session
    from vidrestore.structs import RestoreReport
    from vidrestore.tracks import Tracks


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'vidrestore' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
