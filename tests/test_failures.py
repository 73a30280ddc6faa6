"""Every way to fail ends soon: an exit code, one line, no thread, nothing half-written."""

from __future__ import annotations

import itertools
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import face_frames, write_clip
from quick import QUICK_ARGUMENTS

import vidrestore.jobs.following as following
import vidrestore.jobs.readers as readers
import vidrestore.jobs.writers as writers
import vidrestore.pipeline as pipeline
from vidrestore.cli import main

LONG = 220
"""Frames: more than all queues and look-aheads hold together."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = face_frames(20, width=160, height=120)
    return write_clip(
        tmp_path_factory.mktemp("clips") / "face.mp4",
        [frames[abs(i % 38 - 19)] for i in range(LONG)],
    )


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str]]:
    """Exit code and the lines on stderr of one run in this process."""
    code = main([str(argument) for argument in arguments])
    assert not [t for t in threading.enumerate() if t.name.startswith("vidrestore-")]
    return code, capsys.readouterr().err.strip().splitlines()


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def failing_after(count: int, stage: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    def broken(*args: Any, **kwargs: Any) -> Iterator[Any]:
        for index, frame in enumerate(stage(*args, **kwargs)):
            if index == count:
                raise RuntimeError("the stage broke")
            yield frame

    return broken


STAGES = ("detect", "track", "align", "restore", "temporal_filter", "blend", "read", "write")
BRIEFLY = {("detect", 24), ("restore", 24), ("read", 24), ("write", 24), ("blend", 0), ("track", 0)}


@pytest.mark.parametrize(
    ("stage", "at"),
    [
        pytest.param(*one, marks=() if one in BRIEFLY else pytest.mark.soak)
        for one in itertools.product(STAGES, (0, 24))
    ],
)
def test_an_exception_in_any_stage_ends_the_run(
    clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    at: int,
) -> None:
    if stage == "read":
        broken = failing_after(at, readers.VideoReader.frames)
        monkeypatch.setattr(readers.VideoReader, "frames", broken)
    elif stage in ("detect", "track"):
        part, name = {"detect": (following.Looker, "see"), "track": (following.Tracker, "add")}[
            stage
        ]
        whole_step = getattr(part, name)

        def step(self: Any, frame: Any) -> Any:
            if frame.index == at:
                raise RuntimeError("the stage broke")
            return whole_step(self, frame)

        monkeypatch.setattr(part, name, step)
    elif stage == "write":
        whole = writers.VideoWriter.write

        def write(self: Any, frame: Any) -> None:
            if frame.index == at:
                raise RuntimeError("the stage broke")
            whole(self, frame)

        monkeypatch.setattr(writers.VideoWriter, "write", write)
    else:
        monkeypatch.setattr(pipeline, stage, failing_after(at, getattr(pipeline, stage)))
    quick = [*QUICK_ARGUMENTS, "--restore.measure-noise", "false"]
    quick += ["--restore.conceal-defects", "false", "--align.window-s", "0.2"]
    code, said = run(capsys, clip, tmp_path / "out.mp4", *quick, "--no-resume")
    assert code == 1
    assert len([line for line in said if line.startswith("vidrestore:")]) == 1
    assert "the stage broke" in said[-1]
    assert "Traceback" not in "\n".join(said)
    assert left_in(tmp_path) == []


def test_a_missing_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run(capsys, tmp_path / "none.mp4", tmp_path / "out.mp4")
    assert (code, len(said)) == (1, 1)
    assert "none.mp4" in said[0]
    assert left_in(tmp_path) == []


def make_text(path: Path) -> None:
    path.write_text("this is no video\n" * 100)


def make_empty(path: Path) -> None:
    path.write_bytes(b"")


def make_audio_only(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 48000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def make_frameless(path: Path) -> None:
    """A video stream without a single packet, beside sound."""
    with av.open(str(path), "w", format="matroska") as container:
        video = container.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("flac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.int16), "s16", "mono")
        frame.sample_rate, frame.pts = 48000, 0
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))


@pytest.mark.parametrize(
    "make", [make_text, make_empty, make_audio_only, make_frameless], ids=lambda f: f.__name__
)
def test_inputs_that_hold_no_video(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], None]
) -> None:
    source = tmp_path / "input.mkv"
    make(source)
    code, said = run(capsys, source, tmp_path / "out.mkv", "--model", "debug")
    assert code == 1
    assert "input.mkv" in said[-1]
    assert "Traceback" not in "\n".join(said)
    assert left_in(tmp_path) == ["input.mkv"]


def test_an_mp4_without_its_index(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "cut_off.mp4"
    source.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    code, said = run(capsys, source, tmp_path / "out.mp4")
    assert code == 1
    assert "cut_off.mp4" in said[-1]
    assert left_in(tmp_path) == ["cut_off.mp4"]


def test_an_existing_output_is_kept_unless_told(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.mp4"
    output.write_bytes(b"precious")
    code, said = run(capsys, clip, output, *QUICK_ARGUMENTS, "--end", "0.2")
    assert code == 1
    assert "--overwrite" in said[-1]
    assert output.read_bytes() == b"precious"
    code, _ = run(capsys, clip, output, *QUICK_ARGUMENTS, "--end", "0.2", "--overwrite")
    assert code == 0
    assert output.stat().st_size > 1000
    assert left_in(tmp_path) == ["out.mp4"]


@pytest.mark.parametrize("link", ["same", "symbolic", "hard"])
def test_output_equal_to_input(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], link: str
) -> None:
    source = tmp_path / "tape.mp4"
    source.write_bytes(clip.read_bytes())
    output = source if link == "same" else tmp_path / "link.mp4"
    if link == "symbolic":
        output.symlink_to(source)
    elif link == "hard":
        os.link(source, output)
    code, said = run(capsys, source, output, "--overwrite")
    assert (code, len(said)) == (1, 1)
    assert source.read_bytes() == clip.read_bytes()


def test_a_missing_folder(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run(capsys, clip, tmp_path / "none" / "out.mp4")
    assert (code, len(said)) == (1, 1)
    assert "folder" in said[0]
    assert left_in(tmp_path) == []


def test_a_folder_that_cannot_be_written(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    if os.access(folder, os.W_OK):  # the administrator may write anywhere but here
        folder = Path("/proc")
    code, said = run(capsys, clip, folder / "out.mp4")
    (tmp_path / "locked").chmod(stat.S_IRWXU)
    assert (code, len(said)) == (1, 1)
    assert f"folder {folder}" in said[0]


def test_an_unknown_container(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = run(capsys, clip, tmp_path / "out.xyz")
    assert (code, len(said)) == (1, 1)
    assert "xyz" in said[0] and "mp4" in said[0]


def test_an_unknown_model_suggests_the_nearest(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = run(capsys, clip, tmp_path / "out.mp4", "--model", "gfpgan-1.5")
    assert code == 2
    assert "gfpgan-1.4" in said[-1]
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--strength", "2"], "strength"),
        (["--strength", "much"], "strength"),
        (["--start", "3", "--end", "2"], "decode.end"),
        (["--strenght", "1"], "--strenght"),
        (["--device", "tpu9"], "tpu9"),
        (["--config", "none.yaml"], "none.yaml"),
        (["--drop", "sound"], "sound"),
        (["--codec", "libx266"], "libx264"),
        (["--codec", "aac"], "aac"),
        (["--crf", "60"], "0 to 51"),
        (["--codec", "ffv1", "--crf", "20"], "--crf"),
        (["--speed", "medum"], "medium"),
        (["--model", "embeded"], "embedded"),
        (["--detector", "embeded"], "embedded"),
    ],
)
def test_bad_options_are_usage_errors(
    clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    named: str,
) -> None:
    code, said = run(capsys, clip, tmp_path / "out.mkv", *arguments)
    assert (code, len(said)) == (2, 1)
    assert said[0].startswith("vidrestore: ") and named in said[0]
    assert left_in(tmp_path) == []
