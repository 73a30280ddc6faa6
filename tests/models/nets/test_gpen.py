"""GPEN in the sizes that have no reference output: structure, and that it runs."""

from __future__ import annotations

import json
import re

import pytest
import torch

from vidrestore.models.nets.gpen import GPENFullGenerator


def table(network: GPENFullGenerator) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


@pytest.mark.parametrize(("size", "width"), [(1024, 32), (2048, 16)])
def test_large_sizes_add_levels_to_the_512_px_network(shared, size, width):
    path = shared / "reference" / "gpen_512_cm2.json"
    published = json.loads(path.read_text("utf-8"))["state_dict"]
    with torch.device("meta"):
        found = table(GPENFullGenerator(size, channel_multiplier=2, narrow=1))
    generator = {n: tuple(s) for n, s in published.items() if n.startswith("generator.")}
    assert generator.items() <= found.items()

    added = size.bit_length() - 10
    convs = {int(n.split(".")[2]) for n in found if re.match(r"generator\.convs\.\d", n)}
    encoders = {n.split(".")[0] for n in found if n.startswith("ecd")}
    assert convs == set(range(14 + 2 * added))
    assert encoders == {f"ecd{level}" for level in range(8 + added)}
    # The encoder is the published one behind its first levels: its widths go by resolution.
    for name, shape in published.items():
        if match := re.match(r"ecd([1-9])(\..*)", name):
            assert found[f"ecd{int(match[1]) + added}{match[2]}"] == tuple(shape)
    assert found["ecd0.0.0.weight"] == (width, 3, 1, 1)
    assert found[f"generator.convs.{13 + 2 * added}.conv.weight"] == (1, width, 2 * width, 3, 3)
    assert found[f"generator.to_rgbs.{6 + added}.conv.weight"] == (1, 3, 2 * width, 1, 1)


@pytest.mark.parametrize("isconcat", [True, False])
def test_features_steer_the_picture_and_nothing_is_random(isconcat):
    torch.manual_seed(0)
    network = GPENFullGenerator(32, 16, 2, narrow=0.03, isconcat=isconcat).eval()
    for name, parameter in network.named_parameters():
        if name.endswith("noise.weight"):
            torch.nn.init.constant_(parameter, 0.5)
    faces = torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        pictures = network(faces)
        assert pictures.shape == faces.shape
        assert torch.equal(pictures, network(faces))
        torch.testing.assert_close(pictures[1:], network(faces[1:]))
        latents, features = network.encode(faces[:1])
        changed = [*features[:-1], features[-1] + 1]
        assert not torch.allclose(network.generator(latents, changed), pictures[:1])
