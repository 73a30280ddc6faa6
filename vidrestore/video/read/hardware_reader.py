"""Read a video by a hardware decoder as long as all is well, else by software from the beginning.

What damage makes of a picture differs between decoders, and so does what they tell of it. So a
hardware decoder reads whole files only: at the first sign of anything else the video is read again
by software, damage is counted as always, and the frames that were given before must come out the
same, else reading fails.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self
from zlib import crc32

import numpy as np

from vidrestore.errors import VideoDecodeError
from vidrestore.structs import Frame
from vidrestore.video.read.hardware import Hardware, HardwareDoubt
from vidrestore.video.read.reader import VideoReader

__all__ = ["HardwareReader"]

logger = logging.getLogger("vidrestore")


class HardwareReader:
    """A `FrameSource` whose frames are decoded by hardware where that gives those of software.

    Args:
        open_reader: opens the video, by a hardware decoder or (None) by software.
        hardware: the decoder.

    Raises:
        VidRestoreError: as `VideoReader`.
    """

    def __init__(
        self, open_reader: Callable[[Hardware | None], VideoReader], hardware: Hardware
    ) -> None:
        self._open_reader = open_reader
        self._name = hardware.name
        self._stopped: tuple[str, ...] = ()
        self._reader = open_reader(hardware)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reader.close()

    @property
    def notes(self) -> tuple[str, ...]:
        """Why software took over, and what a person should know of damage, so far."""
        return (*self._stopped, *self._reader.notes)

    @property
    def is_damaged(self) -> bool:
        """See `FrameSource`."""
        return self._reader.is_damaged

    def frames(self) -> Iterator[Frame]:
        """See `FrameSource`.

        Raises:
            VideoDecodeError: also where frames that were given come out otherwise by software.
        """
        given, digest = 0, 0
        try:
            for frame in self._reader.frames():
                given, digest = given + 1, _digest(frame, digest)
                yield frame
            if self._reader.is_whole:
                return
            why = "the file is damaged, or ends early"
        except HardwareDoubt as doubt:
            why = str(doubt)
        except VideoDecodeError:  # software tells, too, or gets over it
            why = "the file is damaged"
        self._take_software(why, given)
        yield from self._following(given, digest)

    def _take_software(self, why: str, given: int) -> None:
        self._reader.close()
        note = f"decoded on the CPU, for {self._name} stopped after {given} frames: {why}"
        logger.warning("%s", note)
        self._stopped = (note,)
        self._reader = self._open_reader(None)

    def _following(self, given: int, digest: int) -> Iterator[Frame]:
        """The frames by software behind those that were given, which must have been the same."""
        again = 0
        for frame in self._reader.frames():
            if frame.index < given:
                again = _digest(frame, again)
                continue
            if frame.index == given:
                self._check_same(again == digest)
            yield frame
        self._check_same(again == digest)  # where there are no more

    def _check_same(self, is_same: bool) -> None:
        if not is_same:
            raise VideoDecodeError(
                f"{self._reader.info.path}: {self._name} gave other frames than the CPU before it "
                "stopped, as in a damaged file; begin anew without --decode.hardware"
            )


def _digest(frame: Frame, before: int) -> int:
    """A number for a frame and all before it."""
    number = crc32(f"{frame.pts} {frame.repaired}".encode(), before)
    for plane in frame.picture.planes:
        number = crc32(np.ascontiguousarray(plane.numpy()).data, number)
    return number
