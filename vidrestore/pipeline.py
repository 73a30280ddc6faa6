"""The chain on one screen: decode → detect → track → smooth → restore → steady → blend.

Each stage is a generator that pulls from the one before. Decoding and encoding overlap with the
networks through `prefetch`; no stage knows of threads. However the run ends, stages are closed from
the last to the first, so that no thread and no open file is left behind.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import ExitStack

from vidrestore.clock import StageClock
from vidrestore.config import RestoreConfig
from vidrestore.models.protocols import FaceDetector, FaceRestorer
from vidrestore.prefetch import prefetch
from vidrestore.stages.blend import blend
from vidrestore.stages.detect import detect
from vidrestore.stages.restore import restore
from vidrestore.stages.smooth import smooth
from vidrestore.stages.steady import steady
from vidrestore.stages.track import track
from vidrestore.structs import Frame

__all__ = ["restored_frames"]


def restored_frames(
    decoded: Iterable[Frame],
    detector: FaceDetector,
    restorer: FaceRestorer,
    config: RestoreConfig,
    clock: StageClock | None = None,
) -> Generator[Frame, None, None]:
    """Restores decoded frames; one leaves for each that enters, in order, at its own time."""
    clock = clock or StageClock()
    depth = config.run.queue_frames
    with ExitStack() as closing:

        def stage(
            name: str, frames: Iterable[Frame], pulls_from: str | None = None
        ) -> Generator[Frame, None, None]:
            timed = clock.timed(name, frames, pulls_from)
            for generator in (frames, timed):
                if isinstance(generator, Generator):
                    closing.callback(generator.close)
            return timed

        frames = stage("decode", decoded)
        frames = stage("wait for decode", prefetch(frames, depth, name="decode"))
        frames = stage("detect", detect(frames, detector, config.detect), "wait for decode")
        frames = stage("track", track(frames, config.track), "detect")
        frames = stage("smooth", smooth(frames, config.smooth, restorer.template), "track")
        frames = stage(
            "restore", restore(frames, restorer, collect=config.run.collect_faces), "smooth"
        )
        frames = stage("steady", steady(frames, config.steady), "restore")
        frames = stage("blend", blend(frames, config.blend), "steady")
        yield from stage("wait for faces", prefetch(frames, depth, name="restore"))
