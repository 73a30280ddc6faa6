"""A run is a plan of segments: in any order, in any process, stopped anywhere, the same bytes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from clips import empty_frames, face_frames, write_clip
from interlaced import fields_of, woven, write_frames
from moving_face import pan
from styled_network import write_styled_network

from vidrestore import JobError, Progress, RestoreReport, restore_video
from vidrestore.config import RestoreConfig, resolve_config
from vidrestore.jobs.analysis import analyse
from vidrestore.jobs.join import join
from vidrestore.jobs.plan import prepare
from vidrestore.jobs.segment import restore_segment
from vidrestore.jobs.segments import count_segments
from vidrestore.jobs.store import job_folder

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
    """It is stopped in its first chunk and its last one, and in its second segment."""
    output = tmp_path / "out.mkv"
    for at in (("analysis", 21), ("analysis", 43), ("restoring", 20)):

        def stop(progress: Progress, at: tuple[str, int] = at) -> None:
            if (progress.step, progress.frames) == at:
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
