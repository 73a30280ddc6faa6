"""What the process holds, and keeps."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from clips import face_frames, write_clip

from vidrestore import memory_estimate, restore_video
from vidrestore.cli import main
from vidrestore.config import RestoreConfig
from vidrestore.errors import NotEnoughMemoryError
from vidrestore.memory_estimate import check_memory, estimate_memory_mib
from vidrestore.models.templates import landmark_template
from vidrestore.pipeline import analysed_frames
from vidrestore.run import single_frame
from vidrestore.runtime import memory
from vidrestore.runtime.memory import available_memory_mib, is_out_of_memory, peak_memory_mib
from vidrestore.structs import Frame
from vidrestore.video.write.segment_encoder import SegmentEncoder

FAULTS = """
import resource, sys
from vidrestore.runtime.memory import keep_freed_memory

if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit("not glibc")

def use():
    bytearray(b"x") * (48 << 20)

use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode: str) -> int:
    command = [sys.executable, "-c", FAULTS, mode]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "not glibc" in done.stderr:
        pytest.skip("the C library is not glibc")
    return int(done.stdout)


def test_freed_memory_is_used_again():
    assert 4 * page_faults("keep") < page_faults("default")


def test_peak_grows_with_what_is_held():
    before = peak_memory_mib()
    block = bytearray(b"x") * (int(before + 64) << 20)
    assert peak_memory_mib() > before + 32
    del block


class Unseen:
    """An analysis that finds nothing."""

    def with_faces(self, frames: Iterable[Frame]) -> Iterable[Frame]:
        return frames

    def with_noise(self, frames: Iterable[Frame]) -> Iterable[Frame]:
        return frames


def test_a_run_gives_freed_memory_back() -> None:
    before = memory.current_memory_mib()
    blocks = [bytearray(b"x") * 100_000 for _ in range(2000)]
    kept = blocks[::50]  # so that the heap cannot shrink from its end
    del blocks
    if not memory.current_memory_mib() > before + 100:
        pytest.skip("the C library gives all back by itself")
    frame = single_frame(face_frames(1)[0])
    frames = analysed_frames([frame], Unseen(), RestoreConfig(), landmark_template("ffhq", 512))
    assert len(list(frames)) == 1
    assert memory.current_memory_mib() < before + 60
    assert len(kept) == 40


def test_no_picture_waits_for_the_collector_of_cycles(clip: Path, tmp_path: Path) -> None:
    gc.collect()
    gc.disable()
    try:
        restore_video(clip, tmp_path / "out.mkv", model="debug")
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = [one for one in gc.garbage if isinstance(one, av.VideoFrame | torch.Tensor | Frame)]
        assert not left
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("memory") / "face.mkv", face_frames(3))


def test_available_memory_is_less_than_the_machine_has():
    available = available_memory_mib()
    if available is None:
        pytest.skip("the system does not say")
    assert 1 < available < 2**30


@pytest.mark.parametrize(
    ("cgroup", "files"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/b/memory.current": "5", "a/memory.max": "LIMIT",
                        "a/memory.current": "USED", "a/memory.stat": "inactive_file CACHED"}),
        ("3:cpu:/x\n4:memory:/a\n", {"memory/a/memory.limit_in_bytes": "LIMIT",
                                     "memory/a/memory.usage_in_bytes": "USED",
                                     "memory/a/memory.stat": "inactive_file CACHED"}),
        ("4:memory:/of/the/host\n", {"memory/memory.limit_in_bytes": "LIMIT",
                                     "memory/memory.usage_in_bytes": "USED",
                                     "memory/memory.stat": "inactive_file CACHED"}),
    ],
    ids=["version 2", "version 1", "container"],
)  # fmt: skip
def test_limits_of_control_groups_count(tmp_path, monkeypatch, cgroup, files):
    mib = 2**20
    numbers = {"LIMIT": 64 * mib, "USED": 40 * mib, "CACHED": 16 * mib}
    for name, text in files.items():
        for word, number in numbers.items():
            text = text.replace(word, str(number))
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "self").write_text(cgroup)
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path / "self")
    monkeypatch.setattr(memory, "_CGROUP_ROOT", tmp_path)
    assert available_memory_mib() == 40


def test_the_limit_of_address_space_counts():
    code = """
import resource
from vidrestore.runtime.memory import available_memory_mib
before = available_memory_mib()
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
print(available_memory_mib() < 1024)
"""
    pytest.importorskip("resource")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_memory_needs_no_posix_module():
    code = "import sys; sys.modules['resource'] = None; from vidrestore.runtime.memory import *; "
    code += "print(peak_memory_mib() >= 0, current_memory_mib() >= 0, available_memory_mib())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("True True")


