"""What stages rely on: one batch size, right values whatever goes wrong, nothing hidden."""

from __future__ import annotations

import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from vidrestore.errors import ModelError
from vidrestore.models.interfaces import CropKey, FaceRestorer
from vidrestore.models.registry import build
from vidrestore.models.restorers import precision
from vidrestore.models.restorers.network import NetworkRestorer
from vidrestore.models.restorers.precision import MIN_PSNR_DB, drawn_face, prepare_fastest
from vidrestore.models.templates import landmark_template

SIZE = 16


class Recorder(nn.Module):
    """Gives the negative picture, and remembers how it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.batches: list[tuple[int, ...]] = []
        self.extremes = (0.0, 0.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.batches.append(tuple(x.shape))
        self.extremes = float(x.min()), float(x.max())
        return -x * self.weight


def crops(n: int, seed: int = 0, size: int = SIZE) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def recording(batch_size: int = 3) -> tuple[NetworkRestorer, Recorder]:
    network = Recorder()
    restorer = NetworkRestorer(network, size=SIZE, batch_size=batch_size, precision="float32")
    return restorer, network


@settings(max_examples=20, deadline=None)
@given(n=st.integers(0, 9), batch_size=st.integers(1, 4))
def test_the_network_sees_one_batch_size_and_its_own_range(n, batch_size):
    restorer, network = recording(batch_size)
    given_crops = crops(n)
    result = restorer(given_crops)
    torch.testing.assert_close(result, 1 - given_crops)
    assert set(network.batches) <= {(batch_size, 3, SIZE, SIZE)}
    assert len(network.batches) == -(-n // batch_size)
    if n:
        assert -1 <= network.extremes[0] < -0.9 and 0.9 < network.extremes[1] <= 1


def test_a_crop_comes_out_the_same_in_any_company():
    torch.manual_seed(0)
    network = build("GFPGANv1Clean", out_size=32, narrow=0.1)
    restorer = NetworkRestorer(network, size=32, batch_size=4, precision="float32")
    assert isinstance(restorer, FaceRestorer)
    faces = crops(6, size=32)
    together = restorer(faces)
    assert torch.equal(together, torch.cat([restorer(faces[i : i + 1]) for i in range(6)]))
    assert torch.equal(together.flip(0), restorer(faces.flip(0)))
    assert together.min() >= 0 and together.max() <= 1 and together.dtype == torch.float32


def noisy_network() -> nn.Module:
    """A small GFP-GAN whose noise is to be seen."""
    torch.manual_seed(0)
    network = build("GFPGANv1Clean", out_size=32, narrow=0.1)
    with torch.no_grad():
        for layer in (network.stylegan_decoder.style_conv1, *network.stylegan_decoder.style_convs):
            layer.weight.fill_(0.5)
    return network


def test_fresh_noise_is_another_for_every_crop_and_the_same_in_any_company():
    faces = crops(1, size=32).expand(4, -1, -1, -1)

    def restored(batch_size: int, noise: str) -> torch.Tensor:
        return NetworkRestorer(
            noisy_network(), size=32, batch_size=batch_size, precision="float32"
        ).start_run(noise=noise)(faces)

    fresh = restored(1, "fresh")
    assert all((fresh[i] - fresh[j]).abs().max() > 0.01 for i in range(4) for j in range(i))
    torch.testing.assert_close(restored(3, "fresh"), fresh, atol=1e-4, rtol=0)
    fixed = restored(1, "fixed")
    assert all(torch.equal(picture, fixed[0]) for picture in fixed)


def test_fresh_noise_goes_by_frame_and_track_wherever_a_run_begins():
    faces = crops(1, size=32).expand(4, -1, -1, -1)
    keys = [CropKey(0, track, frame) for frame in (5, 6) for track in (1, 2)]
    restorer = NetworkRestorer(noisy_network(), size=32, precision="float32")
    whole = restorer.start_run(noise="fresh")(faces, keys)
    later = restorer.start_run(noise="fresh")(faces[:2], keys[2:])
    assert torch.equal(later, whole[2:])
    assert all((whole[i] - whole[j]).abs().max() > 0.01 for i in range(4) for j in range(i))


def test_networks_without_noise_do_not_mind_fresh_noise():
    restorer = NetworkRestorer(Recorder(), size=SIZE, precision="float32").start_run(noise="fresh")
    torch.testing.assert_close(restorer(crops(2)), 1 - crops(2))


def test_crops_of_another_size_are_refused():
    restorer, _ = recording()
    with pytest.raises(ModelError, match=r"takes crops of \(3, 16, 16\), not \(3, 8, 8\)"):
        restorer(crops(1, size=8))


class Overflowing(nn.Module):
    """Goes through numbers that float16 cannot hold where the picture is bright."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.to(self.weight.dtype)
        large = torch.where(x.mean((1, 2, 3), keepdim=True) > 0.9, 1e5, 1.0).to(x.dtype)
        return x * large / large


