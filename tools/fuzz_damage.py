"""Damages intact videos at random, restores them with the real program, and judges what came out.

    python tools/fuzz_damage.py --count 500 --first-seed 1000 --jobs 2 --out fuzz

Every seed is one file: an intact one with bytes flipped, zeroed, replaced, swapped, doubled,
inserted, deleted or cut, or two files spliced. The program runs on it in a process of its own,
with limits of time and memory. The verdict is made from outside, with PyAV alone: what the damaged
file promises (headers, index, packets, times, the other streams) against what the output holds.

    fine        exit 0, all promised is there          crash, hang, memory, traceback, unexpected
    noted       exit 0, with notes or --keep-damaged   message     not exactly one line of error
    refused     exit 1, one clear line                 leftovers   files that should not be there
                                                       silent      exit 0, no note, over 5 % missing

The right column is bad; any of it makes the exit code 1. Results are appended to OUT/results.jsonl;
a second run goes on where the first stopped. Files with a bad verdict are kept in OUT/bad.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
INTACT = ROOT.parent / "shared" / "damaged" / "intact"
BAD = (
    "crash",
    "hang",
    "memory",
    "traceback",
    "unexpected",
    "message",
    "leftovers",
    "unreadable",
    "silent",
)
LOST = 0.05
"""Share that may be missing without a word."""

_WHOLE = ("--model", "embedded", "--detector", "embedded")
_QUICK = ("--model", "debug", "--min-face", "10000", "--detect.every-frames", "100")

Mutation = Callable[[random.Random, bytearray, list[Path]], bytes]


def _span(rng: random.Random, data: bytes, least: int = 16, most: int = 6000) -> tuple[int, int]:
    length = min(int(least * (most / least) ** rng.random()), max(1, len(data) // 3))
    begin = rng.randrange(max(1, len(data) - length))
    return begin, begin + length


def _flip(count: int) -> Mutation:
    def flip(rng: random.Random, data: bytearray, others: list[Path]) -> bytes:
        for _ in range(count):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return bytes(data)

    return flip


def _zero(rng: random.Random, data: bytearray, others: list[Path]) -> bytes:
    begin, end = _span(rng, data)
    data[begin:end] = bytes(end - begin)
    return bytes(data)


def _noise(rng: random.Random, data: bytearray, others: list[Path]) -> bytes:
    begin, end = _span(rng, data)
    data[begin:end] = rng.randbytes(end - begin)
    return bytes(data)


def _swap(rng: random.Random, data: bytearray, others: list[Path]) -> bytes:
    length = _span(rng, data)[1] - _span(rng, data)[0]
    length = max(1, min(abs(length), len(data) // 4))
    one = rng.randrange(len(data) // 2 - length)
    two = rng.randrange(len(data) // 2, len(data) - length)
    data[one : one + length], data[two : two + length] = (
        data[two : two + length],
        data[one : one + length],
    )
    return bytes(data)


def _double(rng: random.Random, data: bytearray, others: list[Path]) -> bytes:
    begin, end = _span(rng, data, most=60_000)
    return bytes(data[:end] + data[begin:])


def _insert(rng: random.Random, data: bytearray, others: list[Path]) -> bytes:
    at = rng.randrange(len(data))
    return bytes(data[:at]) + rng.randbytes(rng.randrange(1, 3000)) + bytes(data[at:])


def _delete(rng: random.Random, data: bytearray, others: list[Path]) -> bytes:
    begin, end = _span(rng, data)
    return bytes(data[:begin] + data[end:])


def _truncate(low: float, high: float) -> Mutation:
    def truncate(rng: random.Random, data: bytearray, others: list[Path]) -> bytes:
        return bytes(data[: int(len(data) * rng.uniform(low, high))])

    return truncate


def _behead(rng: random.Random, data: bytearray, others: list[Path]) -> bytes:
    return bytes(data[int(len(data) * rng.uniform(0.001, 0.5)) :])


def _tail(rng: random.Random, data: bytearray, others: list[Path]) -> bytes:
    return bytes(data) + rng.randbytes(rng.randrange(100, 20_000))


def _cross(rng: random.Random, data: bytearray, others: list[Path]) -> bytes:
    other = rng.choice(others).read_bytes()
    at = rng.uniform(0.1, 0.9)
    return bytes(data[: int(len(data) * at)]) + other[int(len(other) * at) :]


MUTATIONS: dict[str, Mutation] = {
    "bits5": _flip(5),
    "bits60": _flip(60),
    "bits400": _flip(400),
    "zero": _zero,
    "noise": _noise,
    "swap": _swap,
    "double": _double,
    "insert": _insert,
    "delete": _delete,
    "trunc": _truncate(0.2, 0.95),
    "trunc_late": _truncate(0.95, 0.9999),
    "behead": _behead,
    "garbage_tail": _tail,
    "cross": _cross,
}


def damaged_file(seed: int, intact: list[Path], folder: Path) -> tuple[Path, Path, list[str]]:
    """(damaged file, the intact one it was made of, options of the run) of a seed."""
    rng = random.Random(seed)
    source = rng.choice(intact)
    kind = rng.choice(list(MUTATIONS))
    data = MUTATIONS[kind](rng, bytearray(source.read_bytes()), intact)
    path = folder / f"{seed:06}_{kind}_{source.name}"
    path.write_bytes(data)
    part = rng.random()
    options = ["--end", "0.8"] if part < 0.1 else ["--start", "0.3"] if part < 0.2 else []
    return path, source, options


def survey(path: Path) -> dict[str, Any]:
    """What a file says of itself, by PyAV alone: for every stream its headers and its packets."""
    import av

    streams: dict[int, dict[str, Any]] = {}
    with av.open(str(path), metadata_errors="replace") as container:
        whole_s = (container.duration or 0) / av.time_base
        start_s = (container.start_time or 0) / av.time_base
        for stream in container.streams:
            base = stream.time_base or Fraction(1)
            rate = getattr(stream, "average_rate", None) or getattr(stream, "guessed_rate", None)
            tag = re.fullmatch(r"(\d+):(\d+):([\d.]+)", stream.metadata.get("DURATION", ""))
            streams[stream.index] = {
                "type": stream.type,
                "header_packets": stream.frames,
                "index": sum(entry.size > 0 for entry in stream.index_entries),
                "seconds": float(stream.duration * base)
                if stream.duration
                else int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3])
                if tag
                else 0.0,
                "rate": float(rate) if rate else 0.0,
                "packets": 0,
                "bytes": 0,
                "begin": None,
                "end": None,
            }
        try:
            for packet in container.demux():
                one = streams.get(packet.stream.index)
                if one is None or not packet.size or packet.is_discard:
                    continue
                one["packets"] += 1
                one["bytes"] += packet.size
                pts = packet.pts if packet.pts is not None else packet.dts
                if pts is not None:
                    at = float(pts * packet.time_base)
                    one["begin"] = at if one["begin"] is None else min(one["begin"], at)
                    one["end"] = at if one["end"] is None else max(one["end"], at)
        except (av.FFmpegError, LookupError, ValueError):
            pass
    return {"streams": list(streams.values()), "seconds": whole_s, "start": start_s}


def count_frames(path: Path) -> int:
    """Frames of the first video that decode."""
    import av

    with av.open(str(path), metadata_errors="replace") as container:
        return sum(1 for _ in container.decode(video=0))


def promised_frames(told: dict[str, Any], intact: dict[str, Any]) -> float:
    """The most frames that the damaged file itself promises, and that the intact one had."""
    video = _first(told, "video")
    if video is None:
        return 0
    whole = _first(intact, "video")
    rate = whole["packets"] / max(whole["seconds"], 1e-3)
    sound = _first(told, "audio")
    claims = [video["header_packets"], video["index"], video["packets"], video["seconds"] * rate]
    if video["begin"] is not None:
        claims.append((video["end"] - video["begin"]) * rate + 1)
    heard = _first(intact, "audio")
    if sound is not None and heard is not None and sound["begin"] is not None:
        share = (sound["end"] - sound["begin"]) / max(heard["end"] - heard["begin"], 1e-3)
        claims.append(share * whole["packets"])
    sane = [one for one in claims if one <= 1.1 * whole["packets"]]
    return min(max(sane, default=0), whole["packets"])


def _first(told: dict[str, Any], kind: str) -> dict[str, Any] | None:
    return next((one for one in told["streams"] if one["type"] == kind), None)


def losses(told: dict[str, Any], intact: dict[str, Any], result: Path, part: float) -> list[str]:
    """What an output lacks of what the damaged file promised.

    Args:
        told: of the damaged file.
        intact: of the file it was made of.
        result: the output.
        part: share of the video that was asked for.
    """
    held = survey(result)
    frames = count_frames(result)
    lost = []
    promised = promised_frames(told, intact) * part
    if frames < promised * (1 - LOST) - 3 * (part < 1):  # parts count from the file's start
        lost.append(f"{frames} of {promised:.1f} frames")
    sound, kept = _first(told, "audio"), _first(held, "audio")
    whole = _first(intact, "audio")
    if whole is not None and kept is None:
        lost.append("all sound")
    if sound is None or whole is None or kept is None:
        return lost
    share = sound["bytes"] / max(whole["bytes"], 1)
    wanted = max(sound["bytes"], 0) * part
    if kept["bytes"] < wanted * (1 - LOST) - 3000 * (part < 1):
        lost.append(f"{kept['bytes']} of {wanted:.0f} bytes of sound")
    listed = max(
        n for n in (sound["header_packets"], sound["index"], 0) if n <= 1.1 * whole["packets"]
    )
    step = (whole["end"] - whole["begin"]) / max(whole["packets"] - 1, 1)
    if 0 < sound["seconds"] <= 1.1 * whole["seconds"] and not listed:
        listed = sound["seconds"] / step
    if kept["packets"] < listed * part * (1 - LOST) - 4 * (part < 1) and share < 1 - LOST:
        lost.append(f"{kept['packets']} of {listed * part:.0f} packets of sound")
    return lost


def _in_child(work: Callable[[], int], log: Path, limit_s: float, limit_mib: int) -> str | int:
    """Runs `work` in a forked process; its exit code, or 'hang', 'memory' or 'crash N'."""
    child = os.fork()
    if child == 0:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        try:
            code = work()
        except BaseException as error:
            print(f"Traceback: {type(error).__name__}: {error}", file=sys.stderr)
            code = 99
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    ends = time.monotonic() + limit_s
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            return f"crash {ended_by}" if ended_by else os.WEXITSTATUS(status)
        late, large = time.monotonic() > ends, _resident_mib(child) > limit_mib
        if late or large:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "hang" if late else "memory"
        time.sleep(0.03)


def _resident_mib(process: int) -> float:
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _restore(arguments: list[str]) -> int:
    from vidrestore.cli import main

    return main(arguments)


def _judged(log: Path, source: Path, intact: Path, result: Path, part: float) -> Callable[[], int]:
    def judge() -> int:
        told, whole = survey(source), survey(intact)
        print(json.dumps(losses(told, whole, result, part)))
        return 0

    return judge


def run_seed(seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Makes, restores and judges the file of one seed."""
    folder = Path(options.out) / f"work_{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "result").mkdir(parents=True)
    intact = sorted(path for path in Path(options.source).iterdir() if path.suffix != ".md")
    source, whole, part = damaged_file(seed, intact, folder)
    output, report = folder / "result" / f"out{source.suffix}", folder / "report.json"
    arguments = [str(source), str(output), "--report", str(report), "--threads", "1"]
    arguments += ["--progress", "none", *part, *(_QUICK if options.quick else _WHOLE)]
    log, begun = folder / "log", time.monotonic()
    ended = _in_child(lambda: _restore(arguments), log, options.timeout, options.memory)
    seconds = time.monotonic() - begun
    said = log.read_text(errors="replace").splitlines() if log.exists() else []
    left = sorted(path.name for path in (folder / "result").iterdir())
    notes = json.loads(report.read_text())["notes"] if report.exists() else []
    verdict, detail = _verdict(ended, said, left, output.name, notes)
    if verdict in ("fine", "noted"):
        share = {"--end": 0.8 / 1.2, "--start": 0.9 / 1.2}.get(part[0], 1.0) if part else 1.0
        judged = folder / "judged"
        outcome = _in_child(_judged(judged, source, whole, output, share), judged, 60, 4000)
        told = judged.read_text(errors="replace").splitlines()
        lost = json.loads(told[-1]) if outcome == 0 and told else None
        if lost is None:
            verdict, detail = "unreadable", f"{outcome}: {' '.join(told)[-300:]}"
        elif lost and verdict == "fine":
            verdict, detail = "silent", "; ".join(lost)
    record = {
        "seed": seed,
        "file": source.name,
        "options": part,
        "exit": ended,
        "verdict": verdict,
        "detail": detail,
        "seconds": round(seconds, 2),
    }
    if verdict in BAD:
        bad = Path(options.out) / "bad"
        bad.mkdir(exist_ok=True)
        shutil.copy(source, bad / source.name)
    shutil.rmtree(folder)
    return record


