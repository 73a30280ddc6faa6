"""Every term teaches a StyleGAN2 generator, through augmentation and under autocast too."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from vidrestore.metrics.identity import FaceIdentity
from vidrestore.models.nets.discriminators import (
    ComponentDiscriminators,
    StyleGAN2Discriminator,
    UNetDiscriminator,
)
from vidrestore.models.nets.mobilefacenet import MobileFaceNet
from vidrestore.models.nets.stylegan2 import StyleGAN2Generator
from vidrestore.models.templates import landmark_template
from vidrestore.training.augment import AdaptiveAugment, DiffAugment
from vidrestore.training.losses.adversarial import ADVERSARIAL, PathLength
from vidrestore.training.losses.components import (
    component_generator,
    component_style,
    cut_regions,
)
from vidrestore.training.losses.feature_matching import feature_matching
from vidrestore.training.losses.identity import identity_loss
from vidrestore.training.losses.perceptual import (
    IDENTITY_WEIGHTS,
    IdentityFeatures,
    Vgg19Features,
    feature_l1,
)
from vidrestore.training.losses.style import style_l1

SIZE, COUNT = 64, 2
LANDMARKS = torch.from_numpy(landmark_template("ffhq", SIZE)).repeat(COUNT, 1, 1)
TRUTH = torch.rand(COUNT, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(3)) * 2 - 1


@pytest.fixture
def generator() -> StyleGAN2Generator:
    torch.manual_seed(0)
    return StyleGAN2Generator(SIZE, num_style_feat=8, num_mlp=2, narrow=1 / 64)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, nn.Module]:
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("weights")
    torch.save(MobileFaceNet().state_dict(), folder / "mobilefacenet.pt")
    state = {
        "0.weight": (64, 3, 3, 3),
        "0.bias": (64,),
        "2.weight": (64, 64, 3, 3),
        "2.bias": (64,),
    }
    vgg = {f"features.{name}": 0.1 * torch.randn(shape) for name, shape in state.items()}
    torch.save(vgg, folder / "vgg19.pth")
    return {
        "whole": StyleGAN2Discriminator(SIZE, narrow=1 / 64),
        "pixels": UNetDiscriminator(width=8, levels=2),
        "parts": ComponentDiscriminators(width=4),
        "vgg": Vgg19Features(folder / "vgg19.pth", ("conv1_2",)),
        "identity": IdentityFeatures(FaceIdentity(folder / "mobilefacenet.pt")),
    }


Networks = dict[str, nn.Module]
Term = Callable[[Tensor, Networks], Tensor]


def _matching(pictures: Tensor, networks: Networks) -> Tensor:
    own, wanted = (networks["whole"](x, with_features=True).features for x in (pictures, TRUTH))
    return feature_matching(own, wanted)


def _component(term: str, pictures: Tensor, networks: Networks) -> Tensor:
    own, wanted = (
        networks["parts"](cut_regions(x, LANDMARKS), with_features=True) for x in (pictures, TRUTH)
    )
    return component_generator(own) if term == "adversarial" else component_style(own, wanted)


def _perceptual(pictures: Tensor, networks: Networks) -> Tensor:
    own, wanted = (networks["vgg"](x, LANDMARKS) for x in (pictures, TRUTH))
    return feature_l1(own, wanted, {"conv1_2": 1}) + style_l1(own, wanted, {"conv1_2": 50})


def _identity_features(pictures: Tensor, networks: Networks) -> Tensor:
    own, wanted = (networks["identity"](x, LANDMARKS) for x in (pictures, TRUTH))
    return feature_l1(own, wanted, IDENTITY_WEIGHTS, relative=True)


TERMS: dict[str, Term] = {
    **{
        f"{name} of the whole": lambda x, nets, loss=loss: loss.generator(nets["whole"](x).logits)
        for name, loss in ADVERSARIAL.items()
    },
    "hinge of pixels": lambda x, nets: ADVERSARIAL["hinge"].generator(nets["pixels"](x).logits),
    "through DiffAugment": lambda x, nets: ADVERSARIAL["logistic"].generator(
        nets["whole"](DiffAugment()(x, torch.Generator().manual_seed(0))).logits
    ),
    "through ADA": lambda x, nets: ADVERSARIAL["logistic"].generator(
        nets["whole"](AdaptiveAugment()(x, 0.7, torch.Generator().manual_seed(0))).logits
    ),
    "feature matching": _matching,
    "component adversarial": lambda x, nets: _component("adversarial", x, nets),
    "component style": lambda x, nets: _component("style", x, nets),
    "perceptual and style": _perceptual,
    "identity": lambda x, nets: identity_loss(nets["identity"], x, TRUTH, LANDMARKS),
    "identity features": _identity_features,
}


def assert_learns(generator: StyleGAN2Generator, loss: Tensor) -> None:
    assert loss.dtype == torch.float32
    assert loss.shape == ()
    loss.backward()
    for name, parameter in generator.named_parameters():
        if name.endswith(("modulated_conv.weight", "constant_input.weight")) or "mlp" in name:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
    for name in ("constant_input.weight", "style_mlp.1.weight", "style_convs.7.weight"):
        assert generator.get_parameter(name).grad.abs().sum() > 0, name


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bfloat16"])
def test_every_term_reaches_the_generator(
    term: str, autocast: bool, generator: StyleGAN2Generator, networks: Networks
) -> None:
    z = torch.randn(COUNT, 8, generator=torch.Generator().manual_seed(2))
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss = TERMS[term](generator(z), networks)
    assert_learns(generator, loss)


def test_path_length_reaches_the_generator(generator: StyleGAN2Generator) -> None:
    source = torch.Generator().manual_seed(2)
    w = generator.style_mlp(torch.randn(COUNT, 8, generator=source))
    latents = w[:, None].expand(-1, generator.n_latents, -1)
    noise = torch.randn(COUNT, 3, SIZE, SIZE, generator=source)
    loss = PathLength()(generator.synthesize(latents), latents, noise)
    assert_learns(generator, loss)
