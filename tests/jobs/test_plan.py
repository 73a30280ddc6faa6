"""A stopped run goes on only as it was begun; what changed is named."""

from __future__ import annotations

import os
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from clips import empty_frames, write_clip
from hypothesis import given
from hypothesis import strategies as st

from vidrestore import JobError, Session
from vidrestore.cli.jobs import jobs
from vidrestore.config import resolve_config
from vidrestore.errors import VideoWriteError
from vidrestore.job import Job
from vidrestore.jobs.backends import settle_backends, unusual_backends
from vidrestore.jobs.plan import changes, check_plan, plan_of, prepare
from vidrestore.jobs.segments import plan_segments
from vidrestore.jobs.space import check_space
from vidrestore.jobs.store import FolderStore, job_folder
from vidrestore.models.load import weights_sha256
from vidrestore.models.runners.choices import make_choice, store_choices
from vidrestore.models.zoo import find
from vidrestore.runtime.output_lock import OutputLock


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "in.mkv", empty_frames(3, width=64, height=48))


def planned(clip: Path, **values: object) -> Job:
    options = {"restore.model": "debug"} | {k.replace("__", "."): v for k, v in values.items()}
    with Session(resolve_config(None, options)) as session:
        return session.plan(clip, clip.with_name("out.mp4"))


def test_what_changed_is_named(clip: Path) -> None:
    before = plan_of(planned(clip))
    assert list(changes(before, plan_of(planned(clip)))) == []
    free = planned(clip, run__threads=1, encode__overwrite=True, job__work=clip.parent)
    assert list(changes(before, plan_of(free))) == []
    told = list(changes(before, plan_of(planned(clip, encode__crf=20, restore__model="embedded"))))
    assert told == [
        "encode.crf None became 20.0",
        "restore.model debug became embedded",
        "the restorer's weights changed",
    ]
    other = before | {"version": "0.0", "backend": before["backend"] | {"device": "a GPU"}}
    assert list(changes(other, before)) == [
        f"version 0.0 of the program became {before['version']}",
        f"device a GPU became {before['backend']['device']}",
    ]


def test_another_input_under_the_name_is_told(clip: Path) -> None:
    before = plan_of(planned(clip))
    whole = plan_of(planned(clip, job__verify=True))
    os.utime(clip, (1, 1))
    assert list(changes(before, plan_of(planned(clip)))) == [
        "the input changed (it was written to)"
    ]
    assert list(changes(whole, plan_of(planned(clip, job__verify=True)))) == []
    write_clip(clip, empty_frames(4, width=64, height=48))
    assert "the input changed" in next(changes(before, plan_of(planned(clip))))


def test_a_changed_run_begins_anew_only_when_told(clip: Path) -> None:
    config = resolve_config(None, {"restore.model": "debug"})
    folder = prepare(clip, clip.with_name("out.mp4"), config)
    assert prepare(clip, clip.with_name("out.mp4"), config) == folder
    (folder / "segments" / "00000.packets").write_bytes(b"of another quality")
    other = resolve_config(config, {"encode.crf": 30})
    with pytest.raises(JobError, match=r"encode.crf None became 30.0; add --restart"):
        prepare(clip, clip.with_name("out.mp4"), other)
    store = FolderStore(folder)
    assert store.stored_segments() == [0]
    prepare(clip, clip.with_name("out.mp4"), resolve_config(other, {"job.restart": True}))
    assert store.stored_segments() == []
    assert check_plan(store, store.read("plan"))  # type: ignore[arg-type]


def test_stopped_runs_are_listed_and_removed(clip: Path) -> None:
    runner = CliRunner()
    assert "no stopped runs" in runner.invoke(jobs, [str(clip.parent)]).output
    config = resolve_config(None, {"restore.model": "debug"})
    output = clip.with_name("out.mp4")
    folder = prepare(clip, output, config)
    told = runner.invoke(jobs, [str(clip.parent)]).output
    assert f"{clip} → {output}: no segment restored yet" in told and folder.exists()
    (lock := OutputLock(output)).acquire()
    kept = runner.invoke(jobs, [str(clip.parent), "--clean"]).output
    assert ", running\n0 runs removed, 1 running left" in kept and lock.path.exists()
    lock.release()
    assert "1 run removed" in runner.invoke(jobs, [str(clip.parent), "--clean"]).output
    assert [path.name for path in clip.parent.iterdir()] == ["in.mkv"]