def test_every_librarys_error_is_known():
    huge = 1 << 52

    def of_opencv():
        cv2.copyMakeBorder(np.zeros((1, 1), np.uint8), 0, 2**31 - 2, 0, 2**31 - 2, 0)

    for ask in (lambda: bytearray(huge), lambda: torch.empty(huge), of_opencv):
        with pytest.raises((MemoryError, RuntimeError, cv2.error)) as caught:
            ask()
        assert is_out_of_memory(caught.value), caught.value
    assert is_out_of_memory(OSError(12, "Cannot allocate memory"))
    with pytest.raises(av.FFmpegError) as of_ffmpeg:
        av.error.err_check(-12)
    assert is_out_of_memory(of_ffmpeg.value)
    assert not is_out_of_memory(OSError(28, "No space left on device"))
    assert not is_out_of_memory(RuntimeError("the stage broke"))


def said_of(error, clip, tmp_path, capsys, monkeypatch, *options):
    def encode(self, frame):
        raise error

    monkeypatch.setattr(SegmentEncoder, "encode", encode)
    assert main([str(clip), str(tmp_path / "out.mkv"), "--model", "debug", *options]) == 1
    assert list(tmp_path.iterdir()) == []
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
@pytest.mark.parametrize("options", [[], ["--no-resume"]], ids=["stored", "not stored"])
def test_out_of_memory_never_blames_the_disk(clip, tmp_path, capsys, monkeypatch, error, options):
    said = said_of(error, clip, tmp_path, capsys, monkeypatch, *options)
    assert "out of memory" in said
    assert "space" not in said and "unexpected" not in said


def test_a_full_disk_is_not_called_memory(clip, tmp_path, capsys, monkeypatch):
    said = said_of(OSError(28, "No space left on device"), clip, tmp_path, capsys, monkeypatch)
    assert "memory" not in said and "space" in said


@pytest.mark.parametrize(
    ("width", "height", "bytes_a_pixel", "frames", "codec", "measured_mib"),
    [
        (640, 640, 1.5, 100, "libx264", 1139),
        (1280, 720, 1.5, 60, "libx264", 1260),
        (1920, 1080, 1.5, 60, "libx264", 1687),
        (3840, 2160, 1.5, 45, "libx264", 3377),
        (3840, 2160, 4, 30, "prores_ks", 2052),
        (8000, 8000, 1.5, 12, "libx264", 6439),
    ],
)
def test_the_estimate_is_near_what_was_measured(
    width, height, bytes_a_pixel, frames, codec, measured_mib
):
    pixels, config = width * height, RestoreConfig()
    found = estimate_memory_mib(round(bytes_a_pixel * pixels), pixels, frames, 25.0, config, codec)
    assert 0.75 * measured_mib < found < 1.35 * measured_mib


def test_the_estimate_falls_with_the_options_that_the_message_names():
    def needed(codec="libx264", **options):
        config = RestoreConfig.model_validate(options)
        return estimate_memory_mib(12_441_600, 8_294_400, None, 25.0, config, codec)

    for lower in (
        {"run": {"queue_frames": 1}},
        {"align": {"window_s": 0.2}},
        {"temporal_filter": {"reach_frames": 1}},
        {"encode": {"speed": "veryfast"}},
        {"codec": "ffv1"},
    ):
        assert needed(**lower) < needed()


def test_too_little_memory_ends_before_work(clip, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(memory_estimate, "available_memory_mib", lambda: 0.0)
    monkeypatch.setattr(memory_estimate, "current_memory_mib", lambda: 256.0)
    assert main([str(clip), str(tmp_path / "out.mkv"), "--model", "debug"]) == 1
    [said] = capsys.readouterr().err.splitlines()
    assert (
        "GiB" in said and "--run.queue-frames" in said and "--temporal-filter.reach-frames" in said
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limits")
def test_a_video_of_8000_x_8000_is_refused_by_its_estimate():
    """Of a few MB, under a limit of 4 GiB; in a row of the table of hostile inputs."""
    tool = Path(__file__).parents[2] / "tools" / "hostile_table.py"
    command = [sys.executable, str(tool), "--only", "8000x8000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = [line for line in done.stdout.splitlines() if line.startswith("| 8000x8000")]
    assert done.returncode == 0 and len(rows) == 1, done.stdout + done.stderr
    assert "needs about 7" in rows[0] and "GiB are free" in rows[0] and "| 1 |" in rows[0]


def test_tight_memory_is_warned_of(monkeypatch):
    monkeypatch.setattr(memory_estimate, "available_memory_mib", lambda: 900.0)
    monkeypatch.setattr(memory_estimate, "current_memory_mib", lambda: 100.0)
    assert check_memory(690, "a.mp4") is None
    assert "a.mp4 needs about 0.7 GiB of memory" in (check_memory(710, "a.mp4") or "")
    with pytest.raises(NotEnoughMemoryError):
        check_memory(1001, "a.mp4")
    monkeypatch.setattr(memory_estimate, "available_memory_mib", lambda: None)
    assert check_memory(1e9, "a.mp4") is None
