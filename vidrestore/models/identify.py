"""Tell which network a weights file is for, from the names and shapes of its tensors.

Files say so themselves only if vidrestore wrote them (`metadata_of`). The public ones are known
by the zoo; this serves files that users bring: their hyper-parameters are read off the shapes.
What shapes cannot tell is set to the value that all published networks share.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from vidrestore.errors import WeightsError
from vidrestore.models.weights.checkpoint import Checkpoint

__all__ = ["Identity", "identify"]

Identity = tuple[str, dict[str, object]]
"""Name and hyper-parameters of a network, as `vidrestore.models.build` takes them."""

_Shapes = Mapping[str, tuple[int, ...]]

_WIDTH_AT_SCALE_1 = {64: 256, 128: 128, 256: 64, 512: 32, 1024: 16, 2048: 8}
"""Channels of a StyleGAN2 decoder by image size, for channel multiplier 1 and narrow 1."""


def identify(checkpoint: Checkpoint, *, arch: str | None = None) -> Identity:
    """Name the network that a checkpoint fills.

    Args:
        checkpoint: the weights.
        arch: what it is said to be; needed only where two networks look alike.

    Raises:
        WeightsError: if no known network has such weights.
    """
    told = _told(checkpoint)
    if told is not None:
        return told
    shapes = checkpoint.shapes
    try:
        found = _recognise(shapes, checkpoint, arch)
    except (LookupError, ArithmeticError, ValueError) as error:
        raise WeightsError(f"weights {checkpoint.path}: incomplete ({error})") from error
    if found is None:
        some = ", ".join(name[:60] for name in list(shapes)[:3])
        raise WeightsError(
            f"weights {checkpoint.path}: of no network known here (its entries: {some}, …); "
            "GFP-GAN, GPEN, RetinaFace, ParseNet, BiSeNet and vidrestore's own are"
        )
    return found


def _told(checkpoint: Checkpoint) -> Identity | None:
    """What the file's metadata says."""
    if "arch" not in checkpoint.metadata:
        return None
    try:
        hyperparameters = json.loads(checkpoint.metadata.get("hyperparameters", "{}"))
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"weights {checkpoint.path}: its metadata is damaged") from error
    if not isinstance(hyperparameters, dict):
        raise WeightsError(f"weights {checkpoint.path}: its metadata is damaged")
    return checkpoint.metadata["arch"], hyperparameters


def _recognise(shapes: _Shapes, checkpoint: Checkpoint, arch: str | None) -> Identity | None:
    if "conv_body_first.weight" in shapes:
        return "GFPGANv1Clean", _gfpgan(shapes)
    if "conv_body_first.0.weight" in shapes:
        return _equalised(checkpoint, arch), _gfpgan(shapes)
    if "generator.input.input" in shapes:
        return "GPEN FullGenerator", _gpen(shapes)
    if "body.stage1.0.0.weight" in shapes:
        return "RetinaFace", {"backbone": "mobile0.25"}
    if "body.conv1.weight" in shapes and "ClassHead.0.conv1x1.weight" in shapes:
        return "RetinaFace", {"backbone": "resnet50"}
    if "out_mask_conv.conv2d.weight" in shapes:
        return "ParseNet", _parsenet(shapes)
    if "cp.resnet.conv1.weight" in shapes:
        return "BiSeNet", {"num_class": shapes["conv_out.conv_out.weight"][0]}
    return None


def _equalised(checkpoint: Checkpoint, arch: str | None) -> str:
    """GFPGANv1 and GFPGANBilinear differ in how they resample, and the weights do not say how."""
    candidates = ("GFPGANv1", "GFPGANBilinear")
    if arch not in candidates:
        ways = " or ".join(f"'{checkpoint.path}#{name}'" for name in candidates)
        raise WeightsError(
            f"weights {checkpoint.path}: GFPGANv1 and GFPGANBilinear look alike; "
            f"say which it is, as {ways}"
        )
    return arch


def _gfpgan(shapes: _Shapes) -> dict[str, object]:
    size = 4 * 2 ** _count(shapes, r"conv_body_down\.(\d+)\..*")
    decoder = "stylegan_decoder.style_conv"
    last = _last(shapes, r"stylegan_decoder\.style_convs\.(\d+)\..*")
    first, style = shapes[f"{decoder}1.modulated_conv.weight"][1:3]
    styles = shapes[f"{decoder}1.modulated_conv.modulation.weight"][1]
    widest = shapes[f"{decoder}s.{last}.modulated_conv.weight"][1]
    latents = shapes["final_linear.weight"][0] // styles
    scale = shapes["condition_scale.0.2.weight"][0] / style
    return {
        "out_size": size,
        "num_style_feat": styles,
        "channel_multiplier": _multiplier(size, widest, first / 512),
        "narrow": _tidy(first / 512),
        "num_mlp": _count(shapes, r"stylegan_decoder\.style_mlp\.(\d+)\.weight"),
        "input_is_latent": True,
        "different_w": latents > 1,
        "sft_half": scale < 1,
    }


def _gpen(shapes: _Shapes) -> dict[str, object]:
    size = 2 ** (_count(shapes, r"ecd(\d+)\..*") + 1)
    last = _last(shapes, r"generator\.convs\.(\d+)\..*")
    widths = shapes["generator.conv1.conv.weight"][1]
    narrow = widths / 512
    return {
        "size": size,
        "style_dim": shapes["generator.conv1.conv.modulation.weight"][1],
        "n_mlp": _count(shapes, r"generator\.style\.(\d+)\.weight"),
        "channel_multiplier": _multiplier(
            size, shapes[f"generator.convs.{last}.conv.weight"][1], narrow
        ),
        "narrow": _tidy(narrow),
        "isconcat": shapes["generator.conv1.activate.bias"][0] == 2 * widths,
    }


def _parsenet(shapes: _Shapes) -> dict[str, object]:
    """Its input halves at every block of the encoder but the first, down to 32 pixels."""
    size = 32 * 2 ** (_count(shapes, r"encoder\.(\d+)\..*") - 1)
    return {
        "in_size": size,
        "out_size": size,
        "base_ch": shapes["encoder.0.conv2d.weight"][0],
        "res_depth": _count(shapes, r"body\.(\d+)\..*"),
        "parsing_ch": shapes["out_mask_conv.conv2d.weight"][0],
    }


def _multiplier(size: int, width: int, narrow: float) -> int | float:
    """Channel multiplier from the width at full size; below 64 px it has no effect."""
    if size not in _WIDTH_AT_SCALE_1:
        return 2
    return _tidy(width / (_WIDTH_AT_SCALE_1[size] * narrow))


def _tidy(value: float) -> int | float:
    return int(value) if value == int(value) else value


def _indices(names: Iterable[str], pattern: str) -> set[int]:
    found = (re.fullmatch(pattern, name) for name in names)
    return {int(match[1]) for match in found if match}


def _last(names: Iterable[str], pattern: str) -> int:
    return max(_indices(names, pattern), default=-1)


def _count(names: Iterable[str], pattern: str) -> int:
    return len(_indices(names, pattern))
