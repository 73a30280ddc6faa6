"""The same workers as Slurm jobs and as tasks of Ray."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
from pathlib import Path

import pytest
from batches import planned

from vidrestore.batch.overview import Overview
from vidrestore.batch.slurm import run_slurm, slurm_options
from vidrestore.batch.state import BatchFolder
from vidrestore.errors import UsageError


def make_batch(place: Path, clip: bytes, count: int) -> BatchFolder:
    (place / "in").mkdir()
    for number in range(count):
        (place / "in" / f"N_{number}.mkv").write_bytes(clip if number else b"broken")
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


@pytest.mark.soak
def test_tasks_of_ray_do_a_batch_though_one_is_killed(tmp_path: Path, clip: bytes) -> None:
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install vidrestore[ray]")
    from vidrestore.batch.ray_tasks import run_ray

    folder, killed = make_batch(tmp_path, clip, 6), list[int]()

    def kill_one(now: Overview) -> None:
        for key in folder.ids() if not killed else ():
            holder = folder.leases.holder(key)
            if holder is not None and not killed:
                os.kill(holder.process, signal.SIGKILL)
                killed.append(holder.process)

    ray.init(num_cpus=2, num_gpus=0, include_dashboard=False, log_to_driver=False)
    try:
        now = run_ray(folder, 2, ["cpu"], each=kill_one).look()
    finally:
        ray.shutdown()
    assert (now.done, now.failed) == (5, 1) and len(sums(folder)) == 1 and killed
    for video in folder.videos():
        ended = [one for one in video.attempts if one.seconds is not None]
        assert len(ended) == 1 or video.status == "failed"