def test_an_overflow_is_repeated_in_float32_and_changes_no_other_crop(caplog):
    shared = NetworkRestorer(Overflowing(), size=SIZE, precision="float16", batch_size=2)
    restorer = shared.start_run()
    faces = crops(4)
    faces[1] = 0.98
    with caplog.at_level(logging.WARNING):
        result = restorer(faces)
    torch.testing.assert_close(result, faces, rtol=0, atol=2e-3)
    assert torch.equal(result[:1], restorer(faces[:1]))
    assert restorer.notes == ["no valid numbers in float16: such faces are repeated in float32"]
    assert restorer.notes[0] in caplog.text


class Failing(nn.Module):
    """Has no valid answer for dark pictures."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        dark = x.mean((1, 2, 3), keepdim=True) < -0.9
        y = x.clone()
        y[:, 0, 0, 0] = torch.where(dark, torch.inf, x[:, :1, :1, :1])[:, 0, 0, 0]
        return y


def test_a_face_without_valid_answer_is_nan_and_others_are_not():
    restorer = NetworkRestorer(Failing(), size=SIZE, precision="float32", batch_size=2)
    faces = crops(3)
    faces[1] = 0
    result = restorer(faces)
    assert result[1].isnan().all()
    torch.testing.assert_close(result[[0, 2]], faces[[0, 2]])


class Hungry(Recorder):
    """Runs out of memory above two crops."""

    largest = 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > self.largest:
            raise torch.OutOfMemoryError("no memory left")
        return super().forward(x)


def test_half_the_batch_after_memory_ran_out_is_noted():
    network = Hungry()
    shared = NetworkRestorer(network, size=SIZE, precision="float32", batch_size=8)
    restorer = shared.start_run()
    torch.testing.assert_close(restorer(crops(5)), 1 - crops(5))
    assert restorer.batch_size == 2
    assert {shape[0] for shape in network.batches} == {2}
    assert restorer.notes == [
        "out of memory: batch size 8 became 4",
        "out of memory: batch size 4 became 2",
    ]


def test_no_memory_for_one_crop_is_an_error():
    network = Hungry()
    network.largest = 0
    restorer = NetworkRestorer(network, size=SIZE, precision="float32", batch_size=1)
    with pytest.raises(ModelError, match="not enough memory on cpu for one crop"):
        restorer(crops(1))


class Rounding(nn.Module):
    """Loses much, or little, where its weight has fewer bits than float32."""

    def __init__(self, loss: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.loss = loss

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.loss * float(self.weight.dtype != torch.float32)


@pytest.mark.parametrize(("loss", "chosen"), [(0.005, "bfloat16"), (0.05, "float32")])
def test_fewer_bits_are_taken_only_where_the_picture_stays(monkeypatch, loss, chosen):
    monkeypatch.setattr(precision, "fast_precision", lambda device: "bfloat16")
    template = landmark_template("ffhq", 64)
    network, found = prepare_fastest(Rounding(loss), torch.device("cpu"), template, 64)
    assert found == chosen
    assert (network.weight.dtype == torch.float32) == (chosen == "float32")


def test_bfloat16_agrees_with_float32_on_a_real_course(monkeypatch):
    monkeypatch.setattr(precision, "fast_precision", lambda device: "bfloat16")
    torch.manual_seed(0)
    network = build("GFPGANv1Clean", out_size=64, narrow=0.25)
    restorer = NetworkRestorer(network, size=64)
    torch.manual_seed(0)
    exact = NetworkRestorer(
        build("GFPGANv1Clean", out_size=64, narrow=0.25), size=64, precision="float32"
    )
    assert restorer.precision == "bfloat16"
    error = (restorer(crops(2, size=64)) - exact(crops(2, size=64))).square().mean()
    assert 0 < error < 10 ** (-MIN_PSNR_DB / 10)


def test_the_drawn_face_has_dark_eyes_where_the_template_has_them():
    template = landmark_template("gpen", 128)
    face = drawn_face(template, 128)
    assert face.shape == (3, 128, 128) and face.min() >= 0 and face.max() <= 1
    for x, y in template[:2].round().astype(int):
        assert face[:, y, x].mean() < 0.2 < face[:, y + 20, x].mean()


class Scaled(nn.Module):
    """Multiplies by a weight that short formats round; bright pictures overflow."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.70001))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.to(self.scale.dtype) * self.scale
        bright = x.mean((1, 2, 3), keepdim=True) > 0.9
        return torch.where(bright & (self.scale.dtype != torch.float32), torch.inf, y)


def test_a_repeat_in_float32_has_the_weights_as_they_were_learnt():
    restorer = NetworkRestorer(Scaled(), size=SIZE, precision="bfloat16", original=Scaled)
    bright = torch.full((1, 3, SIZE, SIZE), 0.98)
    wanted = ((bright * 2 - 1) * 0.70001) * 0.5 + 0.5
    torch.testing.assert_close(restorer(bright), wanted, atol=1e-6, rtol=0)
