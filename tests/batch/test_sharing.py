"""One film by several workers: no segment is lost, and the bytes are those of one worker."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest
from batches import planned
from clips import face_frames, write_clip
from hypothesis import given
from hypothesis import strategies as st

from vidrestore.batch import attempt as attempt_module
from vidrestore.batch.attempt import Here
from vidrestore.batch.film import Film
from vidrestore.batch.helper import Helper
from vidrestore.batch.local import run_local
from vidrestore.batch.overview import Overview
from vidrestore.batch.sessions import Sessions
from vidrestore.batch.sharing import choose_start, is_shared
from vidrestore.batch.state import Attempt, BatchFolder, Video
from vidrestore.batch.worker import Worker
from vidrestore.config import RestoreConfig
from vidrestore.errors import JobError, SegmentDiffersError
from vidrestore.jobs import segment as segment_module
from vidrestore.jobs import storing as storing_module
from vidrestore.jobs.segment import OpenedJob
from vidrestore.jobs.store import FolderStore
from vidrestore.video.write.packet_file import PacketFile, PacketFileWriter

OPTIONS = {"job.segment_s": 0.2, "detect.size_px": 96, "temporal_filter.strength": 0.0}


@pytest.fixture
def folder(tmp_path: Path) -> BatchFolder:
    """A batch of one film of a few segments."""
    (tmp_path / "in").mkdir()
    frames = face_frames(24, width=96, height=64)
    write_clip(tmp_path / "in" / "film.mkv", frames, codec="ffv1")
    return planned(tmp_path / "out", tmp_path / "in", **OPTIONS)


def only(folder: BatchFolder) -> Video:
    [video] = folder.videos()
    return video


def config_of(folder: BatchFolder) -> RestoreConfig:
    return folder.config_of(only(folder), folder.settings())


def alone(folder: BatchFolder) -> bytes:
    """What one worker makes of the same film."""
    other = planned(folder.output.parent / "alone", Path(only(folder).source), **OPTIONS)
    Worker(other).run()
    return (other.output / "film.mkv").read_bytes()


def record_of(folder: BatchFolder) -> dict[str, object]:
    record: dict[str, object] = json.loads(
        folder.file_of("records", only(folder), ".json").read_text()
    )
    return record


def test_a_worker_without_a_video_takes_segments(
    folder: BatchFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks, the holder goes over to segments, and it takes what is free meanwhile."""
    monkeypatch.setattr(attempt_module, "_LOOK_EVERY_S", 0.0)
    helped: list[int] = []
    sessions = Sessions()
    helper = Helper(
        folder,
        sessions,
        lambda video: config_of(folder),
        lambda video, what, n, share: helped.append(n),
    )
    video = only(folder)
    lease = folder.leases.claim(video.id)
    assert lease is not None
    video = replace(video, attempts=(Attempt("now", "here", 1, "cpu"),))
    with lease:
        folder.write(video, lease)
        growing = folder.work_path(video)
        growing.parent.mkdir()
        seen: list[str] = []

        def step(what: str, frames: int, share: float | None) -> None:
            seen.append(what)
            if seen.count("restoring") == 3:
                assert not helper.help() and not is_shared(growing.parent)  # it only asks
            if what == "restoring" and is_shared(growing.parent):
                helper.help()

        here = Here(folder, video, config_of(folder), sessions, step, lambda: None)
        report = here.restore({})
    assert report.frames == 24 and 0 < len(helped) < 24
    steps = [what for what, _ in groupby(seen) if what != "restoring"]
    assert steps == ["analysis", "joining", "checking"]
    assert growing.read_bytes() == alone(folder)
    assert report.notes == () and report.stage_seconds["restoring"] > 0
    picture = record_of(folder)["fixity"]["picture"]  # type: ignore[index]
    assert picture["lossless"] and picture["outside_faces"] == 0
    page = folder.file_of("pages", video, ".html").read_text()
    assert page.count("<img-comparison-slider ") == 1 and "1 on" not in page


@given(st.lists(st.sampled_from(["free", "held", "stored"]), max_size=12))
def test_a_worker_begins_where_nobody_is_coming(states: list[str]) -> None:
    free = [n for n, state in enumerate(states) if state == "free"]
    stored = {n for n, state in enumerate(states) if state == "stored"}
    start = choose_start(free, stored)
    assert (start is None) == (not free)
    if start is not None:
        row = [n for n in range(start, len(states)) if set(range(start, n + 1)) <= set(free)]
        assert start in free and 2 * len(row) >= len(max(_rows(states), key=len))


