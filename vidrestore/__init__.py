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
    "RestoreConfig": "vidrestore.config",
    "RestoreReport": "vidrestore.structs",
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
    "RestoreConfig",
    "RestoreReport",
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
    from vidrestore.structs import RestoreReport


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vidrestore' has no attribute {name!r}")
    try:
        return getattr(import_module(_HOMES[name]), name)
    except ImportError as error:
        from vidrestore.errors import NotAvailableError
        from vidrestore.runtime.system_libraries import explain_import_error

        if told := explain_import_error(error):
            raise NotAvailableError(told) from error
        raise


def __dir__() -> list[str]:
    return __all__