def _verdict(
    ended: str | int, said: list[str], left: list[str], name: str, notes: list[str]
) -> tuple[str, str]:
    """(verdict, detail), silent losses aside."""
    errors = [line for line in said if line.startswith("vidrestore:")]
    told = " | ".join(errors or said[-3:])
    if isinstance(ended, str):
        return ended.split()[0], f"{ended} {told}"
    if any("Traceback" in line for line in said):
        return "traceback", told
    if any("unexpected error" in line for line in errors):
        return "unexpected", told
    if left != ([name] if ended == 0 else []):
        return "leftovers", f"exit {ended}: {left}"
    if ended == 0:
        return ("noted", " | ".join(notes)) if notes else ("fine", "")
    return ("refused" if ended == 1 and len(errors) == 1 else "message"), told


def main() -> int:
    """Runs all seeds, prints a table, and tells by the exit code whether any verdict is bad."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--from", dest="source", default=str(INTACT), help="folder of intact files")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", default="fuzz", help="folder of results")
    parser.add_argument("--quick", action="store_true", help="look for no faces")
    parser.add_argument("--timeout", type=float, default=180, help="seconds a file")
    parser.add_argument("--memory", type=int, default=3000, help="MiB a process")
    options = parser.parse_args()
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    results = out / "results.jsonl"
    wanted = range(options.first_seed, options.first_seed + options.count)
    known = (
        [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    )
    records = [one for one in known if one["seed"] in wanted]
    todo = sorted(set(wanted) - {one["seed"] for one in records})
    with results.open("a") as file:
        for record in _all(todo, options):
            records.append(record)
            file.write(json.dumps(record) + "\n")
            file.flush()
            if record["verdict"] in BAD:
                print(
                    f"{record['verdict']:11} {record['file']}: {record['detail'][:300]}", flush=True
                )
    _print_table(records)
    return int(any(one["verdict"] in BAD for one in records))


def _all(seeds: list[int], options: argparse.Namespace) -> Any:
    """Records of seeds as they come, from processes that import everything once and then fork."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with multiprocessing.get_context("spawn").Pool(options.jobs, initializer=_prepare) as pool:
        yield from pool.imap_unordered(_Seed(options), seeds)


