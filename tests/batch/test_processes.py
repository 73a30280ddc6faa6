"""Workers in processes of their own, killed and on machines whose clocks are wrong."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from batches import planned, settings_of

from vidrestore.batch.local import assign_devices, run_local
from vidrestore.batch.overview import Overview, Watcher
from vidrestore.batch.state import BatchFolder, Video
from vidrestore.errors import VideoOpenError

posix = pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")


def make_batch(place: Path, clip: bytes, right: int, broken: int) -> BatchFolder:
    (place / "in").mkdir()
    for number in range(right + broken):
        data = clip if number >= broken else clip[: 300 * number]
        (place / "in" / f"N_{number:02}.mkv").write_bytes(data)
    return planned(place / "out", place / "in")


def kill_one(folder: BatchFolder) -> tuple[Callable[[Overview], None], list[int]]:
    """A callback that kills the first process that it sees at work on a video, once."""
    killed: list[int] = []

    def each(now: Overview) -> None:
        for video in folder.videos() if not killed else ():
            holder = folder.leases.holder(video.id)
            if holder is not None and video.attempts and video.status == "waiting":
                os.kill(holder.process, signal.SIGKILL)
                killed.append(holder.process)
                break

    return each, killed


def check(folder: BatchFolder, right: int, broken: int, killed: list[int]) -> list[Video]:
    videos = list(folder.videos())
    counts = Counter(video.status for video in videos)
    assert (counts["done"], counts["failed"]) == (right, broken) and len(videos) == right + broken
    assert len(killed) == 1
    died = [one for video in videos for one in video.attempts if one.seconds is None]
    assert [one.process for one in died] == killed
    for video in videos:
        whole = [one for one in video.attempts if one.seconds is not None]
        assert len(whole) == 1 if video.status == "done" else video.problems
    sums = {
        hashlib.sha256((folder.output / video.output).read_bytes()).hexdigest()
        for video in videos
        if video.status == "done"
    }
    assert len(sums) == 1  # of equal inputs
    assert not any((folder.root / "work").iterdir())
    assert not [path for path in folder.root.rglob(".*") if path.is_file()]
    return videos


@posix
def test_a_killed_workers_video_is_taken_again(tmp_path: Path, clip: bytes) -> None:
    folder = make_batch(tmp_path, clip, 3, 1)
    each, killed = kill_one(folder)
    watcher = run_local(folder, ["cpu", "cpu"], each=each)
    now = watcher.look()
    assert (now.done, now.failed, now.frames, now.frames_total) == (3, 1, 12, 12)
    check(folder, 3, 1, killed)


@posix
@pytest.mark.soak
def test_twelve_videos_three_broken_two_workers_one_killed(tmp_path: Path, clip: bytes) -> None:
    folder = make_batch(tmp_path, clip, 9, 3)
    each, killed = kill_one(folder)
    run_local(folder, ["cpu", "cpu"], each=each)
    check(folder, 9, 3, killed)


MACHINE = """
import sys, time
from pathlib import Path
wrong = float(sys.argv[3])
right = time.time
time.time = lambda: right() + wrong
from vidrestore.batch.leases import LeaseFolder
from vidrestore.batch.state import BatchFolder
from vidrestore.batch.worker import Worker
from vidrestore.runtime.host import Host
name = sys.argv[2]
leases = LeaseFolder(
    Path(sys.argv[1], "vidrestore-batch", "leases"),
    host=Host(name, name, name), heartbeat_s=0.5, stale_s=5,
)
Worker(BatchFolder(sys.argv[1], leases=leases), "cpu").run()
"""


def machine(folder: BatchFolder, name: str, wrong_s: float) -> subprocess.Popen[bytes]:
    given = [str(folder.output), name, str(wrong_s)]
    return subprocess.Popen([sys.executable, "-c", MACHINE, *given])


@posix
@pytest.mark.soak
def test_two_machines_with_wrong_clocks_share_a_folder_and_one_dies(
    tmp_path: Path, clip: bytes
) -> None:
    folder = make_batch(tmp_path, clip, 6, 0)
    machines = [machine(folder, "early", -7200), machine(folder, "late", 86400)]
    each, killed = kill_one(folder)
    watcher = Watcher(folder)
    while not killed:
        each(watcher.look())
        time.sleep(0.05)
    codes = [process.wait(300) for process in machines]
    assert sorted(codes) == [-signal.SIGKILL, 0]
    videos = check(folder, 6, 0, killed)
    assert {one.host for video in videos for one in video.attempts} == {"early", "late"}


CLAIM_ALL = """
import sys
from dataclasses import replace
from vidrestore.batch.state import BatchFolder
folder = BatchFolder(sys.argv[1])
for key in folder.ids():
    lease = folder.leases.claim(key)
    if lease is not None:
        with lease:
            video = folder.read(key)
            if video.status == "waiting":
                folder.write(replace(video, status="done"), lease)
                print(key)
