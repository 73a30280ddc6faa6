"""A sink that encodes through the system's FFmpeg, which also copies the other streams.

with FfmpegWriter(job.output, job.info, job.config.encode, job.window) as writer:
    for frame in frames:
        writer.write(frame)
    writer.commit()
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import av
from av.stream import Disposition

from vidrestore.config import EncodeConfig
from vidrestore.errors import VideoWriteError, VidRestoreError
from vidrestore.runtime.output_file import OutputFile
from vidrestore.runtime.words import counted
from vidrestore.structs import Frame
from vidrestore.video.boundary import UNEXPECTED, reason_of
from vidrestore.video.ffmpeg.command import ffmpeg_command
from vidrestore.video.ffmpeg.program import EncoderProcess, require_ffmpeg
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.read.window import Window
from vidrestore.video.write.conversion import for_encoder
from vidrestore.video.write.one_order import require_one_order
from vidrestore.video.write.plan import OutputPlan
from vidrestore.video.write.presentation import shown_of
from vidrestore.video.write.tags import chapters_for, container_tags, picture_tags
from vidrestore.video.write.track_patch import TrackPatch, apply_patches, make_patch

__all__ = ["FfmpegWriter", "try_ffmpeg"]


class FfmpegWriter:
    """One output file that FFmpeg writes.

    Args:
        plan: made by `plan_output`.
        source: the input, as probed.
        config: with the arguments for FFmpeg.
        window: the part of the input that is written.
        inputs: other files that are never replaced.
        trial: whether only the beginning of the other streams is copied.

    Raises:
        NotAvailableError: the program or the package ffmpeg-python is not there.
        VideoWriteError: on entering, if the output cannot be made.
    """

    def __init__(
        self,
        plan: OutputPlan,
        source: VideoInfo,
        config: EncodeConfig,
        window: Window | None = None,
        *,
        inputs: Sequence[Path] = (),
        trial: bool = False,
    ) -> None:
        self._program = require_ffmpeg()
        self.plan, self._source, self._config = plan, source, config
        self._window = window or Window(time_base=source.time_base)
        self._trial = trial
        self._output = OutputFile(
            plan.destination, inputs=[source.path, *inputs], overwrite=config.overwrite
        )
        self._last_pts: int | None = None
        self._frames = 0
        self._notes: list[str] = []
        self._process: EncoderProcess | None = None
        self._committed = False

    @property
    def codec(self) -> str:
        """FFmpeg's name of the encoder, and whose it is."""
        return self.plan.codec

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know: streams dropped; what FFmpeg said, once committed."""
        return (*self.plan.notes, *self._cut_notes(), *self._notes)

    @property
    def is_damaged(self) -> bool:
        """Never: FFmpeg does not count what it copies."""
        return False

    def __enter__(self) -> FfmpegWriter:
        self._output.__enter__()
        try:
            self._open()
        except BaseException:
            self._abort()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._committed:
            self._abort()

    def write(self, frame: Frame) -> None:
        """Hand a frame's picture to FFmpeg at the frame's time; times must increase.

        Raises:
            VideoWriteError: FFmpeg has ended, or the frame does not fit the file.
        """
        if self._last_pts is not None and frame.pts <= self._last_pts:
            raise VideoWriteError(
                f"frame {frame.index} at {frame.pts} does not come after the one at "
                f"{self._last_pts}"
            )
        self._last_pts = frame.pts
        require_one_order(frame, self._source, self._window)
        with self._told():
            out = for_encoder(frame.picture, self.plan.pix_fmt)
            out.pts, out.time_base = frame.pts + self._window.shift, frame.time_base
            out.pict_type = 0
            self._pipe.mux(self._stream.encode(out))
        self._frames += 1

    def commit(self) -> None:
        """Let FFmpeg finish the file, and give it its final name.

        Raises:
            VideoWriteError: FFmpeg fails, or no frame was written; nothing has the final name then.
        """
        if not self._frames:
            raise VideoWriteError(f"{self.plan.destination}: no frame was written")
        self._finish()
        self._output.publish()
        self._committed = True

    def try_out(self, frames: Iterable[Frame]) -> None:
        """Write some frames and the end of the file, which gets no final name."""
        for frame in frames:
            self.write(frame)
        self._finish()

    def _cut_notes(self) -> list[str]:
        copied = {one.index for one in self.plan.streams if one.action == "copy"}
        held = any(one.type == "subtitle" for one in self._source.streams if one.index in copied)
        if not held or self._window.first_s is None:
            return []
        return ["subtitles that are shown already where the part begins are left out"]

    def _open(self) -> None:
        plan, source = self.plan, self._source
        shown = replace(
            shown_of(source, plan.wanted.size, plan.wanted.sar),
            matrix=source.display_matrix,
            rotation=source.rotation,
        )
        info = next(one for one in source.streams if one.index == source.stream_index)
        tags = picture_tags(source, plan.container.muxer)
        patch = make_patch(0, tags.get("title", ""), shown, plan.container.muxer)
        self._patches: list[TrackPatch] = [] if patch is None else [patch]
        if patch is not None:
            tags["title"] = patch.keeps_room
        self._process = EncoderProcess(
            ffmpeg_command(
                self._program,
                plan,
                source,
                self._config,
                self._window,
                self._output.temporary,
                trial=self._trial,
            )
        )
        with self._told():
            self._pipe = av.open(self._process.input, "w", format="nut")
            self._pipe.metadata.update(container_tags(source, self._window))
            rate = source.average_rate or 25
            self._stream = self._pipe.add_stream(
                "rawvideo",
                rate=rate,
                width=source.width,
                height=source.height,
                pix_fmt=plan.pix_fmt,
                time_base=source.time_base,
            )
            self._stream.metadata.update(tags)
            self._stream.disposition = Disposition(info.disposition)
            if plan.with_chapters:
                self._pipe.set_chapters(chapters_for(source, self._window, plan.clock_s))
            self._pipe.start_encoding()

    def _finish(self) -> None:
        process = self._process
        assert process is not None
        with self._told():
            self._pipe.mux(self._stream.encode(None))
            self._pipe.close()
        code = process.finish()
        if code:
            raise VideoWriteError(self._failed(f"exit code {code}"))
        if process.frames != self._frames:
            self._notes.append(
                f"FFmpeg was given {counted(self._frames, 'frame')} and encoded {process.frames}, "
                "as --ffmpeg-args ask"
            )
        if process.messages:
            self._notes.append(f"FFmpeg says: {self._words(process)}")
        apply_patches(self._output.temporary, self.plan.container.muxer, self._patches)

    def _abort(self) -> None:
        if self._process is not None:
            self._process.kill()
            with contextlib.suppress(AttributeError, OSError, av.FFmpegError, *UNEXPECTED):
                self._pipe.close()
        self._output.abandon()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell FFmpeg's own words where the pipe breaks."""
        try:
            yield
        except VidRestoreError:
            raise
        except (BrokenPipeError, av.FFmpegError, OSError) as error:
            assert self._process is not None
            if not isinstance(error, BrokenPipeError):
                raise VideoWriteError(self._failed(reason_of(error))) from error
            code = self._process.finish()
            raise VideoWriteError(
                self._failed(f"exit code {code}, after {counted(self._process.frames, 'frame')}")
            ) from error
        except UNEXPECTED as error:
            raise VideoWriteError(f"{self.plan.destination}: {reason_of(error)}") from error

    def _failed(self, how: str) -> str:
        assert self._process is not None
        words = self._words(self._process) or "it said nothing; look at --ffmpeg-args"
        return f"{self.plan.destination}: FFmpeg ended early ({how}): {words}"

    def _words(self, process: EncoderProcess) -> str:
        return process.messages.replace(f"file:{self._output.temporary}", str(self._output.path))


def try_ffmpeg(
    plan: OutputPlan,
    source: VideoInfo,
    config: EncodeConfig,
    window: Window,
    frames: Iterable[Frame],
    inputs: Sequence[Path] = (),
) -> None:
    """Let FFmpeg write a small file as `plan` says, and remove it.

    Args:
        plan: how the output is written.
        source: the input, as probed.
        config: with the arguments for FFmpeg.
        window: the part of the input that will be written.
        frames: some frames.
        inputs: other files that are never replaced.

    Raises:
        NotAvailableError: the program or the package ffmpeg-python is not there.
        VideoWriteError: such a file cannot be written.
    """
    with FfmpegWriter(plan, source, config, window, inputs=inputs, trial=True) as writer:
        writer.try_out(frames)
