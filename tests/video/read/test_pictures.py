"""One picture for every time of a window, and an account of those that were not whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from videos import Audio, make_video, planes_of

from vidrestore.video.read.opening import open_input
from vidrestore.video.read.pictures import (
    PictureStream,
    TimedPicture,
    new_ledger,
    nominal_step,
    open_stream,
)
from vidrestore.video.read.probe import probe
from vidrestore.video.read.window import Window, window_of

Given = list[TimedPicture]


def given(path: Path, window: Window | None = None) -> tuple[PictureStream, Given]:
    info = probe(path)
    pictures = PictureStream(info, window or window_of(info, None, None))
    with open_input(path) as container:
        stream = open_stream(container, info, 2)
        return pictures, list(pictures.pictures(container, stream))


def broken_in_the_middle(folder: Path) -> Path:
    """Ten frames of H.264, of which the sixth is zeros."""
    path = make_video(folder / "in.mp4", pts=range(10), options={"bf": "0"})
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = path.read_bytes()
    at = data.index(packets[5])
    path.write_bytes(data[:at] + bytes(len(packets[5])) + data[at + len(packets[5]) :])
    return path


def test_whole_files_need_no_repair(tmp_path: Path) -> None:
    path = make_video(tmp_path / "in.mp4", options={"bf": "3"}, audio=[Audio()])
    pictures, found = given(path)
    assert len(found) == 25 and not any(one.repaired for one in found)
    steps = {after.pts - before.pts for before, after in pairwise(found)}
    assert steps == {nominal_step(pictures.info)}
    assert (pictures.damaged, pictures.shifted, pictures.skipped_at_start) == (0, 0, 0)
    assert pictures.next_pts is None and not pictures.reached_end_of_window
    assert pictures.ledger is not None and not pictures.ledger.is_suspect


def test_a_picture_that_cannot_be_decoded_repeats_the_one_before(tmp_path: Path) -> None:
    _, found = given(broken_in_the_middle(tmp_path))
    assert [one.repaired for one in found] == [index == 5 for index in range(10)]
    shown = [planes_of(one.picture.handle) for one in found]
    assert shown[5] == shown[4] != shown[6]


@pytest.mark.parametrize("start", [None, 0.2])
def test_a_window_holds_its_times_and_tells_what_follows(
    tmp_path: Path, start: float | None
) -> None:
    path = make_video(tmp_path / "in.mkv", pts=range(20), options={"g": "6", "bf": "2"})
    info = probe(path)
    pictures, found = given(path, window_of(info, start, 0.4))
    times = [one.pts * info.time_base for one in found]
    assert times == [Fraction(i, 25) for i in range(5 if start else 0, 10)]
    assert pictures.reached_end_of_window
    assert pictures.next_pts is not None and pictures.next_pts * info.time_base == Fraction(2, 5)


def test_other_streams_are_discarded_where_nobody_counts_them(tmp_path: Path) -> None:
    path = make_video(tmp_path / "in.mp4", audio=[Audio()])
    info = probe(path)
    with open_input(path) as container:
        stream = open_stream(container, info, 1)
        ledger = new_ledger(container, info, window_of(info, None, None))
        assert {packet.stream.index for packet in ledger.packets([stream])} == {stream.index}
        assert ledger.streams[1].packets == 0


@pytest.mark.parametrize(
    ("times", "given_times"),
    [
        ([0, 40, 80, 80, 120, 160], [0, 40, 80, 100, 120, 160]),
        ([0, 40, 200, 80, 240, 280], [0, 40, 200, 220, 240, 280]),
        ([0, 40, 80, 0, 40, 80, 120], [0, 40, 80, 120, 160, 200, 240]),  # a part doubled
    ],
)
def test_one_wrong_time_moves_no_other_picture(
    tmp_path: Path, times: list[int], given_times: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path / "in.mkv", codec="mjpeg", pix_fmt="yuvj420p", pts=range(len(times)))
    real = PictureStream.decoded

    def wrong(self: PictureStream, *args: Any) -> Iterator[Any]:
        for (decoder, decoded), pts in zip(real(self, *args), times, strict=True):
            yield decoder, replace(decoded, pts=pts)

    monkeypatch.setattr(PictureStream, "decoded", wrong)
    pictures, found = given(path)
    assert [one.pts for one in found] == given_times
    assert pictures.shifted == sum(a != b for a, b in zip(times, given_times, strict=True))


def test_the_rate_tells_the_step(tmp_path: Path) -> None:
    info = probe(make_video(tmp_path / "in.mkv", rate=Fraction(30000, 1001)))
    assert nominal_step(info) == np.rint(1001 / 30000 / float(info.time_base))
