"""Kill runs at random moments, and look at what they leave.

    python tools/kill_runs.py --count 50 --seed 7

A small clip is made and restored once, to the end. Then runs to another name are killed (SIGKILL,
which no program can catch) after a random part of that time. After each, nothing may be under the
output's name, unless it is the finished file. After all, one more run must succeed, give the first
run's bytes, and remove what the killed ones left. The exit code is 1 if anything else is found.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = (sys.executable, "-m", "vidrestore")
OPTIONS = ("--model", "debug", "--detector", "embedded", "--progress", "none")


def make_clip(path: Path, seconds: float) -> None:
    """The demo's clip, cut to some seconds."""
    demo = path.with_name("demo.mp4")
    subprocess.run([*COMMAND, "demo", str(demo)], check=True, capture_output=True)
    whole = [*COMMAND, str(demo), str(path), "--strength", "0", "--end", f"{seconds:g}"]
    subprocess.run([*whole, *OPTIONS], check=True, capture_output=True)


def restore(source: Path, output: Path, kill_after_s: float | None = None) -> int | None:
    """Restore; the exit code, or None for a run that was killed."""
    process = subprocess.Popen(
        [*COMMAND, str(source), str(output), *OPTIONS],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        return process.wait(kill_after_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


def main() -> int:
    """Run all; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=50, help="runs to kill")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.6, help="length of the clip")
    options = parser.parse_args()
    rng, faults, killed = random.Random(options.seed), [], 0
    with tempfile.TemporaryDirectory() as folder:
        clip, first = Path(folder) / "in.mp4", Path(folder) / "first.mp4"
        make_clip(clip, options.seconds)
        begun = time.perf_counter()
        if restore(clip, first):
            print("the first run failed")
            return 1
        whole_s = time.perf_counter() - begun
        place = Path(folder) / "killed"
        place.mkdir()
        output = place / "out.mp4"
        for number in range(options.count):
            after_s = rng.uniform(0, 1.1 * whole_s)
            code = restore(clip, output, after_s)
            killed += code is None
            if code:
                faults.append(f"run {number}: exit code {code}")
            if output.exists():
                if output.read_bytes() != first.read_bytes():
                    faults.append(f"run {number}: another file under the output's name")
                output.unlink()
        if restore(clip, output) or output.read_bytes() != first.read_bytes():
            faults.append("the last run gave another file than the first")
        left = sorted(path.name for path in place.iterdir() if path != output)
        faults += [f"left behind: {name}" for name in left]
    print(*faults, f"{killed} of {options.count} runs killed, {len(faults)} faults", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
