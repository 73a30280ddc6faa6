"""Restore many small files in one worker: memory, open files and threads must not grow.

    python tools/many_files.py --count 100

After each file its worker's resident memory, open files and threads are counted. The exit code is 1
if any of them is larger at the end than after the first third, or a file fails.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from batches import planned
from clips import face_frames, write_clip

from vidrestore.batch.state import BatchFolder
from vidrestore.batch.worker import Worker
from vidrestore.runtime.memory import current_memory_mib, keep_freed_memory

MOST_GROWTH_MIB = 24


def make_batch(place: Path, count: int) -> BatchFolder:
    (place / "in").mkdir()
    clip = write_clip(place / "clip.mp4", face_frames(4, width=128, height=96))
    for number in range(count):
        (place / "in" / f"N_{number:04}.mp4").write_bytes(clip.read_bytes())
    return planned(place / "out", place / "in", **{"restore.model": "embedded"})


def main() -> int:
    """Run all; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100)
    options = parser.parse_args()
    keep_freed_memory()
    counts: list[tuple[float, int, int]] = []
    with tempfile.TemporaryDirectory() as place:
        folder = make_batch(Path(place), options.count)
        worker, begun = Worker(folder, "cpu"), time.perf_counter()
        for key in folder.ids():
            worker.run_one(key)
            files = len(os.listdir("/proc/self/fd"))
            counts.append((current_memory_mib(), files, threading.active_count()))
            if len(counts) % 10 == 0:
                print(f"{len(counts):4} files: %.0f MiB, %d open files, %d threads" % counts[-1])
        seconds = time.perf_counter() - begun
        failed = [video.output for video in folder.videos() if video.status != "done"]
    third = options.count // 3
    early, late = counts[third : 2 * third], counts[2 * third :]
    names, most = ("memory (MiB)", "open files", "threads"), (MOST_GROWTH_MIB, 0, 0)
    faults = [f"{name} failed" for name in failed]
    for place_of, (name, growth) in enumerate(zip(names, most, strict=True)):
        first, last = (statistics.median(one[place_of] for one in part) for part in (early, late))
        print(f"{name}: {first:.0f} in the second third, {last:.0f} in the last")
        if last - first > growth:
            faults.append(f"{name} grew")
    print(*faults, f"{options.count} files in {seconds:.0f} s, {len(faults)} faults", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
