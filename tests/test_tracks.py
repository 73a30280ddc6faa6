"""Tracks as a file: what is found once can be used again, and edited."""

from __future__ import annotations

import json
import re
from pathlib import Path

import av
import numpy as np
import pytest
from clips import face_frames, write_clip
from hypothesis import given
from hypothesis import strategies as st
from quick import QUICK

from vidrestore import frame_to_rgb, inspect_video, restore_frames, restore_video, track_bounds
from vidrestore.cli.main import main
from vidrestore.config import resolve_config
from vidrestore.errors import UsageError
from vidrestore.stages.apply_tracks import apply_tracks
from vidrestore.track_file import from_word, to_word
from vidrestore.tracks import Tracks, load_tracks
from vidrestore.video.read.reader import VideoReader

OPTIONS = {"model": "debug", "config": resolve_config(None, QUICK)}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("tracks") / "face.mkv", face_frames(30), codec="ffv1")


@pytest.fixture(scope="module")
def tracks(clip: Path) -> Tracks:
    return inspect_video(clip, config=OPTIONS["config"])


@pytest.fixture
def file(tracks: Tracks, tmp_path: Path) -> Path:
    path = tmp_path / "tracks.json"
    path.write_text(tracks.to_json(), encoding="utf-8")
    return path


def edited(file: Path, change) -> Path:
    record = json.loads(file.read_text())
    change(record)
    file.write_text(json.dumps(record))
    return file


def face(record: dict, name: str, value: object) -> None:
    """Gives the face of track 0 in frame 7 another value; places are then those of frame 0."""
    track = record["tracks"][0]
    if name == "motions":
        track["motions"][7] = value
        return
    track["motions"][7], row = None, track["places"][0]
    track["places"][7] = [*value, *row[10:]] if name == "landmarks" else [*row[:10], *value]


def word(record: dict, letters: str) -> None:
    record["tracks"][0]["places"][7] = letters


def crowd(record: dict, count: int) -> None:
    record["tracks"] += [record["tracks"][0] | {"id": 100 + n} for n in range(count - 1)]


def shorten(record: dict, frames: int) -> None:
    """Leaves the first frames of a file, in which track 0 is seen throughout."""
    record.update(frames=frames, time_steps_ms=record["time_steps_ms"][:frames], cuts=[])
    record["detected_frames"] = [frame for frame in record["detected_frames"] if frame < frames]
    [person] = [track for track in record["tracks"] if track["frames"] == [[0, 29]]]
    for name in ("places", "motions", "detected"):
        person[name] = person[name][:frames]
    person |= {"frames": [[0, frames - 1]], "scores": [[900, frames]], "seen_gates": [["", frames]]}
    record["tracks"] = [person | {"seen_strength_percent": [[100, frames]]}]


def pictures(clip: Path, **options: object) -> list[np.ndarray]:
    return [frame_to_rgb(frame) for frame in restore_frames(clip, end=0.24, **OPTIONS, **options)]


def test_the_file_says_what_was_found(tracks: Tracks, file: Path) -> None:
    assert load_tracks(file) == tracks
    assert (tracks.frames, tracks.cuts, tracks.detector) == (30, [], "embedded")
    # Every fifth frame, and some more where something stirs at the border.
    assert set(range(0, 30, 5)) <= set(tracks.detected_frames)
    assert len(tracks.detected_frames) <= 9
    person = max(tracks.tracks, key=lambda track: len(track.frames))
    assert person.frames == list(range(30))
    assert [i for i, seen in enumerate(person.detected) if seen] == tracks.detected_frames
    assert person.seen_strengths == [1.0] * 30


def test_a_run_with_the_file_gives_the_same_bytes(tmp_path: Path) -> None:
    clip, file = tmp_path / "clip.mkv", tmp_path / "tracks.json"
    write_clip(clip, face_frames(8), codec="ffv1")
    file.write_text(inspect_video(clip, config=OPTIONS["config"]).to_json(), encoding="utf-8")
    looked, given = tmp_path / "looked.mkv", tmp_path / "given.mkv"
    restore_video(clip, looked, codec="ffv1", **OPTIONS)
    report = restore_video(clip, given, codec="ffv1", tracks=file, **OPTIONS)
    assert looked.read_bytes() == given.read_bytes()
    assert report.frames_detected == len(load_tracks(file).detected_frames) and report.faces >= 8


