"""New files join a batch once they have stopped growing."""

from __future__ import annotations

from pathlib import Path

from batches import planned

from vidrestore.batch.state import BatchFolder
from vidrestore.batch.watch import Watch


def test_files_are_taken_once_they_have_not_changed_for_half_a_minute(
    tmp_path: Path, clip: bytes
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "a.mkv").write_bytes(clip)
    folder, now = planned(tmp_path / "out", source), [1000.0]
    watch = Watch(folder, {}, clock=lambda: now[0])

    def look_after(seconds: float) -> int:
        now[0] += seconds
        return watch.look()

    growing = source / "b.mkv"
    growing.write_bytes(clip[:100])
    assert look_after(0) == 0 and look_after(20) == 0
    growing.write_bytes(clip)
    assert look_after(20) == 0 and look_after(29) == 0
    assert outputs(folder) == {"a.mkv"}
    assert look_after(2) == 0  # looks every few seconds only
    assert look_after(5) == 1
    assert outputs(folder) == {"a.mkv", "b.mkv"}
    (source / "a.mp4").write_bytes(clip)  # Matroska, by another name
    (source / "a.vob").write_bytes(clip)  # would become a.mkv, too
    assert look_after(10) == look_after(40) == 0
    (source / "a.vob").unlink()
    assert look_after(10) == 1


def outputs(folder: BatchFolder) -> set[str]:
    return {video.output for video in folder.videos()}
