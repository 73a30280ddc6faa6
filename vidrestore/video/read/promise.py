"""What a file promises of each stream, compared with what came of it."""

from __future__ import annotations

import re
from fractions import Fraction

import av
from av.container import InputContainer
from av.stream import Stream

from vidrestore.video.read.ledger import Ledger
from vidrestore.video.read.shortfall import FrameTimes

__all__ = ["missing_frames", "missing_packets", "stated_end_s"]

_WILD_TIMES, _WILD_S = 10, 60
"""A gap with room for so many times all that came, and longer than this, is a damaged time."""


def missing_frames(
    container: InputContainer,
    stream: Stream,
    ledger: Ledger,
    times: FrameTimes,
    *,
    end_s: Fraction | None,
    to_window_end: bool,
) -> tuple[int, Fraction]:
    """(frames that were promised and did not come, when the first of them was due in seconds).

    Args:
        container: the open file, read as far as the frames were wanted.
        stream: its video stream.
        ledger: of the packets read.
        times: of the frames that came, on the stream's clock.
        end_s: end of the part that is wanted, on the container's clock.
        to_window_end: whether a frame beyond that end was seen.
    """
    base = stream.time_base or Fraction(1)
    assert times.last is not None
    if ledger.is_suspect and times.nominal:
        times.follow_header()
    covered_s = (times.last + times.step) * base
    inner, began = times.missing() if ledger.times_count else (0, None)
    at_s = (began + times.step) * base if began is not None else covered_s
    listed = ledger.missing_from_index(stream) + _beyond_index(stream, ledger)
    if container.format.name.startswith("mov"):
        if ledger.wild_delays:  # an edit list read by such times throws away what it should not
            listed = max(listed, len(stream.index_entries) - times.frames)
        return listed, at_s
    tail = 0 if to_window_end else _missing_at_end(container, stream, ledger, times, end_s)
    head = _missing_at_start(stream, ledger, times, base)
    parts = (head, inner, tail)
    missing = sum(n for n in parts if not _is_wild(n, times.frames, times.step * base))
    return max(listed, missing), Fraction(0) if head else at_s


def _is_wild(missing: int, came: int, step_s: Fraction) -> bool:
    return missing > _WILD_TIMES * came and missing * step_s > _WILD_S


def _beyond_index(stream: Stream, ledger: Ledger) -> int:
    """Packets that a header counts and the index, itself cut off, no longer lists."""
    return max(0, stream.frames - len(stream.index_entries)) if ledger.has_cut_index else 0


def _missing_at_start(stream: Stream, ledger: Ledger, times: FrameTimes, base: Fraction) -> int:
    """Frames before the first, where the beginning of a file whose clock starts at 0 is gone."""
    if ledger.begins_within_packet and times.step and times.first is not None:
        other_s = ledger.start_of_others_s(stream)
        late_s = times.first * base - other_s if other_s is not None else Fraction(0)
        return max(0, int(late_s / (times.step * base)))
    if not (ledger.lacks_beginning and times.step and times.first):
        return 0
    return int(times.first / times.step)


def _missing_at_end(
    container: InputContainer,
    stream: Stream,
    ledger: Ledger,
    times: FrameTimes,
    end_s: Fraction | None,
) -> int:
    """Frames between the last and the end that headers or other streams tell."""
    assert times.last is not None
    step_s = times.step * (stream.time_base or Fraction(1))
    if not step_s or not (times.is_steady or ledger.is_suspect):
        return 0
    told_s = stated_end_s(container, stream, ledger)
    if told_s is None:
        return 0
    told_s = min(told_s, end_s) if end_s is not None else told_s
    # The last frame lasts for the header's step where that is longer.
    last_s = max(step_s, times.nominal * (stream.time_base or Fraction(1)))
    missing = int(
        (told_s - times.last * (stream.time_base or 1) - last_s) / step_s + Fraction(1, 4)
    )
    return missing if missing > (0 if ledger.is_suspect else 1) else 0


