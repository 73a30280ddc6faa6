"""Whether the disk holds segments and output: before work by guess, then as measured."""

from __future__ import annotations

import shutil
from pathlib import Path

from vidrestore.errors import VideoWriteError
from vidrestore.job import Job
from vidrestore.jobs.store import FolderStore
from vidrestore.runtime.words import sized
from vidrestore.video.write.source_kind import LOSSLESS_ENCODERS

__all__ = ["check_space", "check_space_left", "estimate_bytes"]

_BITS_PER_PIXEL = {"prores_ks": 3.0, "dnxhd": 3.0, "cfhd": 4.0}
_LOSSY_BITS_PER_PIXEL = 0.1
"""Of a quiet picture: what is refused must surely not fit."""
_LOSSLESS_SHARE = 0.3
"""Of the samples, likewise."""


def estimate_bytes(job: Job, frames: int) -> int:
    """About the least that the encoded pictures of an output will take."""
    assert job.output is not None
    codec, pixels = job.output.codec, job.filtered.width * job.filtered.height
    if codec in LOSSLESS_ENCODERS:
        return round(_LOSSLESS_SHARE * job.filtered.picture_bytes * frames)
    return round(_BITS_PER_PIXEL.get(codec, _LOSSY_BITS_PER_PIXEL) * pixels / 8 * frames)


def check_space_left(store: FolderStore, job: Job, frames: int, total: int) -> None:
    """Look on the way whether the disk holds what is to come.

    Args:
        store: of the job.
        job: what is done.
        frames: those of the segments that are stored.
        total: those of the output, as far as known.

    Raises:
        VideoWriteError: it does not.
    """
    assert job.output is not None
    size = sum(store.segment(one).stat().st_size for one in store.stored_segments())
    whole = round(size / frames * total) if frames else estimate_bytes(job, total)
    check_space(job.output.destination, store.folder, max(whole - size, 0), whole)


def check_space(output: Path, folder: Path, segments: int, whole: int) -> None:
    """Refuse what the disk cannot hold.

    Args:
        output: the file that will be written.
        folder: of the job.
        segments: bytes of the segments that are still to be stored.
        whole: bytes of the output.

    Raises:
        VideoWriteError: they do not fit; it is said how much is needed.
    """
    places = {output.absolute().parent: whole}
    devices = {output.absolute().parent.stat().st_dev, folder.stat().st_dev}
    if len(devices) == 1:
        places[output.absolute().parent] += segments
    else:
        places[folder] = segments
    for place, needed in places.items():
        free = shutil.disk_usage(place).free
        if free < needed:
            raise VideoWriteError(
                f"{place}: about {sized(needed)} more are needed (segments and the output), and "
                f"{sized(free)} are free; free some, or keep the segments elsewhere by --work"
            )
