"""NVDEC gives the pictures of software, on a GPU that has it; `test_hardware.py` needs none."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
import torch
from clips import face_frames, write_clip
from gpu import needs_cuda

from vidrestore import restore_video
from vidrestore.config import DecodeConfig, resolve_config
from vidrestore.runtime.transfer import Uploader
from vidrestore.video.read.hardware import Hardware, HardwareDoubt
from vidrestore.video.read.hardware_reader import HardwareReader
from vidrestore.video.read.hardware_trial import difference, try_hardware
from vidrestore.video.read.nvdec import check_input, find_nvdec
from vidrestore.video.read.probe import probe
from vidrestore.video.read.reader import VideoReader
from vidrestore.video.read.window import window_of

COUNT = 60
"""More than a decoder has surfaces, and all are held."""

X265 = {"x265-params": "log-level=none"}
EVERY_CARD = [
    ("libx264", "yuv420p", ".mp4", {"bf": "3", "g": "20"}),
    ("libx264", "yuvj420p", ".mkv", {}),
    ("libx265", "yuv420p", ".mkv", X265),
    ("libx265", "yuv420p10le", ".mp4", X265),
    ("libvpx-vp9", "yuv420p", ".webm", {"deadline": "realtime"}),
]
SOME_CARDS = [
    ("libx265", "yuv420p12le", ".mkv", X265),
    ("libsvtav1", "yuv420p", ".mp4", {"preset": "12"}),
    ("libsvtav1", "yuv420p10le", ".mkv", {"preset": "12"}),
    ("libvpx", "yuv420p", ".webm", {"deadline": "realtime"}),
    ("libx264", "yuv420p10le", ".mkv", {}),
]
"""Others refuse, which is told."""


@pytest.fixture
def nvdec() -> Hardware:
    try:
        ctypes.CDLL("libnvcuvid.so.1")
    except OSError:
        pytest.skip("NVIDIA's driver is here without its video library, libnvcuvid")
    return find_nvdec(torch.device("cuda"))


def clip(path: Path, codec: str, pix_fmt: str, options: dict[str, str]) -> Path:
    images = face_frames(COUNT, width=320, height=240)
    return write_clip(path, images, codec=codec, pix_fmt=pix_fmt, options=options)


def check_pictures(path: Path, hardware: Hardware, is_taken: bool, start: float) -> None:
    config = DecodeConfig(start=start)
    with VideoReader(path, config) as software:
        wanted = list(software.frames())
    with HardwareReader(lambda chosen: VideoReader(path, config, hardware=chosen), hardware) as own:
        found = list(own.frames())
        assert is_taken == (own.notes == ())
    for one, other in zip(found, wanted, strict=True):
        assert one.pts == other.pts and difference(one.picture, other.picture) is None
        if is_taken:
            assert one.picture.decoded is not None
            assert Uploader(hardware.device).reaches(one.picture.decoded), "none is sent again"


@needs_cuda()
@pytest.mark.cuda
@pytest.mark.parametrize(("codec", "pix_fmt", "suffix", "options"), EVERY_CARD)
def test_a_card_gives_the_pictures_of_software(
    nvdec: Hardware,
    tmp_path: Path,
    codec: str,
    pix_fmt: str,
    suffix: str,
    options: dict[str, str],
) -> None:
    path = clip(tmp_path / f"in{suffix}", codec, pix_fmt, options)
    info = probe(path)
    check_input(info)
    try_hardware(info, window_of(info, None, None), nvdec)
    for start in (0, 1.0):
        check_pictures(path, nvdec, True, start)


@needs_cuda()
@pytest.mark.cuda
@pytest.mark.parametrize(("codec", "pix_fmt", "suffix", "options"), SOME_CARDS)
def test_what_a_card_does_not_decode_software_does(
    nvdec: Hardware,
    tmp_path: Path,
    codec: str,
    pix_fmt: str,
    suffix: str,
    options: dict[str, str],
) -> None:
    path = clip(tmp_path / f"in{suffix}", codec, pix_fmt, options)
    info = probe(path)
    check_input(info)
    is_taken = True
    try:
        try_hardware(info, window_of(info, None, None), nvdec)
    except HardwareDoubt as doubt:
        assert "another picture" not in str(doubt)
        is_taken = False
    check_pictures(path, nvdec, is_taken, 0)


@needs_cuda()
@pytest.mark.cuda
def test_a_run_gives_the_bytes_of_decoding_by_software(nvdec: Hardware, tmp_path: Path) -> None:
    path = clip(tmp_path / "in.mp4", "libx264", "yuv420p", {})
    outputs = []
    for hardware in (None, "nvdec"):
        values = {"run.device": "cuda", "decode.hardware": hardware}
        output = tmp_path / f"{hardware}.mkv"
        report = restore_video(path, output, config=resolve_config(None, values))
        assert report.config["decode"]["hardware"] == hardware and report.faces == COUNT
        outputs.append(output.read_bytes())
    assert any(note.startswith("NVDEC decodes") for note in report.notes)
    assert outputs[0] == outputs[1]
