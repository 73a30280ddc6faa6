"""Speed and memory of real runs, each in a process of its own, beside another program's.

Runs alternate (ours, theirs, ours, theirs …), because machines are noisy: compare the ratio, not
the seconds. Start-up and model loading are not counted on our side; another program that prints a
JSON object with `frames_per_s` as its last line is taken at its word, otherwise its whole run
counts.
"""

from __future__ import annotations

import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from vidrestore.errors import UsageError, VidRestoreError, WeightsError
from vidrestore.runtime.machine import describe_machine

__all__ = ["BenchResult", "Case", "NetworkSpeed", "Run", "bench"]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one program."""

    frames: int
    faces: int
    seconds: float
    frames_per_s: float
    peak_memory_mib: float | None
    peak_device_memory_mib: float | None
    """Of the GPU; 0 where there is none, None where it is not known."""
    stage_ms_per_frame: dict[str, float]
    """Time inside each stage; "wait for …" is time in which the later stages had nothing to do."""
    model: str = ""
    cpu_s: float = 0.0
    """CPU time of the whole process, start-up and system too: other programs disturb it less."""

    @property
    def cpu_ms_per_frame(self) -> float:
        """CPU time a frame."""
        return 1000 * self.cpu_s / max(self.frames, 1)

    @property
    def faces_per_s(self) -> float:
        """Faces restored a second."""
        return self.faces / max(self.frames, 1) * self.frames_per_s


@dataclass(frozen=True, slots=True)
class NetworkSpeed:
    """How fast the restoring network ran, against what the machine can do."""

    gflop_per_face: float
    """Of matrix products and convolutions as the network computes them, multiply-adds twice."""
    gflop_per_s: float
    """In the time that the stage `restore` took."""
    ceiling_gflop_per_s: float
    """Of a large matrix product on the same device, measured."""

    @property
    def share(self) -> float:
        """Share of the ceiling."""
        return self.gflop_per_s / max(self.ceiling_gflop_per_s, 1e-9)


@dataclass(frozen=True, slots=True)
class Case:
    """Runs of both programs on one device over a number of frames, in the order they were made."""

    device: str
    frames: int
    ours: tuple[Run, ...]
    theirs: tuple[Run, ...]
    network: NetworkSpeed | None = None
    """None where the model is none of the zoo's networks, or there was no face."""

    @property
    def speed(self) -> float:
        """Median frames a second of our runs."""
        return statistics.median(run.frames_per_s for run in self.ours)

    @property
    def ratio(self) -> float | None:
        """Our median speed over theirs; None without another program."""
        if not self.theirs:
            return None
        return self.speed / statistics.median(run.frames_per_s for run in self.theirs)

    @property
    def cpu_ratio(self) -> float | None:
        """Their median CPU time a frame over ours; None without another program."""
        if not self.theirs:
            return None
        ours, theirs = (
            statistics.median(run.cpu_ms_per_frame for run in runs)
            for runs in (self.ours, self.theirs)
        )
        return theirs / max(ours, 1e-9)

    @property
    def median_run(self) -> Run:
        """Our run of the median speed."""
        return sorted(self.ours, key=lambda run: run.frames_per_s)[len(self.ours) // 2]


@dataclass(frozen=True, slots=True)
class BenchResult:
    """All cases of one benchmark."""

    source: str
    machine: dict[str, str]
    """See `describe_machine`."""
    cases: tuple[Case, ...]

    def memory_growth(self, device: str) -> float | None:
        """Peak memory of the longest runs over that of the shortest; None with one length."""
        cases = sorted((c for c in self.cases if c.device == device), key=lambda c: c.frames)
        if len(cases) < 2:
            return None
        shortest, longest = (
            statistics.median(run.peak_memory_mib or 0.0 for run in case.ours)
            for case in (cases[0], cases[-1])
        )
        return longest / max(shortest, 1e-9)


def bench(
    source: Path,
    *,
    frames: Sequence[int],
    devices: Sequence[str] = ("auto",),
    options: Sequence[str] = (),
    against: str | None = None,
    repeat: int = 1,
) -> BenchResult:
    """Time the restoring of the first frames of `source`.

    Args:
        source: a video.
        frames: numbers of frames to restore.
        devices: where to run; every number of frames is restored on every one.
        options: command-line options for our runs.
        against: another command; {input}, {output} and {frames} are filled in.
        repeat: how often each run is made.

    Raises:
        UsageError: if the video is shorter than a number of frames asked for.
        VidRestoreError: if a run fails; the message holds its last words.
    """
    times = _frame_times(source)
    for count in frames:
        if count > len(times):
            raise UsageError(f"--frames {count}: {source} holds {len(times)} frames")
    cases = []
    for device, count in product(devices, frames):
        end = [] if count == len(times) else ["--end", repr((times[count - 1] + times[count]) / 2)]
        ours, theirs = [], []
        for _ in range(repeat):
            ours.append(_run_ours(source, [*options, "--device", device, *end]))
            if against:
                theirs.append(_run_theirs(source, against, count))
        case = Case(device, count, tuple(ours), tuple(theirs))
        cases.append(Case(device, count, case.ours, case.theirs, _network_speed(case)))
    return BenchResult(str(source), describe_machine(), tuple(cases))


def _frame_times(source: Path) -> list[float]:
    """Presentation times in seconds of all frames, from the start of the file, by packets alone."""
    from vidrestore.video.read.opening import open_input
    from vidrestore.video.read.probe import probe

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
        done, cpu_s = _run(command)
        if done.returncode:
            raise VidRestoreError(f"the run failed: {_last_words(done)}")
        record: dict[str, Any] = json.loads(report.read_text())
    return Run(
        frames=record["frames"],
        faces=record["faces"],
        seconds=record["seconds"],
        frames_per_s=record["frames_per_s"],
        peak_memory_mib=record["peak_memory_mib"],
        peak_device_memory_mib=record["peak_device_memory_mib"],
        stage_ms_per_frame={
            name: round(1000 * seconds / max(1, record["frames"]), 2)
            for name, seconds in record["stage_seconds"].items()
        },
        model=record["model"],
        cpu_s=cpu_s,
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
            done, cpu_s = _run(words)
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
        peak_device_memory_mib=None,
        stage_ms_per_frame={},
        cpu_s=cpu_s,
    )


def _run(command: list[str]) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run a command; what came of it, and its CPU time in seconds."""
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True, errors="backslashreplace")
    after = os.times()
    passed = after.children_user - before.children_user
    return done, passed + after.children_system - before.children_system


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


def _network_speed(case: Case) -> NetworkSpeed | None:
    from vidrestore.models.cost import measure_ceiling, measure_cost
    from vidrestore.models.load import outline_restorer, resolve_device

    run = case.median_run
    seconds = run.stage_ms_per_frame.get("restore", 0.0) * run.frames / 1e3
    if not run.faces or not seconds:
        return None
    try:
        network, size_px = outline_restorer(run.model)
    except (UsageError, WeightsError):  # A network of the user's own, or none.
        return None
    cost = measure_cost(network, crops=1, size_px=size_px)
    return NetworkSpeed(
        gflop_per_face=cost.flops / 1e9,
        gflop_per_s=cost.flops * run.faces / seconds / 1e9,
        ceiling_gflop_per_s=measure_ceiling(resolve_device(case.device)) / 1e9,
    )
