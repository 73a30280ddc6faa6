"""Jobs that lie in a folder are listed, and removed by nothing but a wish."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from vidrestore.cli.jobs import jobs
from vidrestore.errors import VideoWriteError
from vidrestore.jobs.listing import list_jobs, remove_job
from vidrestore.jobs.store import FolderStore, job_folder
from vidrestore.runtime.output_lock import OutputLock


def stored(output: Path, *, segments: int | None = None, done: int = 0) -> FolderStore:
    store = FolderStore(job_folder(output, None))
    store.create()
    plan = {"format": "vidrestore job", "source": "in.mp4", "output": str(output)}
    store.write("plan", plan)
    if segments is not None:
        store.write("segments", {"first_frames": [0] * segments})
    for number in range(done):
        store.segment(number).write_bytes(bytes(10))
    return store


def test_each_says_how_far_it_is(tmp_path: Path) -> None:
    stored(tmp_path / "a.mp4")
    stored(tmp_path / "b.mp4", segments=3, done=2)
    (tmp_path / ".vr-other.job").mkdir()
    (tmp_path / ".vr-file.job").write_text("no folder")
    found = {Path(job.output).name: job for job in list_jobs(tmp_path)}
    assert {name: job.done for name, job in found.items()} == {
        "a.mp4": "no segment restored yet",
        "b.mp4": "2 of 3 segments restored",
    }
    assert found["b.mp4"].source == "in.mp4"
    assert found["b.mp4"].size > found["a.mp4"].size + 20


def test_one_at_work_is_not_removed(tmp_path: Path) -> None:
    output = tmp_path / "a.mp4"
    stored(output)
    [job] = list_jobs(tmp_path)
    lock = OutputLock(output)
    lock.acquire()
    assert [one.is_running for one in list_jobs(tmp_path)] == [True]
    stored(tmp_path / "b.mp4")
    assert (
        CliRunner()
        .invoke(jobs, [str(tmp_path), "--clean"])
        .output.endswith("1 run removed, 1 running left\n")
    )
    assert [Path(one.output).name for one in list_jobs(tmp_path)] == ["a.mp4"]
    with pytest.raises(VideoWriteError, match=r"a\.mp4"):
        remove_job(job)
    lock.release()
    assert list_jobs(tmp_path) == [job]
    remove_job(job)
    assert list(tmp_path.iterdir()) == []


def test_one_whose_output_has_no_folder_any_more(tmp_path: Path) -> None:
    store = FolderStore(job_folder(tmp_path / "gone" / "a.mp4", tmp_path))
    store.create()
    plan = {"format": "vidrestore job", "source": "in.mp4"}
    store.write("plan", plan | {"output": str(tmp_path / "gone" / "a.mp4")})
    [job] = list_jobs(tmp_path)
    remove_job(job)
    assert list(tmp_path.iterdir()) == []
