"""What the report and the summary say about faces: restored ones apart from those left alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from clips import face_frames, write_clip
from videos import make_video

from vidrestore import inspect_video, restore_video
from vidrestore.cli import main
from vidrestore.runtime.words import counted
from vidrestore.structs import RestoreReport


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two equal faces side by side, of different size, in three frames."""
    frames = []
    for image in face_frames(3, width=320, height=240):
        small = np.zeros_like(image)
        small[60:180, 80:240] = image[::2, ::2]
        frames.append(np.concatenate([image, small], axis=1))
    return write_clip(tmp_path_factory.mktemp("two") / "two.mkv", frames, codec="ffv1")


def restored(clip: Path, folder: Path, **options: object) -> RestoreReport:
    return restore_video(clip, folder / "out.mkv", model="debug", overwrite=True, **options)


@pytest.fixture(scope="module")
def found(clip: Path) -> str:
    return inspect_video(clip).to_json()


def tracks_without(found: str, folder: Path, *persons: int) -> Path:
    record = json.loads(found)
    people = sorted(record["tracks"], key=lambda track: len(track["places"]))[-2:]
    record["tracks"] = sorted(people, key=lambda track: track["id"])
    for number, track in enumerate(record["tracks"]):
        track["id"] = number
        track["strength"] = 0.0 if track["id"] in persons else 1.0
    path = folder / "tracks.json"
    path.write_text(json.dumps(record))
    return path


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([str(a) for a in (*arguments, "--model", "debug", "--overwrite")]) == 0
    return capsys.readouterr().err


def test_people_of_strength_0_are_not_restored(
    clip: Path, found: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one_off = tracks_without(found, tmp_path, 1)
    report = restored(clip, tmp_path, tracks=one_off)
    assert (report.faces, report.faces_left_alone) == (3, 3)
    assert [track.restored_frames for track in report.tracks] == [3, 0]
    told = said(capsys, clip, tmp_path / "a.mkv", "--tracks", one_off)
    assert "3 frames, 3 faces of 1 person restored with debug" in told
    assert "3 faces left alone (strength 0), 1 person throughout" in told


@pytest.mark.parametrize("way", ["tracks", "strength"])
def test_a_run_that_restores_nobody_says_so(
    clip: Path, found: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    options = {
        "tracks": ["--tracks", tracks_without(found, tmp_path, 0, 1)],
        "strength": ["--strength", 0],
    }[way]
    told = said(capsys, clip, tmp_path / "a.mkv", *options)
    assert "no face was restored: 3 frames encoded again but not changed" in told
    assert re.search(r"\d+ faces left alone \(strength 0\), \d people throughout", told)


def test_faces_beyond_the_limit_are_left_alone_and_counted(
    clip: Path, found: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = said(capsys, clip, tmp_path / "a.mkv", "--max-faces", 1)
    assert "3 faces of 1 person restored" in told
    assert re.search(r"\d faces? beyond --max-faces left alone, the smallest of their", told)
    given = restored(
        clip,
        tmp_path,
        tracks=tracks_without(found, tmp_path),
        config=_preset(tmp_path, "detect: {max_faces: 1}"),
    )
    assert (given.faces, given.faces_left_alone, given.faces_beyond_limit) == (3, 3, 3)
    assert sorted(str(track.gated_by) for track in given.tracks) == ["{'count': 3}", "{}"]


def _preset(folder: Path, text: str) -> Path:
    path = folder / "preset.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("interlaced", "scan"), [(True, "top_field_first"), (False, "progressive")]
)
def test_the_report_counts_interlaced_frames(tmp_path: Path, interlaced: bool, scan: str) -> None:
    source = make_video(tmp_path / "in.mkv", interlaced=interlaced, pts=range(3))
    report = restore_video(source, tmp_path / "out.mkv", model="debug")
    assert report.scans == {scan: 3}
    assert not report.notes


def test_counted_words() -> None:
    assert [counted(n, "face") for n in (0, 1, 2)] == ["0 faces", "1 face", "2 faces"]
    assert counted(2, "person", "people") == "2 people"
