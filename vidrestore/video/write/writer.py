"""Write the restored video: the picture encoded at its own times, everything else copied.

    with VideoWriter(Path("out.mp4"), reader.info, EncodeConfig()) as writer:
        for frame in reader.frames():
            writer.write(frame)
        writer.commit()

The file grows under a hidden temporary name beside its final one, which it gets at `commit`; when
anything fails before, the temporary is deleted. Two writers of one file exclude each other, see
`runtime.output_file`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet

from vidrestore.config import DecodeConfig, EncodeConfig
from vidrestore.errors import NotEnoughMemoryError, VideoWriteError, VidRestoreError
from vidrestore.runtime.memory import is_out_of_memory
from vidrestore.runtime.output_file import OutputFile
from vidrestore.runtime.output_lock import OutputLock
from vidrestore.structs import Frame
from vidrestore.video.boundary import unexpected
from vidrestore.video.read.info import StreamInfo, VideoInfo
from vidrestore.video.read.opening import open_input
from vidrestore.video.read.shortfall import Shortfall, refuse_damaged
from vidrestore.video.read.window import Window
from vidrestore.video.write.encoded_packet import EncodedPacket
from vidrestore.video.write.encoder_options import muxer_options
from vidrestore.video.write.output_streams import OutputStreams
from vidrestore.video.write.picture_encoder import PictureEncoder, one_segment
from vidrestore.video.write.plan import OutputPlan, plan_output
from vidrestore.video.write.remux import StreamCopier
from vidrestore.video.write.stream_plan import stream_name
from vidrestore.video.write.tags import chapters_for, container_tags
from vidrestore.video.write.track_patch import apply_patches

__all__ = ["OutputPlan", "VideoWriter", "plan_output"]

_TRIAL_PACKETS = 100
"""Some of each stream, as streams interleave."""


class VideoWriter:
    """One output file.

    Args:
        destination: where it goes, or the plan made by `plan_output`.
        source: the input, as probed.
        config: codec, quality, what may be dropped.
        window: the part of the input that is written; None for all of it.
        threads: for encoding, where it does not change the bytes (FFV1, ProRes); 0 takes all.
        max_broken: share of a copied stream's packets that may be missing, as in `DecodeConfig`.
        inputs: other files that are never replaced.
        opened: the input, open; None opens it.
        begins_segment: whether a segment, with a fresh encoder, begins with a frame; asked of each.
        lock: of the output, where the caller holds it.

    Raises:
        VideoWriteError: if the output cannot be made; nothing has been written then.
    """

    def __init__(
        self,
        destination: str | Path | OutputPlan,
        source: VideoInfo,
        config: EncodeConfig,
        *,
        window: Window | None = None,
        threads: int = 0,
        max_broken: float | None = None,
        inputs: Sequence[Path] = (),
        opened: InputContainer | None = None,
        begins_segment: Callable[[Frame], bool] = one_segment,
        lock: OutputLock | None = None,
    ) -> None:
        self._opened, self._begins_segment = opened, begins_segment
        self._max_broken = DecodeConfig().max_broken if max_broken is None else max_broken
        self._shortfalls: list[Shortfall] = []
        self._moved: list[str] = []
        is_planned = isinstance(destination, OutputPlan)
        self.plan: OutputPlan = (
            destination if is_planned else plan_output(source, destination, config)  # type: ignore[assignment, arg-type]
        )
        self._source = source
        self._config = config
        self._window = window or Window(time_base=source.time_base)
        self._threads = threads
        self._output = OutputFile(
            self.plan.destination,
            inputs=[source.path, *inputs],
            overwrite=config.overwrite,
            lock=lock,
        )
        self._stack = ExitStack()
        self._committed = False

    @property
    def codec(self) -> str:
        """FFmpeg's name of the video encoder."""
        return self.plan.codec

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know: streams dropped; what is missing, once committed."""
        lost = self._encoder.notes if self._committed else ()
        return (*self.plan.notes, *lost, *map(str, self._shortfalls), *self._moved)

    @property
    def is_damaged(self) -> bool:
        """Whether more of a copied stream is missing than accepted; known once committed."""
        return any(one.is_beyond(self._max_broken) for one in self._shortfalls)

    def __enter__(self) -> VideoWriter:
        self._output.__enter__()
        try:
            with self._told():
                self._open()
        except BaseException:
            self.abort()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._committed:
            self.abort()

    def write(self, frame: Frame) -> None:
        """Encode a frame's picture at the frame's time; times must increase.

        Raises:
            VideoWriteError: if the disk is full, or the frame does not fit the file.
        """
        with self._told():
            self._encode(frame)

    def write_segment(self, times: Iterable[int], packets: Iterable[EncodedPacket]) -> None:
        """Write a segment that was encoded before.

        Args:
            times: of its frames, in ticks of the encoder.
            packets: in the order of decoding.

        Raises:
            VideoWriteError: if the disk is full.
        """
        with self._told():
            self._mux(self._encoder.place(times, packets))

    @property
    def temporary(self) -> Path:
        """The file on its way."""
        return self._output.temporary

    @property
    def encoder(self) -> PictureEncoder:
        """Of the picture's stream."""
        return self._encoder

    def commit(self) -> None:
        """Finish the file and give it its final name.

        Raises:
            VideoWriteError: if that fails; nothing has the final name then, or what had it before.
            VideoDecodeError: if too much of a copied stream is missing in the input.
        """
        self.finish()
        self.publish()

    def finish(self) -> None:
        """Finish the file, and leave it under its temporary name; see `commit`."""
        with self._told():
            if self._encoder.last_pts is None:
                raise VideoWriteError(f"{self.plan.destination}: no frame was written")
            self._encode(None)
            if self._copier is not None:
                self._copier.advance(None)
            self._compare_copied()
            self._finish()

    def publish(self) -> None:
        """Give a finished file its final name; see `commit`."""
        with self._told():
            self._output.publish()
        self._committed = True

    def try_out(self, frames: Iterable[Frame]) -> None:
        """Write some frames, the first packets of what is copied, and the end of the file.

        It is what `write` and `commit` do, except that nothing gets the final name: a trial before
        work. The writer cannot be used afterwards.

        Raises:
            VideoWriteError: if such a file cannot be written.
        """
        with self._told():
            for frame in frames:
                self._container.mux(self._encoder.encode(frame))
            self._container.mux(self._encoder.encode(None))
            if self._copier is not None:
                self._copier.copy_first(_TRIAL_PACKETS)
            self._finish()

    def _encode(self, frame: Frame | None) -> None:
        """Encode a frame, or flush the encoder, and copy the other streams up to it."""
        self._mux(self._encoder.encode(frame))

    def _mux(self, packets: Iterable[Packet[Any]]) -> None:
        for packet in packets:
            with unexpected(VideoWriteError, f"{self.plan.destination}: cannot be written"):
                self._container.mux(packet)
            if packet.dts is not None and self._copier is not None:
                self._copier.advance(packet.dts * packet.time_base)

    def _compare_copied(self) -> None:
        """Compare what was copied with what the input promised."""
        if self._copier is None:
            return
        for info in self._source.streams:
            if self.plan.action(info.index) not in ("copy", "convert"):
                continue
            notes, missing = self._copier.account(info.index, info.type, stream_name(info))
            self._moved += notes
            self._shortfalls += missing
            if self.plan.container.muxer == "mxf":
                self._moved += self._beyond_picture(info)
        if self.is_damaged and not self._config.keep_damaged:
            refuse_damaged(self._source.path, self._shortfalls, self._max_broken)

    def _beyond_picture(self, info: StreamInfo) -> list[str]:
        """What of a stream of sound MXF leaves out, since it ends with the picture."""
        assert self._copier is not None
        end_s, picture_s = self._copier.end_s(info.index), self._encoder.end_s
        late_s = Fraction(0) if end_s is None else end_s - picture_s
        if late_s * (self._source.average_rate or 25) <= 1:
            return []
        what = f"{float(late_s):.2f} s of {stream_name(info)} after the last picture"
        return [f"{what} left out: MXF ends with the picture; .mov and .mkv hold them"]

    def abort(self) -> None:
        """Give up: deletes what was written."""
        with contextlib.suppress(av.FFmpegError, OSError, ValueError):
            self._close()
        self._output.abandon()

    def _open(self) -> None:
        plan, source = self.plan, self._source
        # Two containers, for a stream must not be used after its own container is closed.
        carrier = source.carrier
        self._input = self._opened
        if self._input is None and carrier is not None:
            self._input = self._stack.enter_context(open_input(carrier))
        self._container = av.open(
            str(self._output.temporary),  # absolute, else "a:b.mp4" would name a protocol
            "w",
            format=plan.container.muxer,
            container_options=muxer_options(plan, source),
        )
        self._stack.callback(self._container.close)
        self._container.metadata.update(container_tags(source, self._window, plan.statement))
        streams = self._streams = OutputStreams(self._container, self._input, plan, source)
        streams.add(self._config, self._window, self._threads, self._begins_segment)
        self._encoder = streams.encoder
        if plan.with_chapters:
            chapters = chapters_for(source, self._window, self.plan.clock_s)
            self._container.set_chapters(chapters)
        origin_s = self.plan.clock_s if self._window.first_s is None else self._window.first_s
        self._container.start_encoding()
        if self._input is None or carrier is None:
            self._copier = None
            return
        self._copier = StreamCopier(
            self._input,
            streams.copied,
            self._window,
            origin_s,
            carrier,
            streams.converters,
            source.clock,
        )

    def _finish(self) -> None:
        """Close the file and write into it what FFmpeg did not."""
        self._close()
        apply_patches(self._output.temporary, self.plan.container.muxer, self._streams.patches)

    def _close(self) -> None:
        self._stack.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Re-raise errors of FFmpeg and of the operating system as `VideoWriteError`."""
        try:
            yield
        except VidRestoreError:
            raise
        except (av.FFmpegError, OSError) as error:
            if is_out_of_memory(error):
                raise NotEnoughMemoryError(
                    f"{self.plan.destination}: out of memory while encoding; take a faster "
                    "--speed, or free memory"
                ) from error
            reason = getattr(error, "strerror", None) or str(error)
            raise VideoWriteError(
                f"{self.plan.destination}: cannot be written ({reason}); check the space and "
                "permissions of its folder, and --codec"
            ) from error