"""


def queue(place: Path, count: int) -> BatchFolder:
    folder = BatchFolder(place)
    folder.create(settings_of(place))
    begun = time.perf_counter()
    folder.add(Video(f"v{n:05}", f"/in/{n}.mkv", f"{n}.mkv", frames=10) for n in range(count))
    print(f"{count} added in {time.perf_counter() - begun:.1f} s")
    return folder


def claim_with_two(folder: BatchFolder) -> None:
    begun = time.perf_counter()
    command = [sys.executable, "-c", CLAIM_ALL, str(folder.output)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    claimed = [process.communicate()[0].split() for process in both]
    assert sorted(claimed[0] + claimed[1]) == folder.ids()
    print(f"claimed by two in {time.perf_counter() - begun:.1f} s, {[len(c) for c in claimed]}")


def test_two_processes_claim_every_video_once(tmp_path: Path) -> None:
    claim_with_two(queue(tmp_path, 60))


def test_who_watches_sees_what_was_done_tried_again_and_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = queue(tmp_path, 3)
    watcher, read, looked_at = Watcher(folder), BatchFolder.read, list[str]()

    def see(self: BatchFolder, key: str) -> Video:
        looked_at.append(key)
        return read(self, key)

    monkeypatch.setattr(BatchFolder, "read", see)
    assert watcher.look().waiting == 3 and looked_at == folder.ids()
    lease = folder.leases.claim("v00001")
    assert lease is not None
    with lease:
        assert watcher.look().in_work == 1
        folder.write(replace(folder.read("v00001"), status="failed"), lease)
    assert watcher.look().failed == 1
    looked_at.clear()
    assert watcher.look().failed == 1 and not looked_at  # nothing can have changed
    lease = folder.leases.claim("v00001")
    assert lease is not None
    with lease:
        folder.retry(folder.read("v00001"), lease)
    assert (watcher.look().failed, watcher.look().waiting) == (0, 3)
    folder.root.rename(tmp_path / "gone")
    with pytest.raises(VideoOpenError, match="see that its disk is there"):
        watcher.look()


@pytest.mark.soak
def test_ten_thousand_videos_are_counted_and_claimed(tmp_path: Path) -> None:
    folder = queue(tmp_path, 10_000)
    begun = time.perf_counter()
    watcher = Watcher(folder)
    now = watcher.look()
    status_s = time.perf_counter() - begun
    print(f"status in {status_s:.1f} s")
    assert (now.videos, now.waiting, now.frames_total) == (10_000, 10_000, 100_000)
    assert status_s < 20
    claim_with_two(folder)


def test_devices_are_dealt_to_workers() -> None:
    assert assign_devices(["cuda:0", "cuda:1"], None) == ["cuda:0", "cuda:1"]
    assert assign_devices(["cuda:0", "cuda:1"], 3) == ["cuda:0", "cuda:1", "cuda:0"]
    assert assign_devices(["cpu"], 2) == ["cpu", "cpu"]
    assert set(assign_devices(["cpu"], None)) == {"cpu"}
