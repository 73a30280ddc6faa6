"""Our networks compute what the published ones compute."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from references import read_reference, reference_input

from vidrestore.models.nets.gfpgan_clean import GFPGANv1Clean
from vidrestore.models.nets.mobilefacenet import MobileFaceNet
from vidrestore.models.restorers.prepare import prepare_for_inference, to_clean

TOLERANCE = 1e-3
"""What is asked for; rounding alone stays a hundred times below."""

SMALL = [
    "gfpgan_clean_256_cm1_narrow0.5_batch2",
    "gfpgan_v1_128_cm2_narrow0.5",
    "gpen_256_cm1_narrow0.5",
]
BILINEAR = "gfpgan_bilinear_512_cm1"
LARGE = ["gfpgan_clean_512_cm2", "gfpgan_v1_512_cm1", "gpen_512_cm2"]
"""Of the same kinds as the small ones."""
CASES = [BILINEAR, *SMALL, *LARGE]


@pytest.fixture
def reference(shared, request):
    return read_reference(shared / "reference", request.param)


@pytest.mark.parametrize("reference", CASES, indirect=True)
def test_state_dict_has_the_published_names_shapes_and_order(reference):
    network = reference.empty_network()
    found = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert found == reference.shapes
    assert list(found) == list(reference.shapes)
    assert sum(p.numel() for p in network.parameters()) == reference.meta["parameters"]


@pytest.mark.parametrize(
    "reference",
    [BILINEAR, *SMALL, *(pytest.param(name, marks=pytest.mark.soak) for name in LARGE)],
    indirect=True,
)
def test_output_is_the_published_one_also_when_folded(reference):
    network = reference.network()
    with torch.inference_mode():
        assert reference.worst_error(network(reference.input)) < TOLERANCE / 100
    prepared = prepare_for_inference(network)
    x = reference.input.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        assert reference.worst_error(prepared(x)) < TOLERANCE / 100


@pytest.mark.parametrize("reference", SMALL, indirect=True)
def test_a_batch_gives_what_its_samples_give_alone(reference):
    network = prepare_for_inference(reference.network())
    size = reference.meta["input"]["size"]
    others = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(5)) * 2 - 1
    batch = torch.cat((reference.input, others))
    with torch.inference_mode():
        together = network(batch)
        alone = torch.cat([network(sample[None]) for sample in batch])
    assert reference.worst_error(together[: len(reference.input)]) < TOLERANCE / 100
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5 * float(alone.abs().max()))


@pytest.mark.parametrize("reference", SMALL[1:2], indirect=True)
def test_gradients_do_not_need_another_course(reference):
    """Training and inference take different branches for speed; they agree."""
    network = reference.network()
    output = network(reference.input.requires_grad_())
    assert reference.worst_error(output.detach()) < TOLERANCE / 100
    output.square().mean().backward()
    weight = network.stylegan_decoder.style_convs[0].modulated_conv.weight
    assert torch.isfinite(weight.grad).all() and weight.grad.abs().max() > 0


@pytest.mark.parametrize("reference", [BILINEAR], indirect=True)
def test_a_bilinear_network_converts_to_a_clean_one(reference):
    network = reference.network()
    clean = to_clean(network)
    assert isinstance(clean, GFPGANv1Clean)
    with torch.inference_mode():
        assert reference.worst_error(clean(reference.input)) < TOLERANCE / 100


def test_identity_network(shared):
    reference = np.load(shared / "reference" / "mobilefacenet.npz")["sample"]
    network = MobileFaceNet().eval()
    weights = torch.load(shared / "weights" / "mobilefacenet.pt", "cpu", weights_only=True)
    network.load_state_dict(weights)
    faces = reference_input(2, 112)
    with torch.inference_mode():
        embeddings = network(faces)
    np.testing.assert_allclose(embeddings, reference, rtol=0, atol=1e-4 * np.abs(reference).max())