def test_the_place_of_a_job(tmp_path: Path) -> None:
    beside = job_folder(tmp_path / "a.mp4", None)
    assert beside.parent == tmp_path and beside != job_folder(tmp_path / "b.mp4", None)
    elsewhere = job_folder(tmp_path / "a.mp4", tmp_path / "work")
    assert elsewhere.parent == tmp_path / "work"
    assert elsewhere != job_folder(tmp_path / "other" / "a.mp4", tmp_path / "work")


def test_borders_lie_at_cuts_or_at_the_length() -> None:
    pts, base = list(range(0, 1000)), Fraction(1, 25)
    assert plan_segments(pts, base, [], 10) == [0, 250, 500, 750]
    assert plan_segments(pts, base, [149, 240, 270, 389, 580], 10) == [0, 240, 490, 740, 990]
    assert plan_segments(pts, base, [150, 299], 10) == [0, 150, 400, 650, 900]
    assert plan_segments(pts, base, [240, 390, 391], 10) == [0, 240, 390, 640, 890]
    assert plan_segments([0, 500, 1000], base, [], 1) == [0, 1, 2]
    assert plan_segments([7], base, [], 10) == [0]


@given(
    steps=st.lists(st.integers(1, 40), min_size=1, max_size=80),
    cuts=st.sets(st.integers(1, 79)),
    known=st.integers(1, 80),
)
def test_a_border_is_known_when_its_frame_comes(
    steps: list[int], cuts: set[int], known: int
) -> None:
    """What comes behind it changes nothing; no segment is longer than asked for."""
    pts, base = list(accumulate(steps)), Fraction(1, 25)
    borders = plan_segments(pts, base, sorted(cuts), 4)
    early = plan_segments(pts[:known], base, sorted(cut for cut in cuts if cut < known), 4)
    assert early == [border for border in borders if border < known]
    for first, end in pairwise([*borders, len(pts)]):
        assert pts[end - 1] - pts[first] < 100
        assert end == len(pts) or end in cuts or pts[end] - pts[first] >= 100


def test_a_disk_that_is_too_small_is_told(tmp_path: Path) -> None:
    check_space(tmp_path / "out.mp4", tmp_path, 1 << 10, 1 << 10)
    with pytest.raises(VideoWriteError, match=r"about \d+\.\d [MG]B more are needed .* are free"):
        check_space(tmp_path / "out.mp4", tmp_path, 1 << 60, 1 << 60)


def test_a_stopped_job_keeps_its_backends(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDRESTORE_HOME", str(tmp_path / "home"))
    job = settle_backends(planned(clip, restore__model="embedded"))
    assert (job.config.restore.backend, job.config.detect.backend) == ("eager", "eager")
    store = FolderStore(job_folder(clip.with_name("out.mp4"), None))
    check_plan(store, plan_of(job))
    sha256 = weights_sha256(find("embedded", "restorer")[0])
    assert sha256 is not None
    store_choices([make_choice("embedded", sha256, torch.device("cpu"), "onnxruntime")])
    again = settle_backends(planned(clip, restore__model="embedded"))
    assert again.config.restore.backend == "eager", "what was chosen since would change the bytes"
    assert check_plan(store, plan_of(again))
    anew = planned(clip, restore__model="embedded", job__restart=True)
    assert settle_backends(anew).config.restore.backend == "onnxruntime"
    assert unusual_backends(settle_backends(anew)).endswith("restorer by onnxruntime")
    asked = settle_backends(planned(clip, restore__model="embedded", restore__backend="compiled"))
    with pytest.raises(JobError, match=r"restore\.backend eager became compiled"):
        check_plan(store, plan_of(asked))
