"""Make networks ready for inference: what can be computed once is computed once.

`prepare_for_inference` folds the run-time scales of equalised layers into their weights, keeps the
kernels of modulated convolutions as they are used, and sets precision and memory layout.
`to_clean` turns a GFPGANBilinear into the GFPGANv1Clean that computes the same.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from vidrestore.models.layers.equalized import GAIN, EqualConv2d, EqualLinear
from vidrestore.models.layers.modulated import ModulatedConv2d
from vidrestore.models.layers.resample import Filter
from vidrestore.models.nets.gfpgan_clean import DoublingConv, GFPGANv1Clean
from vidrestore.models.nets.gfpgan_v1 import DoublingConv as EqualDoublingConv
from vidrestore.models.nets.gfpgan_v1 import GFPGANBilinear

__all__ = ["DTYPES", "Precision", "prepare_for_inference", "to_clean"]

Precision = Literal["float32", "bfloat16", "float16"]

DTYPES: dict[Precision, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}

_State = dict[str, Tensor]


def prepare_for_inference(
    network: nn.Module,
    device: torch.device | str = "cpu",
    precision: Precision = "float32",
) -> nn.Module:
    """Make a network ready to run, and to do nothing else.

    The network given is used up: its weights change, and its state dict is no checkpoint any more.
    Styles are computed in float32 whatever the precision: they cost little and steer everything.

    Args:
        network: a network with its weights.
        device: where it will run.
        precision: number format of feature maps and convolutions.

    Returns:
        The network, or another that computes the same.
    """
    if isinstance(network, GFPGANBilinear):
        network = to_clean(network)
    network.eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, EqualConv2d | EqualLinear | ModulatedConv2d):
            module.fold()
    network.to(device)
    for module in network.modules():
        if not isinstance(module, nn.Linear | EqualLinear):
            _cast(module, DTYPES[precision])
    for module in network.modules():
        if isinstance(module, ModulatedConv2d | DoublingConv | EqualDoublingConv | Filter):
            module.freeze()
    return network.to(memory_format=torch.channels_last)


def _cast(module: nn.Module, dtype: torch.dtype) -> None:
    """Cast a module's own tensors, leaving its children alone."""
    for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
        if tensor.is_floating_point():
            tensor.data = tensor.data.to(dtype)


def to_clean(network: GFPGANBilinear) -> GFPGANv1Clean:
    """Fold all run-time scales of a bilinear network into the weights of a clean one.

    LeakyReLU(x, 0.2) * g = LeakyReLU(g x, 0.2) for g > 0, so every gain of an activation goes into
    the layer before it, and the division of residual blocks by sqrt(2) into their two branches.

    Args:
        network: the network; it stays as it is.

    Returns:
        A network that gives the same pictures but for rounding.
    """
    with torch.device("meta"):
        clean = GFPGANv1Clean(**network.hyperparameters)
    with torch.no_grad():
        state = {name: tensor.clone() for name, tensor in _clean_state(network).items()}
    clean.load_state_dict(state, assign=True)
    return clean.train(network.training)


def _clean_state(network: GFPGANBilinear) -> _State:
    state = {
        **_named("conv_body_first", _activated(network.conv_body_first, GAIN)),
        **_named("final_conv", _activated(network.final_conv, GAIN)),
        **_named("final_linear", _linear(network.final_linear)),
        **_named("stylegan_decoder", _decoder_state(network.stylegan_decoder)),
    }
    for number, block in enumerate(network.conv_body_down):
        state |= _named(f"conv_body_down.{number}", _down_block(block))
    for number, block in enumerate(network.conv_body_up):
        state |= _named(f"conv_body_up.{number}", _up_block(block))
    for number, to_rgb in enumerate(network.toRGB):
        state |= _named(f"toRGB.{number}", _conv(to_rgb))
    for name in ("condition_scale", "condition_shift"):
        for number, branch in enumerate(getattr(network, name)):
            state |= _named(f"{name}.{number}.0", _conv(branch[0], GAIN))
            state |= _named(f"{name}.{number}.2", _conv(branch[2]))
    return state


def _named(prefix: str, part: _State) -> _State:
    return {f"{prefix}.{name}": tensor for name, tensor in part.items()}


def _conv(conv: Any, gain: float = 1.0) -> _State:
    """Weight, and bias where there is one, of an EqualConv2d."""
    weight = {"weight": conv.kernel() * gain}
    return weight if conv.bias is None else {**weight, "bias": conv.bias * gain}


def _activated(layer: Any, gain: float) -> _State:
    """Of a layer that ends in a convolution and its activation, whose gain becomes `gain`."""
    conv, activation = layer[-2:]
    return {"weight": conv.kernel() * gain, "bias": activation.bias * gain}


def _down_block(block: Any) -> _State:
    return {
        **_named("conv1", _activated(block.conv1, GAIN)),
        **_named("conv2", _activated(block.conv2, 1.0)),
        **_named("skip", _conv(block.skip[-1], 1 / GAIN)),
    }


def _up_block(block: Any) -> _State:
    return {
        **_named("conv1", _activated(block.conv1, GAIN)),
        **_named("conv2", _activated([block.conv2, block.conv2.activation], 1.0)),
        **_named("skip", _conv(block.skip, 1 / GAIN)),
    }


def _linear(linear: Any, gain: float = 1.0) -> _State:
    return {
        "weight": linear.weight * (linear.scale * gain),
        "bias": linear.bias * (linear.bias_scale * gain),
    }


def _decoder_state(decoder: Any) -> _State:
    state = {
        "constant_input.weight": decoder.constant_input.weight,
        **_named("style_conv1", _styled_conv(decoder.style_conv1)),
        **_named("to_rgb1", _to_rgb(decoder.to_rgb1)),
        **_named("noises", dict(decoder.noises.named_buffers())),
    }
    for number, layer in enumerate(decoder.style_mlp[1:]):
        # The clean mapping network has its activations as layers of their own.
        state |= _named(f"style_mlp.{2 * number + 1}", _linear(layer, GAIN))
    for number, conv in enumerate(decoder.style_convs):
        state |= _named(f"style_convs.{number}", _styled_conv(conv))
    for number, to_rgb in enumerate(decoder.to_rgbs):
        state |= _named(f"to_rgbs.{number}", _to_rgb(to_rgb))
    return state


def _styled_conv(layer: Any) -> _State:
    return {
        "weight": layer.weight * GAIN,
        "bias": layer.activate.bias.view(1, -1, 1, 1) * GAIN,
        **_named("modulated_conv", _modulated(layer.modulated_conv)),
    }


def _to_rgb(layer: Any) -> _State:
    return {"bias": layer.bias, **_named("modulated_conv", _modulated(layer.modulated_conv))}


def _modulated(conv: Any) -> _State:
    return {"weight": conv.weight * conv.scale, **_named("modulation", _linear(conv.modulation))}
