"""One rule for every file that a command writes: nothing is destroyed, nothing is half there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from clips import face_frames, frame_times, write_clip
from quick import QUICK_ARGUMENTS

from vidrestore.cli import main
from vidrestore.cli.outputs import write_json
from vidrestore.errors import VideoWriteError


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "face.mp4", face_frames(6))


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = main([str(argument) for argument in arguments])
    return code, capsys.readouterr().err


def copy(clip: Path, name: Path) -> Path:
    name.write_bytes(clip.read_bytes())
    return name


def commands(clip: Path, master: Path) -> dict[str, list[object]]:
    """Every way to name an output beside or instead of the main one."""
    out = master.with_name("out.mp4")
    quick = QUICK_ARGUMENTS
    return {
        "output": [clip, master, *quick],
        "report": [clip, out, *quick, "--report", master],
        "preview": [clip, out, *quick, "--preview", master],
        "tracks": ["inspect", clip, "--out", master],
        "overlay": ["inspect", clip, "--out", out, "--video", master],
        "plot": ["inspect", clip, "--out", out, "--plot", master],
        "demo": ["demo", master, "--seconds", "0.2"],
        "demo input": ["demo", out, "--seconds", "0.2", "--keep-input", master],
        "bench": ["bench", clip, "--frames", "5", "--out", master],
        "degraded": ["degrade", clip, master, "--recipe", "vhs"],
        "degraded report": ["degrade", clip, out, "--recipe", "vhs", "--report", master],
        "detector": ["evaluate", "detector", clip, "--out", master],
    }


COMMANDS = list(commands(Path(), Path("master.mov")))


@pytest.mark.parametrize("name", COMMANDS)
def test_what_exists_is_not_replaced(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    master = tmp_path / "master.mov"
    master.write_text("precious")
    code, said = run(capsys, *commands(clip, master)[name])
    assert code == 1, said
    assert "master.mov exists" in said and "--overwrite" in said
    assert master.read_text() == "precious"
    assert os.listdir(tmp_path) == ["master.mov"]


@pytest.mark.parametrize("name", [n for n in COMMANDS if "demo" not in n])
@pytest.mark.parametrize("link", [False, True], ids=["itself", "link"])
def test_an_input_is_never_replaced(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, link: bool
) -> None:
    source = copy(clip, tmp_path / "in.mov")
    master = source
    if link:
        master = tmp_path / "link.mov"
        master.symlink_to(source)
    code, said = run(capsys, *commands(source, master)[name], "--overwrite")
    assert code == 1, said
    assert "input" in said
    assert source.read_bytes() == clip.read_bytes()
    assert "out.mp4" not in os.listdir(tmp_path)


def test_other_inputs_are_inputs_too(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracks, preset = tmp_path / "tracks.json", tmp_path / "my.yaml"
    assert run(capsys, "inspect", clip, "--out", tracks)[0] == 0
    preset.write_text("blend: {strength: 0.5}")
    before = tracks.read_text()
    for option, target in (("--report", tracks), ("--preview", preset)):
        code, said = run(
            capsys, clip, tmp_path / "out.mp4", "--tracks", tracks, "--config", preset,
            option, target, "--overwrite",
        )  # fmt: skip
        assert code == 1 and "input" in said
    assert (tracks.read_text(), preset.read_text()) == (before, "blend: {strength: 0.5}")


def test_two_outputs_of_one_name(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = tmp_path / "out.mp4"
    code, said = run(capsys, clip, same, "--report", same)
    assert code == 2 and "two outputs" in said
    assert os.listdir(tmp_path) == []


def test_overwriting_when_asked(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, report = tmp_path / "out.mp4", tmp_path / "report.json"
    output.write_text("old")
    report.write_text("old")
    code, _ = run(capsys, clip, output, "--report", report, "--overwrite", *QUICK_ARGUMENTS)
    assert code == 0
    assert len(frame_times(output)) == 6
    assert json.loads(report.read_text())["frames"] == 6


def test_an_input_called_like_a_temporary(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [".out.partial.mp4", ".vr-0123456789ab.mp4"]
    for name in names:
        source = copy(clip, tmp_path / name)
        output = tmp_path / "out.mp4"
        assert run(capsys, source, output, "--overwrite", *QUICK_ARGUMENTS)[0] == 0
        assert source.read_bytes() == clip.read_bytes()


def test_two_runs_to_one_output(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second stops before work and names the first; what the first writes is whole."""
    long = write_clip(tmp_path / "in.mp4", face_frames(6, width=160, height=120) * 8)
    output = tmp_path / "out.mp4"
    command = [sys.executable, "-m", "vidrestore", str(long), str(output), *QUICK_ARGUMENTS]
    first = subprocess.Popen([*command, "--progress", "json"], stderr=subprocess.PIPE, text=True)
    assert first.stderr is not None
    for line in first.stderr:
        if '"frames"' in line:
            break
    code, said = run(capsys, long, output, "--model", "debug", "--overwrite")
    assert code == 1
    assert f"process {first.pid}" in said and "since" in said
    first.communicate(timeout=120)
    assert first.returncode == 0
    assert len(frame_times(output)) == 48
    assert sorted(os.listdir(tmp_path)) == ["in.mp4", "out.mp4"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount a small file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)


def fill(folder: Path) -> None:
    with (folder / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def test_a_full_disk_keeps_what_is_done(
    clip: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, arguments = small_disk / "out.mp4", ("--crf", "0", *QUICK_ARGUMENTS)
    code, said = run(capsys, clip, output, *arguments)
    assert code == 1
    last = said.splitlines()[-1]
    assert "No space left on device" in last or "more are needed" in last
    assert "the same command goes on" in last
    assert [path.suffix for path in small_disk.iterdir()] == [".job"]
    code, said = run(capsys, clip, output, *arguments, "--restart", "--no-resume")
    assert code == 1 and "No space left on device" in said.splitlines()[-1]
    assert not output.exists()


@pytest.mark.parametrize("option", ["--report", "--preview"])
def test_a_full_disk_after_the_video_says_that_the_video_is_complete(
    clip: Path, tmp_path: Path, small_disk: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    output = tmp_path / "out.mp4"
    (small_disk / "filler").write_bytes(bytes(60 << 10))  # room for a lock, not for more
    extra = small_disk / ("a.json" if option == "--report" else "a.png")
    code, said = run(capsys, clip, output, *QUICK_ARGUMENTS, option, extra)
    assert code == 1
    assert "No space left on device" in said
    assert f"{output} was written and complete" in said
    assert len(frame_times(output)) == 6
    assert os.listdir(small_disk) == ["filler"]


def test_a_disk_that_is_full_before(
    clip: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(small_disk)
    code, said = run(capsys, clip, small_disk / "out.mp4", "--model", "debug")
    assert code == 1 and "No space left" in said
    assert os.listdir(small_disk) == ["filler"]


def test_json_is_written_whole_and_holds_any_file_name(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"source": "\udcff.mp4", "path": Path("x"), "n": [1, 2.5, None]})
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["n"] == [1, 2.5, None] and record["path"] == "x"
    record["source"].encode("utf-8")
    with pytest.raises(VideoWriteError, match="exists"):
        write_json(path, {})
    write_json(path, {}, overwrite=True)
    assert json.loads(path.read_text(encoding="utf-8")) == {}
