"""One session for many inputs: networks load once, and every run is as if it were alone."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from clips import face_frames, write_clip
from quick import QUICK, QUICK_ARGUMENTS
from styled_network import write_styled_network

import vidrestore
import vidrestore.session as session_module
from vidrestore import Session
from vidrestore.cli import main
from vidrestore.config import resolve_config
from vidrestore.errors import UsageError
from vidrestore.job import make_job


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder, frames = tmp_path_factory.mktemp("clips"), face_frames(6)
    return [
        write_clip(folder / "a.mp4", frames),
        write_clip(folder / "b.mp4", [frame[:, ::-1].copy() for frame in frames[::-1]]),
    ]


@pytest.fixture(scope="module")
def styled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_styled_network(tmp_path_factory.mktemp("weights") / "styled.safetensors")


def options(styled: Path) -> dict[str, Any]:
    noise = {"restore.noise": "fresh", "restore.precision": "float32"}
    return {"config": resolve_config(None, QUICK | noise), "model": styled}


@pytest.fixture(scope="module")
def alone(
    clips: list[Path], styled: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[Path, bytes]:
    """What runs of their own give."""
    folder = tmp_path_factory.mktemp("alone")
    for clip in clips:
        vidrestore.restore_video(clip, folder / f"{clip.stem}.mkv", **options(styled))
    return {clip: (folder / f"{clip.stem}.mkv").read_bytes() for clip in clips}


def test_many_videos_through_one_session_are_as_if_alone(
    clips: list[Path],
    styled: Path,
    alone: dict[Path, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded: Counter[str] = Counter()

    def counting(name: str) -> Any:
        load = getattr(session_module, name)

        def loading(*arguments: Any, **keywords: Any) -> Any:
            loaded[name] += 1
            return load(*arguments, **keywords)

        return loading

    for name in ("load_restorer", "load_detector"):
        monkeypatch.setattr(session_module, name, counting(name))
    assert len(set(alone.values())) == 2
    with Session(**options(styled)) as session:
        for number, clip in enumerate([*clips, clips[1], clips[0]]):
            output = tmp_path / f"{number}.mkv"
            session.video(clip, output)
            assert output.read_bytes() == alone[clip]
    assert loaded == {"load_restorer": 1, "load_detector": 1}


def test_two_videos_at_once_are_as_if_alone(
    clips: list[Path], styled: Path, alone: dict[Path, bytes], tmp_path: Path
) -> None:
    with Session(**options(styled)) as session:
        threads = [
            threading.Thread(target=session.video, args=(clip, tmp_path / f"{clip.stem}.mkv"))
            for clip in clips
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for clip in clips:
        assert (tmp_path / f"{clip.stem}.mkv").read_bytes() == alone[clip]


def test_all_ways_through_one_session(clips: list[Path], tmp_path: Path) -> None:
    with Session(resolve_config(None, QUICK), model="debug", strength=0.5) as session:
        report = session.video(clips[0], tmp_path / "a.mkv", codec="ffv1")
        frames = list(session.frames(clips[0]))
        tracks = session.inspect(clips[0])
        again = session.video(clips[0], tmp_path / "b.mkv", codec="ffv1", tracks=tracks)
        picture = vidrestore.frame_to_rgb(frames[0], before=True)
        restored = session.image(picture)
        assert session.config.blend.strength == 0.5
    assert report.frames == again.frames == len(frames) == tracks.frames == 6
    assert report.faces == again.faces > 0
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()
    assert restored.shape == picture.shape and not np.array_equal(restored, picture)


def test_options_of_one_run_do_not_stay(clips: list[Path], tmp_path: Path) -> None:
    with Session(resolve_config(None, QUICK), model="debug") as session:
        first = session.video(clips[0], tmp_path / "a.mkv")
        session.video(clips[0], tmp_path / "b.mkv", strength=0.1, end=0.2)
        again = session.video(clips[0], tmp_path / "a.mkv", overwrite=True)
    assert (first.frames, first.config["blend"]) == (again.frames, again.config["blend"])


class Net(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_mistakes_are_told_at_once(clips: list[Path], tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"'strenght'.*did you mean 'strength'"):
        Session(strenght=0.5)  # type: ignore[call-arg]
    with pytest.raises(UsageError, match="adapt_restorer"):
        Session(restorer=Net())  # type: ignore[arg-type]
    session = Session(model="debug")
    with pytest.raises(UsageError, match="model: is the session's own"):
        session.video(clips[0], tmp_path / "out.mp4", model="embedded")
    session.close()
    with pytest.raises(UsageError, match="closed"):
        session.video(clips[0], tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def quick_frames(clip: Path, **options: Any) -> Generator[vidrestore.Frame, None, None]:
    return vidrestore.restore_frames(
        clip, model="debug", config=resolve_config(None, QUICK), **options
    )


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[Session]:
    """The sessions that were closed."""
    sessions: list[Session] = []
    close = Session.close
    monkeypatch.setattr(Session, "close", lambda self: (sessions.append(self), close(self))[1])
    return sessions


def test_restore_frames_closes_its_session_at_the_end(
    clips: list[Path], closed: list[Session]
) -> None:
    frames = quick_frames(clips[0], end=0.2)
    next(frames)
    assert not closed
    assert len(list(frames)) == 4 and len(closed) == 1


def test_restore_frames_closes_its_session_when_it_is_left_early(
    clips: list[Path], closed: list[Session]
) -> None:
    for _ in quick_frames(clips[0]):
        break
    assert len(closed) == 1
    frames = quick_frames(clips[0])
    next(frames)
    frames.close()
    assert len(closed) == 2


def test_restore_frames_closes_its_session_when_it_fails(
    clips: list[Path], closed: list[Session], tmp_path: Path
) -> None:
    with pytest.raises(vidrestore.VideoOpenError):
        quick_frames(tmp_path / "none.mp4")
    assert len(closed) == 1
    half = tmp_path / "half.mkv"
    write_clip(half, face_frames(12), codec="ffv1")
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 3])
    frames = quick_frames(half)
    with pytest.raises(vidrestore.VideoDecodeError):
        list(frames)
    assert len(closed) == 2


@pytest.mark.parametrize("extra", [[], ["--start", "0.08"]], ids=["whole", "part"])
def test_a_run_opens_its_input_three_times(
    clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: list[str]
) -> None:
    opened: Counter[str] = Counter()
    whole = av.open

    def counting(file: Any, mode: str | None = None, *arguments: Any, **keywords: Any) -> Any:
        if mode in (None, "r"):
            opened[str(file)] += 1
        return whole(file, mode, *arguments, **keywords)

    monkeypatch.setattr(av, "open", counting)
    arguments = [str(clips[0]), str(tmp_path / "out.mp4"), *QUICK_ARGUMENTS, *extra]
    assert main([*arguments, "--report", str(tmp_path / "report.json")]) == 0
    own = str(tmp_path / ".vr-")  # the output, which is read back before it gets its name
    assert {k: n for k, n in opened.items() if not k.startswith(own)} == {
        str(clips[0].resolve()): 3
    }
    opened.clear()
    coarse = ["--detect.size-px", "128", "--detect.rotated", "false"]
    inspected = ["inspect", str(clips[0]), "--out", str(tmp_path / "tracks.json"), *coarse]
    assert main(inspected) == 0
    assert opened == {str(clips[0].resolve()): 3}


def test_a_job_is_decided_once_and_loads_no_network(clips: list[Path], tmp_path: Path) -> None:
    config = vidrestore.RestoreConfig()
    job = make_job(clips[0], tmp_path / "out.mp4", config)
    assert job.output is not None and job.output.codec == "libx264"
    assert (job.expected_frames, job.info.width, job.window.shift) == (6, 320, 0)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "out.mp4").write_text("precious")
    with pytest.raises(vidrestore.VidRestoreError, match="exists"):
        make_job(clips[0], tmp_path / "out.mp4", config)
