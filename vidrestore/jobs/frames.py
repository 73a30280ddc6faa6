"""Decoded frames from any one on, each the same picture that the analysis saw.

Decoders need not give the same picture wherever they begin: groups of pictures may be open, packets
damaged, two fields apart. So every picture is compared with the analysis by its hash; where one
differs, decoding begins anew from further back, in the end from the first frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

from vidrestore.errors import VideoDecodeError
from vidrestore.job import Job
from vidrestore.jobs.hashing import picture_hash
from vidrestore.jobs.known import KnownAnalysis
from vidrestore.structs import Frame, Picture
from vidrestore.video.read.opening import open_input
from vidrestore.video.read.pictures import PictureStream, open_stream
from vidrestore.video.read.prefilter import prefiltered
from vidrestore.video.read.source import FrameSource
from vidrestore.video.read.window import Window

__all__ = ["AnalysedFrames"]

_FURTHER_BACK_FRAMES = (0, 60, 300, 1500)
"""How far before the wanted frame decoding begins, until its pictures are those of the analysis."""

_Pictures = Iterator[tuple[int, Picture]]
"""Time in the reader's units, and picture."""


class AnalysedFrames:
    """Frames of a job's input, as the analysis saw them.

    Args:
        job: whose input is read.
        known: the analysis.
        open_reader: gives the reader that the analysis had, for the whole video.
    """

    def __init__(
        self, job: Job, known: KnownAnalysis, open_reader: Callable[[], FrameSource]
    ) -> None:
        self._job, self._known, self._open_reader = job, known, open_reader
        self.differing: dict[int, str] = {}
        """Hashes, by frame, of pictures that came out otherwise than in the analysis even from the
        first frame on: the decoder does not conceal damage alike each time."""
        self.begun_anew = 0
        """How often decoding began anew from further back."""

    def frames(self, first: int) -> Iterator[Frame]:
        """Give the frames from number `first` on.

        Raises:
            VideoDecodeError: the file cannot be read any more, or ends earlier.
        """
        index = first
        # A filter may remember more than any number of frames, so it begins where the video does.
        goes_back = first and not self._job.filters
        for back in (*_FURTHER_BACK_FRAMES, None) if goes_back else (None,):
            if back is not None and back >= index > 0:
                continue  # as far as the beginning
            pictures = self._from_start() if back is None else self._from(max(index - back, 0))
            with closing(pictures):  # type: ignore[type-var]
                for frame in self._matching(pictures, index, accepts=back is None):
                    index = frame.index + 1
                    yield frame
            if index == len(self._known):
                return
            self.begun_anew += back is not None
        raise VideoDecodeError(
            f"{self._job.source}: ends at frame {index}, and had {len(self._known)} when the run "
            "began; add --restart"
        )

    def _matching(self, pictures: _Pictures, index: int, *, accepts: bool) -> Iterator[Frame]:
        """Frames from `index` on, as long as they are those of the analysis.

        Args:
            pictures: from that frame or an earlier one on.
            index: of the first frame that is given.
            accepts: whether other pictures at the same times are given too, and counted.
        """
        known = self._known
        for pts, picture in pictures:
            if index == len(known):
                return
            if pts < known.pts[index]:
                continue
            found = picture_hash(picture)
            is_same = found == known.picture_hash(index)
            if pts != known.pts[index] or not (is_same or accepts):
                return
            if not is_same:
                self.differing[index] = found
            yield Frame(
                index=index,
                pts=pts,
                time_base=known.time_base,
                picture=picture,
                display=self._job.filtered.display,
                is_cut=known.is_cut(index),
                repaired=known.is_repaired(index),
            )
            index += 1

    def _from_start(self) -> _Pictures:
        with self._open_reader() as reader:
            for frame in prefiltered(reader.frames(), self._job.filters):
                yield frame.pts, frame.picture

    def _from(self, frame: int) -> _Pictures:
        job, shift = self._job, self._job.window.shift
        window = Window(self._known.pts[frame] + shift, job.window.end_pts, job.info.time_base)
        pictures = PictureStream(job.info, window, job.config.run.threads)
        with open_input(job.info.path) as container:
            stream = open_stream(container, job.info, job.config.run.threads)
            try:
                for one in pictures.pictures(container, stream):
                    yield one.pts - shift, one.picture
            except VideoDecodeError:
                return  # damage that reading from further back may get over
