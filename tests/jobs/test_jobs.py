"""A run is a plan of segments: in any order, in any process, stopped anywhere, the same bytes."""

from __future__ import annotations

import os
import random
import shutil
import threading
from itertools import groupby
from pathlib import Path

import pytest
from clips import empty_frames, face_frames, write_clip
from interlaced import fields_of, woven, write_frames
from moving_face import pan
from quick import QUICK
from styled_network import write_styled_network

from vidrestore import JobError, Progress, RestoreReport, restore_video
from vidrestore.config import RestoreConfig, resolve_config
from vidrestore.jobs.analysis import analyse
from vidrestore.jobs.join import join
from vidrestore.jobs.plan import prepare
from vidrestore.jobs.segment import restore_segment
from vidrestore.jobs.segments import count_segments
from vidrestore.jobs.store import FolderStore, job_folder
from vidrestore.stages.detect import Looker
from vidrestore.structs import Frame

OPTIONS = {
    "job.segment_s": 0.6,
    "detect.size_px": 128,
    "detect.refine_passes": 0,
    "detect.rotated": False,
    "align.window_s": 0.2,
    "temporal_filter.reach_frames": 2,
    "restore.noise": "fresh",
    "restore.batch_size": 3,
    "encode.speed": "veryfast",
}
"""Quick, and a network with styles, noise and batches besides."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shots with a face, and something between them."""
    size = {"width": 128, "height": 96}
    face = face_frames(40, **size)
    images = [*face[:26], *empty_frames(3, **size), *face[26:]]
    return write_clip(tmp_path_factory.mktemp("jobs") / "in.mkv", images)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RestoreConfig:
    styled = write_styled_network(tmp_path_factory.mktemp("network") / "styled.safetensors")
    return resolve_config(None, OPTIONS | {"restore.model": str(styled)})


@pytest.fixture(scope="module")
def whole(
    clip: Path, config: RestoreConfig, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RestoreReport, bytes]:
    """What an uninterrupted run makes."""
    output = tmp_path_factory.mktemp("whole") / "out.mkv"
    report = restore_video(clip, output, config=config)
    assert report.faces > 30 and report.cuts == (26, 29)
    assert [path.name for path in output.parent.iterdir()] == ["out.mkv"]
    return report, output.read_bytes()


def test_segments_in_any_order_give_the_bytes_of_a_run(
    clip: Path, tmp_path: Path, config: RestoreConfig, whole: tuple[RestoreReport, bytes]
) -> None:
    folder = prepare(clip, tmp_path / "apart.mkv", config)
    with pytest.raises(JobError, match="analysis is not complete"):
        restore_segment(folder, 0)
    analyse(folder)
    with pytest.raises(JobError, match=r"segment 0 of \d is not restored"):
        join(folder)
    order = list(range(count_segments(folder)))
    assert len(order) >= 3
    random.Random(2).shuffle(order)
    for number in order:
        assert restore_segment(folder, number)
    assert not restore_segment(folder, 0)
    joined = join(folder)
    assert joined.tally.records() == whole[0].tracks
    assert (tmp_path / "apart.mkv").read_bytes() == whole[1]
    assert [path.name for path in tmp_path.iterdir()] == ["apart.mkv"]


def test_nothing_is_stored_where_nobody_wants_it(
    clip: Path, tmp_path: Path, config: RestoreConfig, whole: tuple[RestoreReport, bytes]
) -> None:
    output, listed = tmp_path / "out.mkv", []
    straight = resolve_config(config, {"job.no_resume": True})
    report = restore_video(
        clip,
        output,
        config=straight,
        progress=lambda progress: listed.extend(tmp_path.glob("*.job")),
    )
    assert not listed and output.read_bytes() == whole[1]
    assert (report.tracks, report.cuts) == (whole[0].tracks, whole[0].cuts)


class StopError(Exception):
    """Raised by progress."""


def test_a_stopped_run_goes_on(
    clip: Path, tmp_path: Path, config: RestoreConfig, whole: tuple[RestoreReport, bytes]
) -> None:
    """It is stopped in its second segment, behind it, and in its last one."""
    output = tmp_path / "out.mkv"
    for at in (17, 33, 41):

        def stop(progress: Progress, at: int = at) -> None:
            if progress.frames == at:
                raise StopError

        with pytest.raises(StopError) as stopped:
            restore_video(clip, output, config=config, progress=stop)
        assert "the same command goes on" in "".join(stopped.value.__notes__)
    folder = job_folder(output, None)
    assert folder.is_dir() and not output.exists()
    with pytest.raises(JobError, match=r"blend.strength 1.0 became 0.5; add --restart"):
        restore_video(clip, output, config=config, strength=0.5)
    report = restore_video(clip, output, config=config)
    assert output.read_bytes() == whole[1]
    assert (report.tracks, report.cuts) == (whole[0].tracks, whole[0].cuts)
    assert not folder.exists()


