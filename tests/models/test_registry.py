"""Networks are built by name; a wrong name is answered with the nearest right one."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import vidrestore.models
from vidrestore.errors import ModelError
from vidrestore.models.registry import ARCHITECTURES, SHORT_NAMES, build, picture_size


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture_builds_with_its_defaults(arch):
    with torch.device("meta"):
        network = build(arch)
    assert isinstance(network, torch.nn.Module)
    assert sum(parameter.numel() for parameter in network.parameters()) > 10_000


def test_hyperparameters_reach_the_network():
    with torch.device("meta"):
        small = build("GFPGANv1Clean", out_size=64, narrow=0.5, different_w=False)
    assert small.out_size == 64
    assert small.final_linear.out_features == 512


def test_unknown_architecture_suggests_the_nearest():
    with pytest.raises(ModelError, match=r"GFPGANv1Cleen.*did you mean 'GFPGANv1Clean'"):
        build("GFPGANv1Cleen")


def test_every_architecture_has_a_short_name():
    assert sorted(SHORT_NAMES.values()) == sorted(ARCHITECTURES)
    with torch.device("meta"):
        short, full = build("gpen", size=64), build("GPEN FullGenerator", size=64)
    assert type(short) is type(full)
    assert picture_size("gfpgan_clean", {"out_size": 64}) == ("out_size", 64)
    with pytest.raises(ModelError, match="'gfpgan_claen'; did you mean 'gfpgan_clean'"):
        build("gfpgan_claen")


def test_unknown_hyperparameter_suggests_the_nearest():
    with pytest.raises(ModelError, match="'channel_multiplyer'; did you mean 'channel_multiplier'"):
        build("GPEN FullGenerator", channel_multiplyer=2)


def test_wrong_size_is_named():
    with pytest.raises(ModelError, match="size 500 is not a power of two"):
        build("GFPGANv1Clean", out_size=500)


def test_wrong_filter_is_named():
    with pytest.raises(ModelError, match="a resampling filter has four taps, not 3"):
        build("GFPGANv1", out_size=16, narrow=0.1, resample_kernel=(1, 2, 1))


@pytest.mark.parametrize(
    ("arch", "size"), [("GFPGANv1Clean", {"out_size": 16}), ("GPEN FullGenerator", {"size": 16})]
)
def test_pictures_of_another_size_are_refused(arch, size):
    network = build(arch, narrow=0.1, **size)
    with pytest.raises(ModelError, match=r"\(1, 3, 32, 32\): the network takes \(N, 3, 16, 16\)"):
        network(torch.zeros(1, 3, 32, 32))


def test_package_gives_the_function_and_loads_torch_only_when_asked():
    assert vidrestore.models.build is build
    assert sorted(vidrestore.models.__all__) == vidrestore.models.__all__
    assert all(hasattr(vidrestore.models, name) for name in vidrestore.models.__all__)
    code = "import sys, vidrestore.models; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
