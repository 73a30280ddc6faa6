"""What is mistyped is told before torch is imported, which takes seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from clips import empty_frames, write_clip

import vidrestore
from vidrestore.errors import UsageError
from vidrestore.runtime.devices import check_device

EMBEDDED = Path(vidrestore.__file__).parent / "models" / "embedded" / "generator.safetensors"
HAS_GPU = any(Path(node).exists() for node in ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg"))
BAD_WEIGHTS = {
    "missing.pth": "no such file",
    "folder.pth": "is a folder",
    "text.pth": "damaged or no weights file",
    "empty.pth": "damaged or no weights file",
    "clip.mp4": "damaged or no weights file",
    "code.pth": "loading it would run posix.system",
    "text.safetensors": "damaged or no weights file",
    "cut.safetensors": "damaged or no weights file",
    "text.onnx": "no ONNX file",
    "whole.safetensors#nosuch": "unknown architecture 'nosuch'",
}
"""Files, and what is said of them."""
RESTORE = "clip.mp4 out.mp4"
EVALUATE = "evaluate --model embedded --data clip.mp4"
TRAIN = "train compact_generator --data faces --out run"

CASES = {
    f"{RESTORE} --model nosuch": "unknown restorer 'nosuch'",
    f"{RESTORE} --model retinaface-mobile0.25": "no restorer",
    f"{RESTORE} --detector nosuch": "unknown detector 'nosuch'",
    f"{RESTORE} --model gfpgan-1.4": "weights GFPGANv1.4.pth: 5 bytes, expected",
    **{f"{RESTORE} --model {name}": words for name, words in BAD_WEIGHTS.items()},
    **{f"{RESTORE} --detector {name}": words for name, words in BAD_WEIGHTS.items()},
    f"{RESTORE} --codec nosuch": "unknown codec 'nosuch'",
    f"{RESTORE} --codec aac": "aac is no video codec",
    f"{RESTORE} --ffmpeg-args=-an": "are for --sink ffmpeg",
    f"{RESTORE} --sink ffmpeg --ffmpeg-args x": "'x' belongs to no option",
    f"{RESTORE} --sink ffmpeg --crf 20": "--crf: is not used by --sink ffmpeg",
    "clip.mp4 out.xyz": "names no container",
    "inspect clip.mp4 --out t.json --detector text.pth": "no weights file",
    "inspect clip.mp4 --out t.json --device hpu": "device hpu",
    "batch clip.mp4 out --model nosuch": "unknown restorer 'nosuch'",
    "batch clip.mp4 out --model text.pth": "no weights file",
    "batch clip.mp4 out --devices hpu": "device hpu",
    "batch clip.mp4 out --workers 0": "--workers 0",
    "batch clip.mp4 nothing.mp4 out": "no such file",
    "batch clip.mp4 out --ending .xyz": "names no container",
    "batch plan clip.mp4 . --ending .mp4": "is an input itself",
    "batch run faces": "holds no batch",
    "bench clip.mp4 --model text.pth": "no weights file",
    "bench clip.mp4 --device hpu": "device hpu",
    "bench clip.mp4 --codec nosuch": "unknown codec 'nosuch'",
    "demo out.mp4 --model text.pth": "no weights file",
    "demo out.xyz": "names no container",
    "demo out.mp4 --keep-input in.xyz": "names no container",
    "demo clip.mp4": "clip.mp4 exists",
    "degrade clip.mp4 out.mp4 --recipe nosuch": "unknown recipe 'nosuch'",
    "degrade clip.mp4 out.mp4 --recipe text.yaml": "needs 'steps'",
    "degrade clip.mp4 out.mp4 --recipe vhs --codec nosuch": "unknown codec 'nosuch'",
    "degrade clip.mp4 out.xyz --recipe vhs": "names no container",
    f"{EVALUATE} --model text.pth": "no weights file",
    f"{EVALUATE} --detector text.pth": "no weights file",
    f"{EVALUATE} --device hpu": "device hpu",
    f"{EVALUATE} --metrics nosuch": "there is no 'nosuch'",
    f"{EVALUATE} --degrade nosuch": "unknown protocol 'nosuch'",
    f"{EVALUATE} --identity text.pth": "no weights file",
    f"{EVALUATE} --arcface text.pth": "no weights file",
    "evaluate detector clip.mp4 --detector text.pth": "no weights file",
    "evaluate tracking clip.mp4 --reference nosuch": "unknown detector 'nosuch'",
    f"{TRAIN} --device hpu": "device hpu",
    f"{TRAIN} --set start_from=text.pth": "no weights file",
    f"{TRAIN} --set start_from=missing.pth": "no such file",
    f"{TRAIN} --set nosuch=1": "unknown key 'nosuch'",
    "train nosuch --data faces --out run": "unknown training configuration",
    "train compact_generator --data nosuch --out run": "no such folder",
    "train compact_generator --data faces --out faces/labels.csv": "is a file",
    "train gfpgan --data faces --out run --set prior=text.pth": "no weights file",
    "train gfpgan --data faces --out run --set degradation=nosuch": "unknown recipe 'nosuch'",
    "export missing.pt out.safetensors": "no such file",
    "export text.pth out.safetensors": "not one of `vidrestore train`",
    "export whole.safetensors out.xyz": "ends neither in .safetensors nor in .onnx",
    "export whole.safetensors clip.mp4": "ends neither",
}
"""Command lines, and what is said of them."""
DEVICES = ["hpu", "abacus", "meta", "cuda:-1", "cuda:x", "cuda:01", "cuda:", "CPU", "mps2", "x:1:2"]
DEVICES += [] if HAS_GPU or sys.platform == "win32" else ["cuda", "cuda:0", "cuda:99"]
DEVICES += [] if sys.platform == "darwin" else ["mps"]
CASES |= {f"{RESTORE} --device {device}": f"device {device}: " for device in DEVICES}

RUN_ALL = """
import contextlib, io, json, sys
from vidrestore.cli import main
told = {}
for line in json.load(sys.stdin):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = main(line.split())
    told[line] = [code, out.getvalue(), "torch" in sys.modules]
