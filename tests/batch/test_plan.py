"""Inputs of all kinds are found, and what cannot work is told before work."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from batches import planned, settings_of
from videos import make_video

from vidrestore.batch.plan import plan_batch
from vidrestore.batch.state import BatchFolder, Video
from vidrestore.errors import UsageError, VideoOpenError, VideoWriteError, VidRestoreError


def tree(folder: Path, clip: bytes, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(clip)
    return folder


def outputs(folder: BatchFolder) -> list[str]:
    return sorted(video.output for video in folder.videos())


def test_trees_are_mirrored_and_only_videos_taken(tmp_path: Path, clip: bytes) -> None:
    names = ("N_123_01of04.mkv", "reel 2/b.mkv", "reel 2/notes.txt", ".hidden/c.mkv")
    source = tree(tmp_path / "in", clip, *names)
    folder = planned(source / "out", source)
    assert outputs(folder) == ["N_123_01of04.mkv", "reel 2/b.mkv"]
    assert all(video.planned == "ffv1, yuv420p" and video.frames == 4 for video in folder.videos())
    again = plan_batch(folder, settings_of(source), {})
    assert not again.new and again.known == 2


def test_patterns_and_manifests(tmp_path: Path, clip: bytes) -> None:
    source = tree(tmp_path / "in", clip, "a/one.mkv", "b/two.mkv", "c/three.mkv", "four.mkv")
    table = source / "list.csv"
    table.write_text(
        "input,output,strength,encode.drop\na/one.mkv,x/eins.mkv,0.5,\nfour.mkv,,,data"
    )
    lines = source / "list.jsonl"
    lines.write_text('{"input": "c/three.mkv", "blend.strength": 0.25}\n\n')
    folder = planned(tmp_path / "out", table, lines, source / "b" / "*.mkv")
    by_output = {video.output: video.options for video in folder.videos()}
    assert by_output == {
        "x/eins.mkv": {"blend.strength": "0.5"},
        "four.mkv": {"encode.drop": ["data"]},
        "three.mkv": {"blend.strength": 0.25},
        "two.mkv": {},
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("input,strenght\na.mkv,1", "unknown column 'strenght'; did you mean 'strength'"),
        ("input,strength\na.mkv,7", "line 2: blend.strength"),
        ("input\na.mkv,b.mkv", "line 2: more cells than columns; put what holds a ',' in"),
        ("input;strength\na.mkv;7", "line 2: blend.strength"),
        ("\ufeffinput,strength\n\n,,\n", "lists no videos"),
        ("", "lists no videos"),
        ("output\na.mkv", "line 2: needs a column 'input'"),
        ("input,run.device\na.mkv,cpu", "--devices"),
        ('input\na.mkv\n"b.mkv', "line 3"),
    ],
)
def test_a_wrong_manifest_names_its_line(
    tmp_path: Path, clip: bytes, text: str, words: str
) -> None:
    tree(tmp_path, clip, "a.mkv")
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(UsageError) as told:
        planned(tmp_path / "out", tmp_path / "list.csv")
    assert words in str(told.value)


def test_planning_tells_how_far_opening_is(
    tmp_path: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidrestore.video.read.survey._WATCHED", 10)
    tree(tmp_path / "in", clip, "a.mkv")
    make_video(tmp_path / "in" / "b.ts", codec="mpeg2video", size=(64, 48), pts=range(25))
    seen: list[tuple[float, int]] = []
    settings = settings_of(tmp_path / "in")
    plan_batch(BatchFolder(tmp_path / "out"), settings, {}, lambda *now: seen.append(now))
    done = [one[0] for one in seen]
    assert {one[1] for one in seen} == {2} and done == sorted(done)
    assert done[0] == 0 and done[-1] == 2 and sum(1 < one < 2 for one in done) > 1


def test_what_is_missing_exists_or_collides_is_told(tmp_path: Path, clip: bytes) -> None:
    source = tree(tmp_path / "in", clip, "a.mkv", "a.vob", "b.mkv")
    with pytest.raises(VideoOpenError, match=r"no such file: .*nothing.mkv"):
        planned(tmp_path / "out", source / "b.mkv", source / "nothing.mkv")
    with pytest.raises(UsageError, match=r"a.mkv and .*a.vob would both become a.mkv"):
        planned(tmp_path / "out", source)
    with pytest.raises(VideoWriteError, match=r"b.mkv is an input itself"):
        planned(source, source / "b.mkv")
    tree(tmp_path / "out", b"precious", "b.mkv")
    with pytest.raises(VideoWriteError, match=r"b.mkv exist already"):
        planned(tmp_path / "out", source / "b.mkv")
    assert not (tmp_path / "out" / "vidrestore-batch").exists()
    planned(tmp_path / "out", source / "b.mkv", **{"encode.overwrite": True})


def test_a_disk_that_is_too_full_is_told(
    tmp_path: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tree(tmp_path / "in", clip, "a.mkv")
    usage = namedtuple("usage", "total used free")(10**9, 10**9, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(VideoWriteError, match=r"are needed and 1 kB are free"):
        planned(tmp_path / "out", source)


def test_other_options_for_the_same_batch_are_refused_once_it_has_begun(
    tmp_path: Path, clip: bytes
) -> None:
    source = tree(tmp_path / "in", clip, "a.mkv")
    folder = planned(tmp_path / "out", source)
    changed = settings_of(source, **{"blend.strength": 0.5})
    plan_batch(folder, changed, {})
    assert folder.settings().config["blend"]["strength"] == 0.5
    [video] = folder.videos()
    record = json.loads((folder.root / "videos" / f"{video.id}.json").read_text())
    begun = {"begun": "", "host": "", "process": 1, "device": "", "seconds": 1.0, "problem": "x"}
    path = folder.root / "videos" / f"{video.id}.json"
    path.write_text(json.dumps(record | {"attempts": [begun]}))
    with pytest.raises(UsageError, match=r"other options \(blend.strength\)"):
        plan_batch(folder, settings_of(source), {})


def test_a_folder_without_a_batch_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no batch"):
        BatchFolder(tmp_path).settings()


def test_names_that_are_no_utf8_survive(tmp_path: Path) -> None:
    folder = BatchFolder(tmp_path)
    folder.create(settings_of(tmp_path))
    name = b"caf\xe9 \xff.mkv".decode("utf-8", "surrogateescape")
    folder.add([Video("x", f"/in/{name}", name)])
    assert [video.output for video in folder.videos()] == [name]


@pytest.mark.parametrize("text", ["", "[]", '{"format": "other"}', "{" * 100])
def test_a_damaged_state_is_named(tmp_path: Path, text: str) -> None:
    folder = BatchFolder(tmp_path)
    folder.create(settings_of(tmp_path))
    (folder.root / "videos" / "x.json").write_text(text)
    with pytest.raises(VidRestoreError, match=r"x\.json"):
        list(folder.videos())
