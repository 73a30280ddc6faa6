"""Weights files that would take any time or memory are refused at once, and honest ones are not."""

from __future__ import annotations

import collections
import json
import pickle
import struct
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vidrestore.errors import WeightsError
from vidrestore.models.load import load_restorer
from vidrestore.models.weights.checkpoint import Unfilled, read
from vidrestore.models.weights.pickle_check import check_weights_file

STATE = {"w": torch.ones(4, 3), "b": torch.zeros(4)}


def archive(path: Path, table: bytes, **records: bytes) -> Path:
    """A file as `torch.save` writes it, with any pickle in it."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x/data.pkl", table)
        file.writestr("x/version", b"3\n")
        file.writestr("x/byteorder", b"little")
        for name, data in records.items():
            file.writestr(f"x/data/{name.removeprefix('k')}", data)
    return path


def storage(values: int, key: bytes = b"0") -> bytes:
    """Instructions for a storage of floats that says that it has so many values."""
    return (
        b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0" + key + b"X\x03\0\0\0cpu"
        b"\x8a\x08" + struct.pack("<q", values) + b"tQ"
    )


def tensor(values: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    def numbers(of: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", one) for one in of) + b"t"

    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage(values)
        + b"K\0"
        + numbers(shape)
        + numbers(stride)
        + b"\x89ccollections\nOrderedDict\n)RtR"
    )


def table(value: bytes) -> bytes:
    return b"\x80\x02}X\x01\0\0\0w" + value + b"s."


NESTED_KEY = (
    b"\x80\x02}(K\x01q\0"
    + b"".join(b"h" + bytes([n]) + b"h" + bytes([n]) + b"\x86q" + bytes([n + 1]) for n in range(60))
    + b"tK\x01s."
)
SHORT_KEY = b"\x80\x02}(K\x01K\x02tK\x01s."
DEEP = b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b"."
LONG = b"\x80\x02]" + b"K\x01a" * 1_100_000 + b"."
ITSELF = b"\x80\x02]q\0h\0ah\0a."

PICKLES = {
    "keys that multiply": (NESTED_KEY, "deeper than 32|keys"),
    "a key of numbers": (SHORT_KEY, "keys"),
    "deep lists": (DEEP, "deeper than 32"),
    "many instructions": (LONG, "more than 2000000 instructions"),
    "a list in itself": (ITSELF, "changed after"),
    "another function": (b"\x80\x02cposix\nsystem\nX\x02\0\0\0ls\x85R.", "run posix.system"),
    "a harmless function": (b"\x80\x02cbuiltins\nbytearray\nK\x05\x85R.", "run builtins.bytearray"),
    "a class of torch": (b"\x80\x02ctorch\nTensor\n)R.", "run torch.Tensor"),
    "an object": (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "NEWOBJ"),
    "a set": (b"\x80\x04\x8f(K\x01\x90.", "EMPTY_SET"),
    "a storage that is not there": (table(storage(4)), "asks for 16 bytes|damaged"),
    "a storage of terabytes": (table(tensor(10**12, (1,), (1,))), "asks for 4000000000000"),
    "a state on a tensor": (table(tensor(0, (0,), (1,)) + b"}b"), "changed after"),
    "no memo": (b"\x80\x02h\x07.", "damaged"),
    "an empty stack": (b"\x80\x02a.", "damaged"),
    "no end": (b"\x80\x02]", "damaged"),
    "a length of gigabytes": (b"\x80\x02X\xff\xff\xff\x7fabc.", "damaged"),
}
SLOW = "many instructions"


@pytest.mark.parametrize(
    ("kind", "legacy"),
    [
        pytest.param(kind, legacy, marks=[pytest.mark.soak] if kind == SLOW and legacy else [])
        for kind in PICKLES
        for legacy in (False, True)
    ],
)
def test_hostile_pickles_are_refused_at_once(tmp_path: Path, kind: str, legacy: bool) -> None:
    data, said = PICKLES[kind]
    path = tmp_path / "w.pth"
    path.write_bytes(data) if legacy else archive(path, data)
    begun = time.perf_counter()
    with pytest.raises(WeightsError, match=f"({said}).*nothing was executed") as caught:
        read(path)
    assert time.perf_counter() - begun < 20
    assert len(str(caught.value)) < 600 + len(str(path))


@pytest.mark.parametrize(
    ("shape", "stride"), [((1000, 1000), (0, 0)), ((100,), (1,)), ((2, 2), (1 << 40, 1))]
)
def test_a_tensor_larger_than_its_storage_is_refused(
    tmp_path: Path, shape: tuple[int, ...], stride: tuple[int, ...]
) -> None:
    path = archive(tmp_path / "w.pth", table(tensor(4, shape, stride)), k0=bytes(16))
    with pytest.raises(WeightsError, match=r"a tensor of .* values, of which the file has 4"):
        read(path)
    whole = archive(tmp_path / "w.pth", table(tensor(4, (2, 2), (2, 1))), k0=bytes(16))
    assert read(whole).shapes == {"w": (2, 2)}


def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(STATE, path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data/9", bytes(50_000_000))
    tracemalloc.start()
    with pytest.raises(WeightsError, match="unpacks to"):
        read(path)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_records_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(STATE, path)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(file.namelist()[0], b"\x80\x02}.")
    with pytest.raises(WeightsError, match="two records"):
        read(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_what_training_programs_write_is_let_through(tmp_path: Path, legacy: bool) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)).half()
    shared = torch.ones(10)
    optimiser = torch.optim.Adam(network.parameters())
    optimiser.step()
    content = {
        "state_dict": network.state_dict(),  # an OrderedDict that carries its versions
        "optimizer": optimiser.state_dict(),
        "lr": [1e-3, (0.9, 0.999), None, True],
        "milestones": collections.Counter({10: 1}),
        "views": [shared[2:5], shared.view(2, 5).t(), shared.expand(1, 10), torch.empty(0, 3)],
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "type": torch.float16,
        "size": torch.Size([1, 2]),
        "device": torch.device("cpu"),
        "number": -(2**40),
    }
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=not legacy)
    check_weights_file(tmp_path / "w.pth")
    assert len(read(tmp_path / "w.pth").state) == 7


def test_scales_that_broadcast_are_refused(tmp_path: Path) -> None:
    for weight, scale in (((1, 60_000), (60_000,)), ((60_000,), (60_000,)), ((4, 4), (1, 4))):
        stored = {"w": torch.ones(weight, dtype=torch.int8), "w.int8_scale": torch.ones(scale)}
        save_file(stored, tmp_path / "w.safetensors")
        with pytest.raises(WeightsError, match="has scales of shape"):
            read(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        json.dumps({"w": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 4]}}).encode(),
        json.dumps({"w": {"dtype": "F32", "shape": [1 << 63, 8], "data_offsets": [0, 4]}}).encode(),
        json.dumps({"__metadata__": {"a": {"b": 1}}}).encode(),
    ],
)
def test_hostile_headers_are_refused(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(WeightsError, match="damaged or no weights file"):
        read(tmp_path / "w.safetensors")


@pytest.mark.parametrize("length", [1 << 24, 1 << 63])
def test_a_header_that_says_that_it_is_huge_is_not_read(tmp_path: Path, length: int) -> None:
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", length) + b"{}")
    with pytest.raises(WeightsError, match="its table would take"):
        read(tmp_path / "w.safetensors")


COMPACT = {"widths": [8, 8], "encoder_blocks": [1, 1], "decoder_blocks": [1], "patch": 4}


@pytest.mark.parametrize(
    ("arch", "changes", "more"),
    [
        ("CompactUNet", {"widths": [60_000, 60_000]}, {}),
        ("CompactUNet", {"encoder_blocks": [60_000, 1]}, {}),
        ("CompactUNet", {"encoder_blocks": [10**9, 1]}, {}),
        ("CompactUNet", {"widths": [8] * 5000}, {}),
        ("CompactUNet", {"widths": [[[[[[8]]]]]]}, {}),
        ("CompactUNet", {"patch": 1e308}, {}),
        ("CompactUNet", {"patch": 0}, {}),
        ("CompactUNet", {"size": 100_000}, {}),
        ("CompactUNet", {}, {"size": "100000"}),
        ("CompactUNet", {}, {"out_size": "9" * 5000}),
        ("GFPGANv1Clean", {"out_size": 1 << 15}, {}),
        ("GPEN FullGenerator", {"size": 1 << 12, "n_mlp": 60_000}, {}),
        ("nothing\x1b[31m", {}, {}),
    ],
)
def test_networks_larger_than_their_file_are_refused_before_they_are_made(
    tmp_path: Path, arch: str, changes: dict[str, object], more: dict[str, str]
) -> None:
    told = (COMPACT if arch == "CompactUNet" else {}) | changes
    metadata = {"arch": arch, "hyperparameters": json.dumps(told), **more}
    save_file({"w": torch.ones(4)}, tmp_path / "w.safetensors", metadata)
    begun = time.perf_counter()
    with pytest.raises(WeightsError) as caught:
        load_restorer(tmp_path / "w.safetensors", device="cpu", precision="float32")
    assert time.perf_counter() - begun < 20
    assert len(str(caught.value)) < 600 + len(str(tmp_path))


@pytest.mark.parametrize("metadata", ["[" * 100_000, "[1]", "{", "9" * 5000, '{"a": NaN}'])
def test_metadata_without_sense_is_refused(tmp_path: Path, metadata: str) -> None:
    told = {"arch": "CompactUNet", "hyperparameters": metadata}
    save_file({"w": torch.ones(4)}, tmp_path / "w.safetensors", told)
    with pytest.raises(WeightsError):
        load_restorer(tmp_path / "w.safetensors", device="cpu", precision="float32")


def test_networks_of_the_size_of_their_file_are_made() -> None:
    with Unfilled(most_values=12 + 4):
        torch.nn.Linear(3, 4)
    with Unfilled(most_values=12), pytest.raises(ValueError, match="far larger"):
        torch.nn.Linear(3, 4)


def test_the_files_of_this_kind_that_were_found(shared: Path) -> None:
    for name in ("hashbomb_zip.pth", "scale_broadcast.safetensors"):
        with pytest.raises(WeightsError):
            read(shared / "hostile" / name)


def test_a_pickle_of_pairs_with_compound_keys_is_refused(tmp_path: Path) -> None:
    ordered = pickle.dumps(collections.OrderedDict, 2)[2:-1]
    pairs = b"](" + b"K\x01K\x02\x86K\x03\x86e\x85R"
    path = archive(tmp_path / "w.pth", b"\x80\x02" + ordered + pairs + b".")
    with pytest.raises(WeightsError, match="keys"):
        read(path)