json.dump(told, sys.stdout)
"""


class Told(NamedTuple):
    """What a run said."""

    code: int
    said: str
    has_torch: bool
    """Whether torch was imported by then."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    """All cases, in one process and one folder, which they leave as it was."""
    folder = tmp_path_factory.mktemp("inputs")
    write_clip(folder / "clip.mp4", empty_frames(3, width=64, height=48))
    (folder / "faces").mkdir()
    (folder / "faces" / "labels.csv").write_text("file\na.png\n")
    (folder / "folder.pth").mkdir()
    (folder / "empty.pth").touch()
    for ending in ("pth", "safetensors", "onnx", "yaml"):
        (folder / f"text.{ending}").write_text("hello, hello, hello")
    (folder / "code.pth").write_bytes(b"\x80\x02cposix\nsystem\nX\x04\0\0\0true\x85R.")
    (folder / "whole.safetensors").write_bytes(EMBEDDED.read_bytes())
    (folder / "cut.safetensors").write_bytes(EMBEDDED.read_bytes()[:-1000])
    installed = folder / "home" / "weights" / "GFPGANv1.4.pth"
    installed.parent.mkdir(parents=True)
    installed.write_bytes(b"hello")
    before = sorted(folder.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL],
        cwd=folder,
        input=json.dumps(list(CASES)),
        env=os.environ | {"VIDRESTORE_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(folder.rglob("*")) == before
    return {line: Told(*values) for line, values in json.loads(done.stdout).items()}


@pytest.mark.parametrize("line", CASES)
def test_it_is_told_without_torch(told: dict[str, Told], line: str) -> None:
    one = told[line]
    assert one.code in (1, 2) and CASES[line] in one.said
    assert one.said.startswith("vidrestore: ") and one.said.count("\n") == 1
    assert not one.has_torch


@pytest.mark.parametrize("device", ["auto", "cpu", "cpu:0", "xpu", "xpu:1"])
def test_devices_that_may_be_there_pass(device: str) -> None:
    check_device(device)


@pytest.mark.skipif(not HAS_GPU, reason="needs a GPU's driver")
def test_a_gpu_passes() -> None:
    check_device("cuda:0")


def test_a_name_of_any_length_is_no_device() -> None:
    with pytest.raises(UsageError, match="not on this machine"):
        check_device("cuda:" + "9" * 10_000)
