"""Streams are copied packet by packet, beside a picture that proceeds at its own pace."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import pytest
from videos import Audio, Subtitle, make_video, packets_of

from vidrestore.video.read.window import Window
from vidrestore.video.write.remux import StreamCopier


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("remux") / "in.mkv"
    return make_video(path, audio=[Audio()], subtitles=[Subtitle()])


def copy(
    source: Path,
    output: Path,
    *,
    window: Window | None = None,
    origin_s: Fraction = Fraction(0),
    steps: Sequence[float] = (),
) -> tuple[StreamCopier, list[int]]:
    """Copy sound and subtitles; the copier, and how many packets each step wrote in all."""
    written = []
    with av.open(str(source)) as given, av.open(str(output), "w") as out:
        streams = {i: out.add_stream_from_template(given.streams[i], opaque=True) for i in (1, 2)}
        copier = StreamCopier(given, streams, window or Window(), origin_s, source)
        for step in [*steps, None]:
            copier.advance(None if step is None else Fraction(str(step)))
            written.append(sum(copied.written for copied in copier._streams.values()))
        assert copier.shortfall(1, "audio") is None
    return copier, written


def test_packets_are_the_same(source: Path, tmp_path: Path) -> None:
    copy(source, tmp_path / "out.mkv")
    assert packets_of(tmp_path / "out.mkv", 0) == packets_of(source, 1)
    assert packets_of(tmp_path / "out.mkv", 1) == packets_of(source, 2)


def test_it_proceeds_no_further_than_it_is_told(source: Path, tmp_path: Path) -> None:
    _, written = copy(source, tmp_path / "out.mkv", steps=[0.25, 0.5])
    in_all = len(packets_of(source, 1)) + len(packets_of(source, 2))
    assert 0.15 * in_all < written[0] < 0.4 * in_all < written[1] < 0.7 * in_all
    assert written[2] == in_all


def test_a_part_starts_at_its_own_beginning(source: Path, tmp_path: Path) -> None:
    base = Fraction(1, 1000)
    copy(source, tmp_path / "out.mkv", window=Window(300, 800, base), origin_s=300 * base)
    wanted = [
        (time - 300 * base, data)
        for time, data in packets_of(source, 1)
        if time is not None and 300 <= time / base < 800
    ]
    assert packets_of(tmp_path / "out.mkv", 0) == wanted
    # A subtitle that is shown when the part begins starts with it.
    shown = packets_of(tmp_path / "out.mkv", 1)
    assert [(time, b"one" in data, b"two" in data) for time, data in shown] == [
        (0, True, False),
        (Fraction(1, 5), False, True),
    ]


def test_times_that_do_not_go_back_are_not_counted_as_such(source: Path, tmp_path: Path) -> None:
    copier, _ = copy(source, tmp_path / "out.mkv")
    assert copier.went_back(1) == copier.went_back(2) == 0