def bytes_at_30_frames_a_second(tracks: Tracks) -> float:
    """Of a face and second."""
    return 30 * len(tracks.to_json()) / sum(len(track.frames) for track in tracks.tracks)


def test_the_file_is_compact(tracks: Tracks) -> None:
    assert bytes_at_30_frames_a_second(tracks) <= 2000


@given(st.lists(st.integers(-40, 40), min_size=14, max_size=14))
def test_small_numbers_are_words(row: list[int]) -> None:
    written = to_word(row)
    assert isinstance(written, str) == (max(map(abs, row)) <= 26)
    assert from_word(written) == row


def test_words_are_as_the_module_says() -> None:
    assert to_word([1, 0, -2, 26, -26]) == "A0bZz"


@pytest.mark.soak
def test_the_file_of_a_real_clip_is_compact(shared: Path) -> None:
    found = inspect_video(shared / "clips" / "old_tv_1.mp4", end=3)
    assert bytes_at_30_frames_a_second(found) <= 2000


def test_tracks_are_taken_as_an_object(clip: Path, tracks: Tracks) -> None:
    person = max(tracks.tracks, key=lambda track: len(track.frames))
    half = person.model_copy(update={"strength": 0.5})
    with VideoReader(clip, resolve_config(None, {}).decode, threads=1) as reader:
        frames = list(apply_tracks(reader.frames(), tracks.model_copy(update={"tracks": [half]}),
                                   None, "mine"))  # fmt: skip
    assert [frame.faces[0].strength for frame in frames] == [0.5] * 30
    places = [frame.faces[0].landmarks.ravel().tolist() for frame in frames]
    assert places == person.landmarks
    assert [frame.index for frame in frames if frame.detected] == tracks.detected_frames

    wrong = tracks.model_copy(update={"width": 0})
    with pytest.raises(UsageError, match="tracks mine: width: must be"):
        next(apply_tracks(frames, wrong, None, "mine"))


def test_a_person_can_be_left_alone_or_restored_in_part(
    clip: Path, tracks: Tracks, file: Path
) -> None:
    full, source = pictures(clip, tracks=file), pictures(clip, strength=0)

    def half(record: dict) -> None:
        for track in record["tracks"]:
            track["strength"] = 0.5

    partly = pictures(clip, tracks=edited(file, half))
    changes = [
        np.abs(np.int16(a) - np.int16(b)).mean() for a, b in zip(partly, source, strict=True)
    ]
    wholes = [np.abs(np.int16(a) - np.int16(b)).mean() for a, b in zip(full, source, strict=True)]
    assert np.mean(changes) == pytest.approx(0.5 * np.mean(wholes), rel=0.1)

    none = pictures(clip, tracks=edited(file, lambda record: record["tracks"].clear()))
    assert all(np.array_equal(a, b) for a, b in zip(none, source, strict=True))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r.update(width=100), "made for .* of 100x"),
        (lambda r: r.update(start=2.0), "made from second 2, not 0"),
        (lambda r: shorten(r, 9), "end at frame 9"),
        (lambda r: r.update(frames=9), "frames: 9, but 30 times"),
        (
            lambda r: r.update(version=2),
            "version: .*2 is not .* 3; make it anew by `vidrestore insp",
        ),
        (
            lambda r: r.update(version=4),
            "version: .*4 is not .* 3; make it anew by `vidrestore insp",
        ),
        (lambda r: r.pop("version"), "version"),
        (lambda r: r.update(unit_px=0.5), "unit_px: .* must be 0.015625"),
        (lambda r: r["tracks"][0].update(strength=2), "tracks.0.strength"),
        (lambda r: r["tracks"][0]["places"].pop(), "30 frames, but 29 places"),
        (lambda r: word(r, "A" * 13), r"tracks\.0\.places\.7: .* 14 items"),
        (lambda r: word(r, "A" * 13 + "ä"), r"tracks\.0\.places\.7: .*a word of 0, A to Z"),
        (lambda r: r["tracks"].append(r["tracks"][0]), "same id"),
        (lambda r: face(r, "landmarks", [3200] * 10), "track 0, frame 7: .* in one place"),
        (lambda r: face(r, "landmarks", [6_400_000] * 10), "track 0, frame 7: its landmarks lie"),
        (lambda r: face(r, "boxes", [0, 0, 6_400_000, 9]), "track 0, frame 7: its box lies"),
        (lambda r: face(r, "boxes", [9, 9, 9, 9]), "frame 7: its box has no width"),
        (lambda r: face(r, "motions", [-16384, 0, 0, 0]), "frame 7: its motion shrinks"),
        (lambda r: face(r, "motions", [10**9] * 4), "its motion is too large"),
        (lambda r: r["tracks"][0].update(scores=[[900, 7], [7000, 23]]), "frame 7: its score"),
        (
            lambda r: r["tracks"][0].update(scores=[[900, 2**31]]),
            "30 frames, but 2147483648 scores",
        ),
        (lambda r: r["tracks"][0].update(frames=[[0, 2**31]]), "2147483649 frames, but 30 places"),
        (lambda r: r["tracks"][0].update(frames=[[20, 29], [0, 19]]), "frames do not rise"),
        (lambda r: r["tracks"][0].update(frames=[[0, 9], [11, 30]]), "a motion where no frame"),
        (lambda r: face(r, "landmarks", [float("nan")] * 10), "places.7"),
        (lambda r: r["tracks"][0].update(frames=[[0, 10**30]]), r"tracks\.0\.frames\.0"),
        (lambda r: r["tracks"][0].update(id=10**400), r"tracks\.0\.id"),
        (lambda r: r["detected_frames"].append(1000), "detected_frames: a frame that is none"),
        (lambda r: r["time_steps_ms"].pop(), "30, but 29 times"),
        (lambda r: r["time_steps_ms"].insert(1, r["time_steps_ms"].pop() - 100), "out of order"),
        (lambda r: r.update(width=0), "width"),
        (lambda r: crowd(r, 129), "frame 0: 1(29|30) faces, at most 128"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    clip: Path, file: Path, tmp_path: Path, change, said: str
) -> None:
    output = tmp_path / "out.mkv"
    with pytest.raises(UsageError, match=said):
        restore_video(clip, output, tracks=edited(file, change), **OPTIONS)
    assert not output.exists()