class _Seed:
    """`run_seed` with its options, for another process."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options

    def __call__(self, seed: int) -> dict[str, Any]:
        return run_seed(seed, self._options)


def _prepare() -> None:
    sys.path.insert(0, str(ROOT))
    import vidrestore.api
    import vidrestore.cli  # noqa: F401


def _print_table(records: list[dict[str, Any]]) -> None:
    kinds = list(MUTATIONS)
    rows = Counter((_kind(one), one["verdict"]) for one in records)
    verdicts = ["fine", "noted", "refused", *BAD]
    print(f"{'':13}" + "".join(f"{name:>11}" for name in verdicts))
    for kind in kinds:
        print(f"{kind:13}" + "".join(f"{rows[kind, name]:11}" for name in verdicts))
    totals = Counter(one["verdict"] for one in records)
    print(f"{'all':13}" + "".join(f"{totals[name]:11}" for name in verdicts))
    slowest = max((one["seconds"] for one in records), default=0)
    print(f"{len(records)} files, the slowest took {slowest:.1f} s")


def _kind(record: dict[str, Any]) -> str:
    name = record["file"].split("_", 1)[1]
    return max((kind for kind in MUTATIONS if name.startswith(kind + "_")), key=len)


if __name__ == "__main__":
    sys.exit(main())
