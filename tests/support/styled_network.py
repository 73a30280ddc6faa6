"""Weights of a small GFP-GAN, whose styles and noise are to be seen."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from vidrestore.models import build

_SETTINGS = {"out_size": 32, "num_style_feat": 16, "narrow": 0.125}


def write_styled_network(path: Path) -> Path:
    """A file of weights for crops of 32 px, as `--model` takes it."""
    torch.manual_seed(0)
    network = build("GFPGANv1Clean", **_SETTINGS)
    with torch.no_grad():
        for layer in (network.stylegan_decoder.style_conv1, *network.stylegan_decoder.style_convs):
            layer.weight.fill_(0.5)
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    told = {"arch": "GFPGANv1Clean", "hyperparameters": json.dumps(_SETTINGS), "size": "32"}
    save_file(state, path, told)
    return path
