"""Write the sound of a video beside its pictures: one WAV or FLAC file a stream.

Such a file has no times: its first sample is heard with the first picture. What comes before is
cut off to the sample, and what begins later has silence before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av import AudioCodecContext, AudioFrame, AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from vidrestore.config import EncodeConfig
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.read.opening import open_input
from vidrestore.video.read.shortfall import Shortfall
from vidrestore.video.read.window import Window
from vidrestore.video.write.containers import Container
from vidrestore.video.write.losses import BROADCAST_WAVE
from vidrestore.video.write.plan import OutputPlan
from vidrestore.video.write.remux import StreamCopier
from vidrestore.video.write.sound import SoundConverter, add_converted_stream, sound_encoder
from vidrestore.video.write.stream_plan import (
    StreamPlan,
    check_numbers,
    kept_by,
    stream_name,
)
from vidrestore.video.write.tags import container_tags

__all__ = ["SoundFiles", "plan_sound", "sound_file_names"]

_WAVE, _FLAC = Container("wav", ()), Container("flac", ())

_WILD_S = 60
"""Sound that comes so long after the end of the file has a damaged time."""


def plan_sound(
    source: InputContainer | None, info: VideoInfo, config: EncodeConfig, before: str
) -> tuple[list[StreamPlan], list[str]]:
    """Settle what becomes of each stream, in the input's order, and say it.

    Args:
        source: the open file that holds the sound; None where there is none.
        info: the input, as probed.
        config: how sound is converted, and what is left out.
        before: what the pictures' names begin with.

    Raises:
        UsageError: `config.drop` names a stream that is not there.
    """
    check_numbers(info, config.drop)
    plans: list[StreamPlan] = []
    notes: list[str] = []
    for one in info.streams:
        if one.index == info.stream_index:
            plans.append(StreamPlan(one.index, "encode"))
            continue
        codec = None
        if source is not None and one.type == "audio" and not _is_dropped(one.index, config):
            codec = _encoder(source.streams[one.index], config)
        plans.append(StreamPlan(one.index, "drop" if codec is None else "convert", codec or ""))
        if codec is None:
            why = _why_left_out(one.type, one.index, config)
            notes.append(f"{stream_name(one)} left out: {why}")
    return plans, notes + _told(source, info, plans, before)


def _told(
    source: InputContainer | None, info: VideoInfo, plans: list[StreamPlan], before: str
) -> list[str]:
    names, codecs = sound_file_names(plans, before), {one.index: one.codec for one in plans}
    return [
        f"{stream_name(one)} is written to {names[one.index]} as {codecs[one.index]}, "
        f"{kept_by(source.streams[one.index], codecs[one.index])}"
        for one in info.streams
        if source is not None and one.index in names
    ]


def _is_dropped(index: int, config: EncodeConfig) -> bool:
    return "audio" in config.drop or str(index) in config.drop


def _why_left_out(kind: str, index: int, config: EncodeConfig) -> str:
    if str(index) in config.drop or (kind == "audio" and "audio" in config.drop):
        return "as asked"
    return "it cannot be decoded" if kind == "audio" else "pictures hold no other streams"


def _encoder(stream: Stream, config: EncodeConfig) -> str | None:
    is_flac = config.audio == "flac"
    return sound_encoder(stream, "flac" if is_flac else "pcm", _FLAC if is_flac else _WAVE)


def sound_file_names(plans: Sequence[StreamPlan], before: str) -> dict[int, str]:
    """Names of the files, by the input's stream.

    Args:
        plans: what becomes of each stream.
        before: what the pictures' names begin with.
    """
    name = before.strip("_-. ") or "sound"
    heard = [one for one in plans if one.action == "convert"]
    return {
        one.index: f"{name}{'' if number == 1 else f'_{number}'}"
        f".{'flac' if one.codec == 'flac' else 'wav'}"
        for number, one in enumerate(heard, start=1)
    }


class SoundFiles:
    """The files of sound beside a sequence, as they grow.

    Args:
        plan: from `plan_sequence`.
        source: the input, as probed.
        names: of the files, by the input's stream.
        folder: where they are written.
        window: the part of the input that is written.
        origin_s: when the first picture is shown, on the clock of the input.
    """

    def __init__(
        self,
        plan: OutputPlan,
        source: VideoInfo,
        names: dict[int, str],
        folder: Path,
        window: Window,
        origin_s: Fraction,
    ) -> None:
        self._source, self._window, self._origin_s = source, window, origin_s
        self._stack = ExitStack()
        carrier = source.carrier
        assert carrier is not None
        opened = self._stack.enter_context(open_input(carrier))
        self._streams: dict[int, Stream] = {}
        converters: dict[int, SoundConverter] = {}
        for index, name in names.items():
            output = self._add(folder / name, opened.streams[index], _codec(plan, index))
            self._streams[index] = output
            converters[index] = _CuttingConverter(output, self._end_s)
        self._copier = StreamCopier(
            opened, self._streams, window, origin_s, carrier, converters, source.clock
        )

    def _add(self, path: Path, template: Stream, codec: str) -> AudioStream:
        tags = self._tags(template)
        is_wave = path.suffix == ".wav"
        options = {"fflags": "+bitexact"} | ({"rf64": "auto"} if is_wave else {})
        if is_wave and not tags.keys().isdisjoint(BROADCAST_WAVE):
            options["write_bext"] = "1"
        container = av.open(str(path), "w", format=path.suffix[1:], container_options=options)
        self._stack.callback(container.close)
        container.metadata.update(tags)
        stream = add_converted_stream(container, template, codec)
        container.start_encoding()
        return stream

    def _tags(self, template: Stream) -> dict[str, str]:
        """The input's; a Broadcast Wave's time of day is that of the first sample written."""
        found = container_tags(self._source, self._window)
        tags = {k.lower() if k.lower() in BROADCAST_WAVE else k: v for k, v in found.items()}
        told = tags.get("time_reference", "")
        context = template.codec_context
        if told.isdecimal() and isinstance(context, AudioCodecContext):
            late_s = self._origin_s - self._source.start_s
            tags["time_reference"] = str(max(0, int(told) + round(late_s * context.sample_rate)))
        return tags

    @property
    def _end_s(self) -> Fraction | None:
        """Where the sound is cut off, from the first picture on."""
        if self._window.end_s is not None:
            return self._window.end_s - self._origin_s
        length_s = self._source.duration_s
        return None if length_s is None else Fraction(length_s) + _WILD_S

    def advance(self, until_s: Fraction | None) -> None:
        """Write the sound up to a time after the first picture; None writes the rest."""
        self._copier.advance(until_s)

    def account(self) -> tuple[list[str], list[Shortfall]]:
        """Give notes and what is missing, once all is written."""
        notes: list[str] = []
        missing: list[Shortfall] = []
        for one in self._source.streams:
            if one.index in self._streams:
                told, lacks = self._copier.account(one.index, one.type, stream_name(one))
                notes, missing = notes + told, missing + lacks
        return notes, missing

    def close(self) -> None:
        """Close all files."""
        self._stack.close()


def _codec(plan: OutputPlan, index: int) -> str:
    return next(one.codec for one in plan.streams if one.index == index)


class _CuttingConverter(SoundConverter):
    """Lays samples one after the other from time 0 on, without times.

    Args:
        output: the stream of the file.
        end_s: samples from there on are left out.
    """

    cuts_samples = True

    def __init__(self, output: AudioStream, end_s: Fraction | None) -> None:
        super().__init__(output)
        self._last = None if end_s is None else round(end_s * self._rate)

    def _encode(self, frame: AudioFrame) -> Iterator[Packet[Any]]:
        start, end = self._start_of(frame), self._end or 0
        if self._end is not None and abs(start - end) <= self._rate // 50:
            start = end
        first = max(0, end - start)
        last = frame.samples if self._last is None else min(frame.samples, self._last - start)
        if first >= last:
            return
        self._end = end
        yield from self._fill(frame, start + first - end)
        piece = frame if last - first == frame.samples else _cut(frame, first, last)
        yield from self._output.encode(self._timed(piece, self._end))


def _cut(frame: AudioFrame, first: int, last: int) -> AudioFrame:
    """Some samples of a frame."""
    step = 1 if frame.format.is_planar else frame.layout.nb_channels
    samples = frame.to_ndarray()[:, first * step : last * step].copy()
    return AudioFrame.from_ndarray(samples, frame.format.name, frame.layout.name)
