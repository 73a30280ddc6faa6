"""Alpha of VP8 and VP9, which Matroska holds beside the packets, is read and written."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from rewriting import plan_job, rewrite
from videos import make_video, picture, planes_of

from vidrestore.errors import VideoWriteError
from vidrestore.video.read.decoders import decoder_of
from vidrestore.video.read.probe import probe


@pytest.fixture(scope="module", params=["libvpx-vp9", "libvpx"])
def clear(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five pictures whose alpha is a ramp that moves."""
    path = tmp_path_factory.mktemp("alpha") / f"{request.param}.webm"
    with av.open(str(path), "w") as out:
        options = {"auto-alt-ref": "0", "crf": "10", "b": "1M", "cpu-used": "8"}
        stream = out.add_stream(
            request.param, rate=25, width=64, height=48, pix_fmt="yuva420p", options=options
        )
        stream.metadata["alpha_mode"] = "1"
        for index in range(5):
            frame = picture(index, 64, 48, "yuva420p")
            alpha = frame.planes[3]
            ramp = (np.arange(alpha.line_size) * 3 + 10 * index).clip(0, 255).astype(np.uint8)
            alpha.update(np.tile(ramp, (alpha.height, 1)).tobytes())
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def frames_of(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        decoder = decoder_of(stream)
        found: list[av.VideoFrame] = []
        for packet in file.demux(stream):
            found += decoder.decode(packet if packet.size else None)
        return found


def test_alpha_is_read(clear: Path) -> None:
    assert probe(clear).pix_fmt == "yuva420p"
    assert probe(clear).auto_codec == "libvpx-vp9"


@pytest.mark.parametrize(
    ("ending", "codec"), [(".webm", "libvpx-vp9"), (".mkv", "libvpx-vp9"), (".mp4", "ffv1")]
)
def test_alpha_goes_through(clear: Path, tmp_path: Path, ending: str, codec: str) -> None:
    out = tmp_path / f"out{ending}"
    assert rewrite(clear, out) == ()
    written = frames_of(out)
    assert len(written) == 5
    for before, after in zip(frames_of(clear), written, strict=True):
        assert after.format.name == "yuva420p"
        alphas = [np.frombuffer(planes_of(one)[3], np.uint8).astype(int) for one in (before, after)]
        assert alphas[0].max() - alphas[0].min() > 150
        assert np.abs(alphas[0] - alphas[1]).max() <= (0 if codec == "ffv1" else 12)


def test_containers_without_alpha_are_refused_with_a_way(clear: Path, tmp_path: Path) -> None:
    with pytest.raises(VideoWriteError, match=r"yuva420p.*write .*\.mkv"):
        plan_job(clear, tmp_path / "out.ts")
    with pytest.raises(VideoWriteError, match="libvpx-vp9 cannot hold yuva420p"):
        plan_job(clear, tmp_path / "out.mp4", codec="libvpx-vp9")


def test_other_videos_keep_their_decoder(tmp_path: Path) -> None:
    plain = make_video(tmp_path / "plain.webm", codec="libvpx-vp9", pts=range(2))
    with av.open(str(plain)) as file:
        assert decoder_of(file.streams.video[0]) is file.streams.video[0]
