"""Run the program on hostile inputs and print what it says, its exit code, its time and memory.

    python tools/hostile_table.py [--folder ../shared/hostile] [--only WORDS] [--limit-s 60]

Most inputs are made here, in seconds; a folder may bring more (`*.yaml` as a configuration,
`*.json` as tracks, `*.pth` and `*.safetensors` as a model, all else as the input). Each runs in a
process of its own. The exit code is 1 if a run hangs, gives no error in one line (after the line
that says what will be done), prints raw escape characters or a traceback, calls the error
unexpected, or succeeds.
"""

from __future__ import annotations

import argparse
import http.server
import json
import os
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

ESCAPES = "\x1b[2J\x1b]0;owned\x07\nvidrestore: wrote \u202egpm.exe"
LAUGHS = "- &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"- &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)


@dataclass(frozen=True)
class Case:
    """One run."""

    name: str
    arguments: list[str]
    succeeds: bool = False
    """Whether it is only to be told safely, and not refused."""
    memory_bytes: int | None = None
    """Most memory, as address space, that the process gets."""
    says: str = ""
    """Words that the message must hold."""


@dataclass(frozen=True)
class Outcome:
    """What a run did."""

    said: str
    code: int | None
    """None: it was ended, because it took too long."""
    seconds: float
    peak_mib: float


