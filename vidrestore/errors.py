"""Every error a user can meet, as a small tree.

    VidRestoreError
    ├── UsageError (ValueError)            a bad option: exit code 2
    ├── VideoOpenError (OSError)           missing, unreadable, not a video
    ├── VideoDecodeError (OSError)         broken past the bound, or no frames
    ├── VideoWriteError (OSError)          the output cannot be made
    │   └── OutputInUseError               another run writes it
    ├── ImageOpenError (OSError)           a picture that cannot be read
    ├── JobError (RuntimeError)            a stopped run cannot go on
    │   └── SegmentDiffersError            a segment was restored twice, and came out differently
    ├── ModelError (RuntimeError)          a network cannot be built or run
    │   ├── UnknownModelError (KeyError)   no such name, a UsageError too; suggests the nearest
    │   ├── NotAvailableError              a metric's or loss's network or package is not here
    │   └── WeightsError (OSError)         a weights file is missing, damaged or refused
    │       └── DownloadError              no server gave the file
    ├── NotEnoughMemoryError (MemoryError) memory does not suffice, or has run out
    ├── DataError (ValueError)             training or evaluation data cannot be used
    └── BatchFailedError                   some videos of a batch failed: exit code 3

A message says what is wrong, the value, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "BatchFailedError",
    "DataError",
    "DownloadError",
    "ImageOpenError",
    "JobError",
    "ModelError",
    "NotAvailableError",
    "NotEnoughMemoryError",
    "OutputInUseError",
    "SegmentDiffersError",
    "UnknownModelError",
    "UsageError",
    "VidRestoreError",
    "VideoDecodeError",
    "VideoOpenError",
    "VideoWriteError",
    "WeightsError",
    "nearest",
]


class VidRestoreError(Exception):
    """Base of all errors raised on purpose; `str(error)` is one line for a person."""

    def __str__(self) -> str:
        return " ".join(str(part) for part in self.args)


class UsageError(VidRestoreError, ValueError):
    """An option's name or value is wrong."""


class VideoOpenError(VidRestoreError, OSError):
    """The input is missing, cannot be read, or holds no video."""


class VideoDecodeError(VidRestoreError, OSError):
    """Too much of the input cannot be decoded."""


class VideoWriteError(VidRestoreError, OSError):
    """The output cannot be created, or cannot hold what the input holds."""


class OutputInUseError(VideoWriteError):
    """Another run writes the output."""


class ImageOpenError(VidRestoreError, OSError):
    """A picture is missing or cannot be read."""


class JobError(VidRestoreError, RuntimeError):
    """A stopped run cannot go on as it was begun, or what it stored is damaged."""


class SegmentDiffersError(JobError):
    """A segment is stored already, with other packets."""


class ModelError(VidRestoreError, RuntimeError):
    """A network cannot be built, loaded or run."""


class UnknownModelError(ModelError, UsageError, KeyError):
    """No model has this name: exit code 2, as for all wrong values of options."""


class NotAvailableError(ModelError):
    """A metric or a loss needs a network or a package that is not on this machine."""


class WeightsError(ModelError, OSError):
    """A weights file is missing, damaged, of another network, or unsafe."""


class DownloadError(WeightsError):
    """A weights file could not be fetched."""


class NotEnoughMemoryError(VidRestoreError, MemoryError):
    """The computer's memory does not suffice for what was asked, or has run out."""


class DataError(VidRestoreError, ValueError):
    """Pictures or labels for training or evaluation cannot be used."""


class BatchFailedError(VidRestoreError):
    """Some videos of a batch failed, or do not match their checksums; the others are done."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A suggestion for a mistyped `name`, such as "; did you mean 'a' or 'b'?", or ""."""
    close = get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
