"""Files of every kind, restored and judged from outside by FFmpeg's own programs.

A dozen of them are quick; `tools/soak.sh tests` takes all.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from outside_judge import Seen, samples_of, streams_differ
from variants import VARIANTS, Variant

from vidrestore import RestoreConfig, Session
from vidrestore.video.write.source_kind import LOSSLESS_ENCODERS

pytestmark = pytest.mark.usefixtures("system_ffmpeg")

LEAST_PSNR = 30.0
"""Of lossy codecs' own defaults, on a picture of 96x64 with sharp edges."""

_MARKED = [
    pytest.param(one, id=one.name, marks=[] if one.is_quick else [pytest.mark.soak])
    for one in VARIANTS
]


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    quick = {
        "detect": {"refine_passes": 0, "rotated": False, "max_faces": 1},
        "encode": {"speed": "veryfast"},
    }
    with Session(RestoreConfig(**quick), model="debug") as opened:
        yield opened


def test_there_are_sixty() -> None:
    assert len(VARIANTS) >= 60 and sum(one.is_quick for one in VARIANTS) >= 12
    assert len({one.name for one in VARIANTS}) == len(VARIANTS)


@pytest.mark.parametrize("variant", _MARKED)
def test_a_variant_arrives(variant: Variant, session: Session, tmp_path: Path) -> None:
    source, out = variant.make(tmp_path), tmp_path / f"out{variant.result}"
    report = session.video(source, out, **variant.options)
    assert report.frames == variant.frames and not report.damaged
    before, after = Seen(source), Seen(out)
    assert len(after.frames) == variant.frames
    judge_times(variant, before, after)
    assert after.kinds() == before.kinds()
    judge_tags(variant, before, after)
    if variant.keeps_offset and "start" not in variant.options and variant.frames == 10:
        # What MPEG-TS has in front of each packet of AAC, no other container has.
        same_data = variant.source == variant.result or variant.source != ".ts"
        assert streams_differ(before, after, same_data=same_data) == []
    if "start" not in variant.options and len(before.frames) == len(after.frames):
        judge_samples(before, after, report.codec, report.faces)


def judge_times(variant: Variant, before: Seen, after: Seen) -> None:
    """Each frame lies as long after the first as in the input; Matroska counts milliseconds."""
    times = [time - after.times[0] for time in after.times]
    assert all(np.diff(after.times) > 0)
    if variant.frames != len(before.times) or variant.after is not None:
        return  # a part, or a clock that the program mends
    own = [time - before.times[0] for time in before.times]
    if any(map(np.isnan, own)):  # a raw stream
        own = [index / 25 for index in range(variant.frames)]
    assert times == pytest.approx(own, abs=0.0011)


def judge_tags(variant: Variant, before: Seen, after: Seen) -> None:
    one, other = before.picture_tags(), after.picture_tags()
    for name in set(one) - set(variant.lost):
        if name == "color_range" and one[name] == "tv":
            assert other[name] in ("tv", "unknown")  # limited unless said otherwise
        elif one[name] != "unknown":
            assert other[name] == one[name], name
    assert after.chapters == before.chapters
    assert after.languages() == before.languages()
    for name in ("title", "timecode", "reel_name"):
        if name == "timecode" and variant.result == ".mxf" and before.tag(name) is None:
            continue  # MXF always has one
        assert after.tag(name) == before.tag(name), name


def judge_samples(before: Seen, after: Seen, codec: str, faces: int) -> None:
    """Equal samples outside of faces where nothing is lossy; else close ones."""
    own = before.video["pix_fmt"]
    is_own = not faces and codec in LOSSLESS_ENCODERS and own == after.video["pix_fmt"]
    one, other = (samples_of(seen, own if is_own else "rgb48le") for seen in (before, after))
    assert one.shape == other.shape
    if codec not in LOSSLESS_ENCODERS:
        error = ((one.astype(np.float64) - other) ** 2).mean()
        assert 10 * np.log10(65535.0**2 / max(error, 1e-9)) > LEAST_PSNR
    elif not faces:
        assert np.array_equal(one, other)
    else:
        changed = (one != other).any(-1)
        assert changed.any()
        assert not changed[:, :16].any() and not changed[:, :, :40].any()  # beside the portrait
        assert changed.mean() < 0.5
