"""A session: networks loaded once, used for many inputs.

    with Session(model="gfpgan-1.4", device="cuda") as session:
        for tape in tapes:
            session.video(tape, tape.with_suffix(".restored.mp4"))

A network is loaded when it is first needed. What a run remembers belongs to the run: ten videos
through one session give, each, the bytes of ten separate runs, also at the same time from several
threads, which take turns on the networks.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack

import numpy as np
import numpy.typing as npt

from vidrestore.config import ConfigLike, RestoreConfig, resolve_config
from vidrestore.errors import UsageError
from vidrestore.job import Job, make_job
from vidrestore.jobs.networks import Networks
from vidrestore.models.interfaces import FaceDetector, FaceRestorer
from vidrestore.models.load import (
    load_detector,
    load_restorer,
    resolve_device,
    settle_backend,
)
from vidrestore.models.parsing import FaceParser, load_parser
from vidrestore.models.runners.backends import BackendChoice
from vidrestore.options import Options, resolve_options
from vidrestore.pipeline import restored_frames
from vidrestore.run import Progress, give_frames, inspect_job, run_job, single_frame
from vidrestore.structs import Frame, RestoreReport
from vidrestore.tracks import Tracks
from vidrestore.video.picture.samples import picture_to_rgb
from vidrestore.video.read.source import FrameSource
from vidrestore.video.write.sink import FrameSink

__all__ = ["Session", "networks_of"]

_log = logging.getLogger(__name__)


class Session:
    """Networks loaded once and what they are used for; a context manager.

    Args:
        config: a `RestoreConfig`, a mapping as in a preset, a preset's name or path, or None for
            the defaults.
        restorer: a restorer of one's own in place of `model`: `adapt_restorer(network, ...)` makes
            one of a network.
        face_detector: a detector of one's own in place of `detector`.
        options: see `Options`.

    Raises:
        UsageError: for a bad option, or a network without an adapter.
    """

    def __init__(
        self,
        config: ConfigLike = None,
        *,
        restorer: FaceRestorer | None = None,
        face_detector: FaceDetector | None = None,
        **options: Unpack[Options],
    ) -> None:
        self.config = resolve_options(config, options)
        _require_restorer(restorer)
        self._own_restorer, self._own_detector = restorer, face_detector
        self._restorers: dict[BackendChoice, FaceRestorer] = {}
        self._detectors: dict[BackendChoice, FaceDetector] = {}
        self._parsers: dict[str, FaceParser] = {}
        self._closed = False
        self._loading = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the networks; the session cannot be used afterwards."""
        self._closed = True
        self._own_restorer = self._own_detector = None
        self._restorers, self._detectors, self._parsers = {}, {}, {}

    @property
    def restorer(self) -> FaceRestorer:
        """The restorer, loaded when first asked for.

        Raises:
            VidRestoreError: for weights and models.
        """
        return self._restorer_for(self.config.restore.backend)

    @property
    def detector(self) -> FaceDetector:
        """The detector, loaded when first asked for.

        Raises:
            VidRestoreError: for weights and models.
        """
        return self._detector_for(self.config.detect.backend)

    def _restorer_for(self, asked: BackendChoice) -> FaceRestorer:
        """The restorer behind a backend; a stopped job may have begun with another one."""
        with self._loading:
            self._require_open()
            if self._own_restorer is not None:
                return self._own_restorer
            stage, device = self.config.restore, resolve_device(self.config.run.device)
            backend = settle_backend(stage.model, "restorer", asked, device)
            if backend not in self._restorers:
                self._restorers[backend] = load_restorer(
                    stage.model,
                    device=device,
                    precision=stage.precision,
                    batch_size=stage.batch_size,
                    backend=backend,
                    template=stage.template,
                    value_range=stage.value_range,
                    channels=stage.channels,
                )
                _log.info("model %s", self._restorers[backend].name)
            return self._restorers[backend]

    def _detector_for(self, asked: BackendChoice) -> FaceDetector:
        with self._loading:
            self._require_open()
            if self._own_detector is not None:
                return self._own_detector
            name, device = self.config.detect.detector, resolve_device(self.config.run.device)
            backend = settle_backend(name, "detector", asked, device)
            if backend not in self._detectors:
                self._detectors[backend] = load_detector(name, device=device, backend=backend)
                _log.info("detector %s, on %s", self._detectors[backend].name, device)
            return self._detectors[backend]

    def _parser(self, config: RestoreConfig) -> FaceParser | None:
        """The face parser, loaded when first needed; None where no mask asks for one."""
        if config.blend.mask != "parsing":
            return None
        with self._loading:
            if config.blend.parser not in self._parsers:
                device = resolve_device(self.config.run.device)
                self._parsers[config.blend.parser] = load_parser(config.blend.parser, device=device)
            return self._parsers[config.blend.parser]

    def plan(
        self,
        src: str | Path,
        dst: str | Path | None = None,
        *,
        tracks: Tracks | str | Path | None = None,
        extra_outputs: tuple[Path, ...] = (),
        **options: Unpack[Options],
    ) -> Job:
        """Decide everything about one input before work; see `make_job`."""
        config, known = self._of_run(tracks, options)
        return make_job(
            src,
            dst,
            config,
            tracks=known,
            extra_outputs=extra_outputs,
            own_restorer=self._own_restorer is not None,
            own_detector=self._own_detector is not None,
        )

    def video(
        self,
        src: str | Path,
        dst: str | Path,
        *,
        tracks: Tracks | str | Path | None = None,
        preview: str | Path | None = None,
        progress: Callable[[Progress], None] | None = None,
        **options: Unpack[Options],
    ) -> RestoreReport:
        """Restore the faces of a video into a new file; all else is carried over.

        Args:
            src: the video to restore.
            dst: the file to write; its ending chooses the container.
            tracks: take these faces, of `inspect`, or of a file by it, which may have been edited.
            preview: a PNG to write with the clearest face before and after.
            progress: called after each frame, and as other steps go on (`Progress.step`), from the
            calling thread.
            options: see `Options`; `model`, `detector` and `device` are the session's.

        Raises:
            UsageError: for a bad option.
            VidRestoreError: for files, weights and models; nothing is left under the name `dst`.
        """
        extra = () if preview is None else (Path(preview),)
        job = self.plan(src, dst, tracks=tracks, extra_outputs=extra, **options)
        return self.run(job, preview=preview, progress=progress)

    def run(
        self,
        job: Job,
        *,
        preview: str | Path | None = None,
        progress: Callable[[Progress], None] | None = None,
        each: Callable[[Frame], None] | None = None,
        source: FrameSource | None = None,
        sink: FrameSink | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> RestoreReport:
        """Do a job that was planned.

        Args:
            job: from `plan`.
            preview: see `video`.
            progress: see `video`.
            each: called with each frame that was written, restored faces and all.
            source: where frames come from instead of the job's file.
            sink: where they go instead of the job's output.
            tell: called with sentences for a person, such as where a stopped run goes on.

        Raises:
            VidRestoreError: for files, weights and models; nothing half-written is left.
        """
        return run_job(
            job,
            self._networks,
            preview=preview,
            progress=progress,
            each=each,
            source=source,
            sink=sink,
            tell=tell,
        )

    def frames(
        self,
        src: str | Path,
        *,
        tracks: Tracks | str | Path | None = None,
        **options: Unpack[Options],
    ) -> Generator[Frame, None, None]:
        """Restored frames of a video, one for each that it holds, in order and at their own times.

        Leaving the loop early closes the video. Arguments and errors are those of `video`.
        """
        job = self.plan(src, tracks=tracks, **options)
        return give_frames(job, self._networks(job.config))

    def image(
        self, image: npt.NDArray[np.uint8], **options: Unpack[Options]
    ) -> npt.NDArray[np.uint8]:
        """Restore the faces of one picture.

        Args:
            image: (H, W, 3) uint8 RGB. It is not changed.
            options: see `Options`.

        Returns:
            (H, W, 3) uint8 RGB. Samples away from faces are those of `image`.

        Raises:
            UsageError: if `image` has another shape or type, or for a bad option.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise UsageError(
                "image: needs shape (height, width, 3) of uint8 RGB, "
                f"got {image.shape} of {image.dtype}"
            )
        config, _ = self._of_run(None, options)
        frames, networks = iter([single_frame(image)]), self._networks(config)
        [restored] = restored_frames(
            frames, networks.detector, networks.run, config, parser=networks.parser
        )
        return picture_to_rgb(restored.picture)

    def inspect(
        self,
        src: str | Path,
        *,
        each: Callable[[Frame], None] | None = None,
        progress: Callable[[Progress], None] | None = None,
        watch: Callable[[float], None] | None = None,
        **options: Unpack[Options],
    ) -> Tracks:
        """Find and track the faces of a video as `video` does, and restore nothing.

        Args:
            src: the video.
            each: called with each frame, whose faces are tracked, aligned and gated.
            progress: called after each frame.
            watch: called with the share that was read of a video without an index, which takes
                long, before the first frame.
            options: see `Options`.

        Returns:
            The tracks, for `video(..., tracks=...)`, or as a file: `tracks.to_json()`.

        Raises:
            UsageError: for a bad option.
            VidRestoreError: for files, weights and models.
        """
        config, _ = self._of_run(None, options)
        job = make_job(
            src,
            None,
            config,
            own_restorer=True,
            own_detector=self._own_detector is not None,
            watch=watch,
        )
        return inspect_job(job, self.detector, each=each, progress=progress)

    def _of_run(
        self, tracks: Tracks | str | Path | None, options: Mapping[str, Any]
    ) -> tuple[RestoreConfig, Tracks | None]:
        """The configuration of one run, and tracks that were given as an object.

        Raises:
            UsageError: an option would need other networks than the session's.
        """
        self._require_open()
        config = resolve_options(self.config, options)
        for name in ("model", "detector", "device"):
            if options.get(name) is not None:
                raise UsageError(f"{name}: is the session's own; open another Session for another")
        if isinstance(tracks, Tracks):
            return config, tracks
        if tracks is not None:
            config = resolve_config(config, {"track.file": tracks})
        return config, None

    def _networks(self, config: RestoreConfig) -> Networks:
        restorer = self._restorer_for(config.restore.backend)
        detector = self._detector_for(config.detect.backend)
        run = restorer.start_run(
            noise=config.restore.noise, style_strength=config.temporal_filter.strength
        )
        return Networks(detector, restorer, run, self._parser(config))

    def _require_open(self) -> None:
        if self._closed:
            raise UsageError("this session is closed; open another")


def networks_of(session: Session, config: RestoreConfig) -> Networks:
    """A session's networks, with an empty memory, for a run of a job.

    Raises:
        VidRestoreError: for weights and models.
    """
    return session._networks(config)


def _require_restorer(restorer: object) -> None:
    """Refuse a bare network, whose sizes and value range nobody knows."""
    if restorer is not None and not isinstance(restorer, FaceRestorer):
        raise UsageError(
            f"restorer: a {type(restorer).__name__} does not say its size, template, value range "
            "and channel order; wrap it: adapt_restorer(network, size=..., template=..., ...)"
        )
