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
    "Aperture": "vidrestore.video.picture.presentation",
    "BatchFailedError": "vidrestore.errors",
    "Chapter": "vidrestore.video.read.info",
    "Clock": "vidrestore.video.read.clock",
    "ColourTags": "vidrestore.video.read.info",
    "ComponentNoise": "vidrestore.structs",
    "ConfigLike": "vidrestore.config",
    "CropKey": "vidrestore.models.interfaces",
    "DataError": "vidrestore.errors",
    "Detections": "vidrestore.structs",
    "Display": "vidrestore.structs",
    "DownloadError": "vidrestore.errors",
    "Face": "vidrestore.structs",
    "FaceDetector": "vidrestore.models.interfaces",
    "FaceRecord": "vidrestore.structs",
    "Field": "vidrestore.structs",
    "FaceRestorer": "vidrestore.models.interfaces",
    "FormatChange": "vidrestore.video.read.changes",
    "Frame": "vidrestore.structs",
    "FrameSink": "vidrestore.video.write.sink",
    "FrameSource": "vidrestore.video.read.source",
    "ImageOpenError": "vidrestore.errors",
    "Job": "vidrestore.job",
    "JobError": "vidrestore.errors",
    "Join": "vidrestore.video.read.clock",
    "ModelError": "vidrestore.errors",
    "ModelSpec": "vidrestore.models.zoo",
    "NoiseModel": "vidrestore.structs",
    "NotAvailableError": "vidrestore.errors",
    "NotEnoughMemoryError": "vidrestore.errors",
    "Options": "vidrestore.options",
    "OutputInUseError": "vidrestore.errors",
    "OutputPlan": "vidrestore.video.write.plan",
    "Picture": "vidrestore.structs",
    "PictureFormat": "vidrestore.video.read.changes",
    "PictureSequence": "vidrestore.video.sequence.files",
    "Presentation": "vidrestore.video.picture.presentation",
    "Progress": "vidrestore.run",
    "Projection": "vidrestore.video.picture.presentation",
    "RestoreConfig": "vidrestore.config",
    "RestoreReport": "vidrestore.structs",
    "RestorerRun": "vidrestore.models.interfaces",
    "RunnerFacts": "vidrestore.models.runners.runner",
    "Session": "vidrestore.session",
    "StreamInfo": "vidrestore.video.read.info",
    "StreamPlan": "vidrestore.video.write.stream_plan",
    "Track": "vidrestore.tracks",
    "Tracks": "vidrestore.tracks",
    "UnknownModelError": "vidrestore.errors",
    "UsageError": "vidrestore.errors",
    "VidRestoreError": "vidrestore.errors",
    "VideoDecodeError": "vidrestore.errors",
    "VideoInfo": "vidrestore.video.read.info",
    "VideoOpenError": "vidrestore.errors",
    "VideoWriteError": "vidrestore.errors",
    "WeightsError": "vidrestore.errors",
    "Window": "vidrestore.video.read.window",
    "adapt_restorer": "vidrestore.models.restorers.adapt",
    "frame_to_rgb": "vidrestore.api",
    "inspect_video": "vidrestore.api",
    "load_detector": "vidrestore.models.load",
    "load_restorer": "vidrestore.api",
    "probe": "vidrestore.api",
    "restore_frames": "vidrestore.api",
    "restore_image": "vidrestore.api",
    "restore_video": "vidrestore.api",
}

__all__ = [
    "Aperture",
    "BatchFailedError",
    "Chapter",
    "Clock",
    "ColourTags",
    "ComponentNoise",
    "ConfigLike",
    "CropKey",
    "DataError",
    "Detections",
    "Display",
    "DownloadError",
    "Face",
    "FaceDetector",
    "FaceRecord",
    "FaceRestorer",
    "Field",
    "FormatChange",
    "Frame",
    "FrameSink",
    "FrameSource",
    "ImageOpenError",
    "Job",
    "JobError",
    "Join",
    "ModelError",
    "ModelSpec",
    "NoiseModel",
    "NotAvailableError",
    "NotEnoughMemoryError",
    "Options",
    "OutputInUseError",
    "OutputPlan",
    "Picture",
    "PictureFormat",
    "PictureSequence",
    "Presentation",
    "Progress",
    "Projection",
    "RestoreConfig",
    "RestoreReport",
    "RestorerRun",
    "RunnerFacts",
    "Session",
    "StreamInfo",
    "StreamPlan",
    "Track",
    "Tracks",
    "UnknownModelError",
    "UsageError",
    "VidRestoreError",
    "VideoDecodeError",
    "VideoInfo",
    "VideoOpenError",
    "VideoWriteError",
    "WeightsError",
    "Window",
    "__version__",
    "adapt_restorer",
    "frame_to_rgb",
    "inspect_video",
    "load_detector",
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
    from vidrestore.config import ConfigLike, RestoreConfig
    from vidrestore.errors import (
        BatchFailedError,
        DataError,
        DownloadError,
        ImageOpenError,
        JobError,
        ModelError,
        NotAvailableError,
        NotEnoughMemoryError,
        OutputInUseError,
        UnknownModelError,
        UsageError,
        VideoDecodeError,
        VideoOpenError,
        VideoWriteError,
        VidRestoreError,
        WeightsError,
    )
    from vidrestore.job import Job
    from vidrestore.models.interfaces import CropKey, FaceDetector, FaceRestorer, RestorerRun
    from vidrestore.models.load import load_detector
    from vidrestore.models.restorers.adapt import adapt_restorer
    from vidrestore.models.runners.runner import RunnerFacts
    from vidrestore.models.zoo import ModelSpec
    from vidrestore.options import Options
    from vidrestore.run import Progress
    from vidrestore.session import Session
    from vidrestore.structs import (
        ComponentNoise,
        Detections,
        Display,
        Face,
        FaceRecord,
        Field,
        Frame,
        NoiseModel,
        Picture,
        RestoreReport,
    )
    from vidrestore.tracks import Track, Tracks
    from vidrestore.video.picture.presentation import Aperture, Presentation, Projection
    from vidrestore.video.read.changes import FormatChange, PictureFormat
    from vidrestore.video.read.clock import Clock, Join
    from vidrestore.video.read.info import Chapter, ColourTags, StreamInfo, VideoInfo
    from vidrestore.video.read.source import FrameSource
    from vidrestore.video.read.window import Window
    from vidrestore.video.sequence.files import PictureSequence
    from vidrestore.video.write.plan import OutputPlan
    from vidrestore.video.write.sink import FrameSink
    from vidrestore.video.write.stream_plan import StreamPlan


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
