"""Kill runs at random moments, go on with them, and look at what comes of it.

    python tools/kill_runs.py --count 25 --seed 7 --seconds 120

A clip with sound is made and restored once, to the end, by each of three encoders (x264, FFV1,
ProRes). Then runs to another name are killed (SIGKILL, which no program can catch) after a random
part of the time that is left of them, and begun again, so many times in all. Nothing may be under
the output's name before the run is done; in the end it must hold the first run's bytes, and nothing
may be left beside it. A kill may cost no more than a segment and a chunk: what was stored before
must be there after it. The exit code is 1 if anything else is found.
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
OPTIONS = (
    *("--model", "debug", "--detector", "embedded", "--progress", "none"),
    *("--job.segment-s", "1", "--detect.size-px", "256", "--temporal-filter.reach-frames", "2"),
)
ENCODERS = {"x264": ".mp4", "ffv1": ".mkv", "prores": ".mov"}
CODECS = {"x264": "libx264", "ffv1": "ffv1", "prores": "prores_ks"}


def make_clip(path: Path, seconds: float, pix_fmt: str) -> None:
    """The demo's clip, small, with a tone."""
    demo = path.with_name("demo.mkv")
    if not demo.exists():  # of the encoder before
        subprocess.run([*COMMAND, "demo", str(demo)], check=True, capture_output=True)
    sound = ("-f", "lavfi", "-i", "sine=frequency=440")
    picture = ("-stream_loop", "-1", "-i", str(demo))
    coding = ("-vf", "scale=160:-2", "-pix_fmt", pix_fmt, "-c:v", "ffv1", "-c:a", "pcm_s16le")
    taken = ("-map", "0:v", "-map", "1:a", "-t", f"{seconds:g}")
    command = ("ffmpeg", "-y", "-v", "error", *picture, *sound, *taken, *coding, str(path))
    subprocess.run(command, check=True)


def restore(source: Path, output: Path, codec: str, kill_after_s: float | None = None) -> bool:
    """Restore; whether the run came to its end."""
    command = [*COMMAND, str(source), str(output), *OPTIONS, "--codec", codec]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        if process.wait(kill_after_s):
            raise SystemExit(f"{' '.join(command)} failed: {process.returncode}")
        return True
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False


def stored(folder: Path) -> set[str]:
    """What a job has stored for good."""
    return {
        path.name for part in ("analysis", "segments") for path in (folder / part).glob("*[ns]")
    }


def kill_and_go_on(
    source: Path, first: Path, count: int, codec: str, whole_s: float, rng: random.Random
) -> list[str]:
    """What was wrong; a run that ends before all its kills is followed by another one."""
    faults: list[str] = []
    kills = 0
    while kills < count:
        place = Path(tempfile.mkdtemp(dir=first.parent))
        output = place / first.name
        while kills < count:
            before = {name for folder in place.glob(".vr-*.job") for name in stored(folder)}
            if restore(source, output, codec, rng.uniform(0, 0.5 * whole_s)):
                break
            kills += 1
            after = {name for folder in place.glob(".vr-*.job") for name in stored(folder)}
            if output.exists():  # killed behind the last rename
                subprocess.run([*COMMAND, "jobs", str(place), "--clean"], check=True)
                break
            if before - after:
                faults.append(f"{codec}, kill {kills}: lost {sorted(before - after)}")
        if not output.exists():
            restore(source, output, codec)
        if output.read_bytes() != first.read_bytes():
            faults.append(f"{codec}: another file than the first after {kills} kills")
        left = sorted(path.name for path in place.iterdir() if path != output)
        faults += [f"{codec}: left behind: {name}" for name in left]
    print(f"{codec}: {kills} kills, {len(faults)} faults", flush=True)
    return faults


def main() -> int:
    """Run all; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=25, help="kills, over all encoders")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=6, help="length of the clip")
    parser.add_argument("--encoder", choices=ENCODERS, action="append", help="only this one")
    options = parser.parse_args()
    rng, faults = random.Random(options.seed), []
    names = options.encoder or list(ENCODERS)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            clip, first = Path(folder) / f"{name}.mkv", Path(folder) / f"first{ENCODERS[name]}"
            make_clip(clip, options.seconds, "yuv422p10le" if name == "prores" else "yuv420p")
            begun = time.perf_counter()
            restore(clip, first, CODECS[name])
            whole_s = time.perf_counter() - begun
            count = -(-options.count // len(names))
            faults += kill_and_go_on(clip, first, count, CODECS[name], whole_s, rng)
    print(*faults, f"{len(faults)} faults", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
