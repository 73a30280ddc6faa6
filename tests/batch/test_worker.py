"""Workers restore each video once, keep reasons, and publish nothing that is not theirs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from batches import planned
from clips import decoded_planes, face_frames, write_clip

from vidrestore.batch import state as state_module
from vidrestore.batch import worker as worker_module
from vidrestore.batch.leases import LeaseLostError
from vidrestore.batch.state import BatchFolder, Video
from vidrestore.batch.verify import verify_batch
from vidrestore.batch.worker import FullDiskError, Stopped, Worker
from vidrestore.config import resolve_config
from vidrestore.errors import OutputInUseError, VideoWriteError
from vidrestore.job import make_job
from vidrestore.jobs import one_pass as one_pass_module
from vidrestore.jobs.store import FolderStore, job_folder
from vidrestore.session import Session


@pytest.fixture
def folder(tmp_path: Path, clip: bytes) -> BatchFolder:
    """A batch of one video."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "tape.mkv").write_bytes(clip)
    return planned(tmp_path / "out", tmp_path / "in")


def only(folder: BatchFolder) -> Video:
    [video] = folder.videos()
    return video


def test_a_video_is_restored_recorded_and_checked(folder: BatchFolder, clip: bytes) -> None:
    Worker(folder).run()
    video, output = only(folder), folder.output / "tape.mkv"
    assert video.status == "done" and len(video.attempts) == 1 and video.frames_written == 4
    assert not any((folder.root / "work").iterdir()) and not any(
        (folder.root / "workers").iterdir()
    )
    record = json.loads(folder.file_of("records", video, ".json").read_text())
    assert record["output"]["path"] == record["report"]["output"] == str(output)
    picture = record["fixity"]["picture"]
    assert picture["lossless"] and picture["frames"] == 4 and picture["outside_faces"] == 0
    before, after = decoded_planes(Path(video.source)), decoded_planes(output)
    listed = {n for first, last, _ in picture["rectangles"] for n in range(first, last + 1)}
    for number, (one, other) in enumerate(zip(before, after, strict=True)):
        assert (number not in listed) == all(map(torch.equal, one, other))
        for first, last, boxes in picture["rectangles"]:
            for x, y, width, height in boxes if first <= number <= last else ():
                other[0][y : y + height, x : x + width] = one[0][y : y + height, x : x + width]
        assert torch.equal(one[0], other[0])  # luma differs nowhere else
    assert verify_batch(folder, frames=True) == (1, {})
    written = output.read_bytes()
    Worker(folder).run()
    assert output.read_bytes() == written and len(only(folder).attempts) == 1
    output.write_bytes(written + b"!")
    assert verify_batch(folder)[1] == {"tape.mkv": "has changed: its sha256 is another one"}


def test_a_broken_video_fails_with_reasons_and_is_tried_again_when_asked(
    folder: BatchFolder,
) -> None:
    source = Path(only(folder).source)
    whole = source.read_bytes()
    source.write_bytes(b"hello")
    Worker(folder).run()
    video = only(folder)
    assert video.status == "failed" and len(video.problems) == 2
    assert "not a video" in video.problems[0] and "tape.mkv" in video.problems[0]
    record = json.loads(folder.file_of("records", video, ".json").read_text())
    assert record["status"] == "failed" and record["problem"] == video.problems[1]
    assert record["program"]["vidrestore"] and record["options"]["restore"]["model"] == "debug"
    source.write_bytes(whole)
    lease = folder.leases.claim(video.id)
    assert lease is not None
    with lease:
        folder.retry(video, lease)
    Worker(folder).run()
    assert only(folder).status == "done"


def test_what_lost_its_lease_publishes_nothing(folder: BatchFolder) -> None:
    video = only(folder)
    lease = folder.leases.claim(video.id)
    assert lease is not None
    (folder.root / "leases" / f"{video.id}.2").touch()  # somebody else's
    with pytest.raises(LeaseLostError):
        Worker(folder)._attempt(video, lease)
    lease.release()
    assert not (folder.output / "tape.mkv").exists() and only(folder) == video


def test_a_worker_that_died_after_publishing_did_its_work(folder: BatchFolder) -> None:
    before = only(folder)
    Worker(folder).run()
    done = only(folder)
    died = replace(before, attempts=(replace(done.attempts[0], seconds=None),))
    lease = folder.leases.claim(before.id)
    assert lease is not None
    with lease:
        folder.write(died, lease)
    written = (folder.output / "tape.mkv").stat().st_mtime_ns
    Worker(folder).run()
    assert only(folder).status == "done" and len(only(folder).attempts) == 1
    assert (folder.output / "tape.mkv").stat().st_mtime_ns == written


def test_a_video_that_ends_its_worker_each_time_fails(folder: BatchFolder) -> None:
    video = only(folder)
    lease = folder.leases.claim(video.id)
    assert lease is not None
    with lease:
        died = worker_module.Attempt("now", "here", 1, "cpu")
        folder.write(replace(video, attempts=(died, died)), lease)
    Worker(folder).run()
    assert only(folder).status == "failed" and "without a word" in only(folder).problems[0]
    record = json.loads(folder.file_of("records", video, ".json").read_text())
    assert record["status"] == "failed" and "without a word" in record["problem"]


