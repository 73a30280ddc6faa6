"""Nothing in a weights file is executed, and nothing but the right weights is accepted."""

from __future__ import annotations

import os
import pickle
import zipfile
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from vidrestore.errors import WeightsError
from vidrestore.models.weights.checkpoint import Unfilled, fill, read

STATE = {
    "0.weight": torch.arange(12.0).view(4, 3),
    "0.bias": torch.ones(4),
    "1.weight": torch.ones(4),
    "1.bias": torch.zeros(4),
    "1.running_mean": torch.full((4,), 2.0),
    "1.running_var": torch.full((4,), 3.0),
    "1.num_batches_tracked": torch.tensor(7),
}


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def saved(path: Path, content: object, *, legacy: bool = False) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def same(found, expected) -> bool:
    return found.keys() == expected.keys() and all(
        torch.equal(found[name], expected[name]) for name in expected
    )


OTHER = {name: tensor + 1 for name, tensor in STATE.items()}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3},
        {"g_ema": STATE, "g": OTHER, "d": OTHER},
        {"params": STATE, "state_dict": OTHER},
        {"params": OTHER, "params_ema": STATE},
        {"module." + name: tensor for name, tensor in STATE.items()},
    ],
    ids=["bare", "state_dict", "g_ema", "params", "params_ema", "module"],
)
def test_the_published_wrappings_are_opened(tmp_path, content, legacy):
    checkpoint = read(saved(tmp_path / "w.pth", content, legacy=legacy))
    assert same(checkpoint.state, STATE)


def test_safetensors_bring_their_metadata(tmp_path):
    save_file(STATE, tmp_path / "w.safetensors", {"arch": "Any"})
    checkpoint = read(tmp_path / "w.safetensors")
    assert same(checkpoint.state, STATE)
    assert checkpoint.metadata == {"arch": "Any"}


class Bomb:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("kind", ["pickle", "pickle 4", "legacy", "zip"])
@pytest.mark.parametrize("function", ["system", "open", "exec"])
def test_a_malicious_pickle_is_refused_and_not_executed(tmp_path, kind, function):
    victim = tmp_path / "victim"
    bomb = {
        "system": Bomb(os.system, f"touch {victim}"),
        "open": Bomb(open, str(victim), "w"),
        "exec": Bomb(exec, f"open({str(victim)!r}, 'w')"),
    }[function]
    content = {"params_ema": STATE, "extra": bomb}
    path = tmp_path / "w.pth"
    bare = kind.startswith("pickle")
    if bare:
        path.write_bytes(pickle.dumps({"extra": bomb}, 4 if kind == "pickle 4" else 2))
    else:
        saved(path, content, legacy=kind == "legacy")
    with pytest.raises(WeightsError, match="nothing was executed") as caught:
        read(path)
    assert kind == "pickle 4" or f"{function};" in str(caught.value)
    assert not victim.exists()
    pickle.loads(path.read_bytes()) if bare else torch.load(path, weights_only=False)
    assert victim.exists()  # The file was a threat indeed.


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, ending, share):
    whole = tmp_path / f"whole{ending}"
    save_file(STATE, whole) if ending == ".safetensors" else saved(whole, STATE)
    content, path = whole.read_bytes(), tmp_path / f"w{ending}"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError, match="damaged or no weights file"):
        read(path)


def test_a_truncated_file_of_the_old_format_is_refused(tmp_path):
    whole = saved(tmp_path / "whole.pth", {"w": torch.randn(100, 100)}, legacy=True)
    (tmp_path / "w.pth").write_bytes(whole.read_bytes()[:30_000])
    with pytest.raises(WeightsError, match="damaged or no weights file"):
        read(tmp_path / "w.pth")


def test_a_flipped_bit_in_an_archive_is_found(tmp_path):
    path = saved(tmp_path / "w.pth", {"w": torch.randn(100, 100)})
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"damaged \(checksum of"):
        read(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("content", [b"<html>404</html>", b"\x80\x04N.", b"\0" * 1000])
@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_another_kind_of_file_is_refused(tmp_path, content, ending):
    (tmp_path / f"w{ending}").write_bytes(content)
    with pytest.raises(WeightsError):
        read(tmp_path / f"w{ending}")


def test_an_archive_that_is_no_checkpoint_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        archive.writestr("picture.png", b"png")
    with pytest.raises(WeightsError):
        read(tmp_path / "w.pth")


@pytest.mark.parametrize(
    "content", [[1, 2], {}, {"epoch": 3}, torch.ones(3), {"params": {1: torch.ones(1)}}]
)
def test_content_without_weights_is_refused(tmp_path, content):
    with pytest.raises(WeightsError, match=r"holds no table of weights|is no tensor"):
        read(saved(tmp_path / "w.pth", content))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"w\.pth: no such file"):
        read(tmp_path / "w.pth")


@pytest.mark.parametrize("frame", [nullcontext(), Unfilled(), torch.device("meta")])
def test_filling_gives_every_entry_in_the_networks_own_dtype(tmp_path, frame):
    halves = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in STATE.items()
    }
    with frame:
        module = network()
    fill(module, read(saved(tmp_path / "w.pth", halves)), arch="Tiny")
    assert same(module.state_dict(), STATE)
    assert module(torch.zeros(2, 3)).shape == (2, 4)


def test_only_training_counters_may_be_missing(tmp_path):
    some = {name: STATE[name] for name in STATE if name != "1.num_batches_tracked"}
    module = network()
    fill(module, read(saved(tmp_path / "w.pth", some)), arch="Tiny")
    assert module.state_dict()["1.num_batches_tracked"] == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"0.bias": None}, r"1 missing, such as 0\.bias"),
        ({"0.extra": torch.ones(1)}, r"1 unexpected, such as 0\.extra"),
        ({"0.weight": torch.ones(4, 4)}, r"1 of another shape, such as 0\.weight"),
    ],
)
def test_another_network_is_refused(tmp_path, change, words):
    content = {name: tensor for name, tensor in (STATE | change).items() if tensor is not None}
    module = network()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(WeightsError, match=rf"not a Tiny of this form \({words}\)"):
        fill(module, read(saved(tmp_path / "w.pth", content)), arch="Tiny")
    assert same(module.state_dict(), before)


def test_unfilled_networks_draw_no_numbers_but_keep_what_they_compute():
    class Filtering(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drawn = nn.Parameter(torch.randn(1000))
            self.register_buffer("kernel", torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8, persistent=False)

    torch.manual_seed(0)
    before = torch.get_rng_state()
    with Unfilled():
        filtering, linear = Filtering(), nn.Linear(100, 100)
    assert torch.equal(torch.get_rng_state(), before)
    assert filtering.drawn.shape == (1000,) and linear.weight.shape == (100, 100)
    assert filtering.kernel.tolist() == [0.125, 0.375, 0.375, 0.125]


@pytest.mark.parametrize(
    ("name", "entries"), [("detection_mobilenet0.25_Final.pth", 300), ("mobilefacenet.pt", 307)]
)
def test_real_public_files_are_read(shared, name, entries):
    state = read(shared / "weights" / name).state
    assert len(state) == entries
    assert not any(key.startswith("module.") for key in state)
