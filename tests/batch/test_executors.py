"""The same workers as Slurm jobs and as tasks of Ray."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
from pathlib import Path

import pytest
from batches import planned
from clips import face_frames, write_clip

from vidrestore.batch.overview import Overview
from vidrestore.batch.slurm import run_slurm, slurm_options
from vidrestore.batch.state import BatchFolder
from vidrestore.batch.worker import Worker
from vidrestore.errors import UsageError

FILM = face_frames(40, width=160, height=120)
BY_SEGMENTS = {"job.segment_s": 0.2}


def make_batch(place: Path, clip: bytes, count: int, *, broken: int = 1) -> BatchFolder:
    (place / "in").mkdir()
    for number in range(count):
        (place / "in" / f"N_{number}.mkv").write_bytes(clip if number >= broken else b"broken")
    return planned(place / "out", place / "in")


def sums(folder: BatchFolder) -> set[str]:
    paths = [folder.output / v.output for v in folder.videos() if v.status == "done"]
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


class Enough(Exception):
    """The test has seen what it wanted."""


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
def test_the_sbatch_file_asks_for_what_was_asked(
    tmp_path: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("sbatch", "echo Submitted batch job 42"), ("srun", ""), ("sacct", "")):
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    folder = make_batch(tmp_path, clip, 2)

    def stop(now: Overview) -> None:
        raise Enough

    with pytest.raises(Enough):
        options = slurm_options("partition=gpu,gres=gpu:1,time=600")
        run_slurm(folder, 3, [], options=options, each=stop)
    scripts = (folder.root / "slurm").glob("*submission*.sh")
    [text] = {path.read_text() for path in scripts}  # a copy for each job
    for line in ("--array=0-2", "--partition=gpu", "--gres=gpu:1", "--time=600"):
        assert f"#SBATCH {line}" in text
    assert "#SBATCH --job-name=vidrestore" in text and "submitit.core._submit" in text


def test_wrong_options_of_jobs_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected KEY=VALUE"):
        slurm_options("partition")
    assert slurm_options("") == {}


@pytest.mark.soak
def test_jobs_of_submitit_do_a_batch(tmp_path: Path, clip: bytes) -> None:
    pytest.importorskip("submitit")
    folder = make_batch(tmp_path, clip, 4)
    with pytest.raises(UsageError, match="slurm"):
        run_slurm(folder, 1, ["cpu"], options={"slurm_nonsense": 1}, cluster="local")
    now = run_slurm(folder, 2, ["cpu"], options={"timeout_min": 5}, cluster="local").look()
    assert (now.done, now.failed) == (3, 1) and len(sums(folder)) == 1


def tasks_of_ray(name: str) -> list[int]:
    """Processes that run a task of this name, of the cluster that this process began."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and is_ours(int(folder.name)):
            line = folder / "cmdline"
            if line.exists() and line.read_bytes().startswith(f"ray::{name}".encode()):
                found.append(int(folder.name))
    return found


def is_ours(process: int) -> bool:
    """Whether this process began another one, at any remove."""
    while process > 1 and process != os.getpid():
        try:
            status = Path(f"/proc/{process}/stat").read_text()
        except OSError:
            return False
        process = int(status.rpartition(")")[2].split()[1])
    return process == os.getpid()


@pytest.mark.soak
def test_tasks_of_ray_give_the_bytes_of_a_local_run_though_one_is_killed(
    tmp_path: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_worker_niceness", "0")  # else tasks starve beside other work
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install vidrestore[ray]")
    from vidrestore.batch.ray_tasks import run_ray

    make_batch(tmp_path, clip, 11, broken=3)
    killed: list[int] = []
    film = write_clip(tmp_path / "in" / "film.mkv", FILM, codec="ffv1")
    folder = planned(tmp_path / "out", tmp_path / "in", **BY_SEGMENTS)
    alone = planned(tmp_path / "alone", film, **BY_SEGMENTS)
    Worker(alone, "cpu", threads=1).run()

    def kill_one(now: Overview) -> None:
        for process in tasks_of_ray("_restore") if not killed else ():
            os.kill(process, signal.SIGKILL)
            killed.append(process)
            break

    ray.init(num_cpus=2, num_gpus=0, include_dashboard=False, log_to_driver=False)
    try:
        now = run_ray(folder, None, ["cpu"], each=kill_one).look()
    finally:
        ray.shutdown()
    assert (now.done, now.failed) == (9, 3) and killed
    written, wanted = folder.output / "film.mkv", alone.output / "film.mkv"
    assert written.read_bytes() == wanted.read_bytes()
    assert len(sums(folder)) == 2  # of equal clips, and the film
    for video in folder.videos():
        ended = [one for one in video.attempts if one.seconds is not None]
        assert len(ended) == 1 or video.status == "failed"
    record = json.loads((folder.root / "records" / "film.mkv.json").read_text())
    assert record["fixity"]["picture"]["outside_faces"] == 0
    assert sum(record["device"]["segments"].values()) == 7
    assert not any((folder.root / "work").iterdir())
