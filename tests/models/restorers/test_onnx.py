"""ONNX files: read by what they say or what is given, bounded, and refused in one line."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx_files import write_onnx
from torch import Tensor

from vidrestore.config import RestoreStageConfig, resolve_config
from vidrestore.errors import NotAvailableError, UsageError, WeightsError
from vidrestore.models import load_detector, load_onnx, load_restorer
from vidrestore.models.names import check_restorer
from vidrestore.models.templates import landmark_template
from vidrestore.models.weights.onnx_file import read_onnx

TOLD = {"size": "32", "template": "gpen", "value_range": "-1,1", "channels": "rgb"}


def crops(n: int = 3, size: int = 32) -> Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [("n", 3, "h", "w"), (1, 3, 32, 32), (2, 3, 32, 32)])
@pytest.mark.parametrize("is_float16", [False, True])
def test_what_the_file_says_is_enough(tmp_path, shape, is_float16):
    path = write_onnx(tmp_path / "a.onnx", shape=shape, is_float16=is_float16, metadata=TOLD)
    restorer = load_restorer(path, device="cpu")
    assert (restorer.name, restorer.size) == (str(path), 32)
    assert np.array_equal(restorer.template, landmark_template("gpen", 32))
    if isinstance(shape[0], int):
        assert restorer.start_run().batch_size == shape[0]
    tolerance = 1e-3 if is_float16 else 1e-6
    torch.testing.assert_close(restorer(crops()), 1 - crops(), atol=tolerance, rtol=0)


def test_what_is_given_wins(tmp_path):
    path = write_onnx(tmp_path / "a.onnx", metadata=TOLD, white=255)
    restorer = load_restorer(path, device="cpu", template="ffhq", value_range=(0, 255))
    assert np.array_equal(restorer.template, landmark_template("ffhq", 32))
    torch.testing.assert_close(restorer(crops()), 1 - crops(), atol=1e-5, rtol=0)


def test_what_nobody_says_is_asked_for(tmp_path):
    path = write_onnx(tmp_path / "a.onnx")
    with pytest.raises(UsageError, match=r"add --model-template .* and --model-range \("):
        load_restorer(path)
    with pytest.raises(UsageError, match=r"add --model-range"):
        check_restorer(RestoreStageConfig(model=str(path), template="ffhq"))
    given = {"restore.model": str(path), "restore.template": "ffhq", "restore.value_range": "0,1"}
    check_restorer(resolve_config(None, given).restore)
    free = write_onnx(tmp_path / "b.onnx", shape=(1, 3, "h", "w"))
    with pytest.raises(WeightsError, match="how large its crops are"):
        load_onnx(free, template="ffhq", value_range=(0, 1))
    assert load_onnx(free, template="ffhq", value_range=(0, 1), size=64).size == 64


@pytest.mark.parametrize("option", [{"template": "ffhq"}, {"value_range": (0, 1)}])
@pytest.mark.parametrize("model", ["embedded", "auto"])
def test_other_models_know_their_own(option, model):
    with pytest.raises(UsageError, match=f"restore.{next(iter(option))}: is for ONNX files"):
        load_restorer(model, **option)


@pytest.mark.parametrize("text", ["1", "1,0", "a,b", "0,1,2", "0,inf"])
def test_a_wrong_range_is_named(text):
    with pytest.raises(UsageError, match=r"restore\.value_range: expected black and white"):
        resolve_config(None, {"restore.value_range": text})


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"shape": ("n", 512)}, r"takes tensor\(float\) of shape \['n', 512\]; pictures \(N, 3"),
        ({"shape": (1, 32, 32, 3)}, r"pictures \(N, 3, S, S\) are expected"),
        ({"shape": (1, 3, 32, 16)}, r"pictures \(N, 3, S, S\) are expected"),
        ({"shape": (1, 4, 32, 32)}, r"pictures \(N, 3, S, S\) are expected"),
        ({"n_inputs": 2}, r"takes 2 inputs \(input, other1\)"),
        ({"metadata": TOLD | {"size": "64"}, "shape": (1, 3, 8, 8)}, "16 to 2048 pixels, got 8"),
        ({"metadata": TOLD | {"value_range": "wide"}}, "its value range is 'wide'"),
        ({"metadata": TOLD | {"template": "arcface"}}, "unknown alignment template 'arcface'"),
        ({"metadata": TOLD | {"channels": "yuv"}}, "unknown order 'yuv'"),
    ],
)
def test_what_restores_no_crops_is_refused(tmp_path, made, words):
    path = write_onnx(tmp_path / "a.onnx", **({"metadata": TOLD} | made))
    with pytest.raises(WeightsError, match=rf"a\.onnx: .*{words}") as caught:
        load_restorer(path, device="cpu")
    assert "\n" not in str(caught.value)


def test_options_that_do_not_fit_the_file(tmp_path):
    path = write_onnx(tmp_path / "a.onnx", shape=(2, 3, 32, 32), metadata=TOLD)
    with pytest.raises(UsageError, match=r"restore\.batch_size 4: .* takes 2 at once"):
        load_restorer(path, device="cpu", batch_size=4)
    with pytest.raises(UsageError, match=r"restore\.precision bfloat16"):
        load_restorer(path, device="cpu", precision="bfloat16")
    with pytest.raises(WeightsError, match="only restorers are run from such"):
        load_detector(path)


@pytest.mark.parametrize("place", ["../secret.bin", "/etc/hostname", "a/../../b", "link", "C:\\a"])
def test_weights_outside_the_folder_are_refused(tmp_path, place):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(4))
    (tmp_path / "in" / "link").symlink_to(tmp_path / "secret.bin")
    path = write_onnx(tmp_path / "in" / "a.onnx", metadata=TOLD, external=place)
    with pytest.raises(WeightsError, match="refused, because it reads weights from outside"):
        load_restorer(path, device="cpu")


def test_weights_beside_the_file_are_read(tmp_path):
    (tmp_path / "white.bin").write_bytes(np.float32(1).tobytes())
    path = write_onnx(
        tmp_path / "a.onnx", metadata=TOLD | {"value_range": "0,1"}, external="white.bin"
    )
    torch.testing.assert_close(load_restorer(path, device="cpu")(crops()), 1 - crops())
    (tmp_path / "white.bin").unlink()
    with pytest.raises(WeightsError, match=r"part 'white\.bin': no such file"):
        load_restorer(path, device="cpu")


def test_a_broken_file_is_one_line(tmp_path):
    whole = write_onnx(tmp_path / "a.onnx", metadata=TOLD).read_bytes()
    spoilt = tmp_path / "b.onnx"
    random = np.random.default_rng(0)
    noise = [random.bytes(300) for _ in range(20)]
    cuts = [whole[:end] for end in range(0, len(whole), 7)]
    for content in (b"", b"<html></html>", b"\xff" * 100, *noise, *cuts):
        spoilt.write_bytes(content)
        with pytest.raises(WeightsError, match=r"b\.onnx: ") as caught:
            load_onnx(spoilt, template="ffhq", value_range=(0, 1))
        assert "\n" not in str(caught.value)


def test_deep_and_endless_files_are_bounded(tmp_path):
    path = tmp_path / "a.onnx"
    inner = b""
    for number in range(300):  # Attributes with graphs with nodes with attributes with …
        tag = (b"\x32", b"\x2a", b"\x0a")[number % 3]
        size, length = len(inner), b""
        while size >= 0x80:
            length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
        inner = tag + length + bytes([size]) + inner
    path.write_bytes(b"\x3a" + bytes([len(inner) & 0x7F | 0x80, len(inner) >> 7]) + inner)
    with pytest.raises(WeightsError, match="nested deeper than 64 levels"):
        read_onnx(path)


def test_without_the_runtime_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("vidrestore.runtime.extras.find_spec", lambda package: None)
    path = write_onnx(tmp_path / "a.onnx", metadata=TOLD)
    with pytest.raises(NotAvailableError, match=r'onnxruntime .*pip install "vidrestore\[onnx\]"'):
        load_restorer(path, device="cpu")