def test_a_run_that_goes_on_tells_that_it_reads_again(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mkv", empty_frames(130, width=64, height=48), codec="ffv1")
    config = resolve_config(None, QUICK | {"restore.model": "debug", "job.segment_s": 0.6})
    seen: list[tuple[Progress, int]] = []

    def see(now: Progress) -> None:
        seen.append((now, threading.get_ident()))
        if now.frames == len(seen) == 70:
            raise StopError

    with pytest.raises(StopError):
        restore_video(clip, tmp_path / "out.mkv", config=config, progress=see)
    seen.clear()
    restore_video(clip, tmp_path / "out.mkv", config=config, progress=see)
    steps = [step for step, _ in groupby(now.step for now, _ in seen)]
    assert steps == ["restoring", "reading again", "restoring", "joining"]
    again = [now for now, _ in seen if now.step == "reading again"]
    shares = [now.share or 0 for now in again]
    assert shares == sorted(shares) and shares[-1] == 1
    assert {now.frames for now in again} == {seen[0][0].frames}  # what is done stays done
    assert {thread for _, thread in seen} == {threading.get_ident()}


@pytest.mark.soak
def test_a_run_fills_the_gaps_behind_an_analysis(
    clip: Path, tmp_path: Path, config: RestoreConfig, whole: tuple[RestoreReport, bytes]
) -> None:
    output = tmp_path / "out.mkv"
    folder = prepare(clip, output, config)
    analyse(folder)
    restore_segment(folder, 1)
    seen: list[int] = []
    restore_video(
        clip,
        output,
        config=config,
        progress=lambda now: seen.append(now.frames) if now.step == "restoring" else None,
    )
    kept = 43 - (len(seen) - 1)
    assert seen == list(range(kept, 44)) and 9 <= kept <= 15
    assert output.read_bytes() == whole[1]


@pytest.mark.soak
def test_fields_in_any_order_too(tmp_path: Path, config: RestoreConfig) -> None:
    """Two fields of a frame go through the network by themselves."""
    fields = fields_of(pan(72, 1.5), 320, 240)
    clip = write_frames(tmp_path / "in.mkv", woven(fields, "top"))
    output = tmp_path / "whole.mkv"
    report = restore_video(clip, output, config=config)
    assert report.scans == {"top_field_first": 36}
    folder = prepare(clip, tmp_path / "apart.mkv", config)
    analyse(folder)
    for number in reversed(range(count_segments(folder))):
        assert restore_segment(folder, number)
    join(folder)
    assert (tmp_path / "apart.mkv").read_bytes() == output.read_bytes()


def left_by_kills(monkeypatch: pytest.MonkeyPatch, folder: Path, into: Path) -> list[Path]:
    """Copies of a job's folder as a kill would leave it before each file gets its name."""
    copies: list[Path] = []
    turn, rename = threading.Lock(), os.replace

    def copying(old: Path, new: Path) -> None:
        with turn:
            if folder in Path(new).parents:
                copies.append(into / f"{len(copies):02d}-{Path(new).name}.job")
                shutil.copytree(folder, copies[-1])
            rename(old, new)

    monkeypatch.setattr(os, "replace", copying)
    return copies


def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The frames that come to the detector, or are passed over by its schedule."""
    looked: list[int] = []
    see = Looker.see

    def counting(looker: Looker, frame: Frame) -> Frame:
        looked.append(frame.index)
        return see(looker, frame)

    monkeypatch.setattr(Looker, "see", counting)
    return looked


@pytest.mark.soak
@pytest.mark.parametrize("without_state", [False, True], ids=["as left", "chunks behind"])
def test_whatever_a_kill_leaves_is_gone_on_with(
    clip: Path,
    tmp_path: Path,
    config: RestoreConfig,
    whole: tuple[RestoreReport, bytes],
    monkeypatch: pytest.MonkeyPatch,
    without_state: bool,
) -> None:
    """Segments may be ahead of the chunks, or behind them."""
    output = tmp_path / "out.mkv"
    folder = job_folder(output, None)
    with monkeypatch.context() as patch:
        copies = left_by_kills(patch, folder, tmp_path / "left")
        restore_video(clip, output, config=config)
    looked = looked_at(monkeypatch)
    names = {path.name[3:] for path in copies}
    assert {"state.json.job", "analysis.json.job", "segments.json.job"} <= names
    for copy in copies[1:]:
        output.unlink()
        copy.rename(folder)
        if without_state:
            (folder / "state.json").unlink(missing_ok=True)
        kept = len(list(folder.glob("segments/*.packets")))
        state = FolderStore(folder).read("state")
        is_complete = (folder / "analysis.json").exists()
        seen: list[int] = []
        looked.clear()
        report = restore_video(
            clip,
            output,
            config=config,
            progress=lambda now, seen=seen: (  # type: ignore[misc]
                seen.append(now.frames) if now.step == "restoring" else None
            ),
        )
        assert output.read_bytes() == whole[1], copy.name
        assert (report.tracks, report.cuts) == (whole[0].tracks, whole[0].cuts)
        assert not folder.exists()
        assert len(seen) <= 44 - 9 * kept, copy.name
        known = 43 if is_complete else state["decoded"] if state else 0
        assert looked == list(range(known, 43)), copy.name