def main() -> int:
    """Run all cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="more inputs")
    parser.add_argument("--only", default="", help="cases whose name holds these words")
    parser.add_argument("--limit-s", type=float, default=60.0, help="longest time of a run")
    given = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as made, dripping_server() as address:
        folder = Path(made)
        cases = [*made_cases(folder), *found_cases(folder, given.folder)]
        cases.extend(dripping_cases(address))
        print("| input | message | exit | seconds | peak MiB |\n| --- | --- | --- | --- | --- |")
        for case in cases:
            if given.only in case.name:
                outcome = run(case, folder, given.limit_s)
                wrong = fault(case, outcome)
                failed += wrong is not None
                print(line(case, outcome, wrong), flush=True)
    print(f"\n{failed} of the runs are not as they must be")
    return 1 if failed else 0


def run(case: Case, folder: Path, limit_s: float) -> Outcome:
    """Run one case in a process of its own."""
    output = folder / "said"
    command = [sys.executable, *([] if case.arguments[0] == "-c" else ["-m", "vidrestore"])]
    command += case.arguments
    environment = os.environ | {"VIDRESTORE_HOME": str(folder / "home")}
    environment.pop("COLUMNS", None)

    def limit_memory() -> None:
        if case.memory_bytes is not None:
            resource.setrlimit(resource.RLIMIT_AS, (case.memory_bytes, case.memory_bytes))

    begun = time.monotonic()
    with output.open("wb") as said:
        process = subprocess.Popen(
            command,
            stdout=said,
            stderr=said,
            stdin=subprocess.DEVNULL,
            env=environment,
            preexec_fn=limit_memory,
        )
        killer = threading.Timer(limit_s, process.kill)
        killer.start()
        _, status, usage = os.wait4(process.pid, 0)
        killer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    code = None if process.returncode == -9 else process.returncode
    text = output.read_bytes().decode("utf-8", "backslashreplace")
    return Outcome(text, code, time.monotonic() - begun, usage.ru_maxrss / 1024)


def fault(case: Case, outcome: Outcome) -> str | None:
    """What is wrong with an outcome; None if nothing is."""
    text = outcome.said.removesuffix("\n")
    if outcome.code is None:
        return "did not end"
    if any(not part.isprintable() for part in text.split("\n")):
        return "raw characters"
    if any(part.startswith("vidrestore: wrote") for part in text.split("\n")):
        return "a forged line"
    if case.succeeds:
        return None if outcome.code == 0 else "failed"
    if outcome.code not in (1, 2):
        return "not refused"
    *before, last = text.split("\n")
    if any(" → " not in part for part in before) or len(before) > 1:
        return "not one clear line"
    if not last.startswith(("vidrestore: ", "download: ")) or "unexpected" in last:
        return "not a clear line"
    return None if case.says in last else f"not the message {case.says!r}"


def line(case: Case, outcome: Outcome, wrong: str | None) -> str:
    """A row of the table."""
    said = outcome.said.strip().replace("|", "\\|").split("\n")[0 if case.succeeds else -1]
    said = said if len(said) <= 160 else said[:159] + "…"
    told = said if wrong is None else f"**{wrong}**: {said}"
    figures = f"{outcome.code} | {outcome.seconds:.1f} | {outcome.peak_mib:.0f}"
    return f"| {case.name} | {told} | {figures} |"


def made_cases(folder: Path) -> Iterator[Case]:
    """Inputs that are made here."""
    clip = titled_clip(folder / "clip.mkv", "a title")
    output = str(folder / "out.mkv")

    def with_option(name: str, option: str, *values: str) -> Case:
        return Case(name, [str(clip), output, option, *values])

    yield from (Case(f"input: {name}", [made, output]) for name, made in inputs(folder, clip))
    for name, text in YAML.items():
        path = folder / f"{slug(name)}.yaml"
        path.write_text(text, encoding="utf-8")
        yield with_option(f"--config: {name}", "--config", str(path))
    for name, data in pickles().items():
        path = archive(folder / f"{slug(name)}.pth", data)
        yield with_option(f"--model: {name}", "--model", str(path))
    for name, data in safetensors().items():
        path = folder / f"{slug(name)}.safetensors"
        path.write_bytes(data)
        yield with_option(f"--model: {name}", "--model", str(path))
    for name, data in TRACKS.items():
        path = folder / f"{slug(name)}.json"
        path.write_bytes(data)
        yield with_option(f"--tracks: {name}", "--tracks", str(path))
    for option in ("--config", "--tracks", "--model"):
        pipe = folder / f"pipe{option}.pth"
        os.mkfifo(pipe)
        yield with_option(f"{option}: a pipe", option, str(pipe))
        yield with_option(f"{option}: nothing there", option, str(folder / "none.pth"))
    for option, value in (("--device", "hpu"), ("--start", "1e308"), ("--end", "inf")):
        yield with_option(f"{option} {value}", option, value)
    yield with_option("an option with escapes", "--\x1b[31m\nvidrestore: wrote a")
    huge = [str(huge_clip(folder / "huge.mp4")), output]
    yield Case("8000x8000, 4 GiB free", huge, memory_bytes=4 << 30, says="needs about 7")
    hostile = titled_clip(folder / "a\x1b[31m\nvidrestore: wrote b.mkv", ESCAPES)
    yield Case("probe: titles and names with escapes", ["probe", str(hostile)], succeeds=True)
    told = [str(hostile), output, "--dry-run"]
    yield Case("--dry-run: titles and names with escapes", told, succeeds=True)
    latin = titled_clip(folder / os.fsdecode(b"caf\xe9.mkv"), "a title")
    yield Case("probe: a name that is no UTF-8", ["probe", str(latin)], succeeds=True)


def found_cases(folder: Path, found: Path | None) -> Iterator[Case]:
    """Inputs that lie in a folder."""
    clip, output = str(folder / "clip.mkv"), str(folder / "out.mkv")
    options = {".yaml": "--config", ".json": "--tracks", ".pth": "--model"}
    options[".safetensors"] = "--model"
    for path in sorted(found.iterdir()) if found is not None else ():
        if path.suffix == ".md":
            continue
        option = options.get(path.suffix)
        arguments = [clip, output, option, str(path)] if option else [str(path), output]
        yield Case(f"found: {path.name}", arguments)


def inputs(folder: Path, clip: Path) -> Iterator[tuple[str, str]]:
    """Names of what is given as the input video."""
    playlists = {
        "list.m3u8": "#EXTM3U\n#EXTINF:1,\nfile://{clip}\n#EXT-X-ENDLIST\n",
        "hls.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n",
        "concat.mp4": "ffconcat version 1.0\nfile {clip}\n",
        "list.pls": "[playlist]\nFile1={clip}\n",
        "dash.mp4": '<?xml version="1.0"?><MPD><BaseURL>{clip}</BaseURL></MPD>',
        "call.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    }
    for name, text in playlists.items():
        path = folder / name
        path.write_text(text.format(clip=clip), encoding="utf-8")
        yield f"playlist {name}", str(path)
    for address in ("http://127.0.0.1:9/a.mp4", f"file:{clip}", f"concat:{clip}", "pipe:0", "-"):
        yield address.replace(str(folder), "…"), address
    yield "a pattern", str(folder / "f%04d.png")
    yield "nothing there", str(folder / "nothing.mp4")
    yield "a folder", str(folder)
    os.mkfifo(folder / "pipe.mkv")
    yield "a pipe", str(folder / "pipe.mkv")
    yield "a device", "/dev/zero"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "s.mkv"))
    yield "a socket", str(folder / "s.mkv")
    (folder / "empty.mp4").touch()
    yield "an empty file", str(folder / "empty.mp4")
    (folder / "text.mp4").write_text("words\n" * 100, encoding="utf-8")
    yield "a text", str(folder / "text.mp4")


YAML = {
    "aliases that multiply": LAUGHS,
    "aliases in an option": "blend:\n" + LAUGHS.replace("- &", "  - &"),
    "40,000 levels": "[" * 40_000,
    "a number of 5,000 digits": "run: {threads: " + "9" * 5000 + "}",
    "300,000 entries": "[" + "a," * 300_000 + "]",
    "2 MB": "#" * 2_000_000,
    "a tag": "blend: !!python/object/apply:os.system [true]",
    "a key twice": "blend: {strength: 1, strength: 0}",
    "start .inf": "decode: {start: .inf}",
    "start 1e308": "decode: {start: 1e308}",
    "device hpu": "run: {device: hpu}",
    "escapes": '"\\e[31m\\nvidrestore: wrote a": 1',
    "a date without sense": "decode: {start: 2001-13-45}",
}
TRACKS = {
    "100,000 levels": b"[" * 100_000,
    "a number of 100,000 digits": b'{"version": ' + b"9" * 100_000 + b"}",
    "no text": b"\xff\xfe\x00",
    "500 faces a frame": b"",
    "escapes": b'{"\\u001b[31m\\n": 1}',
}


def crowd(count: int) -> bytes:
    """Tracks of so many faces in one frame."""
    person = {
        "frames": [[0, 0]],
        "detected": "1",
        "scores": [[900, 1]],
        "seen_strength_percent": [[100, 1]],
        "seen_gates": [["", 1]],
        "places": [[128, 128, 384, 128, 256, 256, 128, 384, 384, 384, 64, 64, 576, 576]],
        "motions": [None],
    }
    head = {"format": "vidrestore tracks", "version": 3, "unit_px": 1 / 64, "source": "a"}
    head |= {"start": None, "width": 64, "height": 48, "frames": 1, "time_steps_ms": [0]}
    head |= {"detected_frames": [0], "cuts": [], "detector": "embedded"}
    return json.dumps(head | {"tracks": [person | {"id": n} for n in range(count)]}).encode()


TRACKS["500 faces a frame"] = crowd(500)


def pickles() -> dict[str, bytes]:
    """Contents of `data.pkl`."""
    nested = b"".join(b"h%ch%c\x86q%c" % (n, n, n + 1) for n in range(60))
    storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu\x8a\x08"
    huge = storage + struct.pack("<q", 10**13) + b"tQ"
    return {
        "keys that multiply": b"\x80\x02}(K\x01q\0" + nested + b"tK\x01s.",
        "code": b"\x80\x02cposix\nsystem\nX\x04\0\0\0true\x85R.",
        "deep lists": b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b".",
        "3 million instructions": b"\x80\x02]" + b"K\x01a" * 1_500_000 + b".",
        "a storage of 40 TB": b"\x80\x02}X\x01\0\0\0w" + huge + b"s.",
    }


def safetensors() -> dict[str, bytes]:
    """Whole files."""

    def whole(header: object, data: bytes = bytes(16)) -> bytes:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + data

    def network(**told: object) -> bytes:
        metadata = {"arch": "CompactUNet", "hyperparameters": json.dumps(told)}
        tensor = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
        return whole({"__metadata__": metadata, "w": tensor})

    return {
        "a header of 8 EB": struct.pack("<Q", 1 << 63) + b"{}",
        "a header of 100,000 levels": whole(b"[" * 100_000),
        "a tensor of 4 TB": whole(
            {"w": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 16]}}
        ),
        "size=100000": network(size=100_000),
        "widths of 60,000": network(widths=[60_000] * 3),
        "a billion blocks": network(encoder_blocks=[10**9, 1]),
        "nested hyperparameters": network(widths=[[[[[[8]]]]]]),
    }


def archive(path: Path, table: bytes) -> Path:
    """A file as `torch.save` writes it."""
    with zipfile.ZipFile(path, "w") as file:
        for name, data in (("data.pkl", table), ("version", b"3\n"), ("byteorder", b"little")):
            file.writestr(f"x/{name}", data)
    return path


def titled_clip(path: Path, title: str) -> Path:
    """A clip of three frames with this title everywhere."""
    with av.open(str(path), "w", format="matroska") as container:
        container.metadata["title"] = title
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.metadata["title"] = title
        container.add_attachment(title, "text/plain", b"data")
        for number in range(3):
            picture = np.full((48, 64, 3), 40 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def huge_clip(path: Path) -> Path:
    """A clip of 12 grey frames of 8000 x 8000 pixels in some 2 MB: one key frame, repeated."""
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "threads=1"}
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.width = stream.height = 8000
        frame = av.VideoFrame(8000, 8000, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([128]) * plane.buffer_size)
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        [packet] = [*stream.encode(frame), *stream.encode(None)]
        data = bytes(packet)
        for number in range(12):
            copy = av.Packet(data)
            copy.stream, copy.time_base, copy.is_keyframe = stream, Fraction(1, 25), True
            copy.pts = copy.dts = number
            container.mux(copy)
    return path


def slug(name: str) -> str:
    """A file name from words."""
    return "".join(char if char.isalnum() else "_" for char in name)


@contextmanager
def dripping_server() -> Iterator[str]:
    """The address of `/content` and `/headers`, of which these bytes come one by one."""
    ended = threading.Event()

    class Drips(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/content":
                self.send_response(200)
                self.end_headers()
            while not ended.wait(0.2):
                try:
                    self.wfile.write(b"x")
                except OSError:
                    return

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Drips)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    ended.set()
    server.shutdown()


DRIP = """
import sys, tempfile
from pathlib import Path
from vidrestore.errors import DownloadError
from vidrestore.models.weights import download
download._PACE_WINDOW_S = float(sys.argv[2])
folder = tempfile.mkdtemp()
try:
    download.fetch([sys.argv[1]], Path(folder) / "w", wrong=lambda part: None, timeout_s=2.0)
except DownloadError as error:
    print(f"download: {error}")
    sys.exit(1)
"""


def dripping_cases(address: str) -> Iterator[Case]:
    """The program's download from a server that drips, with 5 s and 2 s instead of 300 and 60."""
    yield Case("download: content that drips (5 s)", ["-c", DRIP, f"{address}/content", "5"])
    yield Case("download: headers that drip (2 s)", ["-c", DRIP, f"{address}/headers", "300"])


if __name__ == "__main__":
    sys.exit(main())