def test_a_death_after_which_more_is_stored_is_held_against_no_video(folder: BatchFolder) -> None:
    video = only(folder)
    died = worker_module.Attempt("now", "here", 1, "cpu")
    job = job_folder(folder.work_path(video), None)
    FolderStore(job).create()
    FolderStore(job).segment(0).write_bytes(b"")
    lease = folder.leases.claim(video.id)
    assert lease is not None
    with lease:
        folder.write(replace(video, attempts=(died, died)), lease)
    told = folder.root / "workers" / "1-abc.json"  # the dead one's
    state_module.write_json(told, {"video": video.id, "does": "restoring", "frames": 3})
    Worker(folder).run()
    ended = only(folder)
    assert ended.status == "done" and not told.exists()
    assert [one.counts for one in ended.attempts] == [True, False, True]


def test_a_damaged_video_that_is_kept_fails_once(tmp_path: Path, clip: bytes) -> None:
    source = tmp_path / "in" / "tape.mkv"
    source.parent.mkdir()
    source.write_bytes(clip[: len(clip) * 3 // 5])
    folder = planned(tmp_path / "out", source, **{"encode.keep_damaged": True})
    Worker(folder).run()
    video = only(folder)
    assert video.status == "failed" and len(video.attempts) == 1
    assert "is damaged; the output holds what there is" in video.problems[0]
    assert 0 < len(decoded_planes(folder.output / "tape.mkv")) < 4


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (VideoWriteError("full"), FullDiskError),
        (OutputInUseError("in use"), Stopped),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_what_is_not_the_videos_fault_is_no_attempt(
    folder: BatchFolder,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    raised: type[BaseException],
) -> None:
    error.__cause__ = OSError(28, "No space left on device") if raised is FullDiskError else None
    seen: list[BaseException] = []

    def fail(*arguments: object) -> None:
        seen.append(error)
        raise error

    monkeypatch.setattr(worker_module, "restore_claimed", fail)
    with pytest.raises(raised):
        Worker(folder, should_stop=lambda: bool(seen)).run()
    assert only(folder).attempts == () and only(folder).status == "waiting"
    assert folder.leases.holder(only(folder).id) is None


def test_edited_tracks_are_taken(folder: BatchFolder) -> None:
    from vidrestore.batch.preview import preview_video
    from vidrestore.batch.sessions import Sessions

    sheet = preview_video(folder, folder.settings(), only(folder), Sessions())
    assert sheet.read_bytes()[:2] == b"\xff\xd8"
    tracks = folder.file_of("tracks", only(folder), ".json")
    text = tracks.read_text()
    assert '"strength": 1.0' in text
    tracks.write_text(text.replace('"strength": 1.0', '"strength": 0.0'))
    Worker(folder).run()
    record = json.loads(folder.file_of("records", only(folder), ".json").read_text())
    assert record["report"]["faces"] == 0 and record["report"]["faces_left_alone"] == 4
    assert record["fixity"]["picture"]["identical"] == 4
    assert record["planned"]["statement"] == ""  # no tag says that faces were restored


def test_an_attempt_goes_on_where_a_killed_one_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its segments are there, and tell what they show and where they may differ from the input."""
    (tmp_path / "in").mkdir()
    frames = face_frames(12, width=160, height=120)
    write_clip(tmp_path / "in" / "tape.mkv", frames, codec="ffv1")
    once = planned(tmp_path / "whole", tmp_path / "in", **{"job.segment_s": 0.2})
    Worker(once).run()

    folder = planned(tmp_path / "out", tmp_path / "in", **{"job.segment_s": 0.2})
    video = only(folder)
    growing = folder.work_path(video)
    growing.parent.mkdir(parents=True)

    def die(store: object, job: object, frames: int, total: int) -> None:
        if frames:
            raise SystemExit("killed")

    config = folder.config_of(video, folder.settings())
    of_work = resolve_config(config, {"encode.overwrite": True})
    with monkeypatch.context() as patched, Session(config) as session:
        patched.setattr(one_pass_module, "check_space_left", die)
        with pytest.raises(SystemExit):
            session.run(make_job(Path(video.source), growing, of_work))
    [stored] = growing.parent.iterdir()
    assert len(list((stored / "segments").iterdir())) == 1
    Worker(folder).run()
    video = only(folder)
    assert video.status == "done", video.problems
    assert (folder.output / "tape.mkv").read_bytes() == (once.output / "tape.mkv").read_bytes()
    record, wanted = (
        json.loads(one.file_of("records", only(one), ".json").read_text()) for one in (folder, once)
    )
    assert record["fixity"]["picture"] == wanted["fixity"]["picture"]
    assert record["fixity"]["picture"]["outside_faces"] == 0 and record["report"]["frames"] == 12
    page, whole_page = (
        one.file_of("pages", only(one), ".html").read_text().split("<h2>People</h2>")[1]
        for one in (folder, once)
    )
    shown, wanted_shown = (text.split("<h2>Fixity</h2>")[0] for text in (page, whole_page))
    assert shown == wanted_shown and shown.count("<img-comparison-slider ") == 1