def test_what_is_no_tracks_file_is_refused(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "not.json").write_text("[1]")
    for name, said in (("not.json", "vidrestore inspect"), ("none.json", "check the path")):
        with pytest.raises(UsageError, match=said):
            restore_video(clip, tmp_path / "out.mkv", tracks=tmp_path / name, **OPTIONS)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"[" * 100_000, "recursion|JSON"),
        (b'{"a":' * 100_000, "recursion|JSON|a"),
        (b'{"version": ' + b"9" * 100_000 + b"}", "JSON|version"),
        (b"\xff\xfe", "JSON"),
        (b"", "JSON"),
    ],
)
def test_hostile_json_is_refused_in_one_line(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "t.json").write_bytes(data)
    with pytest.raises(UsageError, match=said) as caught:
        load_tracks(tmp_path / "t.json")
    assert len(str(caught.value)) < 600 and "\n" not in str(caught.value)


def test_a_tracks_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "t.json").open("wb") as file:
        file.truncate(track_bounds.MOST_BYTES + 1)
    with pytest.raises(UsageError, match="bytes, more than the"):
        load_tracks(tmp_path / "t.json")


def test_inspect_writes_tracks_overlay_and_plot(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, video, plot = (tmp_path / name for name in ("t.json", "overlay.mp4", "plot.png"))
    command = ["inspect", str(clip), "--out", str(out), "--video", str(video), "--plot", str(plot)]
    assert main([*command, "--end", "0.24"]) == 0
    assert re.match(r"6 frames, [234] with detection, 0 cuts", capsys.readouterr().out)
    assert load_tracks(out).frames == 6
    with av.open(str(video)) as drawn:
        frames = [frame.to_ndarray(format="rgb24") for frame in drawn.decode(video=0)]
        assert frames[0].shape == frame_to_rgb(next(iter(restore_frames(clip, **OPTIONS)))).shape
    assert len(frames) == 6
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["overlay.mp4", "plot.png", "t.json"]


def test_inspect_leaves_nothing_behind_when_it_fails(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    out, video = tmp_path / "t.json", tmp_path / "overlay.mp4"
    assert main(["inspect", str(text), "--out", str(out), "--video", str(video)]) == 1
    assert main(["inspect", str(text), "--out", str(out), "--video", str(out)]) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["text.mp4"]
