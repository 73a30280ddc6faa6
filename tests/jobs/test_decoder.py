"""A job decodes by hardware where its pictures are those of software; else it says why not."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
import torch
from clips import empty_frames, face_frames, write_clip
from quick import QUICK
from surfaces import stand_in

from vidrestore import Session, restore_video
from vidrestore.cli.main import main
from vidrestore.config import RestoreConfig, resolve_config
from vidrestore.jobs.backends import settle_backends
from vidrestore.jobs.plan import prepare
from vidrestore.jobs.store import FolderStore
from vidrestore.video.read.hardware import Hardware

DEBUG: dict[str, object] = QUICK | {"restore.model": "debug"}


def config(**values: object) -> RestoreConfig:
    named = {name.replace("__", "."): value for name, value in values.items()}
    return resolve_config(None, DEBUG | named)


BY_HARDWARE = config(decode__hardware="nvdec")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "in.mkv", face_frames(4, width=160, height=120))


def put_in_place(monkeypatch: pytest.MonkeyPatch, hardware: Hardware) -> list[torch.device]:
    asked: list[torch.device] = []

    def find(device: torch.device) -> Hardware:
        asked.append(device)
        return hardware

    monkeypatch.setattr("vidrestore.video.read.nvdec.find_nvdec", find)
    return asked


def spoilt(number: int, surface: av.VideoFrame) -> av.VideoFrame:
    torch.frombuffer(surface.planes[0], dtype=torch.uint8)[5] ^= 1
    return surface


def test_a_run_by_hardware_gives_the_bytes_of_software(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = put_in_place(monkeypatch, stand_in())
    report = restore_video(clip, clip.with_name("a.mkv"), config=BY_HARDWARE)
    assert asked == [torch.device("cpu")] * 2, "tried, and read"
    assert report.config["decode"]["hardware"] == "nvdec"
    assert "NVDEC decodes; it conceals damage inside of pictures in silence" in report.notes
    assert not any("on the CPU" in note for note in report.notes)
    restore_video(clip, clip.with_name("b.mkv"), config=config())
    assert clip.with_name("a.mkv").read_bytes() == clip.with_name("b.mkv").read_bytes()


def test_a_decoder_that_gives_other_pictures_is_not_taken(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_place(monkeypatch, stand_in(spoilt))
    with Session(BY_HARDWARE) as session:
        job = session.plan(clip, clip.with_name("out.mkv"))
    assert job.config.decode.hardware is None
    assert job.warnings == (
        "decoded on the CPU, not by NVDEC: NVDEC gives another picture at 0.000 s (samples)",
    )


def test_this_machine_tells_what_it_lacks(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(clip), str(clip.with_name("out.mkv")), "--device", "cpu", "--model", "debug"]
    assert main([*arguments, "--dry-run", "--decode.hardware", "nvdec"]) == 0
    told = capsys.readouterr().out
    assert "decoded on the CPU, not by NVDEC: faces are restored on cpu" in told
    assert main([*arguments, "--dry-run"]) == 0
    assert "decoded on" not in capsys.readouterr().out


def test_a_run_that_goes_on_keeps_its_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_clip(tmp_path / "in.mkv", empty_frames(3, width=64, height=48))
    by_software, by_hardware = tmp_path / "software.mkv", tmp_path / "hardware.mkv"
    prepare(clip, by_software, BY_HARDWARE)  # on a CPU
    put_in_place(monkeypatch, stand_in())
    with Session(BY_HARDWARE) as session:
        job = settle_backends(session.plan(clip, by_software))
    assert job.config.decode.hardware is None
    assert job.warnings == ("decoded on the CPU, as when the run began",)
    folder = prepare(clip, by_hardware, BY_HARDWARE)
    plan = FolderStore(folder).read("plan")
    assert plan is not None and plan["configuration"]["decode"]["hardware"] == "nvdec"
    assert prepare(clip, by_hardware, config()) == folder, "by software, the pictures are the same"
