"""Other people's networks: converted, left as they are, and refused in one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vidrestore.errors import ModelError
from vidrestore.models import adapt_restorer
from vidrestore.models.templates import landmark_template

SIZE = 16


def crops(n: int = 2) -> Tensor:
    return torch.rand(n, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


class Tinting(nn.Module):
    """Halves the first channel, and remembers what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3, affine=False, eps=0)
        self.share = nn.Parameter(torch.tensor([0.5, 1, 1]).view(1, 3, 1, 1))
        self.seen: dict[str, Any] = {}

    def forward(self, x: Tensor) -> Tensor:
        self.seen = {"training": self.training, "x": x.clone(), "grad": torch.is_grad_enabled()}
        return self.norm(x) * self.share


@pytest.mark.parametrize("value_range", [(0, 1), (-1, 1), (0, 255)])
@pytest.mark.parametrize(("channels", "first"), [("rgb", 0), ("bgr", 2)])
def test_the_network_gets_its_own_range_and_channels(value_range, channels, first):
    network = Tinting()
    restorer = adapt_restorer(
        network, size=SIZE, template="ffhq", value_range=value_range, channels=channels
    )
    restored = restorer(crops(1))
    low, high = value_range
    own = crops(1) * (high - low) + low
    own = own.flip(1) if channels == "bgr" else own
    torch.testing.assert_close(network.seen["x"], own, atol=1e-6 * (high - low), rtol=0)
    assert network.seen["x"].is_contiguous()
    wanted = crops(1)
    wanted[:, first] = (((wanted[:, first] * (high - low) + low) * 0.5) - low) / (high - low)
    torch.testing.assert_close(restored, wanted.clamp(0, 1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("training", [True, False])
def test_the_module_is_left_as_it_was(training):
    network = Tinting().train(training)
    network.norm.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    adapt_restorer(network, size=SIZE, template="ffhq")(crops())
    assert network.seen["training"] is False and network.seen["grad"] is False
    assert network.training is training and network.norm.training is False
    assert network.share.requires_grad
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_module_in_half_precision_gets_halves():
    network = Tinting().half()
    adapt_restorer(network, size=SIZE, template="ffhq")(crops())
    assert network.seen["x"].dtype == network.share.dtype == torch.float16


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: x[:, :1], r"floating-point pictures of shape \(1, 3, 16, 16\), got float32 \(1"),
        (lambda x: (x * 255).byte(), r"got uint8 \(1, 3, 16, 16\)"),
        (lambda x: (x, x), "got a tuple of 2; wrap the network to give one of them"),
        (lambda x: None, "got NoneType"),
        (lambda x: x @ torch.ones(3, 3), r"failed on a batch of float32 \(1, 3, 16, 16\): Runtime"),
    ],
)
def test_a_wrong_answer_is_one_line(answer, words):
    restorer = adapt_restorer(answer, size=SIZE, template="ffhq", name="mine")
    with pytest.raises(ModelError, match=f"^mine.*{words}") as caught:
        restorer(crops())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ({"size": 8}, "16 to 2048 pixels, got 8"),
        ({"size": 512.0}, "got 512.0"),
        ({"template": "ffqh"}, "did you mean 'ffhq'"),
        ({"template": np.zeros((4, 2))}, r"got \(4, 2\)"),
        ({"template": landmark_template("ffhq", 1)}, "in pixels of a crop of 16x16"),
        ({"template": landmark_template("ffhq", 16)[[1, 0, 2, 4, 3]]}, "left eye, right eye"),
        ({"value_range": (1, 0)}, r"such as \(0, 1\), got \(1, 0\)"),
        ({"value_range": 255}, "expected two numbers, got 255"),
        ({"channels": "brg"}, "unknown order 'brg'; did you mean 'rgb' or 'bgr'"),
        ({"batch_size": -1}, "0 or more, got -1"),
        ({"device": "cuda:77"}, "device cuda:77: not on this machine"),
        ({"network": "gpen"}, "str is neither a module nor a function"),
    ],
)
def test_wrong_arguments_are_refused(argument, words):
    right = {"network": Tinting(), "size": SIZE, "template": "ffhq"}
    with pytest.raises(ModelError, match=words):
        adapt_restorer(**(right | argument))


def test_templates_by_name_by_a_files_word_and_by_points():
    points = landmark_template("gpen", SIZE)
    for template in ("gpen", points, points.tolist()):
        found = adapt_restorer(Tinting(), size=SIZE, template=template).template
        assert np.array_equal(found, points)
    found = adapt_restorer(Tinting(), size=SIZE, template="gfpgan_512_ffhq").template
    assert np.array_equal(found, landmark_template("ffhq", SIZE))
