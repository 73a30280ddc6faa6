"""The streams of an output: the encoded picture, what is copied or converted, attached files."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from av.container import InputContainer, OutputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from vidrestore.config import EncodeConfig
from vidrestore.structs import Frame
from vidrestore.video.picture.presentation import Presentation
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.read.window import Window
from vidrestore.video.write.acm_sound import acm_elements, add_acm_stream, wave_header
from vidrestore.video.write.copied_stream import add_copied_stream
from vidrestore.video.write.picture_encoder import PictureEncoder
from vidrestore.video.write.plan import OutputPlan
from vidrestore.video.write.presentation import Shown, shown_of
from vidrestore.video.write.sound import SoundConverter, add_converted_stream
from vidrestore.video.write.tags import stream_tags
from vidrestore.video.write.track_patch import MATROSKA, TrackPatch, make_patch

__all__ = ["OutputStreams"]


class OutputStreams:
    """Streams of an output whose header is unwritten, and what comes of them.

    Args:
        container: the output.
        opened: the open input; None for pictures without sound.
        plan: how the output is written.
        source: the input, as probed.
    """

    encoder: PictureEncoder
    """Of the picture; set by `add`."""

    def __init__(
        self,
        container: OutputContainer,
        opened: InputContainer | None,
        plan: OutputPlan,
        source: VideoInfo,
    ) -> None:
        self._container, self._input = container, opened
        self.plan, self._source = plan, source
        self.copied: dict[int, Stream] = {}
        """Those that take packets of the input, converted or not, by the input's index."""
        self.converters: dict[int, SoundConverter] = {}
        """Of sound that is encoded anew, by the input's index."""
        self.patches: list[TrackPatch] = []
        """What is written into the finished file."""

    def add(
        self,
        config: EncodeConfig,
        window: Window,
        threads: int,
        begins_segment: Callable[[Frame], bool],
    ) -> None:
        """Add all streams, in the input's order.

        Args:
            config: quality and speed of the encoder.
            window: the part of the input that is written.
            threads: for encoding, where it does not change the bytes; 0 takes all.
            begins_segment: whether a segment begins with a frame; see `PictureEncoder`.
        """
        container = self._container
        pairs = list(zip(self.plan.streams, self._source.streams, strict=True))
        if self.plan.container.muxer == "mxf":  # takes a picture first only
            pairs.sort(key=lambda pair: pair[0].action != "encode")
        for planned, info in pairs:
            if planned.action == "encode":
                self.encoder = PictureEncoder(
                    container, self.plan, self._source, config, window, threads, begins_segment
                )
                self._keep_room(
                    self.encoder.stream,
                    shown_of(self._source, self.plan.wanted.size, self.plan.wanted.sar),
                )
                continue
            assert self._input is not None
            template = self._input.streams[planned.index]
            if planned.action == "copy":
                stream = self._add_copied(container, template)
                stream.metadata.clear()
                stream.metadata.update(stream_tags(info, encoded=False))
                stream.disposition = Disposition(info.disposition)
                self.copied[planned.index] = stream
                self._patch_copied(stream, template)
            elif planned.action == "convert":
                sound = add_converted_stream(container, template, planned.codec)
                sound.metadata.update(stream_tags(info, encoded=True))
                sound.disposition = Disposition(info.disposition)
                self.copied[planned.index] = sound
                self.converters[planned.index] = SoundConverter(sound)
            elif planned.action == "attach":
                name, kind, data = self.plan.covers.get(planned.index) or _attached_file(template)
                container.add_attachment(name, kind, data)

    def _add_copied(self, container: OutputContainer, template: Stream) -> Stream:
        try:
            return add_copied_stream(container, template)
        except ValueError:
            if self.plan.container.muxer != "matroska":
                raise
        return add_acm_stream(container, template)

    def _patch_copied(self, stream: Stream, template: Stream) -> None:
        """Keep room for what FFmpeg does not write of streams that are copied into Matroska."""
        if self.plan.container.muxer not in MATROSKA:
            return
        if isinstance(template, VideoStream):
            self._keep_room(stream, _copied_shown(template))
        elif template.type == "audio" and stream.codec_context.name != template.codec_context.name:
            header, title = wave_header(template), stream.metadata.get("title", "")
            assert header is not None
            self._add_patch(
                stream, TrackPatch(stream.index, title, track_elements=acm_elements(header))
            )

    def _keep_room(self, stream: Stream, shown: Shown) -> None:
        """Let a track's title keep room for what FFmpeg does not write of a picture."""
        muxer, title = self.plan.container.muxer, stream.metadata.get("title", "")
        patch = make_patch(stream.index, title, shown, muxer)
        if patch is not None:
            self._add_patch(stream, patch)

    def _add_patch(self, stream: Stream, patch: TrackPatch) -> None:
        stream.metadata["title"] = patch.keeps_room
        self.patches.append(patch)


def _copied_shown(stream: VideoStream) -> Shown:
    """Of a picture that is copied FFmpeg writes all but the shape of its pixels."""
    context = stream.codec_context
    sar = stream.sample_aspect_ratio or Fraction(1)
    return Shown((context.width, context.height), sar if sar > 0 else Fraction(1), Presentation())


def _attached_file(stream: Stream) -> tuple[str, str, bytes]:
    name = stream.metadata.get("filename") or f"attachment{stream.index}"
    kind = stream.metadata.get("mimetype") or "application/octet-stream"
    return name, kind, stream.data  # type: ignore[attr-defined]