def stated_end_s(container: InputContainer, stream: Stream, ledger: Ledger) -> Fraction | None:
    """The end of a stream that its header, or else that of the file, tells; on the file's clock.

    A length of the whole file binds only if no stream reaches it. Files without headers of that
    kind are measured by FFmpeg at opening, which tells only whether they became shorter since.
    """
    name = container.format.name
    if ledger.is_open_ended:
        return ledger.end_of_others_s(stream) if ledger.is_suspect else None
    if name == "matroska,webm":
        own_s = _duration_tag_s(stream)
    elif name in ("mpegts", "mpeg") and not (ledger.shrank_by or ledger.broke_off):
        return ledger.end_of_others_s(stream) if ledger.is_suspect else None
    else:
        start = stream.start_time or 0
        base = stream.time_base or Fraction(1)
        length = stream.frames if name == "avi" else stream.duration  # AVI's is a guess by size
        own_s = (start + length) * base if length else None
    if own_s is not None:
        return own_s
    whole_s = Fraction(container.duration or 0, av.time_base)
    reached_s = ledger.end_s
    if not whole_s or reached_s is None or reached_s >= whole_s - Fraction(1, 10):
        return ledger.end_of_others_s(stream) if ledger.is_suspect else None
    return whole_s


def _duration_tag_s(stream: Stream) -> Fraction | None:
    """Matroska's tag of the end of a stream, hours:minutes:seconds."""
    told = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if told is None:
        return None
    hours, minutes, seconds = told.groups()
    return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)


def missing_packets(
    container: InputContainer,
    stream: Stream,
    ledger: Ledger,
    *,
    from_start: bool,
    end_s: Fraction | None,
) -> tuple[int, int, Fraction | None]:
    """(packets of a copied stream that are missing, packets promised, when the first was due).

    Args:
        container: the open file, read to its end.
        stream: the stream.
        ledger: of the packets read.
        from_start: whether the file is copied from its beginning.
        end_s: end of the part that is wanted, on the container's clock.
    """
    tally = ledger.streams[stream.index]
    at_s = tally.gap_at_s if tally.gap_at_s is not None else tally.end_s
    listed = ledger.missing_from_index(stream) + _beyond_index(stream, ledger)
    if container.format.name.startswith("mov"):
        if stream.duration and not (tally.packets or listed or len(stream.index_entries)):
            return 1, 1, None  # a length without any packet: the tables of the track are broken
        return listed, listed + tally.packets, at_s
    told_s = stated_end_s(container, stream, ledger)
    if not tally.packets and stream.type in ("audio", "video"):
        lost = int(bool(told_s and (ledger.is_suspect or stream.metadata.get("DURATION"))))
        return lost, lost, None
    if stream.type != "audio":
        return listed, listed + tally.packets, at_s
    step_s = tally.step_s
    if not step_s or tally.end_s is None or tally.first_s is None:
        return listed, listed + tally.packets, at_s
    lost_s = tally.missing_s if ledger.times_count else Fraction(0)
    told_s = min(told_s, end_s) if told_s is not None and end_s is not None else told_s
    # Streams of whole files end a little apart, unless each states its own end; those of damaged
    # ones by what was lost.
    is_exact = ledger.is_suspect or _duration_tag_s(stream) is not None
    slack_s = 2 * step_s if is_exact else max(4 * step_s, Fraction(1, 10))
    if told_s is not None and told_s - tally.end_s > slack_s:
        lost_s += told_s - tally.end_s
    if from_start and ledger.lacks_beginning and tally.first_s > 0:
        lost_s, at_s = lost_s + tally.first_s, Fraction(0)
    missing = round(lost_s / step_s)
    if _is_wild(missing, tally.packets, step_s):
        missing = 0
    missing = max(listed, missing)
    return missing, missing + tally.packets, at_s