def _rows(states: list[str]) -> list[str]:
    return "".join("f" if state == "free" else " " for state in states).split() or [""]


def analysed(folder: BatchFolder) -> Film:
    video = only(folder)
    growing = folder.work_path(video)
    growing.parent.mkdir()
    film = Film(Path(video.source), growing, config_of(folder))
    assert film.analyse() >= 4
    return film


def test_a_late_segment_is_harmless_if_it_is_the_same_and_an_error_if_not(
    folder: BatchFolder,
) -> None:
    film = analysed(folder)
    opened, path = OpenedJob(film.folder), FolderStore(film.folder).segment(1)
    opened.restore([1])
    first = path.read_bytes()
    opened.restore([1])
    assert path.read_bytes() == first and len(list(path.parent.iterdir())) == 1
    there = PacketFile(path)
    packets = list(there.packets())
    path.unlink()
    with PacketFileWriter(path) as file:  # as another machine might have restored it
        file.add([replace(packets[0], data=packets[0].data[:-1] + b"?"), *packets[1:]])
        file.publish(there.record | {"origin": {"device": "Abacus 9000"}})
    with pytest.raises(SegmentDiffersError, match="on Abacus 9000 and on cpu"):
        opened.restore([1])
    assert len(list(path.parent.glob("*.packets"))) == 1
    opened.restore([0])
    opened.restore(list(range(2, len(opened))))
    with pytest.raises(JobError, match="Abacus 9000"):
        film.join(0, 0)
    Worker(folder).run()  # fails once, and begins anew
    video = only(folder)
    assert video.status == "done" and "Abacus 9000" in (video.attempts[0].problem or "")
    assert video.attempts[1].problem is None


def test_devices_of_several_kinds_are_noted_and_refused_when_asked(
    folder: BatchFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = analysed(folder)
    opened = OpenedJob(film.folder)
    with monkeypatch.context() as patched:
        patched.setattr(storing_module, "device_kind", lambda device: "Abacus 9000")
        opened.restore([0, 1])
    opened.restore(list(range(2, len(opened))))
    restored = film.join(0, 0)
    assert restored.device["segments"]["Abacus 9000"] == 2
    [note] = restored.report.notes
    assert "several kinds of device" in note and "2 on Abacus 9000" in note
    plan = FolderStore(film.folder).read("plan")
    plan["configuration"]["job"]["same_device"] = True
    FolderStore(film.folder).write("plan", plan)
    with monkeypatch.context() as patched:
        patched.setattr(segment_module, "device_kind", lambda device: "Abacus 9000")
        with pytest.raises(JobError, match=r"begun on cpu.*this is Abacus 9000.*--same-device"):
            OpenedJob(film.folder)
    OpenedJob(film.folder)


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
@pytest.mark.soak
@pytest.mark.parametrize("killed_one", ["holder", "helper"])
def test_one_of_two_workers_is_killed_in_the_middle_of_a_segment(
    tmp_path: Path, killed_one: str
) -> None:
    (tmp_path / "in").mkdir()
    write_clip(tmp_path / "in" / "film.mkv", face_frames(120, width=160, height=120), codec="ffv1")
    folder = planned(tmp_path / "out", tmp_path / "in", **{"job.segment_s": 0.4})
    video = only(folder)
    work, killed = folder.work_path(video).parent, list[int]()

    def kill_one(now: Overview) -> None:
        holder = folder.leases.holder(video.id)
        for path in (folder.root / "workers").glob("*.json") if not killed else ():
            told = json.loads(path.read_text())
            process = int(path.name.split("-")[0])
            is_holder = holder is not None and process == holder.process
            at_work = told["does"] == "restoring" and told["frames"] > 0 and is_shared(work)
            if at_work and is_holder == (killed_one == "holder"):
                os.kill(process, signal.SIGKILL)
                killed.append(process)
                return

    run_local(folder, ["cpu", "cpu"], each=kill_one)
    video = only(folder)
    assert video.status == "done" and len(killed) == 1, video.problems
    assert len(video.attempts) == (2 if killed_one == "holder" else 1)
    once = planned(tmp_path / "alone", tmp_path / "in", **{"job.segment_s": 0.4})
    Worker(once, "cpu", threads=1).run()
    assert (folder.output / "film.mkv").read_bytes() == (once.output / "film.mkv").read_bytes()
    picture = record_of(folder)["fixity"]["picture"]  # type: ignore[index]
    assert picture["outside_faces"] == 0 and picture["frames"] == 120
    assert not any((folder.root / "work").iterdir())
