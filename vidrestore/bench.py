"""Speed and memory of real runs, each in a process of its own, beside another program's.

Runs alternate (ours, theirs, ours, theirs …), because machines are noisy: compare the ratio, not
the seconds. Start-up and model loading are not counted on our side; another program that prints a
JSON object with `frames_per_s` as its last line is taken at its word, otherwise its whole run
counts.
"""

from __future__ import annotations

import json
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidrestore.errors import UsageError, VidRestoreError

__all__ = ["BenchResult", "Run", "bench", "describe"]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one program."""

    frames: int
    faces: int
    seconds: float
    frames_per_s: float
    peak_memory_mib: float | None
    stage_ms_per_frame: dict[str, float]


@dataclass(frozen=True, slots=True)
class BenchResult:
    """Runs of both programs, in the order they were made."""

    source: str
    hardware: str
    ours: dict[int, tuple[Run, ...]]
    """Our runs for each number of frames asked for."""
    theirs: dict[int, tuple[Run, ...]]

    def speed(self, frames: int) -> float:
        """Median frames per second of our runs."""
        return statistics.median(run.frames_per_s for run in self.ours[frames])

    def ratio(self, frames: int) -> float | None:
        """Our median speed over theirs; None without another program."""
        if not self.theirs[frames]:
            return None
        return self.speed(frames) / statistics.median(r.frames_per_s for r in self.theirs[frames])

    def memory_growth(self) -> float | None:
        """Peak memory of the longest run over that of the shortest; None with one length."""
        if len(self.ours) < 2:
            return None
        peaks = {
            frames: statistics.median(run.peak_memory_mib or 0.0 for run in runs)
            for frames, runs in self.ours.items()
        }
        return peaks[max(peaks)] / peaks[min(peaks)]


def bench(
    source: Path,
    *,
    frames: Sequence[int],
    options: Sequence[str] = (),
    against: str | None = None,
    repeat: int = 1,
) -> BenchResult:
    """Time the restoring of the first frames of `source`.

    Args:
        source: a video.
        frames: numbers of frames to restore, one run each.
        options: command-line options for our runs.
        against: another command; {input}, {output} and {frames} are filled in.
        repeat: how often each run is made.

    Raises:
        UsageError: if the video is shorter than a number of frames asked for.
        VidRestoreError: if a run fails; the message holds its last words.
    """
    times = _frame_times(source)
    ours: dict[int, list[Run]] = {count: [] for count in frames}
    theirs: dict[int, list[Run]] = {count: [] for count in frames}
    for count in frames:
        if count > len(times):
            raise UsageError(f"--frames {count}: {source} holds {len(times)} frames")
        end = [] if count == len(times) else ["--end", repr((times[count - 1] + times[count]) / 2)]
        for _ in range(repeat):
            ours[count].append(_run_ours(source, [*options, *end]))
            if against:
                theirs[count].append(_run_theirs(source, against, count))
    return BenchResult(
        source=str(source),
        hardware=_hardware(),
        ours={count: tuple(runs) for count, runs in ours.items()},
        theirs={count: tuple(runs) for count, runs in theirs.items()},
    )


def describe(result: BenchResult) -> list[str]:
    """The result as lines of a table for a person."""
    lines = [f"{result.source} on {result.hardware}"]
    for count, runs in result.ours.items():
        best = sorted(runs, key=lambda run: run.frames_per_s)[len(runs) // 2]
        lines.append(
            f"{count} frames: {result.speed(count):.3f} frames/s, {best.faces} faces, "
            f"peak {best.peak_memory_mib or 0:.0f} MiB"
        )
        lines += [
            f"  {name:<18}{ms:9.1f} ms a frame" for name, ms in best.stage_ms_per_frame.items()
        ]
        for run in result.theirs[count]:
            lines.append(f"  against: {run.frames_per_s:.3f} frames/s, {run.faces} faces")
        ratio = result.ratio(count)
        if ratio is not None:
            lines.append(f"  ratio: {ratio:.2f} times the other program's frames per second")
    growth = result.memory_growth()
    if growth is not None:
        longest, shortest = max(result.ours), min(result.ours)
        lines.append(f"peak memory, {longest} frames over {shortest}: {100 * (growth - 1):+.1f} %")
    return lines


def _frame_times(source: Path) -> list[float]:
    """Presentation times in seconds of all frames, from the start of the file, by packets alone."""
    from vidrestore.video.read.probe import open_input, probe

    info = probe(source)
    with open_input(source) as container:
        stream = container.streams[info.stream_index]
        times = sorted(
            float(packet.pts * packet.time_base)
            for packet in container.demux(stream)
            if packet.size and packet.pts is not None
        )
    return [moment - float(info.start_s) for moment in times]


def _run_ours(source: Path, options: Sequence[str]) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        output, report = Path(folder) / f"out{source.suffix}", Path(folder) / "report.json"
        command = [sys.executable, "-m", "vidrestore", str(source), str(output)]
        command += ["--report", str(report), "--progress", "none", *options]
        done = subprocess.run(command, capture_output=True, text=True, errors="backslashreplace")
        if done.returncode:
            raise VidRestoreError(f"the run failed: {_last_words(done)}")
        record: dict[str, Any] = json.loads(report.read_text())
    return Run(
        frames=record["frames"],
        faces=record["faces"],
        seconds=record["seconds"],
        frames_per_s=record["frames_per_s"],
        peak_memory_mib=record["peak_memory_mib"],
        stage_ms_per_frame={
            name: round(1000 * seconds / max(1, record["frames"]), 2)
            for name, seconds in record["stage_seconds"].items()
        },
    )


def _run_theirs(source: Path, command: str, frames: int) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        filled = {
            "{input}": str(source),
            "{output}": f"{folder}/other.mp4",
            "{frames}": str(frames),
        }
        words = shlex.split(command)
        for mark, value in filled.items():
            words = [word.replace(mark, value) for word in words]
        begun = time.perf_counter()
        try:
            done = subprocess.run(words, capture_output=True, text=True, errors="backslashreplace")
        except OSError as error:
            raise UsageError(f"--against: cannot run {words[0]!r} ({error.strerror})") from error
        seconds = time.perf_counter() - begun
    if done.returncode:
        raise VidRestoreError(f"--against: the command failed: {_last_words(done)}")
    said = _last_json(done.stdout)
    return Run(
        frames=int(said.get("frames", frames)),
        faces=int(said.get("faces", 0)),
        seconds=float(said.get("seconds", seconds)),
        frames_per_s=float(said.get("frames_per_s", frames / seconds)),
        peak_memory_mib=said.get("peak_rss_mb"),
        stage_ms_per_frame={},
    )


def _last_json(text: str) -> dict[str, Any]:
    for line in reversed(text.splitlines()):
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict):
            return said
    return {}


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"


def _hardware() -> str:
    import torch

    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return (
        f"{platform.machine()}, {torch.get_num_threads()} threads{gpu}, torch {torch.__version__}"
    )
