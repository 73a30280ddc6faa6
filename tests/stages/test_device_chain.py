"""The chain with its section on a device gives the pictures of the chain on the host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from gpu import needs_cuda
from moving_face import moving_face, pan
from quick import QUICK
from torch import Tensor, nn

import vidrestore.pipeline
from vidrestore.config import BlendConfig, RestoreConfig, resolve_config
from vidrestore.models.load import load_detector, load_restorer
from vidrestore.models.restorers.debug import DebugRestorer
from vidrestore.models.restorers.network import NetworkRestorer, NetworkRun
from vidrestore.pipeline import restored_frames
from vidrestore.stages.upload import section_device
from vidrestore.structs import Frame
from vidrestore.video.picture.samples import picture_from_av

CPU = torch.device("cpu")


def chain(
    frames: list[Frame], restorer: NetworkRestorer, config: RestoreConfig
) -> tuple[list[Frame], NetworkRun]:
    run = restorer.start_run(style_strength=1.0)
    detector = load_detector("embedded", device="cpu")
    return list(restored_frames(iter(frames), detector, run, config)), run


def apart(one: Frame, other: Frame) -> tuple[float, float]:
    """Largest and mean difference of samples."""
    pairs = zip(one.picture.planes, other.picture.planes, strict=True)
    found = [(a.int() - b.int()).abs().float() for a, b in pairs]
    return max(float(a.max()) for a in found), max(float(a.mean()) for a in found)


def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the CPU for a device."""
    monkeypatch.setattr(vidrestore.pipeline, "section_device", lambda run, config: (CPU, None))


def embedded(precision: Any = "float32") -> NetworkRestorer:
    restorer = load_restorer("embedded", device="cpu", precision=precision)
    assert isinstance(restorer, NetworkRestorer)
    return restorer


def test_the_chain_gives_the_same_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """With dust that is concealed in one frame, as by default."""
    frames = moving_face(pan(3))
    spoilt = frames[1].picture.handle.to_ndarray()
    spoilt[200:205, 210:216] = 16
    frames[1] = replace(
        frames[1],
        picture=picture_from_av(
            type(frames[1].picture.handle).from_ndarray(spoilt, frames[1].picture.format)
        ),
    )
    config, restorer = resolve_config(None, QUICK), embedded()
    wanted, _ = chain(frames, restorer, config)
    on_cpu(monkeypatch)
    found, run = chain(frames, restorer, config)
    assert run.notes == []
    assert any(frame.faces[0].concealed is not None for frame in wanted)
    for one, other in zip(found, wanted, strict=True):
        assert (one.index, one.pts, len(one.faces)) == (other.index, other.pts, 1)
        most, mean = apart(one, other)
        assert most <= 2 and mean < 0.01
        assert apart(other, replace(other, picture=other.source))[0] > 10  # type: ignore[arg-type]


class Failing(nn.Module):
    """Gives no numbers for the second crop that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return torch.full_like(x, torch.nan) if self.calls == 2 else x * 0.9


def test_a_face_without_valid_numbers_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    on_cpu(monkeypatch)
    restorer = NetworkRestorer(Failing(), size=64, precision="as is")
    config = resolve_config(None, {"run.collect_faces": 1, **QUICK})
    found, _ = chain(moving_face(pan(3)), restorer, config)
    assert [frame.faces[0].crop is None for frame in found] == [False, True, False]
    assert [frame.source is None for frame in found] == [False, True, False]


class Overflowing(nn.Module):
    """Gives no numbers in bfloat16, and knows float32."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.9))

    def forward(self, x: Tensor) -> Tensor:
        y = x * self.gain.float()
        return y if self.gain.dtype == torch.float32 else y * torch.nan


def test_what_fails_in_a_short_format_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    on_cpu(monkeypatch)
    restorer = NetworkRestorer(Overflowing(), size=64, precision="bfloat16", original=Overflowing)
    found, run = chain(moving_face(pan(3)), restorer, resolve_config(None, QUICK))
    assert all(frame.faces[0].crop is not None for frame in found)
    assert run.notes == ["no valid numbers in bfloat16: such faces are repeated in float32"]


def test_memory_that_runs_out_halves_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    on_cpu(monkeypatch)
    restorer = NetworkRestorer(nn.Identity(), size=64, precision="as is", batch_size=4)
    whole = restorer.run

    def run(crops: Tensor, *options: Any, **more: Any) -> Tensor:
        if len(crops) > 2:
            raise torch.OutOfMemoryError("full")
        return whole(crops, *options, **more)

    monkeypatch.setattr(restorer, "run", run)
    found, done = chain(moving_face(pan(5)), restorer, resolve_config(None, QUICK))
    assert done.batch_size == 2 and "batch size 4 became 2" in done.notes[0]
    assert all(frame.faces[0].crop is not None for frame in found) and len(found) == 5


class OwnRun(DebugRestorer):
    """Of somebody else, on a GPU."""

    device = torch.device("cuda")


def test_the_section_is_on_the_device_of_the_network_or_says_why_not() -> None:
    run = embedded().start_run()
    assert section_device(run, BlendConfig()) == (None, None)
    assert section_device(DebugRestorer(), BlendConfig()) == (None, None)
    run.device = torch.device("cuda", 1)
    assert section_device(run, BlendConfig()) == (torch.device("cuda", 1), None)
    checks: list[tuple[Callable[[], Any], str]] = [
        (lambda: section_device(run, BlendConfig(mask="parsing")), "blend.mask parsing"),
        (lambda: section_device(OwnRun(), BlendConfig()), "debug"),
    ]
    for check, words in checks:
        device, why = check()
        assert device is None and why is not None and words in why


def test_why_the_host_does_it_is_a_note_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vidrestore.pipeline, "section_device", lambda run, config: (None, "why"))
    restorer = NetworkRestorer(nn.Identity(), size=64, precision="as is")
    found, run = chain(moving_face(pan(1)), restorer, resolve_config(None, QUICK))
    assert run.notes == ["why"] and found[0].faces[0].crop is not None


@needs_cuda()
@pytest.mark.cuda
@pytest.mark.parametrize("name", ["yuv420p", "yuv420p10le", "yuv422p10le", "nv12", "gray"])
def test_the_chain_of_a_gpu_gives_the_pictures_of_the_host(name: str) -> None:
    frames, config = moving_face(pan(6), format=name), resolve_config(None, {})
    wanted, _ = chain(frames, embedded(), config)
    for _ in range(2):
        restorer = load_restorer("embedded", device="cuda", precision="float32")
        assert isinstance(restorer, NetworkRestorer)
        found, run = chain(frames, restorer, config)
        assert run.notes == []
        level = 4 if "10" in name else 1
        for one, other in zip(found, wanted, strict=True):
            most, mean = apart(one, other)
            assert most <= 4 * level and mean < 0.05 * level
