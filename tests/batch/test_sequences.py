"""Folders of scanned pictures are videos of a batch; pictures as outputs are refused."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from batches import planned, settings_of
from clips import face_frames

from vidrestore.batch.plan import plan_batch
from vidrestore.batch.state import BatchFolder
from vidrestore.batch.verify import verify_batch
from vidrestore.batch.watch import Watch
from vidrestore.batch.worker import Worker
from vidrestore.errors import UsageError

AT_24 = {"decode.fps": 24, "encode.profile": "ffv1"}


def write_reel(folder: Path, ending: str = "tif") -> Path:
    folder.mkdir(parents=True)
    for number, image in enumerate(face_frames(3, width=96, height=64)):
        cv2.imwrite(str(folder / f"scan_{number:04}.{ending}"), image[..., ::-1])
    return folder


def outputs(folder: BatchFolder) -> list[str]:
    return sorted(video.output for video in folder.videos())


def test_a_folder_of_scans_is_a_video(tmp_path: Path, clip: bytes) -> None:
    write_reel(tmp_path / "in" / "box 1" / "reel.2")
    write_reel(tmp_path / "in" / "stills", "png")  # a folder of pictures that need be no video
    (tmp_path / "in" / "tape.mkv").write_bytes(clip)
    folder = planned(tmp_path / "out", tmp_path / "in", **AT_24)
    assert outputs(folder) == ["box 1/reel.2.mkv", "tape.mkv"]
    Worker(folder, "cpu").run()
    assert [(video.status, video.problems) for video in folder.videos()] == [("done", ())] * 2
    record = json.loads((folder.root / "records" / "box 1" / "reel.2.mkv.json").read_text())
    assert record["report"]["frames"] == 3 and record["fixity"]["input_sha256"] is None
    picture = record["fixity"]["picture"]
    assert picture["lossless"] and picture["outside_faces"] == 0 and picture["unrepeatable"] == 0
    page = (folder.root / "pages" / "box 1" / "reel.2.mkv.html").read_text()
    assert page.count("<img-comparison-slider ") == 1
    assert verify_batch(folder, frames=True) == (2, {})


def test_sequences_are_named_in_every_way(tmp_path: Path) -> None:
    source = tmp_path / "in"
    write_reel(source / "one")
    write_reel(source / "two", "png")
    write_reel(source / "three")
    table = source / "list.csv"
    table.write_text("input,output\nthree,drei.mkv\n")
    inputs = (source / "one", source / "two" / "scan_%04d.png", table)
    assert outputs(planned(tmp_path / "a", *inputs, **AT_24)) == ["drei.mkv", "one.mkv", "two.mkv"]
    assert outputs(planned(tmp_path / "b", source / "t*", **AT_24)) == ["three.mkv"]
    [video] = planned(tmp_path / "c", source / "one").videos()  # nobody knows how fast it is
    assert not video.planned and "add --fps" in video.warnings[0]


@pytest.mark.parametrize("output", ["drei", "drei/%04d.dpx", "drei.tif"])
def test_pictures_as_outputs_are_refused_with_a_way_out(tmp_path: Path, output: str) -> None:
    write_reel(tmp_path / "in" / "three")
    (tmp_path / "in" / "list.csv").write_text(f"input,output\nthree,{output}\n")
    with pytest.raises(UsageError, match=r"a batch writes videos; name one, such as .*\.mkv, or"):
        planned(tmp_path / "out", tmp_path / "in" / "list.csv", **AT_24)
    settings = settings_of(tmp_path / "in" / "three", ending=".dpx")
    with pytest.raises(UsageError, match=r"--ending \.dpx.*vidrestore IN OUT_FOLDER"):
        plan_batch(BatchFolder(tmp_path / "out"), settings, {})


def test_a_folder_that_is_being_scanned_into_is_waited_for(tmp_path: Path, clip: bytes) -> None:
    source, now = tmp_path / "in", [1000.0]
    source.mkdir()
    (source / "tape.mkv").write_bytes(clip)
    folder = planned(tmp_path / "out", source, **AT_24)
    watch = Watch(folder, {}, clock=lambda: now[0])
    reel = write_reel(source / "reel")
    assert watch.look() == 0
    now[0] += 20
    (reel / "scan_0003.tif").write_bytes((reel / "scan_0002.tif").read_bytes())
    assert watch.look() == 0
    now[0] += 29
    assert watch.look() == 0
    now[0] += 6
    assert watch.look() == 1
